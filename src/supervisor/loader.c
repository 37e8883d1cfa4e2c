/*
 * The loader of a program, and executions that fail.
 *
 * An ELF program names a loader (PT_INTERP), which the kernel opens by that name and maps: a file that is
 * executed, in effect, and read. Mounts bound it as far as they tell what may be executed. Where a rule
 * refuses names on mounts that allow code, or takes them away, nothing bounds it: a program that somebody
 * inside has written would run what is denied, read it, or tell by the error of the call whether there is
 * something. So the name is read from the pinned program, resolved as the kernel will, and decided. What the
 * adversary can still do is write another name into the program before the kernel reads it: so in the exec
 * stop, where only the kernel has mapped anything, every mapped file must be the program or that loader, by
 * the names that the kernel gives. These cannot be made to look like others: a name in which the kernel would
 * write a character otherwise is refused beforehand.
 *
 * Where names are hidden by looks, the error of an execution tells too: the kernel reads the path again, and
 * it may be a hidden one by then. What a program that is decided fails with by itself is answered before, from
 * what is pinned and the caller's own memory: it may not be executed, it has no format (ENOEXEC, ELIBBAD), it
 * is being written (ETXTBSY), its arguments are too many (E2BIG). Else the thread is stopped before it
 * returns from a call that failed, and killed, as it is when it has executed what is hidden. A call that the
 * kernel would make anew (it waited for a lock) is no exception: the path was looked up before.
 *
 * The kernel's own error cannot be passed on, whichever it is. Since Linux 6.8 the file is opened before the
 * arguments are counted and most memory is taken, so E2BIG and ENOMEM too say that there is an executable
 * file; ETXTBSY and ENOEXEC say so on every kernel. Nor can the path be kept from changing: it is read from
 * memory that other threads, and through shared mappings other processes, write to. So what is left, a process
 * that runs out of memory in execve(2), or whose program somebody begins to write within those microseconds,
 * is ended in such a world: rather that than to tell.
 */
#include "supervisor/loader.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

enum { PARTS_MAX = 65536 / sizeof(Elf64_Phdr), MAPS_MAX = 64 * 1024 }; /* the kernel reads no more parts */

bool sg_loader_is_known(const char *name)
{
	const char *last = strrchr(name, '/');

	last = last == NULL ? name : last + 1;
	return strncmp(last, "ld-linux", 8) == 0 || strncmp(last, "ld-musl", 7) == 0 ||
	       strncmp(last, "ld.so", 5) == 0 || strncmp(last, "ld64.so", 7) == 0 ||
	       (strncmp(last, "ld-", 3) == 0 && strstr(last, ".so") != NULL);
}

bool sg_loader_must_not_fail(const struct sg_supervisor *supervisor)
{
	return supervisor->view.hides != NULL;
}

static bool matters(const struct sg_supervisor *supervisor)
{
	return supervisor->plan->mixed_code || sg_loader_must_not_fail(supervisor);
}

/* As fs/binfmt_elf.c looks at it. What is of another machine can do nothing in a world: its system calls are closed. */
static bool read_header(int file, Elf64_Ehdr *ret)
{
	return pread(file, ret, sizeof(*ret), 0) == (ssize_t)sizeof(*ret) &&
	       memcmp(ret->e_ident, ELFMAG, SELFMAG) == 0 && ret->e_ident[EI_CLASS] == ELFCLASS64 &&
	       ret->e_machine == EM_X86_64 && (ret->e_type == ET_EXEC || ret->e_type == ET_DYN) &&
	       ret->e_phentsize == sizeof(Elf64_Phdr) && ret->e_phnum > 0 && ret->e_phnum <= PARTS_MAX;
}

/* Returns 1 and the name that the first PT_INTERP holds, 0 if there is none, or a negative errno value. */
static int read_name(int file, char *name, size_t size)
{
	Elf64_Ehdr header;
	Elf64_Phdr part;

	if (!read_header(file, &header))
		return -ENOEXEC;
	for (unsigned int i = 0; i < header.e_phnum; i++) {
		if (pread(file, &part, sizeof(part), (off_t)(header.e_phoff + i * sizeof(part))) !=
		    (ssize_t)sizeof(part))
			return -ENOEXEC;
		if (part.p_type != PT_INTERP)
			continue;
		if (part.p_filesz < 2 || part.p_filesz > size ||
		    pread(file, name, part.p_filesz, (off_t)part.p_offset) != (ssize_t)part.p_filesz ||
		    name[part.p_filesz - 1] != '\0')
			return -ENOEXEC;
		return 1;
	}
	return 0;
}

/* What the kernel would write otherwise in a list of mappings (seq_path). */
static bool is_plain_text(const char *name)
{
	return strchr(name, '\n') == NULL && strstr(name, "\\012") == NULL;
}

static int refuse(struct sg_decision *decision, const char *reason)
{
	*decision = (struct sg_decision){
		.verdict = SG_VERDICT_DENY, .error = EACCES, .access = SG_ACCESS_EXECUTE, .reason = reason};
	return 1;
}

/* A loader that is known need not be a program by the rules: to be read, it must not be refused. */
static int decide(struct sg_supervisor *supervisor, const struct sg_resolved *loader, struct sg_decision *ret)
{
	const bool own = sg_is_own(supervisor, &loader->status);
	const unsigned int access = sg_loader_is_known(loader->name) ? SG_ACCESS_READ : SG_ACCESS_EXECUTE;
	struct sg_decision decision;

	if (loader->hidden)
		return -ENOENT;
	if (!S_ISREG(loader->status.st_mode))
		return -EACCES;
	if (loader->unnamed || !is_plain_text(loader->name))
		return refuse(ret, "the program's loader has no name in the world that could be verified");
	sg_decide(supervisor->policy, supervisor->names, loader->name, loader->length, access, own, &decision);
	if (decision.verdict == SG_VERDICT_ALLOW)
		(void)sg_is_denied_inode(supervisor, loader->fd, &loader->status, access, &decision);
	if (decision.verdict == SG_VERDICT_ALLOW)
		return 0;
	*ret = decision;
	return 1;
}

/*
 * Whether the file is open for writing: then nobody is given a read lease on it (fcntl(2)). It is given back at once; who opens
 * the file for writing in between waits for that, and the signal that tells of it is one that does nothing. Only the file's owner
 * can ask; of other people's files, and on file systems without leases, it is not told.
 */
static bool is_being_written(const struct sg_view *view, const struct sg_resolved *program)
{
	SG_AUTO_FD int file = sg_reopen(view, program->fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);

	if (file < 0 || fcntl(file, F_SETSIG, SIGURG) < 0)
		return false;
	if (fcntl(file, F_SETLEASE, F_RDLCK) < 0)
		return errno == EAGAIN;
	(void)fcntl(file, F_SETLEASE, F_UNLCK);
	return false;
}

int sg_loader_fails_by_itself(const struct sg_supervisor *supervisor, const struct sg_resolved *program)
{
	struct statvfs system;

	if (!sg_loader_must_not_fail(supervisor))
		return 0;
	if (syscall(SYS_faccessat2, program->fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS) < 0 ||
	    fstatvfs(program->fd, &system) < 0)
		return -errno;
	if ((system.f_flag & ST_NOEXEC) != 0)
		return -EACCES;
	return is_being_written(&supervisor->view, program) ? -ETXTBSY : 0;
}

static int loader_fails(const struct sg_supervisor *supervisor, const struct sg_resolved *loader)
{
	int status = sg_loader_fails_by_itself(supervisor, loader);
	SG_AUTO_FD int file = -1;
	Elf64_Ehdr header;

	if (status < 0 || !sg_loader_must_not_fail(supervisor))
		return status;
	file = sg_reopen(&supervisor->view, loader->fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (file < 0)
		return file;
	return read_header(file, &header) ? 0 : -ELIBBAD;
}

int sg_loader_decide(struct sg_request *request, const struct sg_resolved *program, struct sg_decision *decision,
		     char *name)
{
	struct sg_supervisor *supervisor = request->supervisor;
	SG_CLEANUP(sg_resolved_done) struct sg_resolved loader = SG_RESOLVED_INIT;
	SG_AUTO_FD int file = -1;
	char named[PATH_MAX];
	int status;

	name[0] = '\0';
	if (!matters(supervisor))
		return 0;
	if (!is_plain_text(program->name))
		return refuse(decision, "a program whose name holds a line's end could not be verified");
	file = sg_reopen(&supervisor->view, program->fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (file == -EACCES)
		return refuse(decision, "a program that may not be read: what it would load could not be decided");
	if (file < 0)
		return file;
	status = read_name(file, named, sizeof(named));
	if (status <= 0)
		return status;
	status = sg_resolve(&supervisor->view, &request->caller, AT_FDCWD, named, 0, &loader);
	if (status == 0)
		status = decide(supervisor, &loader, decision);
	if (status == 0)
		status = loader_fails(supervisor, &loader);
	if (status >= 0) /* for the record, where it is refused */
		(void)snprintf(name, sizeof(loader.name), "%s", loader.name);
	return status;
}

/* The names of mapped files, one in each line from its first '/': before it stand numbers. */
static bool are_named(char *text, const struct sg_traced *traced)
{
	char *rest = text;

	for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
		const char *name = strchr(line, '/');

		if (name != NULL && strcmp(name, traced->name) != 0 &&
		    (traced->loader == NULL || strcmp(name, traced->loader) != 0))
			return false;
	}
	return true;
}

static bool verify(const struct sg_supervisor *supervisor, pid_t tid, const struct sg_traced *traced)
{
	char path[32];
	SG_AUTO_FREE char *text = NULL;
	SG_AUTO_FD int fd = -1;
	size_t size = 0;

	(void)snprintf(path, sizeof(path), "%d/maps", (int)tid);
	fd = openat(supervisor->view.proc, path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && sg_fd_read_file(fd, MAPS_MAX, &text, &size) == 0 && size > 0 && are_named(text, traced);
}

bool sg_loader_verify(const struct sg_supervisor *supervisor, pid_t tid, const struct sg_traced *traced)
{
	return !matters(supervisor) || verify(supervisor, tid, traced);
}
