/*
 * capabilities(7), in the words of those who set them: setpriv, capsh, file capabilities.
 *
 * A capability that a profile names is one over a user namespace of the world's own. Where there is none it would be one over the
 * host, which no profile gives: all five sets are empty.
 */
#include "export/exporters.h"
#include "export/host.h"

static struct sg_hold judge(const struct sg_export *with, const struct sg_rule *rule)
{
	(void)with;
	switch (rule->kind) {
	case SG_RULE_CAPABILITY:
		return (struct sg_hold){SG_HOLDS_STRICTER,
					"it counts in a user namespace of the program's own only; none is given here"};
	case SG_RULE_DENY_CAPABILITY:
		return (struct sg_hold){SG_HOLDS, NULL};
	default:
		return (struct sg_hold){SG_HOLDS_NOT, "capabilities bound root's powers and nothing else"};
	}
}

static struct sg_hold judge_rest(const struct sg_export *with, enum sg_export_rest rest)
{
	(void)with;
	if (rest == SG_REST_CAPABILITIES)
		return (struct sg_hold){SG_HOLDS, NULL};
	return (struct sg_hold){SG_HOLDS_NOT, "capabilities bound root's powers and nothing else"};
}

static int write_capabilities(const struct sg_export *with, struct sg_buffer *out, struct sg_error *error)
{
	(void)error;
	sg_export_header(with, "# ", out);
	sg_buffer_append_text(
		out, "\n"
		     "# Bounding, inheritable, permitted, effective and ambient set: empty.\n"
		     "BoundingSet=\n"
		     "AmbientSet=\n"
		     "\n"
		     "# setpriv(1), as root or as a user who holds none:\n"
		     "#   setpriv --no-new-privs --bounding-set=-all --inh-caps=-all --ambient-caps=-all -- COMMAND\n"
		     "# capsh(1), as root:\n"
		     "#   capsh --noamb --inh= --drop=all --no-new-privs --user=USER -- -c COMMAND\n"
		     "# File capabilities: the program has none.\n"
		     "#   setcap -r PROGRAM\n");
	return sg_buffer_status(out);
}

const struct sg_exporter sg_export_capabilities = {
	.name = "capabilities",
	.summary = "capability sets, in words of setpriv, capsh and file capabilities",
	.suffix = ".capabilities",
	.judge = judge,
	.judge_rest = judge_rest,
	.write = write_capabilities,
	.probe = sg_host_sets_capabilities,
};
