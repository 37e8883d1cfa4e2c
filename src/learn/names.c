#include "learn/names.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"
#include "policy/glob.h"

static const struct {
	const char *prefix;
	size_t depth;
} folders[] =
	{
#define SG_FOLDER(prefix, depth) {prefix, depth},
#define SG_BROAD(prefix, depth)
#include "learn/conventions.def"
#undef SG_FOLDER
#undef SG_BROAD
},
  broad[] = {
#define SG_FOLDER(prefix, depth)
#define SG_BROAD(prefix, depth) {prefix, depth},
#include "learn/conventions.def"
#undef SG_FOLDER
#undef SG_BROAD
};

/* --- parts --- */

enum { RANDOM_MIN = 6, HEX_MIN = 8, NUMBER_MIN = 3 };

/* Letters and digits in a row. */
struct run {
	size_t begin, length;
	size_t digits, hex, changes; /* changes: between digits, small and capital letters, from one to the next */
};

static int kind_of(char byte)
{
	return isdigit((unsigned char)byte) ? 1 : isupper((unsigned char)byte) ? 2 : 3;
}

/* The run that ends at `end`. */
static struct run find_run(const char *component, size_t end)
{
	struct run run = {.begin = end};

	while (run.begin > 0 && isalnum((unsigned char)component[run.begin - 1])) {
		run.begin--;
		run.changes += run.length > 0 && kind_of(component[run.begin]) != kind_of(component[run.begin + 1]);
		run.length++;
		run.digits += isdigit((unsigned char)component[run.begin]) != 0;
		run.hex += isxdigit((unsigned char)component[run.begin]) != 0;
	}
	return run;
}

/*
 * Six of letters and digits by chance change their kind more often than words with a number behind them do ("index2", "Makefile3").
 * Which is which cannot be known: the comment says what was seen.
 */
static bool is_random(const struct run *run)
{
	return (run->length >= RANDOM_MIN && run->changes >= 3) ||
	       (run->digits == run->length && run->length >= NUMBER_MIN) ||
	       (run->hex == run->length && run->length >= HEX_MIN && run->digits > 0);
}

/* Words that programs put before what they make up, with nothing in between: Python's tempfile, TMPFILES of shells. */
static size_t known_start(const char *component, size_t length)
{
	static const char *const starts[] = {"tmp", "temp"};

	for (size_t i = 0; i < SG_ARRAY_SIZE(starts); i++) {
		const size_t start = strlen(starts[i]);
		size_t end = start;

		while (end < length && (isalnum((unsigned char)component[end]) || component[end] == '_'))
			end++;
		if (strncmp(component, starts[i], start < length ? start : length) == 0 && end >= start + RANDOM_MIN)
			return end;
	}
	return 0;
}

/* A UUID is five runs with '-' between them. */
static size_t begin_of_uuid(const char *component, size_t begin)
{
	while (begin > 1 && component[begin - 1] == '-') {
		const struct run more = find_run(component, begin - 1);

		if (more.length < 4 || more.hex != more.length)
			break;
		begin = more.begin;
	}
	return begin;
}

bool sg_learn_random_part(const char *component, size_t length, size_t *ret_before, size_t *ret_behind)
{
	const size_t known = known_start(component, length);

	if (known > 0) {
		*ret_before = strncmp(component, "temp", 4) == 0 ? 4 : 3;
		*ret_behind = length - known;
		return true;
	}
	/* Behind it may stand endings: ".sock", ".tmp". */
	for (size_t end = length; end > 0;) {
		const struct run run = find_run(component, end);

		if (is_random(&run)) {
			*ret_before = begin_of_uuid(component, run.begin);
			*ret_behind = length - end;
			return true;
		}
		end = run.begin > 0 && run.length == 0 ? run.begin - 1 : run.begin;
	}
	return false;
}

bool sg_learn_version_part(const char *component, size_t length, size_t *ret_before, size_t *ret_behind)
{
	size_t end = length, begin, dots = 0;

	while (end > 0 && !isdigit((unsigned char)component[end - 1]))
		end--;
	begin = end;
	while (begin > 0 && (isdigit((unsigned char)component[begin - 1]) || component[begin - 1] == '.'))
		dots += component[--begin] == '.';
	/* "3.11": the first number stays, another one is another program. */
	while (begin < end && component[begin] != '.')
		begin++;
	if (dots == 0 || begin + 1 >= end || begin == 0)
		return false;
	*ret_before = begin + 1;
	*ret_behind = length - end;
	return true;
}

/* --- folders --- */

/* The length of the first `depth` components of `name` behind `at`, with the last one's slash; 0: there are not so many. */
static size_t down(const char *name, size_t at, size_t depth)
{
	for (; depth > 0; depth--) {
		const char *slash = strchr(name + at, '/');

		if (slash == NULL)
			return 0;
		at = (size_t)(slash - name) + 1;
	}
	return at;
}

static size_t count_components(const char *text, size_t length)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += text[i] == '/';
	return count;
}

static bool is_folder(const char *folder, size_t length, const char *name)
{
	return name != NULL && strlen(name) + 1 == length && strncmp(folder, name, length - 1) == 0;
}

bool sg_learn_is_broad(const char *folder, size_t length, const struct sg_variables *variables)
{
	if (is_folder(folder, length, variables->home) || is_folder(folder, length, variables->home_place))
		return true;
	for (size_t i = 0; i < SG_ARRAY_SIZE(broad); i++) {
		const size_t prefix = strlen(broad[i].prefix);

		if (length >= prefix && strncmp(folder, broad[i].prefix, prefix) == 0 &&
		    count_components(folder + prefix, length - prefix) < broad[i].depth)
			return true;
	}
	return false;
}

size_t sg_learn_folder_of(const char *name)
{
	size_t best = 0, found = 0;

	for (size_t i = 0; i < SG_ARRAY_SIZE(folders); i++) {
		const size_t prefix = strlen(folders[i].prefix);

		if (prefix <= best || strncmp(name, folders[i].prefix, prefix) != 0 || name[prefix] == '\0')
			continue;
		best = prefix;
		found = down(name, prefix, folders[i].depth);
	}
	return found;
}

/* --- temporary files --- */

enum sg_learn_temporary sg_learn_is_temporary(const struct sg_observed *observed, const char *name,
					      const struct sg_variables *variables)
{
	static const char *const roots[] = {"/tmp/", "/var/tmp/"};
	const size_t cwd = strlen(variables->cwd);

	if (strncmp(name, variables->cwd, cwd) == 0 && (name[cwd] == '/' || name[cwd] == '\0'))
		return SG_LEARN_TEMPORARY_NOT;
	for (size_t i = 0; i < SG_ARRAY_SIZE(roots); i++) {
		const size_t length = strlen(roots[i]);
		SG_AUTO_BUFFER struct sg_buffer top = SG_BUFFER_INIT;
		const struct sg_used *used;
		size_t end;

		if (strncmp(name, roots[i], length) != 0)
			continue;
		end = length + strcspn(name + length, "/");
		sg_buffer_append(&top, name, end + (name[end] == '/'));
		if (name[length] == '\0')
			return SG_LEARN_TEMPORARY_ROOT;
		used = sg_buffer_status(&top) == 0 ? sg_used_find(&observed->files, top.data) : NULL;
		return used != NULL && (used->how & SG_USED_MADE) != 0 ? SG_LEARN_TEMPORARY_OWN
								       : SG_LEARN_TEMPORARY_OTHER;
	}
	return SG_LEARN_TEMPORARY_NOT;
}

/* --- variables --- */

/* A profile is UTF-8; of a name that is not, each odd byte is a ?, which means any one byte. */
void sg_learn_append_text(const char *text, size_t length, struct sg_buffer *out)
{
	for (size_t done = 0, end = 0; done < length; done = end) {
		unsigned int rune;

		for (size_t size; end < length && (size = sg_text_decode(text + end, length - end, &rune)) > 0;
		     end += size)
			continue;
		sg_glob_quote(out, text + done, end - done);
		if (end < length) {
			sg_buffer_append_byte(out, '?');
			end++;
		}
	}
}

static bool is_below(const char *name, size_t length, const char *folder)
{
	const size_t size = folder != NULL ? strlen(folder) : 0;

	return size > 1 && length > size && strncmp(name, folder, size) == 0 && name[size] == '/';
}

void sg_learn_append_name(const char *name, size_t length, const struct sg_variables *variables, struct sg_buffer *out)
{
	const struct {
		const char *folder, *text;
	} places[] = {{variables->cwd, "${CWD}"},
		      {variables->home, "~"},
		      {variables->home_place, "~"},
		      {variables->runtime, "${RUNTIME}"}};
	size_t best = SG_ARRAY_SIZE(places), done = 0;

	for (size_t i = 0; i < SG_ARRAY_SIZE(places); i++)
		if (is_below(name, length, places[i].folder) && strlen(places[i].folder) > done) {
			best = i;
			done = strlen(places[i].folder);
		}
	if (best < SG_ARRAY_SIZE(places))
		sg_buffer_append_text(out, places[best].text);
	sg_learn_append_text(name + done, length - done, out);
}
