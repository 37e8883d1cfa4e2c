/* shellguard-profile(5), and the tables of flags and keys. */
#include <string.h>

#include "cli/document.h"
#include "cli/version.h"
#include "policy/explain.h"
#include "policy/needs.h"
#include "tables/actions.h"
#include "tables/flags.h"

static const char *const types[] = {
	[SG_KEY_STRING] = "a text",  [SG_KEY_STRINGS] = "a list of texts", [SG_KEY_BOOLEAN] = "true or false",
	[SG_KEY_LIMITS] = "a table", [SG_KEY_LISTS] = "a list of lists",   [SG_KEY_TABLES] = "tables",
};

static const char *const sections[SG_SECTIONS] = {
	[SG_SECTION_ROOT] = "The profile itself, before any table.",
	[SG_SECTION_NETWORKING] = "What may be connected to and listened on.",
	[SG_SECTION_FILESYSTEM] = "What may be read, written and executed.",
	[SG_SECTION_RUNTIME] = "What programs may do with memory, processes and time.",
	[SG_SECTION_USER] = "Who the world runs as.",
	[SG_SECTION_MISC] = "All else.",
	[SG_SECTION_DEFINE] = "A flag of one's own, [Define.NAME]; it may be named wherever flags are. Where it is "
			      "denied (DenyFlags), all "
			      "that it states is refused whatever else gives it, and so are the flags under Flags; but "
			      "not what it only "
			      "needs (NeedsFlags, NeedsSyscalls), which other purposes share: of such a call (fcntl, "
			      "ioctl, socket ...) "
			      "those requests are refused that no other granted flag gives.",
	[SG_SECTION_LABEL] = "A class of data or of reach, [Label.NAME].",
	[SG_SECTION_WALLS] = "Labels that one world may never hold together.",
	[SG_SECTION_PRIVILEGED] = "What the broker may do for the world.",
	[SG_SECTION_TEST] = ("An assertion about the profile, which \"shellguard test\" checks: one action and what is "
			     "expected of it. It changes nothing of what the profile means."),
	[SG_SECTION_ACTION] = "One action of the broker.",
};

static const struct {
	const char *form, *meaning;
} globs[] = {
	{"/dir/file", "this file"},
	{"/dir/*", "the files in the folder, those whose names begin with a dot too"},
	{"/dir/a*", "the files in the folder whose names begin with a"},
	{"/dir/*.png", "the files in the folder whose names end in .png"},
	{"/dir/[^.]*", "the files in the folder whose names do not begin with a dot"},
	{"/dir/", "the folder itself: its list (ReadOnly), its attributes (ReadWrite)"},
	{"/dir/*/", "the folders in the folder"},
	{"/dir/a*/", "the folders in the folder whose names begin with a"},
	{"/dir/*a/", "the folders in the folder whose names end in a"},
	{"/dir/**", "every file and folder below, however deep"},
	{"/dir/**/", "every folder below, however deep"},
	{"/dir/**[^/]", "every file below, however deep"},
	{"/dir{,1,2}/**", "every file and folder below /dir, /dir1 and /dir2"},
};

static const struct {
	const char *form, *meaning;
} addresses[] = {
	{"tcp:example.org:443", "a port of the addresses that the session's resolver answers for the name"},
	{"tcp:*.example.org:80,443", "the same for every name below it, not for the name itself"},
	{"udp:192.0.2.7:53", "a port of an address"},
	{"tcp:10.0.0.0/8:1024-65535", "a range of ports of a range of addresses"},
	{"tcp:[2001:db8::1]:22", "an IPv6 address stands in brackets"},
	{"icmp:192.0.2.0/24", "asking by ICMP whether hosts answer"},
	{"*:internet:*",
	 "every address outside, by any protocol: not this host's, loopback, link-local or metadata ones"},
	{"tcp:host:22", "this host's own addresses"},
	{"tcp:loopback:5432", "the host's loopback; a world's own loopback needs no rule"},
	{"unix:/run/nscd/socket", "a socket by its name, a glob"},
	{"unix:@name", "an abstract socket"},
};

static const struct {
	const char *name, *meaning;
} variables[] = {
	{"${CWD}", "the working directory at the start"},
	{"${HOME}, ~", "the user's home, from the user database"},
	{"${USER}", "the user's name"},
	{"${UID}", "the user's id"},
	{"${RUNTIME}", "$XDG_RUNTIME_DIR, or /run/user/UID"},
	{"${CONFIG}", "$XDG_CONFIG_HOME, or .config in the home; without symbolic links"},
	{"${STATE}", "$XDG_STATE_HOME, or .local/state in the home; without symbolic links"},
};

static void append_entry(struct sg_buffer *out, const char *term, const char *text)
{
	sg_buffer_append_text(out, ".TP\n.B ");
	sg_roff_append(out, term);
	sg_buffer_append_byte(out, '\n');
	sg_roff_append(out, text);
	sg_buffer_append_text(out, ".\n");
}

static void append_section_name(struct sg_buffer *out, int section)
{
	const enum sg_section_form form = sg_section_infos[section].form;

	if (section == SG_SECTION_ROOT)
		sg_buffer_append_text(out, "Top of the file");
	else
		sg_buffer_printf(out, "%s%s%s%s", form == SG_SECTION_IS_ARRAY ? "[[" : "[",
				 sg_section_infos[section].name, form == SG_SECTION_IS_NAMED ? ".NAME" : "",
				 form == SG_SECTION_IS_ARRAY ? "]]" : "]");
}

const char *sg_document_section(int section)
{
	return sections[section];
}

/* The keys of a test say what is asked. */
const char *sg_document_describe(const struct sg_key_info *key)
{
	static const struct {
		const char *name, *text;
	} others[] = {{"Name", "what the test is called"},
		      {"Description", "why it matters: shown where the test fails"},
		      {"Expect", "the answer that is expected"}};
	const enum sg_action action = key->rule == SG_RULE_TEST ? sg_action_by_key(key->name) : SG_ACTIONS_;

	if (action != SG_ACTIONS_)
		return sg_action_infos[action].description;
	for (size_t i = 0; key->rule == SG_RULE_TEST && i < SG_ARRAY_SIZE(others); i++)
		if (strcmp(others[i].name, key->name) == 0)
			return others[i].text;
	return sg_rule_infos[key->rule].description;
}

static void append_outcomes(struct sg_buffer *out)
{
	sg_buffer_append_text(out, ".PP\nExpect is one of these; \\fBallow\\fR is met by \\fBown\\fR too, and "
				   "\\fBdeny\\fR by \\fBhide\\fR.\n");
	for (int i = 0; i < SG_OUTCOMES_; i++)
		append_entry(out, sg_outcome_names[i], sg_outcome_descriptions[i]);
}

static void append_keys(struct sg_buffer *out)
{
	for (int section = 0; section < SG_SECTIONS; section++) {
		sg_buffer_append_text(out, ".SS ");
		append_section_name(out, section);
		sg_buffer_printf(out, "\n%s\n", sections[section]);
		for (size_t i = 0; i < sg_key_count; i++) {
			const struct sg_key_info *key = &sg_key_infos[i];

			if ((key->sections >> section & 1) == 0)
				continue;
			sg_buffer_append_text(out, ".TP\n.B ");
			sg_roff_append(out, key->name);
			sg_buffer_printf(out, "\n%s: ", types[key->type]);
			sg_roff_append(out, sg_document_describe(key));
			sg_buffer_append_text(out, ".\n");
		}
		if (section == SG_SECTION_TEST)
			append_outcomes(out);
	}
}

static void append_limits(struct sg_buffer *out)
{
	sg_buffer_append_text(out, ".SH LIMITS\nRuntime.Limits = { Processes = 256, Memory = \"2GiB\", "
				   "CpuTime = \"1h\" }. Of several profiles the "
				   "smallest value holds.\n");
	for (size_t i = 0; i < sg_limit_count; i++) {
		const struct sg_limit_info *limit = &sg_limit_infos[i];

		sg_buffer_append_text(out, ".TP\n.B ");
		sg_roff_append(out, limit->name);
		sg_buffer_append_byte(out, '\n');
		sg_roff_append(out, limit->description);
		sg_buffer_append_text(out, "; without it ");
		if (limit->default_value == 0)
			sg_buffer_append_text(out, "the caller\\(aqs own");
		else
			sg_explain_limit_value(limit->unit, limit->default_value, out);
		if (limit->smallest > 1) {
			sg_buffer_append_text(out, "; at least ");
			sg_explain_limit_value(limit->unit, limit->smallest, out);
		}
		sg_buffer_append_text(out, ".\n");
	}
}

static void append_flags(const struct sg_policy *flags, struct sg_buffer *out)
{
	sg_buffer_append_text(out, ".SH FLAGS\nA flag names a purpose. What each one gives stands in a file "
				   "of the same language that a person can "
				   "read (\\fBshellguard syscalls\\fR says which calls).\n");
	for (int category = 0; category < SG_FLAG_CATEGORIES_; category++) {
		const char *name = sg_flag_category_name((enum sg_flag_category)category);

		if (category == SG_FLAG_CATEGORY_PLEDGE)
			sg_buffer_append_text(out, ".SS In any section: the promises of OpenBSD\\(aqs pledge(2)\n");
		else
			sg_buffer_printf(out, ".SS In [%s]\n", name);
		for (int flag = 0; flag < SG_FLAGS_; flag++)
			if (sg_flag_category((enum sg_flag)flag) == (enum sg_flag_category)category)
				append_entry(out, sg_flag_name((enum sg_flag)flag),
					     sg_need_describe_flag(flags, sg_flag_name((enum sg_flag)flag)));
	}
}

void sg_document_profile(const struct sg_policy *flags, struct sg_buffer *out)
{
	sg_buffer_append_text(out, ".\\\" Written by \"shellguard _document man-profile\" from its tables.\n"
				   ".TH SHELLGUARD\\-PROFILE 5 \"\" \"shellguard " SG_VERSION "\" \"File Formats\"\n"
				   ".SH NAME\nshellguard\\-profile \\- what a world may do\n"
				   ".SH DESCRIPTION\nA profile is a file of TOML 1.0. Nothing is allowed "
				   "unless something allows it; what denies "
				   "overrides what allows, wherever it stands and however exactly. An error "
				   "anywhere means that nothing runs.\n"
				   ".PP\nSeveral profiles unite: allowed is what one of them allows and none "
				   "of them denies. Of limits the smallest holds.\n"
				   ".SH EXAMPLE\n.nf\nDescription = \"Analyse the measurements, and tell the "
				   "collector.\"\n\n[Filesystem]\nFlags     = [\"tmp\"]\n"
				   "ReadOnly  = [\"/usr/**\", \"\\(ti/data/**\"]\nReadWrite = "
				   "[\"${CWD}/**\"]\nExec      = [\"/usr/bin/*\"]\n"
				   "Deny      = [\"\\(ti/data/private/**\"]\n\n[Networking]\nFlags = "
				   "[\"dns\"]\nAllow = [\"tcp:collector.example.org:443\"]\n\n"
				   "[Runtime]\nFlags  = [\"start\", \"malloc\", \"fork\", \"exec\"]\nLimits "
				   "= { Processes = 64 }\n.fi\n"
				   ".SH KEYS\n");
	append_keys(out);
	append_limits(out);
	sg_buffer_append_text(out, ".SH FILE GLOBS\nA folder\\(aqs name ends in a slash, every other name "
				   "does not. Names are those that the world sees, "
				   "after symbolic links.\n");
	for (size_t i = 0; i < SG_ARRAY_SIZE(globs); i++)
		append_entry(out, globs[i].form, globs[i].meaning);
	sg_buffer_append_text(out, ".SH NETWORK ADDRESSES\nPROTOCOL:HOST:PORTS; the protocol is tcp, udp, "
				   "icmp, unix, or * for any.\n");
	for (size_t i = 0; i < SG_ARRAY_SIZE(addresses); i++)
		append_entry(out, addresses[i].form, addresses[i].meaning);
	sg_buffer_append_text(out, ".SH VARIABLES\nThey are filled in at the start and stand for themselves, "
				   "not for wildcards.\n");
	for (size_t i = 0; i < SG_ARRAY_SIZE(variables); i++)
		append_entry(out, variables[i].name, variables[i].meaning);
	append_flags(flags, out);
	sg_buffer_append_text(out, ".SH SEE ALSO\n.BR shellguard (1)\n");
}

/* --- Markdown --- */

static void append_cell(struct sg_buffer *out, const char *text)
{
	for (; *text != '\0'; text++)
		sg_buffer_printf(out, *text == '|' ? "\\%c" : "%c", *text);
}

void sg_document_flags(const struct sg_policy *flags, struct sg_buffer *out)
{
	sg_buffer_append_text(out, "| flag | section | what it is for |\n| --- | --- | --- |\n");
	for (int flag = 0; flag < SG_FLAGS_; flag++) {
		const char *name = sg_flag_name((enum sg_flag)flag);

		sg_buffer_printf(out, "| `%s` | %s | ", name,
				 sg_flag_category_name(sg_flag_category((enum sg_flag)flag)));
		append_cell(out, sg_need_describe_flag(flags, name));
		sg_buffer_append_text(out, " |\n");
	}
}

void sg_document_keys(struct sg_buffer *out)
{
	sg_buffer_append_text(out, "| section | key | value | what it says |\n| --- | --- | --- | --- |\n");
	for (int section = 0; section < SG_SECTIONS; section++)
		for (size_t i = 0; i < sg_key_count; i++) {
			const struct sg_key_info *key = &sg_key_infos[i];

			if ((key->sections >> section & 1) == 0)
				continue;
			sg_buffer_append_text(out, "| ");
			append_section_name(out, section);
			sg_buffer_printf(out, " | `%s` | %s | ", key->name, types[key->type]);
			append_cell(out, sg_document_describe(key));
			sg_buffer_append_text(out, " |\n");
		}
}
