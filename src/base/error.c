#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

static void SG_PRINTF(4, 0)
	record(struct sg_error *error, int code, const char *suffix, const char *format, va_list arguments)
{
	char raw[sizeof(error->text)];

	if (error == NULL || error->code != 0)
		return;
	error->code = code;
	(void)vsnprintf(raw, sizeof(raw), format, arguments);
	size_t used = sg_text_escape(error->text, sizeof(error->text), raw, strlen(raw));
	if (suffix != NULL && used < sizeof(error->text))
		(void)snprintf(error->text + used, sizeof(error->text) - used, ": %s", suffix);
}

int sg_error_set(struct sg_error *error, int code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	record(error, code, NULL, format, arguments);
	va_end(arguments);
	return code;
}

int sg_error_set_errno(struct sg_error *error, int code, const char *format, ...)
{
	va_list arguments;
	const char *description = strerrordesc_np(-code);

	va_start(arguments, format);
	record(error, code, description != NULL ? description : "unknown error", format, arguments);
	va_end(arguments);
	return code;
}
