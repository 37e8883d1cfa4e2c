/* shellguard can: whether a world under some profiles may ever do one thing, and by which rule. */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/asking.h"
#include "cli/help.h"
#include "cli/layout.h"
#include "policy/words.h"
#include "profile/quote.h"

/* What the command line asks. */
struct asked {
	const char *profiles[SG_PROFILES_MAX];
	size_t count;
	enum sg_action action;
	const char *object;
};

static const char *const headlines[SG_OUTCOMES_] = {
	[SG_OUTCOME_ALLOW] = "Yes: it may ",
	[SG_OUTCOME_OWN] = "Yes, of its own: it may ",
	[SG_OUTCOME_DENY] = "No: it may not ",
	[SG_OUTCOME_HIDE] = "No: it may not ",
	[SG_OUTCOME_ANSWERED] = "Yes, on a condition: it may ",
};

static void write_change(const struct sg_answer *answer, struct sg_buffer *out)
{
	const struct sg_proposal *proposal = &answer->proposal;

	switch (proposal->kind) {
	case SG_PROPOSAL_LINE:
		sg_buffer_append_text(out, strcmp(proposal->key, "Flags") == 0
						   ? "\nThe smallest flag that gives this:\n\n"
						   : "\nThe smallest change of the profile that allows this:\n\n");
		sg_buffer_printf(out, "  [%s]\n  %s = [", proposal->section, proposal->key);
		sg_toml_quote(out, proposal->value.data);
		sg_buffer_append_text(out, "]\n");
		return;
	case SG_PROPOSAL_DENIED:
	case SG_PROPOSAL_HIDDEN:
		sg_buffer_append_text(out,
				      "\nThat rule says no: nothing else in a profile can allow what it refuses.\n");
		return;
	case SG_PROPOSAL_NEVER:
		sg_buffer_append_text(out, "\nNo profile can allow it.\n");
		return;
	case SG_PROPOSAL_NONE:
		break;
	}
	if (answer->action == SG_ACTION_RESOLVE)
		sg_buffer_append_text(out,
				      "\nA name is looked up where a rule names it with the port that is wanted, as "
				      "in Allow = [\"tcp:example.org:443\"] under [Networking].\n");
	else
		sg_buffer_append_text(out, "\nNo single line of a profile is known to allow just this.\n");
}

static bool is_path(enum sg_action action)
{
	return action == SG_ACTION_READ || action == SG_ACTION_WRITE || action == SG_ACTION_EXEC ||
	       action == SG_ACTION_LIST || action == SG_ACTION_SEE;
}

/* Names are decided as the world sees them: what a link of this host makes of one is told, not followed. */
static void write_link(const struct sg_answer *answer, struct sg_buffer *out)
{
	const char *name = answer->object.data;
	const size_t length = strlen(name) - (strlen(name) > 1 && name[strlen(name) - 1] == '/' ? 1 : 0);
	char place[PATH_MAX];

	if (!is_path(answer->action) || answer->outcome == SG_OUTCOME_OWN || realpath(name, place) == NULL ||
	    (strlen(place) == length && strncmp(place, name, length) == 0))
		return;
	sg_buffer_append_text(out, "  here\t");
	sg_buffer_append_text(out, "On this host symbolic links lead from that name to ");
	sg_buffer_append_escaped(out, place, strlen(place));
	sg_buffer_append_text(out, ", which is decided by itself.\n");
}

static void write_facts(const struct sg_answer *answer, struct sg_buffer *out)
{
	sg_buffer_append_text(out, "  why\t");
	sg_buffer_append_escaped(out, answer->reason, strlen(answer->reason));
	sg_buffer_append_text(out, ".\n");
	if (answer->rule != NULL) {
		sg_buffer_append_text(out, "  rule\t");
		sg_asking_rule(answer->rule, out);
		sg_buffer_append_byte(out, '\n');
	}
	for (size_t i = 0; i < answer->note_count; i++)
		sg_buffer_printf(out, "  note\t%s\n", answer->notes[i]);
	if (answer->beside != NULL && answer->note_count > 0) {
		sg_buffer_append_text(out, "  beside\t");
		sg_asking_rule(answer->beside, out);
		sg_buffer_append_byte(out, '\n');
	}
	if (answer->record)
		sg_buffer_append_text(out, "  record\tEach attempt is recorded.\n");
	write_link(answer, out);
}

static bool starts(const struct sg_policy *policy)
{
	size_t count;

	(void)sg_policy_rules(policy, SG_RULE_EXECUTE, &count);
	return count > 0 && sg_policy_has_flag(policy, "start");
}

static void write_answer(const struct sg_policy *policy, const struct sg_answer *answer, struct sg_buffer *out)
{
	sg_buffer_append_text(out, headlines[answer->outcome]);
	sg_buffer_append_text(out, sg_action_infos[answer->action].verb);
	sg_buffer_append_byte(out, ' ');
	sg_buffer_append_escaped(out, answer->object.data, answer->object.size);
	sg_buffer_append_text(out, ".\n\n");
	write_facts(answer, out);
	if (!sg_outcome_may(answer->outcome))
		write_change(answer, out);
	else if (!starts(policy))
		sg_buffer_append_text(out,
				      "\nBy itself the profile starts nothing: that takes Flags = [\"start\"] under "
				      "[Runtime], and an Exec rule.\n");
}

static void write_json(const struct sg_answer *answer, struct sg_buffer *out)
{
	const struct sg_proposal *proposal = &answer->proposal;

	sg_buffer_printf(out, "{\"action\":\"%s\",\"object\":", sg_action_infos[answer->action].word);
	sg_buffer_append_json(out, answer->object.data, answer->object.size);
	sg_buffer_printf(out, ",\"may\":%s,\"outcome\":\"%s\",\"reason\":",
			 sg_outcome_may(answer->outcome) ? "true" : "false", sg_outcome_names[answer->outcome]);
	sg_buffer_append_json(out, answer->reason, strlen(answer->reason));
	sg_buffer_printf(out, ",\"recorded\":%s,\"rule\":", answer->record ? "true" : "false");
	sg_asking_rule_json(answer->rule, out);
	sg_buffer_append_text(out, ",\"notes\":[");
	for (size_t i = 0; i < answer->note_count; i++) {
		sg_buffer_append_text(out, i == 0 ? "" : ",");
		sg_buffer_append_json(out, answer->notes[i], strlen(answer->notes[i]));
	}
	sg_buffer_append_text(out, "],\"beside\":");
	sg_asking_rule_json(answer->note_count > 0 ? answer->beside : NULL, out);
	sg_buffer_append_text(out, ",\"change\":");
	if (!sg_outcome_may(answer->outcome) && proposal->kind == SG_PROPOSAL_LINE) {
		sg_buffer_printf(out, "{\"section\":\"%s\",\"key\":\"%s\",\"value\":", proposal->section,
				 proposal->key);
		sg_buffer_append_json(out, proposal->value.data, proposal->value.size);
		sg_buffer_append_byte(out, '}');
	} else {
		sg_buffer_append_text(out, "null");
	}
	sg_buffer_append_text(out, "}\n");
}

static int print_answer(const struct sg_policy *policy, const struct sg_answer *answer, bool json)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;

	if (json)
		write_json(answer, &text);
	else
		write_answer(policy, answer, &text);
	if (sg_layout_print(STDOUT_FILENO, &text, json) != SG_EXIT_OK)
		return SG_EXIT_FAILED;
	return sg_outcome_may(answer->outcome) ? SG_EXIT_OK : SG_EXIT_NO;
}

static int answer(const struct asked *asked, bool json)
{
	static const char *const fallback[] = {"developer"};
	SG_AUTO_ASKING struct sg_asking asking = {0};
	SG_AUTO_ANSWER struct sg_answer found = {0};
	struct sg_ask_problem problem;
	int status = sg_asking_load(asked->count > 0 ? asked->profiles : fallback, asked->count > 0 ? asked->count : 1,
				    &asking);

	if (status != 0)
		return status;
	status = sg_ask(asking.asker, asked->action, asked->object, &found, &problem);
	if (status == 0)
		return print_answer(asking.policy, &found, json);
	if (status == SG_ASK_REFUSED)
		sg_complain("%s%s%s", problem.message, problem.hint[0] != '\0' ? "; " : "", problem.hint);
	else
		sg_complain("out of memory");
	return status == SG_ASK_REFUSED ? SG_EXIT_USAGE : SG_EXIT_FAILED;
}

static int complain_action(const char *word, size_t length)
{
	SG_AUTO_BUFFER struct sg_buffer list = SG_BUFFER_INIT, hint = SG_BUFFER_INIT;
	SG_AUTO_FREE char *name = strndup(word, length);
	const char *words[64];
	size_t count = 0;

	for (; count < sg_action_name_count && count < SG_ARRAY_SIZE(words); count++)
		words[count] = sg_action_names[count].word;
	sg_buffer_append_text(&list, "the actions are ");
	for (int i = 0; i < SG_ACTIONS_; i++)
		sg_buffer_printf(&list, "%s%s", i == 0 ? "" : ", ", sg_action_infos[i].word);
	if (name == NULL || sg_buffer_status(&list) < 0)
		return SG_EXIT_FAILED;
	sg_complain("can needs an action and what it is about, and \"%s\" is no action: %s", name,
		    sg_text_suggest(&hint, name, words, count, list.data));
	return SG_EXIT_USAGE;
}

/* The action is the last two arguments, or the last one with a blank in it. Returns how many there are, or 0. */
static size_t find_action(char *const *arguments, size_t count, struct asked *asked)
{
	const char *last = count > 0 ? arguments[count - 1] : "";
	const size_t word = strcspn(last, " ");

	asked->action = count > 1 ? sg_action_by_word(arguments[count - 2], strlen(arguments[count - 2])) : SG_ACTIONS_;
	asked->object = last;
	if (asked->action != SG_ACTIONS_)
		return 2;
	asked->action = sg_action_by_word(last, word);
	if (asked->action == SG_ACTIONS_ || last[word] == '\0')
		return 0;
	asked->object = last + word + strspn(last + word, " ");
	return 1;
}

static int run(const struct sg_options *options)
{
	struct asked asked = {.count = options->profile_count};
	size_t count = 0, used;

	while (options->command[count] != NULL)
		count++;
	if (count == 0)
		return sg_command_usage("can");
	used = find_action(options->command, count, &asked);
	if (used == 0 &&
	    sg_action_by_word(options->command[count - 1], strlen(options->command[count - 1])) != SG_ACTIONS_) {
		sg_complain("can needs what \"%s\" is about; see shellguard can --help", options->command[count - 1]);
		return SG_EXIT_USAGE;
	}
	if (used == 0) {
		const char *word =
			options->command[count -
					 (count > 1 && strchr(options->command[count - 1], ' ') == NULL ? 2 : 1)];

		return complain_action(word, strcspn(word, " "));
	}
	memcpy(asked.profiles, options->profiles, sizeof(asked.profiles));
	for (size_t i = 0; i < count - used; i++) {
		if (asked.count == SG_PROFILES_MAX) {
			sg_complain("more than %d profiles", SG_PROFILES_MAX);
			return SG_EXIT_USAGE;
		}
		asked.profiles[asked.count++] = options->command[i];
	}
	return answer(&asked, options->json);
}

int sg_command_can(int argc, char **argv)
{
	struct sg_options options = {0};
	int status = SG_EXIT_USAGE;

	if (sg_options_read(argc, argv, &options) == 0) {
		if (options.help)
			status = sg_command_help("can", STDOUT_FILENO) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
		else
			status = run(&options);
	}
	sg_options_done(&options);
	return status;
}
