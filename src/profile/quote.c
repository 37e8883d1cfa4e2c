#include "profile/quote.h"

void sg_toml_quote(struct sg_buffer *out, const char *text)
{
	sg_buffer_append_byte(out, '"');
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): forms S, L and V take an argument; there is one */
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			sg_buffer_printf(out, "\\%c", *text);
		else if ((unsigned char)*text < 0x20 || *text == 0x7f)
			sg_buffer_printf(out, "\\u%04x", (unsigned int)(unsigned char)*text);
		else
			sg_buffer_append_byte(out, *text);
	}
	sg_buffer_append_byte(out, '"');
}
