/*
 * Rulesets of Landlock, in the TOML of the Landlock project (github.com/landlock-lsm/landlockconfig).
 *
 * Its library, or a loader of one's own, opens each `parent` and applies the ruleset to itself before it executes the program;
 * what is missing on the host is left out. Texts are basic strings of TOML; "${" begins a variable there, so '$' is written twice.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export/exporters.h"
#include "export/host.h"
#include "export/landlock_rules.h"

static const char *const right_names[SG_LANDLOCK_RIGHTS_] = {
#define SG_LANDLOCK_RIGHT(id, name, file) [SG_LANDLOCK_##id] = name,
#include "export/landlock_rights.def"
#undef SG_LANDLOCK_RIGHT
};

/* --- judgement --- */

#define STARTER "it is for whoever starts the program"
#define NO_CALLS "Landlock sees objects, not system calls"

static struct sg_hold judge(const struct sg_export *with, const struct sg_rule *rule)
{
	const struct sg_landlock_rules *rules = with->state;

	switch (rule->kind) {
	case SG_RULE_LOG_READ:
	case SG_RULE_LOG_WRITE:
		return (struct sg_hold){SG_HOLDS_NOT, "what is given is not recorded"};
	case SG_RULE_LIMIT:
	case SG_RULE_ENVIRONMENT:
	case SG_RULE_DIRECTORY:
	case SG_RULE_USER:
		return (struct sg_hold){SG_HOLDS_NOT, STARTER};
	default:
		if (rule->glob != NULL || rule->address != NULL)
			return rules->holds[rule - with->policy->rules];
		return (struct sg_hold){SG_HOLDS_NOT, NO_CALLS};
	}
}

static struct sg_hold judge_rest(const struct sg_export *with, enum sg_export_rest rest)
{
	const struct sg_landlock_rules *rules = with->state;

	switch (rest) {
	case SG_REST_FILES:
		return (struct sg_hold){SG_HOLDS_PARTLY,
					"their names, and what stat tells of them, show; modes, owners, times and "
					"extended attributes are not looked at, nor truncation before Linux 6.2"};
	case SG_REST_PROGRAMS:
		return (struct sg_hold){SG_HOLDS_PARTLY,
					"what may be read may be mapped as code, by a program's loader too"};
	case SG_REST_ADDRESSES:
		if (!rules->connect.handled || !rules->bind.handled)
			return (struct sg_hold){SG_HOLDS_NOT, "of sockets only the ports of TCP are looked at"};
		return (struct sg_hold){SG_HOLDS_PARTLY, "of sockets only the ports of TCP are looked at"};
	case SG_REST_PROCESSES:
		return (struct sg_hold){SG_HOLDS_PARTLY, "tracing is held, and from Linux 6.12 on signals and abstract "
							 "sockets; /proc shows them"};
	case SG_REST_ENVIRONMENT:
		return (struct sg_hold){SG_HOLDS_NOT, STARTER};
	default:
		return (struct sg_hold){SG_HOLDS_NOT, NO_CALLS};
	}
}

/* --- the ruleset --- */

static void write_text(const char *text, struct sg_buffer *out)
{
	SG_AUTO_BUFFER struct sg_buffer copy = SG_BUFFER_INIT;

	for (const char *at = text; *at != '\0'; at++) {
		if (*at == '$')
			sg_buffer_append_byte(&copy, '$');
		sg_buffer_append_byte(&copy, *at);
	}
	if (sg_buffer_status(&copy) < 0)
		out->failed = true;
	else
		sg_buffer_append_json(out, copy.data, copy.size);
}

static void write_rights(unsigned int rights, struct sg_buffer *out)
{
	const char *before = "";

	sg_buffer_append_byte(out, '[');
	for (size_t i = 0; i < SG_LANDLOCK_RIGHTS_; i++) {
		if ((rights & 1U << i) == 0)
			continue;
		sg_buffer_printf(out, "%s\"%s\"", before, right_names[i]);
		before = ", ";
	}
	sg_buffer_append_text(out, "]\n");
}

/* Rights of a kind stand together, in the order in which a path first has them. */
static void write_places(const struct sg_landlock_rules *rules, struct sg_buffer *out)
{
	for (size_t i = 0; i < rules->count; i++) {
		bool first = true;

		for (size_t j = 0; j < i && first; j++)
			first = rules->places[j].rights != rules->places[i].rights;
		if (!first)
			continue;
		sg_buffer_append_text(out, "\n[[path_beneath]]\nallowed_access = ");
		write_rights(rules->places[i].rights, out);
		sg_buffer_append_text(out, "parent = [\n");
		for (size_t j = i; j < rules->count; j++) {
			if (rules->places[j].rights != rules->places[i].rights)
				continue;
			sg_buffer_append_text(out, "    ");
			write_text(rules->places[j].path, out);
			sg_buffer_append_text(out, ",\n");
		}
		sg_buffer_append_text(out, "]\n");
	}
}

static void write_ports(const struct sg_landlock_ports *ports, const char *right, struct sg_buffer *out)
{
	const char *before = "";

	if (!ports->handled || ports->count == 0)
		return;
	sg_buffer_printf(out, "\n[[net_port]]\nallowed_access = [\"%s\"]\nport = [", right);
	for (unsigned int port = 0; port < 65536; port++)
		if ((ports->set[port / 64] >> port % 64 & 1) != 0) {
			sg_buffer_printf(out, "%s%u", before, port);
			before = ", ";
		}
	sg_buffer_append_text(out, "]\n");
}

static int write_landlock(const struct sg_export *with, struct sg_buffer *out, struct sg_error *error)
{
	const struct sg_landlock_rules *rules = with->state;

	(void)error;
	sg_export_header(with, "# ", out);
	sg_buffer_append_text(out, "#\n"
				   "# A file that was not there, or a folder in the place of a file, when this is "
				   "loaded, is what the rule then\n"
				   "# speaks of: load it where the program cannot have put them there.\n"
				   "\n[[ruleset]]\nhandled_access_fs = ");
	write_rights((1U << SG_LANDLOCK_RIGHTS_) - 1, out);
	if (rules->connect.handled || rules->bind.handled)
		sg_buffer_printf(out, "handled_access_net = [%s%s%s]\n", rules->bind.handled ? "\"bind_tcp\"" : "",
				 rules->bind.handled && rules->connect.handled ? ", " : "",
				 rules->connect.handled ? "\"connect_tcp\"" : "");
	sg_buffer_append_text(out, "scoped = [\"abstract_unix_socket\", \"signal\"]\n");
	write_places(rules, out);
	write_ports(&rules->connect, "connect_tcp", out);
	write_ports(&rules->bind, "bind_tcp", out);
	return sg_buffer_status(out);
}

static int open_landlock(struct sg_export *with)
{
	with->state = calloc(1, sizeof(struct sg_landlock_rules));
	return with->state != NULL ? sg_landlock_rules_find(with->policy, with->state) : -ENOMEM;
}

static void close_landlock(struct sg_export *with)
{
	if (with->state != NULL)
		sg_landlock_rules_done(with->state);
	free(with->state);
	with->state = NULL;
}

const struct sg_exporter sg_export_landlock = {
	.name = "landlock",
	.summary = "a ruleset, in the TOML of landlockconfig",
	.suffix = ".landlock.toml",
	.open = open_landlock,
	.close = close_landlock,
	.judge = judge,
	.judge_rest = judge_rest,
	.write = write_landlock,
	.probe = sg_host_has_landlock,
};
