/* Messages that we send: written from what was decided, never copied from what was received. */
#include <string.h>

#include "network/dns.h"

enum { OPT_SIZE = 11, OPTION_EDE = 15 };

struct writer {
	uint8_t *data;
	size_t size, limit;
	bool full; /* something did not fit */
};

static void put(struct writer *writer, const void *data, size_t size)
{
	if (size == 0) {
		return;
	}
	if (writer->full || writer->limit - writer->size < size) {
		writer->full = true;
		return;
	}
	memcpy(writer->data + writer->size, data, size);
	writer->size += size;
}

static void put16(struct writer *writer, unsigned int value)
{
	uint8_t bytes[2] = {(uint8_t)(value >> 8), (uint8_t)value};

	put(writer, bytes, sizeof(bytes));
}

static void put32(struct writer *writer, uint32_t value)
{
	put16(writer, value >> 16);
	put16(writer, value & 0xffff);
}

static void set16(struct writer *writer, size_t offset, unsigned int value)
{
	writer->data[offset] = (uint8_t)(value >> 8);
	writer->data[offset + 1] = (uint8_t)value;
}

/* Where a name was written that later records repeat: a pointer takes its place if it can be expressed. */
struct place {
	const struct sg_dns_name *name;
	size_t offset;
};

static void put_name(struct writer *writer, const struct place *place)
{
	if (place->offset != 0 && place->offset < 0x4000) {
		put16(writer, 0xc000 | (unsigned int)place->offset);
	} else {
		put(writer, place->name->wire, place->name->size);
	}
}

static void put_record_head(struct writer *writer, const struct place *owner, uint16_t type, uint32_t ttl, size_t size)
{
	put_name(writer, owner);
	put16(writer, type);
	put16(writer, SG_DNS_CLASS_IN);
	put32(writer, ttl);
	put16(writer, (unsigned int)size);
}

/* A SOA that says how long the absence may be kept, and nothing else of the zone (RFC 2308, 3). */
static void put_soa(struct writer *writer, const struct sg_dns_answers *answers)
{
	struct place owner = {&answers->zone, 0};
	static const uint8_t roots[2];

	put_record_head(writer, &owner, SG_DNS_SOA, answers->negative_ttl, sizeof(roots) + 20);
	put(writer, roots, sizeof(roots));
	for (int i = 0; i < 4; i++) {
		put32(writer, 0);
	}
	put32(writer, answers->negative_ttl);
}

/* Writes the records; sets the counts of answer and authority. */
static void put_answers(struct writer *writer, const struct sg_dns_question *question,
			const struct sg_dns_answers *answers)
{
	struct place owner = {&question->name, SG_DNS_HEADER_SIZE};

	for (size_t i = 0; i < answers->alias_count; i++) {
		const struct sg_dns_alias *alias = &answers->aliases[i];

		put_record_head(writer, &owner, SG_DNS_CNAME, alias->ttl, alias->target.size);
		owner = (struct place){&alias->target, writer->size};
		put(writer, alias->target.wire, alias->target.size);
	}
	for (size_t i = 0; i < answers->data_count; i++) {
		const struct sg_dns_data *row = &answers->data[i];

		put_record_head(writer, &owner, question->type, row->ttl, row->size);
		put(writer, answers->pool.data + row->offset, row->size);
	}
	set16(writer, 6, (unsigned int)(answers->alias_count + answers->data_count));
	if (answers->data_count == 0 && answers->negative) {
		put_soa(writer, answers);
		set16(writer, 8, 1);
	}
}

static size_t error_text_size(const struct sg_dns_reply *reply)
{
	return reply->error_text ? strnlen(reply->error_text, SG_DNS_ERROR_TEXT_MAX) : 0;
}

static size_t edns_size(const struct sg_dns_message *query, const struct sg_dns_reply *reply)
{
	if (!query->has_edns) {
		return 0;
	}
	return OPT_SIZE + (reply->error != SG_DNS_ERROR_NONE ? 6 + error_text_size(reply) : 0);
}

static void put_edns(struct writer *writer, unsigned int rcode, const struct sg_dns_reply *reply)
{
	size_t text = error_text_size(reply);

	put(writer, "", 1);
	put16(writer, SG_DNS_OPT);
	put16(writer, SG_DNS_UDP_OWN);
	put32(writer, (uint32_t)(rcode >> 4) << 24);
	if (reply->error == SG_DNS_ERROR_NONE) {
		put16(writer, 0);
		return;
	}
	put16(writer, (unsigned int)(6 + text));
	put16(writer, OPTION_EDE);
	put16(writer, (unsigned int)(2 + text));
	put16(writer, reply->error);
	put(writer, reply->error_text, text);
}

static void put_header(struct writer *writer, uint16_t id, unsigned int flags)
{
	put16(writer, id);
	put16(writer, flags);
	for (int i = 0; i < 4; i++) {
		put16(writer, 0);
	}
}

static void put_question(struct writer *writer, const struct sg_dns_question *question)
{
	put(writer, question->name.wire, question->name.size);
	put16(writer, question->type);
	put16(writer, question->class);
	set16(writer, 4, 1);
}

size_t sg_dns_write_reply(const struct sg_dns_message *query, const struct sg_dns_reply *reply, uint8_t *buffer,
			  size_t limit)
{
	/* The header, a question and an OPT with its text always fit into 512 bytes: 12 + 259 + 11 + 6 + 128.
	 */
	size_t reserved = edns_size(query, reply);
	struct writer writer = {.data = buffer, .limit = limit - reserved};
	unsigned int flags = SG_DNS_QR | (query->flags & (SG_DNS_OPCODE | SG_DNS_RD)) | SG_DNS_RA;
	unsigned int rcode = reply->rcode > SG_DNS_RCODE && !query->has_edns ? SG_DNS_SERVFAIL : reply->rcode;
	size_t start;

	put_header(&writer, query->id, flags | (rcode & SG_DNS_RCODE));
	if (query->counts[0] == 1 && query->question.name.size > 0) {
		put_question(&writer, &query->question);
	}
	start = writer.size;
	if (reply->answers && start > SG_DNS_HEADER_SIZE) {
		put_answers(&writer, &query->question, reply->answers);
	}
	if (writer.full) {
		writer.size = start;
		writer.full = false;
		set16(&writer, 2, flags | (rcode & SG_DNS_RCODE) | SG_DNS_TC);
		set16(&writer, 6, 0);
		set16(&writer, 8, 0);
	}
	writer.limit = limit;
	if (query->has_edns) {
		put_edns(&writer, rcode, reply);
		set16(&writer, 10, 1);
	}
	return writer.size;
}

size_t sg_dns_udp_limit(const struct sg_dns_message *query)
{
	size_t limit = query->has_edns ? query->edns_size : SG_DNS_UDP_MIN;

	limit = limit < SG_DNS_UDP_MIN ? SG_DNS_UDP_MIN : limit;
	return limit > SG_DNS_UDP_MAX ? SG_DNS_UDP_MAX : limit;
}

size_t sg_dns_write_query(uint16_t id, const struct sg_dns_question *question, bool edns, uint8_t *buffer)
{
	struct writer writer = {.data = buffer, .limit = SG_DNS_UDP_MIN};
	struct sg_dns_reply nothing = {0};

	put_header(&writer, id, SG_DNS_RD);
	put_question(&writer, question);
	if (edns) {
		put_edns(&writer, 0, &nothing);
		set16(&writer, 10, 1);
	}
	return writer.size;
}
