/*
 * Addresses.
 *
 * What was connected to is proposed by the name that was looked up for it, where one was, else as the address that it is. A port
 * that the run itself listened on needs no Allow. A port that the kernel chose (it was asked for 0) is another one each time: on the
 * loopback it is the world's own, which needs no line at all.
 */
#include "learn/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "learn/names.h"
#include "policy/addresspattern.h"

enum { EPHEMERAL = 32768 };

/* "tcp:ADDRESS:PORT" */
struct parts {
	char protocol[8];
	char host[64]; /* without brackets */
	unsigned long port;
};

static bool split(const char *text, struct parts *ret)
{
	const char *colon = strchr(text, ':'), *last = strrchr(text, ':'), *begin, *end;

	if (colon == NULL || last == colon || (size_t)(colon - text) >= sizeof(ret->protocol))
		return false;
	memcpy(ret->protocol, text, (size_t)(colon - text));
	ret->protocol[colon - text] = '\0';
	begin = colon + 1 + (colon[1] == '[');
	end = last - (last[-1] == ']');
	if (end < begin || (size_t)(end - begin) >= sizeof(ret->host))
		return false;
	memcpy(ret->host, begin, (size_t)(end - begin));
	ret->host[end - begin] = '\0';
	ret->port = strtoul(last + 1, NULL, 10);
	return true;
}

static bool is_loopback(const char *host)
{
	return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
}

static bool is_wildcard(const char *host)
{
	return strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

/* Whether the run listened where it connected to. *ret_chosen: on a port of the kernel's choice, as far as can be told. */
static bool is_own_port(const struct sg_observed *observed, const struct parts *to, bool *ret_chosen)
{
	bool own = false;

	*ret_chosen = false;
	for (size_t i = 0; i < observed->listens.count; i++) {
		struct parts at;

		if (!split(observed->listens.items[i].name, &at) || strcmp(at.protocol, to->protocol) != 0 ||
		    (!is_wildcard(at.host) && strcmp(at.host, to->host) != 0))
			continue;
		own |= at.port == to->port;
		*ret_chosen |= at.port == 0 && to->port >= EPHEMERAL && is_loopback(to->host);
	}
	return own;
}

/* A name that somebody registered may be a word of the language ("internet", "*.name"), which gives more than was used. */
static bool is_plain_name(const char *pattern)
{
	struct sg_addresspattern_problem problem;
	struct sg_addresspattern parsed;
	bool plain;

	if (sg_addresspattern_parse(pattern, strlen(pattern), SG_ADDRESSPATTERN_ALLOW, &parsed, &problem) != 0)
		return false;
	plain = parsed.kind == SG_HOST_NAME;
	sg_addresspattern_done(&parsed);
	return plain;
}

static void add_named(const struct sg_used *answer, const struct sg_used *used, const struct parts *to,
		      struct sg_learn_lines *lines)
{
	SG_AUTO_BUFFER struct sg_buffer value = SG_BUFFER_INIT;

	sg_buffer_printf(&value, "%s:%s:%lu", to->protocol, answer->target, to->port);
	if (sg_buffer_status(&value) < 0)
		lines->failed = true;
	else if (is_plain_name(value.data))
		sg_learn_add(lines, SG_LEARN_ALLOW, false, value.data, "looked up by this name");
	else
		sg_learn_add(lines, SG_LEARN_ALLOW, false, used->name,
			     "by its address: the name \"%s\" that was looked up is none that a rule can name",
			     answer->target);
}

static void add_path(const struct sg_observed *observed, const char *path, const struct sg_variables *variables,
		     struct sg_learn_lines *lines)
{
	const struct sg_used *file = sg_used_find(&observed->files, path);
	SG_AUTO_BUFFER struct sg_buffer value = SG_BUFFER_INIT;

	if (file != NULL && (file->how & SG_USED_MADE) != 0)
		return; /* a socket of the world's own */
	sg_buffer_append_text(&value, "unix:");
	sg_learn_append_name(path, strlen(path), variables, &value);
	if (sg_buffer_status(&value) == 0)
		sg_learn_add(lines, SG_LEARN_ALLOW, false, value.data, "a socket of the host");
	else
		lines->failed = true;
}

/* "unix:@name": of the host, or it would be the world's own. What is no plain text is in no profile. */
static void add_abstract(const char *name, struct sg_learn_lines *lines)
{
	for (const char *at = name; *at != '\0'; at++)
		if (*at <= ' ' || *at >= 0x7f || strchr("*?[]{}\\\"", *at) != NULL)
			return;
	sg_learn_add(lines, SG_LEARN_ALLOW, false, name, "%s", "");
}

static void add_connects(const struct sg_observed *observed, const struct sg_variables *variables,
			 struct sg_learn_lines *lines)
{
	for (size_t i = 0; i < observed->connects.count; i++) {
		const struct sg_used *used = &observed->connects.items[i];
		const struct sg_used *answer;
		struct parts to;
		bool chosen;

		if (used->name[0] == '/') {
			add_path(observed, used->name, variables, lines);
			continue;
		}
		if (strncmp(used->name, "unix:", 5) == 0 || !split(used->name, &to)) {
			add_abstract(used->name, lines);
			continue;
		}
		if (to.port == 0 && strcmp(to.protocol, "icmp") != 0)
			continue; /* nothing goes there: a question about a route */
		if (is_own_port(observed, &to, &chosen))
			continue;
		answer = sg_used_find(&observed->answers, to.host);
		if (answer != NULL)
			add_named(answer, used, &to, lines);
		else if (chosen)
			sg_learn_add(lines, SG_LEARN_ALLOW, true, used->name,
				     "its own port, it seems, that the kernel chose: in the world it is the world's");
		else
			sg_learn_add(lines, SG_LEARN_ALLOW, false, used->name, "%s",
				     used->times == 1 ? "seen once; by its address, no name was looked up"
						      : "by its address, no name was looked up");
	}
}

static void add_listens(const struct sg_observed *observed, struct sg_learn_lines *lines)
{
	for (size_t i = 0; i < observed->listens.count; i++) {
		const char *name = observed->listens.items[i].name;
		struct parts at;

		if (!split(name, &at) || strncmp(name, "unix:", 5) == 0)
			continue;
		if (at.port != 0)
			sg_learn_add(lines, SG_LEARN_LISTEN, false, name, "%s", "");
		else if (!is_loopback(at.host) && strcmp(at.protocol, "tcp") == 0)
			sg_learn_add(lines, SG_LEARN_LISTEN, true, "tcp:*:1024-65535",
				     "it listened on a port that the kernel chose; without this line only the world "
				     "itself reaches it");
	}
}

/* Names that nothing was connected to by: a question is itself something that goes out. */
static void add_lookups(const struct sg_observed *observed, struct sg_learn_lines *lines)
{
	for (size_t i = 0; i < observed->lookups.count; i++) {
		const char *name = observed->lookups.items[i].name;
		SG_AUTO_BUFFER struct sg_buffer value = SG_BUFFER_INIT, end = SG_BUFFER_INIT;
		bool used = false;

		sg_buffer_printf(&end, ":%s:", name);
		sg_buffer_printf(&value, "tcp:%s:443", name);
		if (sg_buffer_status(&end) < 0 || sg_buffer_status(&value) < 0) {
			lines->failed = true;
			return;
		}
		for (size_t j = 0; j < lines->count; j++)
			used |= lines->items[j].key == SG_LEARN_ALLOW &&
				strstr(lines->items[j].value, end.data) != NULL;
		if (!used)
			sg_learn_add(lines, SG_LEARN_ALLOW, true, value.data,
				     "looked up, and nothing was connected to: to look it up again takes a line that "
				     "names it");
	}
}

int sg_learn_net_find(const struct sg_observed *observed, const struct sg_variables *variables,
		      struct sg_learn_lines *lines)
{
	add_connects(observed, variables, lines);
	add_listens(observed, lines);
	add_lookups(observed, lines);
	return lines->failed ? -ENOMEM : 0;
}
