#include "policy/proposal.h"

#include <string.h>

#include "policy/glob.h"
#include "policy/needs.h"
#include "policy/words.h"

void sg_proposal_done(struct sg_proposal *proposal)
{
	sg_buffer_done(&proposal->value);
}

/* The keys that refuse whatever else allows. */
static bool is_denial(const char *key)
{
	return strncmp(key, "Deny", 4) == 0;
}

static const struct {
	const char *access, *key;
} file_keys[] = {
	{"read", "ReadOnly"},
	{"write", "ReadWrite"},
	{"change", "ReadWrite"},
	{"execute", "Exec"},
};

/* Operations that name an address, and the key that allows it. */
static const struct {
	const char *operation, *key;
} network_keys[] = {
	{"connect to", "Allow"},
	{"send to", "Allow"},
	{"listen on", "Listen"},
};

static const char *network_key(const char *operation)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(network_keys); i++)
		if (strcmp(network_keys[i].operation, operation) == 0)
			return network_keys[i].key;
	return NULL;
}

static bool is_address(const char *object)
{
	return strncmp(object, "tcp:", 4) == 0 || strncmp(object, "udp:", 4) == 0 || strncmp(object, "icmp:", 5) == 0 ||
	       strncmp(object, "unix:", 5) == 0;
}

static void propose_file(const struct sg_refusal *refusal, struct sg_proposal *ret)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(file_keys); i++) {
		if (strcmp(file_keys[i].access, refusal->access) != 0)
			continue;
		/* A rule that gives this already was not what refused it: another one of the kind would not
		 * help. */
		if (strcmp(file_keys[i].key, refusal->rule_key) == 0)
			return;
		*ret = (struct sg_proposal){SG_PROPOSAL_LINE, "Filesystem", file_keys[i].key, SG_BUFFER_INIT};
		sg_glob_quote(&ret->value, refusal->object, strlen(refusal->object));
	}
}

/* A path that is connected to is a unix socket; the path of a unix address is a glob. */
static void propose_address(const struct sg_refusal *refusal, const char *key, struct sg_proposal *ret)
{
	const char *path = strncmp(refusal->object, "unix:/", 6) == 0 ? refusal->object + 5 : refusal->object;

	*ret = (struct sg_proposal){SG_PROPOSAL_LINE, "Networking", key, SG_BUFFER_INIT};
	if (path[0] == '/') {
		sg_buffer_append_text(&ret->value, "unix:");
		sg_glob_quote(&ret->value, path, strlen(path));
	} else {
		sg_buffer_append_text(&ret->value, refusal->object);
	}
}

int sg_propose(const struct sg_refusal *refusal, struct sg_proposal *ret)
{
	*ret = SG_PROPOSAL_INIT;
	if (strcmp(refusal->rule_key, "Hide") == 0) {
		ret->kind = SG_PROPOSAL_HIDDEN;
	} else if (is_denial(refusal->rule_key)) {
		ret->kind = SG_PROPOSAL_DENIED;
	} else if (strcmp(refusal->operation, "call") == 0) {
		if (refusal->needs[0] == '\0') {
			ret->kind = strncmp(refusal->reason, "no flag", 7) == 0 ? SG_PROPOSAL_NEVER : SG_PROPOSAL_NONE;
			return 0;
		}
		*ret = (struct sg_proposal){SG_PROPOSAL_LINE, sg_need_section_of_flag(refusal->needs), "Flags",
					    SG_BUFFER_INIT};
		sg_buffer_append_text(&ret->value, refusal->needs);
	} else if (strcmp(refusal->reason, SG_WORDS_NETWORK_CUT) == 0) {
		return 0; /* it is no profile that refused */
	} else if (network_key(refusal->operation) != NULL) {
		if (is_address(refusal->object) || refusal->object[0] == '/')
			propose_address(refusal, network_key(refusal->operation), ret);
	} else if (refusal->object[0] == '/' && strcmp(refusal->operation, "make the symbolic link") != 0) {
		/* No symbolic link is made under a name that a rule spells out, as a proposal would. */
		propose_file(refusal, ret);
	}
	return sg_buffer_status(&ret->value);
}
