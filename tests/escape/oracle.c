/* What the kernel goes on with after a decision (chdir, execve), used to ask about names that were refused.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

static char allowed[PATH_MAX], hidden[PATH_MAX];
static volatile char flip[PATH_MAX];

static void *flip_forever(void *unused)
{
	const size_t length = strlen(allowed);

	for (;;) {
		for (size_t i = 0; i < length; i++)
			flip[i] = hidden[i];
		for (size_t i = 0; i < length; i++)
			flip[i] = allowed[i];
	}
	return unused;
}

static bool set_paths(char **argv)
{
	(void)snprintf(allowed, sizeof(allowed), "%s", argv[0]);
	(void)snprintf(hidden, sizeof(hidden), "%s", argv[1]);
	for (size_t i = 0; allowed[i] != '\0'; i++)
		flip[i] = allowed[i];
	return strlen(allowed) == strlen(hidden);
}

static void start_flipping(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, flip_forever, NULL) != 0)
		_exit(1);
}

/* VISIBLE HIDDEN TRIES: who races is killed; who shares its working directory must not see where it went. */
static int shared_folder(int argc, char **argv)
{
	char now[PATH_MAX];
	long child;

	(void)argc;
	if (!set_paths(argv) || chdir("/") < 0)
		return 1;
	for (int i = 0; i < atoi(argv[2]); i++) {
		child = syscall(SYS_clone, CLONE_FS | SIGCHLD, NULL, NULL, NULL, NULL);
		if (child < 0) {
			refused("shared", errno);
			return 0;
		}
		if (child == 0) {
			start_flipping();
			for (int n = 0; n < 2000; n++)
				(void)syscall(SYS_chdir, (const char *)(uintptr_t)flip);
			_exit(0);
		}
		(void)waitpid((pid_t)child, NULL, 0);
		if (getcwd(now, sizeof(now)) == NULL) {
			escaped("shared");
			return 0;
		}
	}
	refused("shared", 0);
	return 0;
}

static atomic_int *outcomes;

/* PROGRAM HIDDEN TRIES: no failure of an execution tells whether the second is there: it may be executed or
 * not. */
static int execute(int argc, char **argv)
{
	int result, killed = 0;

	(void)argc;
	outcomes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!set_paths(argv) || outcomes == MAP_FAILED)
		return 1;
	for (int i = 0; i < atoi(argv[2]); i++) {
		pid_t child = fork();

		if (child == 0) {
			start_flipping();
			for (int n = 0; n < 300; n++) {
				(void)syscall(SYS_execve, (uintptr_t)flip, (char *[]){argv[0], NULL}, (char *[]){NULL});
				atomic_fetch_add(&outcomes[errno < 200 ? errno : 0], 1);
			}
			_exit(0);
		}
		(void)waitpid(child, &result, 0);
		killed += WIFSIGNALED(result);
	}
	for (int i = 0; i < 200; i++)
		if (i != ENOENT && i != EAGAIN && outcomes[i] != 0) {
			saw_number("told", i);
			escaped("execute");
		}
	refused("execute", ENOENT);
	saw_number("killed", killed);
	return 0;
}

/* Writes an ELF file of one part that can be executed; with `loader`, one that names it. */
static int write_program(const char *path, const char *loader, const unsigned char *code, size_t size)
{
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr parts[2];
		unsigned char code[64];
		/* Whole pages: before Linux 6.6 the rest of a loader's last one had to be writable. */
		char text[2 * 4096 - sizeof(Elf64_Ehdr) - 2 * sizeof(Elf64_Phdr) - 64];
	} file = {.header = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			     .e_type = ET_DYN,
			     .e_machine = EM_X86_64,
			     .e_version = EV_CURRENT,
			     .e_phoff = sizeof(Elf64_Ehdr),
			     .e_ehsize = sizeof(Elf64_Ehdr),
			     .e_phentsize = sizeof(Elf64_Phdr),
			     .e_phnum = 2}};
	const size_t head = sizeof(file.header) + sizeof(file.parts);
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0755);

	memcpy(file.code, code, size);
	file.header.e_entry = head;
	file.parts[0] = (Elf64_Phdr){.p_type = PT_LOAD,
				     .p_flags = PF_R | PF_X,
				     .p_filesz = sizeof(file),
				     .p_memsz = sizeof(file),
				     .p_align = 4096};
	if (loader != NULL) {
		(void)snprintf(file.text, sizeof(file.text), "%s", loader);
		file.parts[1] = (Elf64_Phdr){.p_type = PT_INTERP,
					     .p_flags = PF_R,
					     .p_offset = head + sizeof(file.code),
					     .p_filesz = strlen(loader) + 1,
					     .p_memsz = strlen(loader) + 1};
	}
	if (fd < 0 || write(fd, &file, sizeof(file)) != (ssize_t)sizeof(file))
		return -1;
	return close(fd);
}

/* mov edi, 42 or 7; mov eax, 60 (exit); syscall */
static const unsigned char ends_with_42[] = {0xbf, 42, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05};
static const unsigned char ends_with_7[] = {0xbf, 7, 0, 0, 0, 0xb8, 60, 0, 0, 0, 0x0f, 0x05};

/* GOOD REFUSED: a program that ends with 7, and one that ends with 42. */
static int plant(int argc, char **argv)
{
	(void)argc;
	return write_program(argv[0], NULL, ends_with_7, sizeof(ends_with_7)) < 0 ||
	       write_program(argv[1], NULL, ends_with_42, sizeof(ends_with_42)) < 0;
}

static int run_program(const char *path)
{
	int result;
	pid_t child = fork();

	if (child == 0) {
		(void)execv(path, (char *[]){(char *)(uintptr_t)path, NULL});
		_exit(errno);
	}
	return child < 0 || waitpid(child, &result, 0) != child ? -1 : result;
}

/* FILE LOADER...: says with what each ends, run as the loader of a program that is written here. */
static int loaders(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (write_program(argv[0], argv[i], ends_with_7, sizeof(ends_with_7)) < 0)
			return 1;
		saw_number(strrchr(argv[i], '/') + 1, run_program(argv[0]));
	}
	return 0;
}

/* FILE LOADER REFUSED TRIES: the program names now the one, now the other, while it is executed. */
static int loader_race(int argc, char **argv)
{
	int seen = 0, refused_ones = 0;
	pid_t writer = fork();

	(void)argc;
	if (writer == 0)
		for (;;) {
			(void)write_program(argv[0], argv[1], ends_with_7, sizeof(ends_with_7));
			(void)write_program(argv[0], argv[2], ends_with_7, sizeof(ends_with_7));
		}
	for (int i = 0; i < atoi(argv[3]); i++) {
		int result = run_program(argv[0]);

		seen += WIFEXITED(result) && WEXITSTATUS(result) == 42;
		refused_ones += WIFEXITED(result) && WEXITSTATUS(result) != 7;
	}
	(void)kill(writer, SIGKILL);
	(void)waitpid(writer, NULL, 0);
	if (seen > 0)
		escaped("loader");
	else
		refused("loader", EACCES);
	saw_number("refused", refused_ones);
	return 0;
}

const struct probe probes[] = {{"shared", shared_folder}, {"execute", execute},         {"plant", plant},
			       {"loaders", loaders},      {"loader-race", loader_race}, {NULL, NULL}};
