/* What a command has to say, printed. */
#include <unistd.h>

#include "cli/cli.h"
#include "cli/layout.h"

int sg_layout_print(int fd, const struct sg_buffer *text, bool as_is)
{
	SG_AUTO_BUFFER struct sg_buffer out = SG_BUFFER_INIT;

	if (sg_buffer_status(text) < 0)
		return SG_EXIT_FAILED;
	if (text->size == 0)
		return SG_EXIT_OK;
	if (as_is)
		return sg_print(fd, text->data, text->size) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
	sg_layout_wrap(text->data, sg_layout_width(fd), &out);
	return sg_buffer_status(&out) == 0 && sg_print(fd, out.data, out.size) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
}
