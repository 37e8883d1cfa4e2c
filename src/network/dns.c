#include "network/dns.h"

#include <errno.h>
#include <string.h>

enum {
	LABEL_MAX = 63,
	JUMPS_MAX = 127, /* no honest name needs more pointers than labels */
	NAME_MAX_SIZE = 255,
};

static uint16_t get16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static uint32_t get32(const uint8_t *bytes)
{
	return (uint32_t)get16(bytes) << 16 | get16(bytes + 2);
}

static uint8_t fold(uint8_t byte)
{
	return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + 32) : byte;
}

/* -------- names -------- */

int sg_dns_name_read(const uint8_t *data, size_t size, size_t offset, struct sg_dns_name *ret, size_t *ret_end)
{
	size_t at = offset, lowest = offset, end = 0, used = 0;
	struct sg_dns_name name;

	for (unsigned int jumps = 0;;) {
		uint8_t length;

		if (at >= size) {
			return -EBADMSG;
		}
		length = data[at];
		if (length >= 0xc0) {
			size_t target;

			if (size - at < 2 || ++jumps > JUMPS_MAX) {
				return -EBADMSG;
			}
			target = get16(data + at) & 0x3fff;
			end = end == 0 ? at + 2 : end;
			/* Strictly before every byte of this name so far: no loop is possible. */
			if (target >= lowest || target < SG_DNS_HEADER_SIZE) {
				return -EBADMSG;
			}
			at = lowest = target;
			continue;
		}
		if (length > LABEL_MAX || used + length + 1 > NAME_MAX_SIZE || size - at < (size_t)length + 1) {
			return -EBADMSG;
		}
		memcpy(name.wire + used, data + at, (size_t)length + 1);
		used += (size_t)length + 1;
		at += (size_t)length + 1;
		if (length == 0) {
			break;
		}
	}
	memset(name.wire + used, 0, sizeof(name.wire) - used);
	name.size = (uint8_t)used;
	*ret = name;
	*ret_end = end == 0 ? at : end;
	return 0;
}

/* Length bytes are below 64, so that folding does not touch them: the wire forms compare as a whole. */
static bool equal_bytes(const uint8_t *a, const uint8_t *b, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (fold(a[i]) != fold(b[i])) {
			return false;
		}
	}
	return true;
}

bool sg_dns_name_equal(const struct sg_dns_name *a, const struct sg_dns_name *b)
{
	return a->size == b->size && equal_bytes(a->wire, b->wire, a->size);
}

bool sg_dns_name_within(const struct sg_dns_name *name, const struct sg_dns_name *parent)
{
	size_t at = 0;

	while (name->size - at > parent->size) {
		at += (size_t)name->wire[at] + 1;
	}
	return name->size - at == parent->size && equal_bytes(name->wire + at, parent->wire, parent->size);
}

void sg_dns_name_from_domain(const struct sg_domain *domain, struct sg_dns_name *ret)
{
	size_t label = 0;

	memset(ret, 0, sizeof(*ret));
	for (size_t i = 0; i <= domain->length; i++) {
		if (i == domain->length || domain->text[i] == '.') {
			ret->wire[label] = (uint8_t)(i - label);
			label = i + 1;
		} else {
			ret->wire[i + 1] = (uint8_t)domain->text[i];
		}
	}
	ret->size = (uint8_t)(domain->length + 2);
}

int sg_dns_name_to_domain(const struct sg_dns_name *name, struct sg_domain *ret)
{
	char text[NAME_MAX_SIZE];
	size_t at = 0, used = 0;

	while (name->wire[at] != 0) {
		size_t length = name->wire[at];

		if (memchr(name->wire + at + 1, '.', length)) {
			return SG_DOMAIN_BYTE;
		}
		if (used > 0) {
			text[used++] = '.';
		}
		memcpy(text + used, name->wire + at + 1, length);
		used += length;
		at += length + 1;
	}
	return sg_domain_parse(text, used, ret, NULL, NULL);
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads `count` labels, last first into bytes, from the front of `text`. Sets *ret_rest to what follows them.
 */
static bool read_reverse4(const char *text, uint8_t *bytes, const char **ret_rest)
{
	for (int i = 3; i >= 0; i--) {
		unsigned int value = 0, digits = 0;

		for (; *text >= '0' && *text <= '9' && digits < 3; text++, digits++) {
			value = value * 10 + (unsigned int)(*text - '0');
		}
		if (digits == 0 || value > 255 || (digits > 1 && text[-(int)digits] == '0') || *text != '.') {
			return false;
		}
		text++;
		bytes[i] = (uint8_t)value;
	}
	*ret_rest = text;
	return true;
}

static bool read_reverse6(const char *text, uint8_t *bytes, const char **ret_rest)
{
	for (int i = 31; i >= 0; i--) {
		int value = hex_digit(text[0]);

		if (value < 0 || text[1] != '.') {
			return false;
		}
		bytes[i / 2] = (uint8_t)(bytes[i / 2] | (i % 2 ? value : value << 4));
		text += 2;
	}
	*ret_rest = text;
	return true;
}

bool sg_dns_reverse_address(const struct sg_domain *domain, struct sg_address *ret)
{
	uint8_t bytes[16] = {0};
	const char *rest;

	if (read_reverse4(domain->text, bytes, &rest) && strcmp(rest, "in-addr.arpa") == 0) {
		sg_address_from_ip(AF_INET, bytes, ret);
		return true;
	}
	memset(bytes, 0, sizeof(bytes));
	if (read_reverse6(domain->text, bytes, &rest) && strcmp(rest, "ip6.arpa") == 0) {
		sg_address_from_ip(AF_INET6, bytes, ret);
		return true;
	}
	return false;
}

/* -------- messages -------- */

/* Reads the record at `offset`. Returns 0 and sets *ret_end, or -EBADMSG. */
static int read_record(const struct sg_dns_message *message, size_t offset, struct sg_dns_record *ret, size_t *ret_end)
{
	const uint8_t *data = message->data;
	size_t at;
	int result = sg_dns_name_read(data, message->size, offset, &ret->owner, &at);

	if (result != 0) {
		return result;
	}
	if (message->size - at < 10) {
		return -EBADMSG;
	}
	ret->type = get16(data + at);
	ret->class = get16(data + at + 2);
	ret->ttl = get32(data + at + 4);
	ret->size = get16(data + at + 8);
	ret->data = at + 10;
	if (message->size - ret->data < ret->size) {
		return -EBADMSG;
	}
	*ret_end = ret->data + ret->size;
	return 0;
}

static int parse_question(struct sg_dns_message *message)
{
	size_t at = SG_DNS_HEADER_SIZE;

	if (message->counts[0] > 1) {
		return -EBADMSG;
	}
	if (message->counts[0] == 1) {
		if (sg_dns_name_read(message->data, message->size, at, &message->question.name, &at) != 0 ||
		    message->size - at < 4) {
			return -EBADMSG;
		}
		message->question.type = get16(message->data + at);
		message->question.class = get16(message->data + at + 2);
		at += 4;
	}
	message->records = at;
	return 0;
}

/* The options of an OPT must fill it; what they say is not looked at. */
static int parse_edns(struct sg_dns_message *message, const struct sg_dns_record *record)
{
	size_t at = record->data, end = record->data + record->size;

	if (message->has_edns || record->section != 3 || record->owner.size != 1) {
		return -EBADMSG;
	}
	while (at < end) {
		if (end - at < 4 || end - at - 4 < get16(message->data + at + 2)) {
			return -EBADMSG;
		}
		at += 4 + (size_t)get16(message->data + at + 2);
	}
	message->has_edns = true;
	message->edns_size = record->class;
	message->edns_rcode = (uint8_t)(record->ttl >> 24);
	message->edns_version = (uint8_t)(record->ttl >> 16);
	return 0;
}

static int parse_records(struct sg_dns_message *message)
{
	struct sg_dns_record record;
	size_t at = message->records;

	if (message->counts[1] + message->counts[2] + message->counts[3] > SG_DNS_RECORDS_MAX) {
		return -EBADMSG;
	}
	for (unsigned int section = 1; section < 4; section++) {
		for (unsigned int i = 0; i < message->counts[section]; i++) {
			if (read_record(message, at, &record, &at) != 0) {
				return -EBADMSG;
			}
			record.section = section;
			if (record.type == SG_DNS_OPT && parse_edns(message, &record) != 0) {
				return -EBADMSG;
			}
		}
	}
	return at == message->size ? 0 : -EBADMSG;
}

int sg_dns_parse(const uint8_t *data, size_t size, struct sg_dns_message *ret)
{
	struct sg_dns_message message = {.data = data, .size = size};

	if (size < SG_DNS_HEADER_SIZE) {
		*ret = (struct sg_dns_message){0};
		return -EBADMSG;
	}
	message.id = get16(data);
	message.flags = get16(data + 2);
	for (size_t i = 0; i < 4; i++) {
		message.counts[i] = get16(data + 4 + 2 * i);
	}
	if (size > SG_DNS_MESSAGE_MAX || parse_question(&message) != 0 || parse_records(&message) != 0) {
		/* What was read so far is not to be used, but a refusal repeats the id. */
		*ret = (struct sg_dns_message){.id = message.id, .flags = message.flags};
		return -EBADMSG;
	}
	*ret = message;
	return 0;
}

struct sg_dns_cursor sg_dns_first(const struct sg_dns_message *message)
{
	return (struct sg_dns_cursor){message->records, 1, message->counts[1]};
}

bool sg_dns_next(const struct sg_dns_message *message, struct sg_dns_cursor *cursor, struct sg_dns_record *ret)
{
	while (cursor->left == 0) {
		if (cursor->section >= 3) {
			return false;
		}
		cursor->left = message->counts[++cursor->section];
	}
	cursor->left--;
	ret->section = cursor->section;
	return read_record(message, cursor->offset, ret, &cursor->offset) == 0;
}
