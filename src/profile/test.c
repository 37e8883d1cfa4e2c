/* [[Test]]: what is asked, and which answer is expected. The answers are policy/ask.h's. */
#include <string.h>

#include "base/text.h"
#include "profile/profile.h"

/* The text of an entry, or NULL where it is none that could be used: that was complained of already. */
static const char *text_of(const struct sg_toml_entry *entry)
{
	return entry->value.type == SG_TOML_STRING && entry->value.string.size > 0 &&
			       !sg_toml_string_has_nul(entry->value.string)
		       ? entry->value.string.data
		       : NULL;
}

static void list_actions(struct sg_buffer *out)
{
	sg_buffer_append_text(out, "write one of ");
	for (int i = 0; i < SG_ACTIONS_; i++)
		sg_buffer_printf(out, "%s%s", i == 0 ? "" : ", ", sg_action_infos[i].key);
}

static bool read_expected(const struct sg_toml_entry *entry, const struct sg_source *source,
			  struct sg_diagnostics *diagnostics, struct sg_test *test)
{
	SG_AUTO_BUFFER struct sg_buffer list = SG_BUFFER_INIT, hint = SG_BUFFER_INIT;
	const char *text = text_of(entry);

	sg_buffer_append_text(&list, "it is one of ");
	for (int i = 0; i < SG_OUTCOMES_; i++) {
		if (text != NULL && strcmp(text, sg_outcome_names[i]) == 0) {
			test->expected = (enum sg_outcome)i;
			return true;
		}
		sg_buffer_printf(&list, "%s%s", i == 0 ? "" : ", ", sg_outcome_names[i]);
	}
	if (text != NULL)
		sg_diagnostic_add(diagnostics, source, entry->value.span, SG_SEVERITY_ERROR,
				  sg_text_suggest(&hint, text, sg_outcome_names, SG_OUTCOMES_, list.data),
				  "\"%s\" is nothing that a test can expect", text);
	return false;
}

/* What the entries of one table say. */
struct found {
	const struct sg_toml_entry *action, *expect;
	bool sound;
};

static void read_entry(const struct sg_toml_entry *entry, const struct sg_source *source,
		       struct sg_diagnostics *diagnostics, struct found *found, struct sg_test *test)
{
	const enum sg_action action = sg_action_by_key(entry->key.data);
	const char *text = text_of(entry);

	if (strcmp(entry->key.data, "Name") == 0) {
		test->name = text;
	} else if (strcmp(entry->key.data, "Description") == 0) {
		test->description = text;
	} else if (strcmp(entry->key.data, "Expect") == 0) {
		found->expect = entry;
		found->sound &= read_expected(entry, source, diagnostics, test);
	} else if (action == SG_ACTIONS_) {
		found->sound = false; /* an unknown key: that was complained of */
	} else if (found->action != NULL) {
		sg_diagnostic_add(diagnostics, source, entry->key_span, SG_SEVERITY_ERROR,
				  "write another [[Test]] for it", "a test has one action, and this one has %s already",
				  found->action->key.data);
		found->sound = false;
	} else {
		found->action = entry;
		test->action = action;
		test->object = text;
		test->span = entry->value.span;
	}
}

int sg_test_read(const struct sg_toml_table *table, struct sg_span place, const struct sg_source *source,
		 struct sg_diagnostics *diagnostics, struct sg_test *ret)
{
	struct sg_test test = {.source = source, .place = place};
	struct found found = {.sound = true};

	SG_TOML_FOREACH(entry, table)
	{
		read_entry(entry, source, diagnostics, &found, &test);
	}
	if (found.action == NULL) {
		SG_AUTO_BUFFER struct sg_buffer list = SG_BUFFER_INIT;

		list_actions(&list);
		sg_diagnostic_add(diagnostics, source, place, SG_SEVERITY_ERROR, list.data,
				  "this test asks nothing: it has no action");
	}
	if (found.expect == NULL)
		sg_diagnostic_add(diagnostics, source, place, SG_SEVERITY_ERROR, "write Expect = \"allow\" or \"deny\"",
				  "this test expects nothing: it has no Expect");
	if (!found.sound || found.expect == NULL || test.object == NULL)
		return SG_PROFILE_REFUSED;
	*ret = test;
	return 0;
}

void sg_test_check_alone(const struct sg_profile *profile, struct sg_diagnostics *diagnostics)
{
	if (profile->document == NULL)
		return;
	SG_TOML_FOREACH(entry, sg_toml_root(profile->document))
	{
		if (strcmp(entry->key.data, "Test") != 0)
			sg_diagnostic_add(diagnostics, profile->source, entry->key_span, SG_SEVERITY_ERROR,
					  "what is granted and refused stands in the profile",
					  "a file of tests holds [[Test]] and nothing else");
	}
}
