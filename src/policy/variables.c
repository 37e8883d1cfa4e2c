#include "policy/variables.h"

#include <errno.h>
#include <string.h>

static void append_value(struct sg_buffer *out, const char *value, bool glob)
{
	if (glob)
		sg_glob_quote(out, value, strlen(value));
	else
		sg_buffer_append_text(out, value);
}

static bool begins_with_home(const char *text)
{
	return text[0] == '~' && (text[1] == '/' || text[1] == '\0');
}

int sg_variables_expand(const struct sg_variables *variables, const char *text, bool glob, char **ret)
{
	const struct sg_variables *v = variables;
	const struct {
		const char *name, *value;
	} table[] = {{"${CWD}", v->cwd},
		     {"${HOME}", v->home},
		     {"${USER}", v->user},
		     {"${UID}", v->uid},
		     {"${RUNTIME}", v->runtime},
		     {"${CONFIG}", v->config != NULL ? v->config : "/nonexistent"},
		     {"${STATE}", v->state != NULL ? v->state : "/nonexistent"}};
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;

	*ret = NULL;
	if (strstr(text, "${") == NULL && !begins_with_home(text))
		return 0;
	if (begins_with_home(text)) {
		append_value(&out, v->home, glob);
		text++;
	}
	while (*text != '\0') {
		size_t length = 1, i = 0;

		while (i < SG_ARRAY_SIZE(table) && strncmp(text, table[i].name, strlen(table[i].name)) != 0)
			i++;
		if (i < SG_ARRAY_SIZE(table)) {
			append_value(&out, table[i].value, glob);
			length = strlen(table[i].name);
		} else if (text[0] == '$' && text[1] == '{') {
			return SG_VARIABLES_UNKNOWN;
		} else {
			sg_buffer_append_byte(&out, *text);
		}
		text += length;
	}
	*ret = sg_buffer_take(&out);
	return *ret == NULL ? -ENOMEM : 0;
}
