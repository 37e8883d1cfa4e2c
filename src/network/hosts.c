#include "network/hosts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

struct row {
	struct sg_address address;
	struct sg_domain name;
	uint32_t order;
	bool canonical; /* the first name of its line */
};

struct sg_hosts {
	struct row *rows;  /* sorted by name, then order */
	uint32_t *reverse; /* indices of canonical rows, sorted by address, then order */
	size_t count, capacity, reverse_count;
};

/* Words of a line, up to a comment. */
struct words {
	const char *at, *end;
	const char *comments;
};

static bool next_word(struct words *words, const char **ret_word, size_t *ret_length)
{
	while (words->at < words->end && (*words->at == ' ' || *words->at == '\t' || *words->at == '\r')) {
		words->at++;
	}
	if (words->at == words->end || strchr(words->comments, *words->at)) {
		return false;
	}
	*ret_word = words->at;
	while (words->at < words->end && !strchr(" \t\r", *words->at) && *words->at != '#') {
		words->at++;
	}
	*ret_length = (size_t)(words->at - *ret_word);
	return *ret_length > 0;
}

/* The next line of a text. Returns false after the last one. */
static bool next_line(const char **text, const char *end, struct words *ret)
{
	const char *newline;

	if (*text == end) {
		return false;
	}
	newline = memchr(*text, '\n', (size_t)(end - *text));
	ret->at = *text;
	ret->end = newline ? newline : end;
	*text = newline ? newline + 1 : end;
	return true;
}

static bool read_ip(const char *word, size_t length, struct sg_address *ret)
{
	char copy[INET6_ADDRSTRLEN];
	uint8_t bytes[16];
	int family = memchr(word, ':', length) ? AF_INET6 : AF_INET;

	if (length >= sizeof(copy)) {
		return false;
	}
	memcpy(copy, word, length);
	copy[length] = '\0';
	if (inet_pton(family, copy, bytes) != 1) {
		return false;
	}
	sg_address_from_ip(family, bytes, ret);
	ret->mapped = false;
	return true;
}

static int add_row(struct sg_hosts *hosts, const struct sg_address *address, const struct sg_domain *name,
		   bool canonical)
{
	if (hosts->count == SG_HOSTS_ENTRIES_MAX) {
		return -E2BIG;
	}
	if (hosts->count == hosts->capacity) {
		size_t capacity = hosts->capacity == 0 ? 16 : hosts->capacity * 2;
		struct row *grown = reallocarray(hosts->rows, capacity, sizeof(*grown));

		if (!grown) {
			return -ENOMEM;
		}
		hosts->rows = grown;
		hosts->capacity = capacity;
	}
	hosts->rows[hosts->count] = (struct row){*address, *name, (uint32_t)hosts->count, canonical};
	hosts->count++;
	return 0;
}

static int compare_rows(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int order = strcmp(x->name.text, y->name.text);

	return order != 0 ? order : x->order < y->order ? -1 : x->order > y->order;
}

static int compare_addresses(const struct sg_address *a, const struct sg_address *b)
{
	return a->family != b->family ? (int)a->family - (int)b->family : memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static int compare_reverse(const void *a, const void *b, void *data)
{
	const struct row *rows = data, *x = &rows[*(const uint32_t *)a], *y = &rows[*(const uint32_t *)b];
	int order = compare_addresses(&x->address, &y->address);

	return order != 0 ? order : x->order < y->order ? -1 : x->order > y->order;
}

static int sort_hosts(struct sg_hosts *hosts)
{
	if (hosts->count == 0) {
		return 0;
	}
	qsort(hosts->rows, hosts->count, sizeof(*hosts->rows), compare_rows);
	hosts->reverse = calloc(hosts->count, sizeof(*hosts->reverse));
	if (!hosts->reverse) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < hosts->count; i++) {
		if (hosts->rows[i].canonical) {
			hosts->reverse[hosts->reverse_count++] = (uint32_t)i;
		}
	}
	qsort_r(hosts->reverse, hosts->reverse_count, sizeof(*hosts->reverse), compare_reverse, hosts->rows);
	return 0;
}

int sg_hosts_parse(const char *text, size_t size, struct sg_hosts **ret)
{
	SG_CLEANUP(sg_auto_hosts) struct sg_hosts *hosts = calloc(1, sizeof(*hosts));
	const char *end = text + size, *word;
	struct words line = {.comments = "#"};
	int result = 0;
	size_t length;

	if (!hosts) {
		return -ENOMEM;
	}
	while (result == 0 && next_line(&text, end, &line)) {
		struct sg_address address;
		struct sg_domain name;
		bool first = true;

		if (!next_word(&line, &word, &length) || !read_ip(word, length, &address)) {
			continue;
		}
		while (result == 0 && next_word(&line, &word, &length)) {
			if (sg_domain_parse(word, length, &name, NULL, NULL) == 0) {
				result = add_row(hosts, &address, &name, first);
				first = false;
			}
		}
	}
	result = result == 0 ? sort_hosts(hosts) : result;
	if (result == 0) {
		*ret = sg_take_pointer(hosts);
	}
	return result;
}

void sg_hosts_free(struct sg_hosts *hosts)
{
	if (hosts) {
		free(hosts->rows);
		free(hosts->reverse);
		free(hosts);
	}
}

int sg_hosts_addresses(const struct sg_hosts *hosts, const struct sg_domain *name, int family, struct sg_address *ret,
		       size_t max)
{
	size_t begin = 0, end = hosts ? hosts->count : 0, count = 0;

	while (begin < end) {
		size_t middle = begin + (end - begin) / 2;

		if (strcmp(hosts->rows[middle].name.text, name->text) < 0) {
			begin = middle + 1;
		} else {
			end = middle;
		}
	}
	if (!hosts || begin == hosts->count || strcmp(hosts->rows[begin].name.text, name->text) != 0) {
		return -ENOENT;
	}
	for (; begin < hosts->count && strcmp(hosts->rows[begin].name.text, name->text) == 0 && count < max; begin++) {
		if (family == 0 || hosts->rows[begin].address.family == family) {
			ret[count++] = hosts->rows[begin].address;
		}
	}
	return (int)count;
}

size_t sg_hosts_names(const struct sg_hosts *hosts, const struct sg_address *address, struct sg_domain *ret, size_t max)
{
	size_t begin = 0, end = hosts ? hosts->reverse_count : 0, count = 0;

	while (begin < end) {
		size_t middle = begin + (end - begin) / 2;

		if (compare_addresses(&hosts->rows[hosts->reverse[middle]].address, address) < 0) {
			begin = middle + 1;
		} else {
			end = middle;
		}
	}
	for (; hosts && begin < hosts->reverse_count && count < max; begin++) {
		const struct row *row = &hosts->rows[hosts->reverse[begin]];

		if (compare_addresses(&row->address, address) != 0) {
			break;
		}
		ret[count++] = row->name;
	}
	return count;
}

/* -------- resolv.conf -------- */

static bool is_word(const char *word, size_t length, const char *expected)
{
	return strlen(expected) == length && memcmp(word, expected, length) == 0;
}

static unsigned int read_scope(const char *text, size_t length)
{
	char name[IF_NAMESIZE] = "";
	unsigned int value = 0;

	if (length == 0 || length >= sizeof(name)) {
		return 0;
	}
	memcpy(name, text, length);
	value = if_nametoindex(name);
	for (size_t i = 0; value == 0 && i < length; i++) {
		if (text[i] < '0' || text[i] > '9' || length > 8) {
			return 0;
		}
	}
	return value != 0 ? value : (unsigned int)strtoul(name, NULL, 10);
}

static void add_server(struct sg_resolvconf *conf, const char *word, size_t length)
{
	const char *percent = memchr(word, '%', length);
	struct sg_resolvconf_server *server = &conf->servers[conf->server_count];
	struct sg_address address;
	unsigned int classes;

	if (conf->server_count == SG_RESOLVCONF_SERVERS_MAX ||
	    !read_ip(word, percent ? (size_t)(percent - word) : length, &address)) {
		return;
	}
	classes = sg_address_classes(&address, NULL);
	if (classes & (SG_CLASS_MULTICAST | SG_CLASS_BROADCAST)) {
		return;
	}
	if (classes & SG_CLASS_NOWHERE) {
		/* As the kernel takes it, and as many a resolv.conf means it. */
		memset(address.bytes, 0, sizeof(address.bytes));
		address.bytes[address.family == AF_INET ? 3 : 15] = 1;
		address.bytes[0] = address.family == AF_INET ? 127 : 0;
	}
	address.scope = percent ? read_scope(percent + 1, length - (size_t)(percent + 1 - word)) : 0;
	address.port = 53;
	server->length = sg_address_to_sockaddr(&address, &server->address);
	conf->server_count++;
}

/* `name:number`, cut to its limits. */
static void read_option(const char *word, size_t length, const char *name, unsigned int low, unsigned int high,
			unsigned int *ret)
{
	size_t size = strlen(name);
	unsigned int value = 0;

	if (length <= size + 1 || memcmp(word, name, size) != 0 || word[size] != ':') {
		return;
	}
	for (size_t i = size + 1; i < length; i++) {
		if (word[i] < '0' || word[i] > '9') {
			return;
		}
		value = value * 10 + (unsigned int)(word[i] - '0');
		value = value > 1000 ? 1000 : value;
	}
	*ret = value < low ? low : value > high ? high : value;
}

static void read_line(struct sg_resolvconf *conf, struct words *line)
{
	const char *key, *word;
	size_t size, length;

	if (!next_word(line, &key, &size)) {
		return;
	}
	if (is_word(key, size, "search") || is_word(key, size, "domain")) {
		conf->search_count = 0;
	}
	while (next_word(line, &word, &length)) {
		if (is_word(key, size, "nameserver")) {
			add_server(conf, word, length);
			return;
		}
		if (is_word(key, size, "options")) {
			read_option(word, length, "timeout", 1, 30, &conf->timeout);
			read_option(word, length, "attempts", 1, 5, &conf->attempts);
			read_option(word, length, "ndots", 0, 15, &conf->ndots);
		} else if ((is_word(key, size, "search") || is_word(key, size, "domain")) &&
			   conf->search_count < SG_RESOLVCONF_SEARCH_MAX &&
			   sg_domain_parse(word, length, &conf->search[conf->search_count], NULL, NULL) == 0) {
			conf->search_count++;
		}
	}
}

void sg_resolvconf_parse(const char *text, size_t size, struct sg_resolvconf *ret)
{
	const char *end = text + size;
	struct words line = {.comments = "#;"};

	memset(ret, 0, sizeof(*ret));
	ret->timeout = 5;
	ret->attempts = 2;
	ret->ndots = 1;
	while (next_line(&text, end, &line)) {
		read_line(ret, &line);
	}
	if (ret->server_count == 0) {
		add_server(ret, "127.0.0.1", 9);
	}
}
