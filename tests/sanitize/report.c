/*
 * Linked into the program in builds with AddressSanitizer and UBSan: what they find is also written to a file that was
 * mapped before main().
 *
 * The supervisor, the first process and the auditor have /dev/null as descriptors 0 to 2, another root, none of their other
 * descriptors and a filter of system calls: a report to standard error, or to a file named in log_path, is lost. A shared
 * mapping made before all that needs no system call and no descriptor, and is inherited over fork. The file is made by the
 * tests, which fail when anything is in it.
 */
#include "report.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sanitizer/asan_interface.h>

/* Called by the runtimes, where a program defines them. */
void __asan_on_error(void);
void __ubsan_on_report(void);
void __ubsan_get_current_report_data(const char **kind, const char **message, const char **file, unsigned int *line,
				     unsigned int *column, char **address);

static struct shared {
	_Atomic uint32_t used; /* bytes of `text` that were given out; may exceed what there is room for */
	char text[];
} * shared;
static size_t room;

__attribute__((no_sanitize("address", "undefined"))) static void add(const char *text, size_t length)
{
	size_t start;

	if (shared == NULL || length > UINT16_MAX)
		return;
	start = atomic_fetch_add(&shared->used, (uint32_t)length);
	if (start <= room && length <= room - start)
		memcpy(shared->text + start, text, length);
}

static void add_text(const char *text)
{
	size_t length = strlen(text);

	add(text, length < UINT16_MAX ? length : UINT16_MAX);
}

void sg_sanitizer_report_open(void)
{
	const char *path = getenv("SG_SANITIZER_REPORT");
	struct stat status;
	void *mapped;
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	if (fstat(fd, &status) == 0 && status.st_size > (off_t)sizeof(*shared)) {
		mapped = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (mapped != MAP_FAILED) {
			shared = mapped;
			room = (size_t)status.st_size - sizeof(*shared);
			__asan_set_error_report_callback(add_text);
		}
	}
	close(fd);
}

__attribute__((constructor)) static void start(void)
{
	sg_sanitizer_report_open();
}

/* Before the report is put together: should that not work here, this much is known. */
void __asan_on_error(void)
{
	add_text("AddressSanitizer: an error was found; what follows is the report\n");
}

void __ubsan_on_report(void)
{
	const char *kind = "", *message = "", *file = "";
	char number[16], *address;
	unsigned int line = 0, column = 0;
	size_t at = sizeof(number);

	__ubsan_get_current_report_data(&kind, &message, &file, &line, &column, &address);
	do {
		number[--at] = (char)('0' + line % 10);
	} while ((line /= 10) != 0);
	add_text("UndefinedBehaviorSanitizer: ");
	add_text(file == NULL ? "?" : file);
	add_text(":");
	add(number + at, sizeof(number) - at);
	add_text(": ");
	add_text(message);
	add_text("\n");
}
