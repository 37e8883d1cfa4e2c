/* From a response to what answers the question: nothing else of it is kept. */
#include <errno.h>
#include <string.h>

#include "network/dns.h"

void sg_dns_answers_done(struct sg_dns_answers *answers)
{
	sg_buffer_done(&answers->pool);
	answers->alias_count = answers->data_count = 0;
	answers->negative = false;
	answers->ttl = 0;
}

static void lower_ttl(struct sg_dns_answers *answers, uint32_t ttl)
{
	bool first = answers->alias_count + answers->data_count <= 1;

	answers->ttl = first || ttl < answers->ttl ? ttl : answers->ttl;
}

/* RFC 2181, 8: a TTL with the top bit set is zero. */
static uint32_t sane_ttl(uint32_t ttl)
{
	return ttl > INT32_MAX ? 0 : ttl;
}

int sg_dns_answers_add(struct sg_dns_answers *answers, uint32_t ttl, const void *data, size_t size)
{
	struct sg_dns_data *row;

	if (answers->data_count == SG_DNS_ANSWERS_MAX) {
		return -ENOSPC;
	}
	row = &answers->data[answers->data_count];
	*row = (struct sg_dns_data){ttl, answers->pool.size, size};
	sg_buffer_append(&answers->pool, data, size);
	if (sg_buffer_status(&answers->pool) != 0) {
		return -ENOMEM;
	}
	answers->data_count++;
	lower_ttl(answers, ttl);
	return 0;
}

/* How the data of a type is built: bytes of fixed size, then a name, or character strings, or nothing. */
static const struct shape {
	uint16_t type;
	uint8_t fixed;
	bool name, strings;
} shapes[] = {
	{SG_DNS_A, 4, false, false},  {SG_DNS_AAAA, 16, false, false}, {SG_DNS_CNAME, 0, true, false},
	{SG_DNS_PTR, 0, true, false}, {SG_DNS_MX, 2, true, false},     {SG_DNS_SRV, 6, true, false},
	{SG_DNS_TXT, 0, false, true},
};

static const struct shape *find_shape(uint16_t type)
{
	for (size_t i = 0; i < SG_ARRAY_SIZE(shapes); i++) {
		if (shapes[i].type == type) {
			return &shapes[i];
		}
	}
	return NULL;
}

/* One character string or more, that fill the data. */
static bool are_strings(const uint8_t *data, size_t size)
{
	size_t at = 0;

	while (at < size) {
		at += (size_t)data[at] + 1;
	}
	return size > 0 && at == size;
}

/* Reads the name that ends a record's data. */
static int read_data_name(const struct sg_dns_message *message, const struct sg_dns_record *record, size_t skip,
			  struct sg_dns_name *ret)
{
	size_t end;

	if (record->size <= skip ||
	    sg_dns_name_read(message->data, message->size, record->data + skip, ret, &end) != 0 ||
	    end != record->data + record->size) {
		return -EBADMSG;
	}
	return 0;
}

static int add_record(const struct sg_dns_message *message, const struct sg_dns_record *record,
		      struct sg_dns_answers *answers)
{
	const struct shape *shape = find_shape(record->type);
	const uint8_t *data = message->data + record->data;
	uint8_t joined[6 + sizeof(((struct sg_dns_name *)NULL)->wire)];
	size_t size = record->size;
	struct sg_dns_name name;

	if (!shape || size < shape->fixed || (shape->strings && !are_strings(data, size)) ||
	    (!shape->strings && !shape->name && size != shape->fixed)) {
		return -EBADMSG;
	}
	if (shape->name) {
		if (read_data_name(message, record, shape->fixed, &name) != 0) {
			return -EBADMSG;
		}
		memcpy(joined, data, shape->fixed);
		memcpy(joined + shape->fixed, name.wire, name.size);
		data = joined;
		size = (size_t)shape->fixed + name.size;
	}
	for (size_t i = 0; i < answers->data_count; i++) {
		if (answers->data[i].size == size &&
		    memcmp(answers->pool.data + answers->data[i].offset, data, size) == 0) {
			return 0;
		}
	}
	int result = sg_dns_answers_add(answers, sane_ttl(record->ttl), data, size);

	return result == -ENOSPC ? 0 : result;
}

/* Looks for the CNAME of `owner`. Returns 1 and sets *ret, 0 if there is none, or -EBADMSG. */
static int find_alias(const struct sg_dns_message *message, const struct sg_dns_name *owner, struct sg_dns_alias *ret)
{
	struct sg_dns_cursor cursor = sg_dns_first(message);
	struct sg_dns_record record;

	while (sg_dns_next(message, &cursor, &record) && record.section == 1) {
		if (record.type == SG_DNS_CNAME && record.class == SG_DNS_CLASS_IN &&
		    sg_dns_name_equal(&record.owner, owner)) {
			ret->ttl = sane_ttl(record.ttl);
			return read_data_name(message, &record, 0, &ret->target) == 0 ? 1 : -EBADMSG;
		}
	}
	return 0;
}

/* The SOA of a negative answer must speak for the name that was asked last. */
static void find_soa(const struct sg_dns_message *message, const struct sg_dns_name *last,
		     struct sg_dns_answers *answers)
{
	struct sg_dns_cursor cursor = sg_dns_first(message);
	struct sg_dns_record record;

	while (sg_dns_next(message, &cursor, &record)) {
		if (record.section == 2 && record.type == SG_DNS_SOA && record.class == SG_DNS_CLASS_IN &&
		    record.size >= 22 && sg_dns_name_within(last, &record.owner)) {
			const uint8_t *end = message->data + record.data + record.size;
			uint32_t minimum =
				(uint32_t)end[-4] << 24 | (uint32_t)end[-3] << 16 | (uint32_t)end[-2] << 8 | end[-1];
			uint32_t ttl = sane_ttl(record.ttl);

			answers->negative = true;
			answers->zone = record.owner;
			answers->negative_ttl = ttl < sane_ttl(minimum) ? ttl : sane_ttl(minimum);
			return;
		}
	}
}

static int follow_aliases(const struct sg_dns_message *message, const struct sg_dns_question *question,
			  struct sg_dns_answers *answers)
{
	const struct sg_dns_name *last = &question->name;

	while (question->type != SG_DNS_CNAME) {
		struct sg_dns_alias alias;
		int found = find_alias(message, last, &alias);

		if (found <= 0) {
			return found;
		}
		if (answers->alias_count == SG_DNS_ALIASES_MAX) {
			return -EBADMSG;
		}
		answers->aliases[answers->alias_count++] = alias;
		lower_ttl(answers, alias.ttl);
		last = &answers->aliases[answers->alias_count - 1].target;
	}
	return 0;
}

int sg_dns_extract(const struct sg_dns_message *message, const struct sg_dns_question *question,
		   struct sg_dns_answers *ret)
{
	struct sg_dns_cursor cursor = sg_dns_first(message);
	const struct sg_dns_name *last;
	struct sg_dns_record record;
	int result;

	sg_dns_answers_done(ret);
	ret->rcode = (message->flags & SG_DNS_RCODE) | (unsigned int)message->edns_rcode << 4;
	result = follow_aliases(message, question, ret);
	last = ret->alias_count > 0 ? &ret->aliases[ret->alias_count - 1].target : &question->name;
	while (result == 0 && sg_dns_next(message, &cursor, &record) && record.section == 1) {
		if (record.type == question->type && record.class == SG_DNS_CLASS_IN &&
		    sg_dns_name_equal(&record.owner, last)) {
			result = add_record(message, &record, ret);
		}
	}
	if (result != 0) {
		sg_dns_answers_done(ret);
		return result;
	}
	if (ret->data_count == 0) {
		find_soa(message, last, ret);
	}
	return 0;
}
