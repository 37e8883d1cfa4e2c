#include "cli/notice.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

static void refill(struct sg_notice *notice, uint64_t now_ms)
{
	uint64_t periods;

	if (now_ms < notice->refilled_ms)
		return;
	periods = (now_ms - notice->refilled_ms) / SG_NOTICE_INTERVAL_MS;
	notice->refilled_ms += periods * SG_NOTICE_INTERVAL_MS;
	notice->tokens =
		periods >= SG_NOTICE_BURST - notice->tokens ? SG_NOTICE_BURST : notice->tokens + (unsigned int)periods;
}

void sg_notice_init(struct sg_notice *notice, uint64_t now_ms)
{
	*notice = (struct sg_notice){.refilled_ms = now_ms, .tokens = SG_NOTICE_BURST};
}

static bool take_token(struct sg_notice *notice, uint64_t now_ms)
{
	refill(notice, now_ms);
	if (notice->tokens == 0)
		return false;
	/* The time of a refill counts from the first line of a burst, not from some earlier moment. */
	if (notice->tokens == SG_NOTICE_BURST)
		notice->refilled_ms = now_ms;
	notice->tokens--;
	return true;
}

bool sg_notice_allow(struct sg_notice *notice, uint64_t now_ms)
{
	if (notice->omitted == 0 && take_token(notice, now_ms))
		return true;
	notice->omitted++;
	return false;
}

unsigned long sg_notice_omitted(struct sg_notice *notice, uint64_t now_ms, bool final)
{
	unsigned long omitted = notice->omitted;

	if (omitted == 0 || (!take_token(notice, now_ms) && !final))
		return 0;
	notice->omitted = 0;
	return omitted;
}

int sg_notice_wait_ms(const struct sg_notice *notice, uint64_t now_ms)
{
	uint64_t due = notice->refilled_ms + SG_NOTICE_INTERVAL_MS;

	if (notice->omitted == 0)
		return -1;
	if (notice->tokens > 0 || due <= now_ms)
		return 0;
	return (int)(due - now_ms);
}

static size_t backslashes(const char *text, size_t length)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += text[i] == '\\';
	return count;
}

size_t sg_notice_format(char *out, const char *text, size_t length, bool mid_line)
{
	char escaped[4 * SG_CONTROL_TEXT_MAX + 1];
	size_t size;

	if (length > SG_CONTROL_TEXT_MAX)
		length = SG_CONTROL_TEXT_MAX;
	/* Text that is escaped already grows by its backslashes alone: then it is shown as it came. */
	size = sg_text_escape(escaped, sizeof(escaped), text, length);
	if (size == length + backslashes(text, length)) {
		memcpy(escaped, text, length);
		escaped[length] = '\0';
	}
	return (size_t)snprintf(out, SG_NOTICE_LINE_MAX, "%sshellguard: %s\r\n", mid_line ? "\r\n" : "", escaped);
}
