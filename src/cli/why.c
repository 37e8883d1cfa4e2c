/* shellguard why: a refusal explained from its record, or a name from the profiles. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "audit/log.h"
#include "audit/read.h"
#include "base/fd.h"
#include "cli/help.h"
#include "cli/layout.h"
#include "cli/options.h"
#include "cli/pathwhy.h"
#include "policy/builtin.h"
#include "policy/proposal.h"
#include "policy/words.h"
#include "profile/quote.h"

/* The texts of a record that are needed here; bytes as they were. */
enum {
	TEXT_OPERATION,
	TEXT_ACCESS,
	TEXT_OBJECT,
	TEXT_NAMED,
	TEXT_ERROR,
	TEXT_REASON,
	TEXT_NEEDS,
	TEXT_FILE,
	TEXT_KEY,
	TEXT_WRITTEN,
	TEXT_FLAG,
	TEXT_PROGRAM,
	TEXT_TIME,
	TEXT_SESSION,
	TEXTS
};

static const struct {
	const char *group, *name;
} places[TEXTS] = {
	[TEXT_OPERATION] = {NULL, "operation"}, [TEXT_ACCESS] = {NULL, "access"},
	[TEXT_OBJECT] = {NULL, "object"},       [TEXT_NAMED] = {NULL, "named"},
	[TEXT_ERROR] = {NULL, "error"},         [TEXT_REASON] = {NULL, "reason"},
	[TEXT_NEEDS] = {NULL, "needs"},         [TEXT_FILE] = {"rule", "file"},
	[TEXT_KEY] = {"rule", "key"},           [TEXT_WRITTEN] = {"rule", "text"},
	[TEXT_FLAG] = {"rule", "flag"},         [TEXT_PROGRAM] = {"process", "program"},
	[TEXT_TIME] = {NULL, "time_dt"},        [TEXT_SESSION] = {NULL, "session"},
};

struct why {
	json_t *json;
	struct sg_buffer texts[TEXTS];
	struct sg_refusal refusal;
	struct sg_proposal proposal;
	struct sg_buffer out; /* wrapped already */
	size_t width;
};

static const char *text_of(const struct why *why, int which)
{
	return why->texts[which].data != NULL ? why->texts[which].data : "";
}

static long long number_of(const struct why *why, const char *group, const char *name)
{
	return json_integer_value(json_object_get(group == NULL ? why->json : json_object_get(why->json, group), name));
}

static int read_texts(struct why *why)
{
	for (int i = 0; i < TEXTS; i++) {
		const json_t *object =
			places[i].group == NULL ? why->json : json_object_get(why->json, places[i].group);

		sg_read_bytes(json_object_get(object, places[i].name), &why->texts[i]);
		if (sg_buffer_status(&why->texts[i]) < 0)
			return -ENOMEM;
	}
	why->refusal = (struct sg_refusal){.operation = text_of(why, TEXT_OPERATION),
					   .access = text_of(why, TEXT_ACCESS),
					   .object = text_of(why, TEXT_OBJECT),
					   .named = text_of(why, TEXT_NAMED),
					   .error = text_of(why, TEXT_ERROR),
					   .reason = text_of(why, TEXT_REASON),
					   .needs = text_of(why, TEXT_NEEDS),
					   .rule_file = text_of(why, TEXT_FILE),
					   .rule_key = text_of(why, TEXT_KEY),
					   .rule_text = text_of(why, TEXT_WRITTEN),
					   .rule_flag = text_of(why, TEXT_FLAG)};
	return sg_propose(&why->refusal, &why->proposal);
}

static void append_escaped(struct sg_buffer *out, const char *text)
{
	sg_buffer_append_escaped(out, text, strlen(text));
}

/* --- the parts of the answer; each is unwrapped text --- */

static void write_headline(const struct why *why, struct sg_buffer *text)
{
	const struct sg_refusal *refusal = &why->refusal;

	/* Who asked the session's resolver is not known. */
	append_escaped(text,
		       text_of(why, TEXT_PROGRAM)[0] != '\0' ? sg_words_base(text_of(why, TEXT_PROGRAM)) : "A program");
	sg_buffer_printf(text, " may not %s ", sg_words_verb(refusal->operation, refusal->access, refusal->object));
	append_escaped(text, refusal->object);
	if (strcmp(refusal->operation, "call") == 0 && refusal->named[0] != '\0') {
		sg_buffer_append_text(text, " (");
		append_escaped(text, refusal->named);
		sg_buffer_append_byte(text, ')');
	}
	sg_buffer_append_text(text, ".\n\n");
}

static void write_parents(const struct why *why, struct sg_buffer *text)
{
	const json_t *parents = json_object_get(why->json, "parents");
	size_t count = json_array_size(parents);

	for (size_t i = 0; i < count; i++) {
		SG_AUTO_BUFFER struct sg_buffer program = SG_BUFFER_INIT;
		const json_t *parent = json_array_get(parents, i);

		sg_read_bytes(json_object_get(parent, "program"), &program);
		sg_buffer_append_text(text, i == 0 ? "  started by\t" : ", by ");
		append_escaped(text, program.data != NULL ? program.data : "?");
		sg_buffer_printf(text, " (%lld)", (long long)json_integer_value(json_object_get(parent, "pid")));
	}
	if (count > 0)
		sg_buffer_append_byte(text, '\n');
}

static int error_number(const char *name)
{
	for (int error = 1; error < 134; error++)
		if (strerrorname_np(error) != NULL && strcmp(strerrorname_np(error), name) == 0)
			return error;
	return 0;
}

static void write_facts(const struct why *why, struct sg_buffer *text)
{
	const struct sg_refusal *refusal = &why->refusal;
	const int error = error_number(refusal->error);

	if (text_of(why, TEXT_PROGRAM)[0] != '\0') {
		sg_buffer_append_text(text, "  program\t");
		append_escaped(text, text_of(why, TEXT_PROGRAM));
		sg_buffer_printf(text, " (process %lld)\n", number_of(why, "process", "pid"));
	}
	write_parents(why, text);
	if (refusal->named[0] != '\0' && strcmp(refusal->named, refusal->object) != 0 &&
	    strcmp(refusal->operation, "call") != 0) {
		sg_buffer_append_text(text, "  named as\t");
		append_escaped(text, refusal->named);
		sg_buffer_append_byte(text, '\n');
	}
	if (error != 0)
		sg_buffer_printf(text, "  answered\t%s (%s)\n", refusal->error, strerrordesc_np(error));
	sg_buffer_append_text(text, "  recorded\tnumber ");
	sg_buffer_printf(text, "%lld of session ", number_of(why, NULL, "seq"));
	append_escaped(text, text_of(why, TEXT_SESSION));
	sg_buffer_append_text(text, ", ");
	append_escaped(text, text_of(why, TEXT_TIME));
	sg_buffer_append_byte(text, '\n');
}

/* What the rule's kind means for what was refused, in a sentence. */
static const struct {
	const char *key, *words;
} meanings[] = {
	{"ReadOnly", "The rule grants reading and nothing else; no other one grants this."},
	{"ReadWrite", "The rule grants reading and writing; no other one grants this."},
	{"Exec", "The rule grants reading and executing; no other one grants this."},
	{"Map", "The rule grants reading and mapping as code, as libraries are; no other one grants this."},
	{"Deny", "A Deny holds whatever else allows the same, wherever it stands and however exactly."},
	{"DenyRead", "A DenyRead holds whatever else allows the same, wherever it stands and however exactly."},
	{"DenyWrite", "A DenyWrite holds whatever else allows the same, wherever it stands and however exactly."},
	{"DenyExec", "A DenyExec holds whatever else allows the same, wherever it stands and however exactly."},
	{"DenyFlags", "DenyFlags refuses all that is the flag's own, even where another flag gives it too."},
	{"DenySyscalls", "DenySyscalls holds whatever flag gives the call."},
};

static void write_reason(const struct why *why, struct sg_buffer *text)
{
	const struct sg_refusal *refusal = &why->refusal;
	/* Where no access is named, it was no rule about the name that was missing. */
	const char *meaning =
		strcmp(refusal->operation, "call") == 0 || refusal->object[0] != '/' || refusal->access[0] == '\0'
			? ""
			: "Nothing is allowed unless a rule allows it.";

	for (size_t i = 0; i < SG_ARRAY_SIZE(meanings); i++)
		if (strcmp(meanings[i].key, refusal->rule_key) == 0)
			meaning = meanings[i].words;
	sg_buffer_append_text(text, "  why\t");
	append_escaped(text, refusal->reason);
	sg_buffer_printf(text, ". %s\n", meaning);
	if (refusal->rule_key[0] == '\0')
		return;
	sg_buffer_append_text(text, "  rule\t");
	append_escaped(text, refusal->rule_file);
	sg_buffer_printf(text, ":%lld:%lld", number_of(why, "rule", "line"), number_of(why, "rule", "column"));
	if (refusal->rule_flag[0] != '\0') {
		sg_buffer_append_text(text, ", of the flag \"");
		append_escaped(text, refusal->rule_flag);
		sg_buffer_append_byte(text, '"');
	}
	sg_buffer_append_byte(text, '\n');
}

/* The text of the file that the rule stands in: a built-in one, or what is there now. */
static int open_rule_source(const char *name, struct sg_source **ret)
{
	SG_AUTO_FD int fd = -1;

	for (size_t i = 0; i < sg_builtin_flag_count; i++)
		if (strcmp(sg_builtin_flags[i].name, name) == 0)
			return sg_source_new(name, sg_builtin_flags[i].text, sg_builtin_flags[i].size, ret);
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd < 0 ? -errno : sg_source_read(fd, name, SG_TOML_TEXT_MAX, NULL, ret);
}

/* The line with the rule underlined; nothing if the file does not say so (any more). */
static void quote_rule(struct why *why)
{
	const struct sg_refusal *refusal = &why->refusal;
	const long long line = number_of(why, "rule", "line"), column = number_of(why, "rule", "column");
	SG_AUTO_SOURCE struct sg_source *source = NULL;
	const char *start, *found;
	size_t length, shown;

	if (refusal->rule_key[0] == '\0' || open_rule_source(refusal->rule_file, &source) < 0 || line < 1 ||
	    (size_t)line > source->line_count)
		return;
	start = source->text + source->lines[line - 1];
	length = strcspn(start, "\r\n");
	found = memmem(start, length, refusal->rule_text, strlen(refusal->rule_text));
	if (found == NULL || column < 1)
		return;
	/* Of a long line the part that holds the rule; the characters before it are counted as the column
	 * does. */
	sg_buffer_printf(&why->out, "\n  %6lld | ", line);
	shown = why->out.size;
	sg_buffer_append_escaped(&why->out, start, length);
	sg_buffer_append_text(&why->out, "\n         | ");
	if (sg_buffer_status(&why->out) == 0 && why->out.size - shown < 4096) {
		for (long long i = 1; i < column; i++)
			sg_buffer_append_byte(&why->out, ' ');
		for (size_t i = 0; i < strlen(refusal->rule_text) + 2; i++)
			sg_buffer_append_byte(&why->out, '^');
	}
	sg_buffer_append_byte(&why->out, '\n');
}

/* --- the proposal --- */

static bool is_name_server(const char *address)
{
	const char *port = strrchr(address, ':');

	return port != NULL && strcmp(port, ":53") == 0;
}

static void write_line(struct why *why)
{
	const struct sg_proposal *proposal = &why->proposal;
	const char *option = sg_option_of_line(proposal->section, proposal->key);
	struct sg_buffer *out = &why->out;
	struct stat status;

	sg_buffer_append_text(out, strcmp(proposal->key, "Flags") == 0
					   ? "\nThe smallest flag that allows this:\n\n"
					   : "\nThe smallest change of the profile that allows this and no more:\n\n");
	sg_buffer_printf(out, "  [%s]\n  %s = [", proposal->section, proposal->key);
	sg_toml_quote(out, proposal->value.data);
	sg_buffer_append_text(out, "]\n");
	if (option != NULL) {
		sg_buffer_printf(out, "\nor for one session:\n\n  shellguard run --%s ", option);
		sg_shell_quote(out, proposal->value.data);
		sg_buffer_append_text(out, " ...\n");
	}
	if (strcmp(proposal->key, "ReadWrite") == 0 && why->refusal.object[0] == '/' &&
	    lstat(why->refusal.object, &status) < 0)
		sg_layout_wrap(
			"\n(It does not exist yet: each name in its folder is decided then, and only this one may "
			"be made.)\n",
			why->width, out);
	if (strcmp(proposal->key, "Allow") == 0 && is_name_server(why->refusal.object))
		sg_layout_wrap("\n(Port 53 is that of name servers. To look up names a profile has the flag \"dns\": "
			       "the session's own resolver, for the names that rules name.)\n",
			       why->width, out);
	if (strcmp(proposal->key, "Flags") == 0)
		sg_buffer_printf(out, "\n(It may give more than this call: shellguard explain --flag %s)\n",
				 proposal->value.data);
}

static void write_proposal(struct why *why)
{
	static const char *const answers[] = {
		[SG_PROPOSAL_DENIED] = "\nThat rule says no. If it should not, it is the rule that must "
				       "change: nothing else in a profile can "
				       "allow what it denies.\n",
		[SG_PROPOSAL_NEVER] = "\nNo profile can allow it.\n",
		[SG_PROPOSAL_NONE] = "\nNo single line of a profile is known to allow just this.\n",
	};

	if (why->proposal.kind == SG_PROPOSAL_LINE)
		write_line(why);
	else if (why->proposal.kind == SG_PROPOSAL_NONE && strcmp(why->refusal.operation, "look up") == 0)
		sg_layout_wrap("\nA name is looked up where a rule names it with the port that is wanted, as "
			       "in Allow = "
			       "[\"tcp:example.org:443\"] under [Networking].\n",
			       why->width, &why->out);
	else if (why->proposal.kind != SG_PROPOSAL_HIDDEN)
		sg_layout_wrap(answers[why->proposal.kind], why->width, &why->out);
}

/* Of what is hidden the answer says what the program saw, and not that there is a rule. */
static void write_hidden(struct why *why, struct sg_buffer *text)
{
	sg_buffer_append_text(text, "  why\t");
	sg_buffer_append_text(text, strcmp(why->refusal.error, "ENOENT") == 0
					    ? "In this world there is nothing of that name.\n"
					    : "In this world that name cannot be made or changed.\n");
}

static void write_answer(struct why *why)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;

	write_headline(why, &text);
	write_facts(why, &text);
	if (why->proposal.kind == SG_PROPOSAL_HIDDEN)
		write_hidden(why, &text);
	else
		write_reason(why, &text);
	if (sg_buffer_status(&text) == 0)
		sg_layout_wrap(text.data, why->width, &why->out);
	else
		why->out.failed = true;
	if (why->proposal.kind != SG_PROPOSAL_HIDDEN)
		quote_rule(why);
	write_proposal(why);
}

/* --- as JSON --- */

static void append_json(const char *name, const char *text, struct sg_buffer *out)
{
	sg_buffer_printf(out, ",\"%s\":", name);
	if (text[0] == '\0')
		sg_buffer_append_text(out, "null");
	else
		sg_buffer_append_json(out, text, strlen(text));
}

static void append_json_rule(const struct why *why, struct sg_buffer *out)
{
	const struct sg_refusal *refusal = &why->refusal;

	if (refusal->rule_key[0] == '\0' || why->proposal.kind == SG_PROPOSAL_HIDDEN) {
		sg_buffer_append_text(out, ",\"rule\":null");
		return;
	}
	sg_buffer_printf(out, ",\"rule\":{\"line\":%lld,\"column\":%lld", number_of(why, "rule", "line"),
			 number_of(why, "rule", "column"));
	append_json("file", refusal->rule_file, out);
	append_json("key", refusal->rule_key, out);
	append_json("text", refusal->rule_text, out);
	append_json("flag", refusal->rule_flag, out);
	sg_buffer_append_byte(out, '}');
}

/* The answer for a program: what the record says of the refusal, and the change. Of what is hidden no more than write_hidden() tells. */
static void write_json(struct why *why)
{
	const struct sg_refusal *refusal = &why->refusal;
	const struct sg_proposal *proposal = &why->proposal;
	struct sg_buffer *out = &why->out;

	sg_buffer_printf(out, "{\"seq\":%lld", number_of(why, NULL, "seq"));
	append_json("session", text_of(why, TEXT_SESSION), out);
	append_json("time", text_of(why, TEXT_TIME), out);
	append_json("program", text_of(why, TEXT_PROGRAM), out);
	sg_buffer_printf(out, ",\"pid\":%lld", number_of(why, "process", "pid"));
	append_json("operation", refusal->operation, out);
	append_json("access", refusal->access, out);
	append_json("object", refusal->object, out);
	append_json("named", refusal->named, out);
	append_json("error", refusal->error, out);
	append_json("reason", proposal->kind == SG_PROPOSAL_HIDDEN ? "" : refusal->reason, out);
	append_json_rule(why, out);
	sg_buffer_append_text(out, ",\"change\":");
	if (proposal->kind == SG_PROPOSAL_LINE) {
		sg_buffer_printf(out, "{\"section\":\"%s\",\"key\":\"%s\"", proposal->section, proposal->key);
		append_json("value", proposal->value.data, out);
		sg_buffer_append_byte(out, '}');
	} else {
		sg_buffer_append_text(out, "null");
	}
	sg_buffer_append_text(out, "}\n");
}

/* --- no refusal --- */

/* The record's session: its id, or the file where that has no start; its profiles and its command. */
static void write_session(const char *path, struct sg_buffer *out)
{
	SG_AUTO_BUFFER struct sg_buffer id = SG_BUFFER_INIT;
	json_t *start = NULL;
	const json_t *words[2];

	(void)sg_audit_read_start(path, &start, NULL);
	words[0] = json_object_get(json_object_get(start, "policy"), "profiles");
	words[1] = json_object_get(start, "command");
	sg_read_bytes(json_object_get(start, "session"), &id);
	append_escaped(out, id.size > 0 ? id.data : path);
	for (size_t i = 0; i < SG_ARRAY_SIZE(words); i++)
		for (size_t j = 0; j < json_array_size(words[i]); j++) {
			SG_AUTO_BUFFER struct sg_buffer word = SG_BUFFER_INIT;

			sg_read_bytes(json_array_get(words[i], j), &word);
			sg_buffer_append_text(out, j > 0 ? " " : i == 0 ? " (profile " : ", command ");
			append_escaped(out, word.data != NULL ? word.data : "");
		}
	sg_buffer_append_text(out, json_array_size(words[0]) > 0 ? ")" : "");
	json_decref(start);
}

static int explain_none(const struct sg_options *options, const char *path, uint64_t sequence)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;

	if (options->json) {
		sg_buffer_append_text(&text, "null\n");
		return sg_layout_print(STDOUT_FILENO, &text, true) == SG_EXIT_OK ? SG_EXIT_NO : SG_EXIT_FAILED;
	}
	if (sequence != 0) {
		sg_buffer_printf(&text, "Record %llu of the session ", (unsigned long long)sequence);
		write_session(path, &text);
		sg_buffer_append_text(&text, " is no refusal, or there is no such record.\n");
	} else {
		sg_buffer_printf(&text, "There is no refusal in the %ssession ",
				 options->session == NULL ? "last " : "");
		write_session(path, &text);
		sg_buffer_append_text(&text, ".\n");
	}
	sg_buffer_append_text(
		&text, "\nA refusal by the mount tree leaves no record, since nobody is asked: what was not granted "
		       "is not there "
		       "(\"No such file or directory\"), what was granted for reading is a read-only file system, "
		       "what a Deny covers in it "
		       "may not be opened. For a file, ask the profile: shellguard why -p PROFILE /the/file\n");
	(void)sg_layout_print(STDERR_FILENO, &text, false);
	return SG_EXIT_NO;
}

/* The record that is asked about. Of the last session it is said where newer ones never started: nothing was refused in those. */
static int find_record(const struct sg_options *options, char **ret_path, struct sg_error *error)
{
	size_t newer = 0;
	int status;

	if (options->session != NULL && strcmp(options->session, "last") != 0)
		return sg_log_find(NULL, options->session, ret_path, error);
	status = sg_audit_find_started(NULL, ret_path, &newer, error);
	if (status == 0 && newer == 1)
		sg_complain("the last session never started (what \"run\" said is why): this is the one before it");
	else if (status == 0 && newer > 1)
		sg_complain(
			"the last %zu sessions never started (what \"run\" said is why): this is the one before them",
			newer);
	return status;
}

static int explain_record(const struct sg_options *options, uint64_t sequence)
{
	SG_AUTO_FREE char *path = NULL;
	struct why why = {.proposal = SG_PROPOSAL_INIT, .width = sg_layout_width(STDOUT_FILENO)};
	struct sg_error error = SG_ERROR_INIT;
	int status = find_record(options, &path, &error), result = SG_EXIT_FAILED;

	if (status == 0)
		status = sg_audit_find_refusal(path, sequence, &why.json, &error);
	if (status > 0)
		return explain_none(options, path, sequence);
	if (status == 0)
		status = read_texts(&why);
	if (status == 0) {
		(options->json ? write_json : write_answer)(&why);
		if (sg_buffer_status(&why.out) == 0 && sg_print(STDOUT_FILENO, why.out.data, why.out.size) == 0)
			result = SG_EXIT_OK;
	} else {
		sg_complain("%s", error.code != 0 ? error.text : "cannot read the record");
		result = sg_exit_of(status);
	}
	for (int i = 0; i < TEXTS; i++)
		sg_buffer_done(&why.texts[i]);
	sg_proposal_done(&why.proposal);
	sg_buffer_done(&why.out);
	json_decref(why.json);
	return result;
}

/* A name with a slash in it is one of this folder. What does not exist keeps its text: only the dots before it go. */
static int explain_relative(const struct sg_options *options, const char *path)
{
	SG_AUTO_BUFFER struct sg_buffer name = SG_BUFFER_INIT;
	SG_AUTO_FREE char *folder = getcwd(NULL, 0);

	if (folder == NULL) {
		sg_complain("the working directory is gone; give an absolute name");
		return SG_EXIT_FAILED;
	}
	while (strncmp(path, "./", 2) == 0)
		path += 2 + strspn(path + 2, "/");
	sg_buffer_printf(&name, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, path);
	if (sg_buffer_status(&name) < 0) {
		sg_complain("out of memory");
		return SG_EXIT_FAILED;
	}
	return sg_why_path(options, name.data);
}

static int explain(const struct sg_options *options)
{
	const char *argument = options->command[0];
	uint64_t sequence = 0;
	char *end;

	if (argument != NULL && options->command[1] != NULL) {
		sg_complain("why takes one RECORD or one PATH, not also \"%s\"", options->command[1]);
		return SG_EXIT_USAGE;
	}
	if (argument != NULL && argument[0] == '/')
		return sg_why_path(options, argument);
	if (argument != NULL && strchr(argument, '/') != NULL)
		return explain_relative(options, argument);
	if (options->profile_count > 0) {
		sg_complain("with a profile, why takes a name with a slash: shellguard why -p %s /some/file",
			    options->profiles[0]);
		return SG_EXIT_USAGE;
	}
	if (argument != NULL) {
		errno = 0;
		sequence = strtoull(argument, &end, 10);
		if (argument[0] < '0' || argument[0] > '9' || *end != '\0' || errno != 0 || sequence == 0 ||
		    options->last) {
			sg_complain("\"%s\" is no number of a record and no name with a slash (./file)%s", argument,
				    options->last ? ", and --last takes neither" : "");
			return SG_EXIT_USAGE;
		}
	}
	return explain_record(options, sequence);
}

int sg_command_why(int argc, char **argv)
{
	struct sg_options options = {0};
	int status = SG_EXIT_USAGE;

	if (sg_options_read(argc, argv, &options) == 0) {
		if (options.help)
			status = sg_command_help("why", STDOUT_FILENO) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
		else
			status = explain(&options);
	}
	sg_options_done(&options);
	return status;
}
