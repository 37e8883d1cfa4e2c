/*
 * How the supervisor comes into being, and what it gives up on the way.
 *
 * It starts as a copy of the front end in a user namespace of the session's own, takes the identity of the world's user
 * there (as root: an id that is nobody's on the host, so nothing of root's remains), starts the auditor and the world, and
 * then moves into the world's mount tree: from then on it cannot reach a file of the host but through the world's mounts.
 * It keeps CAP_SYS_PTRACE (to read callers that are not dumpable, and to trace execve) and CAP_KILL, both over the session's
 * namespace only; without CAP_DAC_OVERRIDE and its like, what it opens for a caller is opened with the caller's rights.
 */
#include "supervisor/session.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "supervisor/door.h"
#include "supervisor/learn.h"
#include "supervisor/pool.h"
#include "supervisor/process.h"
#include "supervisor/supervisor.h"

/* Linux 6.6 */
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

/* Linux 5.14 */
#ifndef SECCOMP_ADDFD_FLAG_SEND
#define SECCOMP_ADDFD_FLAG_SEND (1UL << 1)
#endif

enum { STOP_TIMEOUT_MS = 10000, PROFILES_MAX = 64 };

static void send_control(int control, enum sg_control_kind kind, int value, const char *text, int fd)
{
	struct sg_control_message message = {.kind = (uint32_t)kind, .value = value};
	size_t size = strnlen(text, SG_CONTROL_TEXT_MAX);

	message.text_size = (uint32_t)size;
	memcpy(message.text, text, size);
	(void)sg_fd_send(control, &message, offsetof(struct sg_control_message, text) + size, &fd, fd >= 0 ? 1 : 0);
}

static SG_NORETURN void fail(const struct sg_session_spec *spec, const struct sg_error *error)
{
	send_control(spec->control, SG_CONTROL_FAILED, 125, error->text, -1);
	_exit(125);
}

static int take_identity(const struct sg_session_spec *spec, struct sg_error *error)
{
	int status;

	if (spec->parent < 0)
		status = sg_identity_write_maps(spec->identity, 0, false, error);
	else
		status = sg_mount_receive(spec->parent, spec->world.mounts, spec->world.mount_count);
	if (status < 0)
		return sg_error_set_errno(error, status, "the ids of the session were not mapped");
	return sg_identity_take(spec->identity, error);
}

/* While this process still is who made the control group: the identity that it takes may not write there. */
static void open_freezer(const struct sg_session_spec *spec, struct sg_supervisor *supervisor)
{
	const int group = spec->world.group;

	supervisor->freezer = group > 0 ? openat(group, "cgroup.freeze", O_WRONLY | O_CLOEXEC) : -1;
	supervisor->freezer_events = group > 0 ? openat(group, "cgroup.events", O_RDONLY | O_CLOEXEC) : -1;
}

/* Descriptors 0-2 are the user's: what is written to them here would not pass through the relay. */
static int leave_streams(struct sg_error *error)
{
	SG_AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i < 3; i++)
		if (null < 0 || dup2(null, i) < 0)
			return sg_error_set_errno(error, -errno, "cannot leave the user's descriptors");
	return 0;
}

static int drop_capabilities(struct sg_error *error)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	const uint32_t kept = 1U << CAP_SYS_PTRACE | 1U << CAP_KILL;
	struct __user_cap_data_struct data[2] = {{kept, kept, 0}, {0, 0, 0}};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capset, &header, data) < 0)
		return sg_error_set_errno(error, -errno, "cannot drop the supervisor's capabilities");
	return 0;
}

/*
 * A file system of the world's own, seen by its name: only the root of a mount of that type, with no symbolic link on the way.
 * Everything on a device that is taken for the world's own may be read and written there, so a folder of the host that
 * somebody outside put under the name must not be.
 */
static void add_own(struct sg_supervisor *supervisor, const char *path, long type)
{
	const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
	SG_AUTO_FD int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
	struct statfs system;
	struct statx mount;
	struct stat status;

	if (fd < 0 || fstatfs(fd, &system) < 0 || system.f_type != type || fstat(fd, &status) < 0 ||
	    statx(fd, "", AT_EMPTY_PATH, 0, &mount) < 0 || (mount.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0)
		return;
	if (supervisor->own_device_count < SG_OWN_DEVICES_MAX)
		supervisor->own_devices[supervisor->own_device_count++] = status.st_dev;
}

void sg_own_terminals(struct sg_supervisor *supervisor)
{
	struct stat status;

	if (stat("/dev/pts", &status) == 0 && !sg_is_own(supervisor, &status))
		add_own(supervisor, "/dev/pts", DEVPTS_SUPER_MAGIC);
}

/* What is looked up among the host's names, while the world comes up. */
static int look_at_host(struct sg_supervisor *supervisor, struct sg_error *error)
{
	SG_AUTO_FD int host = -1;
	int status;

	supervisor->view.self = getpid();
	supervisor->view.proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (supervisor->view.proc < 0)
		return sg_error_set_errno(error, -errno, "cannot open /proc");
	/* Here, where no cover stands over a name: what literal rules refuse is refused under every name. */
	host = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	status = host < 0 ? -errno : sg_denied_load(&supervisor->denied, supervisor->policy, host);
	return status < 0 ? sg_error_set_errno(error, status, "cannot look up the files that the profile refuses") : 0;
}

/* Moves into the world's mount tree, and notes which file systems in it are the world's own. */
static int enter_world(struct sg_supervisor *supervisor, struct sg_error *error)
{
	static const struct {
		enum sg_mount_kind kind;
		long type;
	} own[] = {{SG_MOUNT_PRIVATE, TMPFS_MAGIC},
		   {SG_MOUNT_PROC, PROC_SUPER_MAGIC},
		   {SG_MOUNT_PROC_SYSTEM, PROC_SUPER_MAGIC},
		   {SG_MOUNT_PTS, DEVPTS_SUPER_MAGIC}};
	static struct sg_root_links links;
	struct statvfs top;
	struct stat proc;
	int status;

	if (setns(supervisor->world.mount_namespace, CLONE_NEWNS) < 0)
		return sg_error_set_errno(error, -errno, "cannot enter the world's mount tree");
	supervisor->view.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (supervisor->view.root < 0)
		return sg_error_set_errno(error, -errno, "cannot open the world's root");
	status = sg_denied_load(&supervisor->denied, supervisor->policy, supervisor->view.root);
	if (status < 0)
		return sg_error_set_errno(error, status, "cannot look up the files that the profile refuses");
	supervisor->view.hides = supervisor->plan->decide_looks ? supervisor->names : NULL;
	if (fstatvfs(supervisor->view.root, &top) == 0 && (top.f_flag & ST_RDONLY) != 0)
		supervisor->view.links = &links;
	if (stat("/proc", &proc) == 0)
		supervisor->view.proc_device = proc.st_dev;
	add_own(supervisor, "/", TMPFS_MAGIC);
	supervisor->skeleton = supervisor->own_device_count > 0 ? supervisor->own_devices[0] : 0;
	for (size_t i = 0; i < supervisor->plan->mount_count; i++)
		for (size_t j = 0; j < SG_ARRAY_SIZE(own); j++)
			if (supervisor->plan->mounts[i].kind == own[j].kind)
				add_own(supervisor, supervisor->plan->mounts[i].target, own[j].type);
	return 0;
}

/*
 * What names of rules stand for where links led them elsewhere; `refused`: those that were not followed. The texts lie in `texts`.
 * Returns the list, owned by the caller; NULL: there is none.
 */
static struct sg_record_text *list_links(const struct sg_plan *plan, bool refused, struct sg_buffer *texts,
					 struct sg_record_list *ret)
{
	SG_AUTO_FREE struct sg_record_text *list = calloc(plan->led_count + 1, sizeof(*list));
	const char *at;
	size_t count = 0;

	for (size_t i = 0; i < plan->led_count; i++) {
		if ((plan->led[i].link != NULL) != refused)
			continue;
		sg_buffer_printf(texts, "%s -> %s", plan->led[i].name, plan->led[i].target);
		sg_buffer_append_byte(texts, '\0');
		count++;
	}
	if (list == NULL || sg_buffer_status(texts) < 0)
		return NULL;
	at = texts->data;
	for (size_t i = 0; i < count; i++, at += strlen(at) + 1)
		list[i] = sg_record_text(at);
	*ret = (struct sg_record_list){list, count};
	return sg_take_pointer(list);
}

static int record_start(const struct sg_session_spec *spec, struct sg_audit *audit)
{
	char hash[2 * SG_POLICY_HASH_SIZE + 1];
	struct sg_record_text argv[256], missing[SG_FEATURES_], files[PROFILES_MAX],
		profile = sg_record_text(spec->policy->name);
	SG_AUTO_BUFFER struct sg_buffer followed = SG_BUFFER_INIT, refused = SG_BUFFER_INIT;
	SG_AUTO_FREE struct sg_record_text *followed_list = NULL, *refused_list = NULL;
	struct utsname host;
	struct sg_record record = {.kind = SG_RECORD_SESSION_START,
				   .audience = sg_record_text("owner"),
				   .policy_profiles = {&profile, 1},
				   .user_name = sg_record_text(spec->user),
				   .user_uid = spec->identity->uid};
	size_t count = 0;

	for (size_t i = 0; i < spec->policy->profile_count && count < PROFILES_MAX; i++)
		if (!sg_policy_is_builtin(spec->policy->profiles[i]))
			files[count++] = sg_record_text(spec->policy->profiles[i]->source->name);
	record.policy_files = (struct sg_record_list){files, count};
	count = 0;

	for (size_t i = 0; i < spec->missing_count; i++)
		missing[i] = sg_record_text(sg_feature_infos[spec->missing[i]].name);
	for (; count < SG_ARRAY_SIZE(argv) && spec->world.argv[count] != NULL; count++)
		argv[count] = sg_record_text(spec->world.argv[count]);
	sg_policy_hash_text(spec->policy, hash);
	record.policy_hash = sg_record_text(hash);
	record.command = (struct sg_record_list){argv, count};
	record.missing = (struct sg_record_list){missing, spec->missing_count};
	record.accepted = record.missing; /* what is not accepted does not get here */
	record.apparmor = sg_record_text(spec->world.apparmor);
	record.no_apparmor = sg_record_text(spec->world.apparmor == NULL ? spec->no_apparmor : NULL);
	followed_list = list_links(spec->plan, false, &followed, &record.links_followed);
	refused_list = list_links(spec->plan, true, &refused, &record.links_refused);
	if (followed_list == NULL || refused_list == NULL)
		return -ENOMEM;
	if (uname(&host) == 0) {
		record.host_kernel = sg_record_text(host.release);
		record.host_name = sg_record_text(host.nodename);
	}
	return sg_audit_append(audit, &record, NULL);
}

/*
 * What answers calls must work before the first of them comes: a kernel without it, or a container's filter, would show itself
 * as a program that fails for no reason. Nothing is done here; each call comes as far as to find that there is nothing to do.
 */
static int check_calls(const struct sg_supervisor *supervisor, struct sg_error *error)
{
	struct seccomp_notif_addfd descriptor = {.flags = SECCOMP_ADDFD_FLAG_SEND,
						 .srcfd = (uint32_t)supervisor->world.listener};

	if (process_vm_readv(getpid(), NULL, 0, NULL, 0, 0) < 0)
		return sg_error_set_errno(error, -errno, "cannot read the arguments of calls");
	if (ptrace(PTRACE_SEIZE, (pid_t)0, NULL, NULL) < 0 && errno != ESRCH)
		return sg_error_set_errno(error, -errno, "cannot trace executions");
	if (ioctl(supervisor->world.listener, SECCOMP_IOCTL_NOTIF_ADDFD, &descriptor) < 0 && errno != ENOENT)
		return sg_error_set_errno(error, -errno, "cannot give descriptors");
	return 0;
}

bool sg_wake_at_once(int listener)
{
	const uint64_t sync = SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP;

	/* Before Linux 6.6 answers are just slower. */
	return !sg_feature_hidden(SG_FEATURE_SECCOMP_SYNC) && ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, sync) == 0;
}

/* The creator of the socket to the front end is the session's owner: so is who looks the same at the session's door. */
static int find_owner(struct sg_supervisor *supervisor)
{
	struct ucred owner;
	socklen_t size = sizeof(owner);

	if (getsockopt(supervisor->control, SOL_SOCKET, SO_PEERCRED, &owner, &size) < 0)
		return -errno;
	supervisor->owner_seen = owner.uid;
	return 0;
}

static int start(struct sg_session_spec *spec, struct sg_supervisor *supervisor, struct sg_error *error)
{
	char hash[2 * SG_POLICY_HASH_SIZE + 1];
	const struct sg_audit_options audit = {
		.session = spec->session, .log = spec->log, .policy = hash, .no_wait = true, .early_end = true};
	int status = leave_streams(error);

	sg_policy_hash_text(spec->policy, hash);
	open_freezer(spec, supervisor);
	if (status == 0)
		status = take_identity(spec, error);
	/*
	 * The world comes up by itself while we make ready what decides about it. Its first process is forked before the auditor's
	 * ring is there. Nothing of the world's runs before the end of this function: the command waits for us in its first
	 * execve, whatever fails here meanwhile.
	 */
	if (status == 0)
		status = find_owner(supervisor);
	if (status == 0)
		status = sg_world_begin(&spec->world, &supervisor->world, error);
	if (status == 0 && spec->watched != NULL)
		status = sg_learning_new(spec->watched, &supervisor->learning);
	if (status == 0)
		status = sg_matcher_new(supervisor->plan->names, SG_MATCHER_MEMORY, &supervisor->names);
	if (status == 0)
		status = sg_network_prepare(supervisor, error);
	if (status == 0)
		status = look_at_host(supervisor, error);
	if (status == 0)
		status = sg_world_await_keeper(&supervisor->world, error);
	if (status == 0)
		status = sg_audit_start(&audit, &supervisor->audit, error);
	if (status == 0)
		status = sg_world_finish(&supervisor->world, error);
	for (int i = 0; i < 3; i++)
		sg_fd_close(spec->world.stdio[i]);
	if (status == 0)
		status = check_calls(supervisor, error);
	/* The command waits in its first execve: nothing of the world has run before the session's first record. */
	if (status == 0)
		status = sg_audit_ready(supervisor->audit, error);
	if (status == 0) {
		status = record_start(spec, supervisor->audit);
		if (status < 0)
			(void)sg_error_set_errno(error, status, "cannot record the start of the session");
	}
	if (status == 0)
		status = enter_world(supervisor, error);
	if (status == 0)
		status = sg_network_start(supervisor, error);
	if (status == 0)
		status = drop_capabilities(error);
	if (status == 0)
		(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (status == 0)
		status = sg_pool_start(supervisor);
	if (status == 0)
		supervisor->wakes_at_once = sg_wake_at_once(supervisor->world.listener);
	return status < 0 ? sg_error_set_errno(error, status, "cannot start the session") : 0;
}

/*
 * Ends the log. An auditor that somebody stopped goes on; one that does not end all the same is killed, so that nothing of the
 * session stays. Returns 0, or why the record is not complete.
 */
static int end_record(struct sg_supervisor *supervisor, int exit_status)
{
	const struct sg_record record = {
		.kind = SG_RECORD_SESSION_END, .audience = sg_record_text("owner"), .exit_status = exit_status};
	SG_AUTO_FD int auditor = fcntl(sg_audit_pidfd(supervisor->audit), F_DUPFD_CLOEXEC, 3);
	int status;

	(void)pidfd_send_signal(auditor, SIGCONT, NULL, 0);
	status = sg_audit_stop(supervisor->audit, &record, STOP_TIMEOUT_MS, NULL);
	supervisor->audit = NULL;
	if (status == -ETIMEDOUT)
		(void)pidfd_send_signal(auditor, SIGKILL, NULL, 0);
	return status;
}

/* Of a command that was never executed, by the exit status that world/init.c gave it: a shell says it, so we do. */
static void describe_not_started(const char *name, int status, char *text, size_t size)
{
	if (status == 126)
		(void)snprintf(text, size, "%s may not be executed in this world, or is no program", name);
	else if (strchr(name, '/') == NULL)
		(void)snprintf(text, size, "%s: not found in this world, in no folder of its PATH", name);
	else
		(void)snprintf(text, size,
			       "%s: not found in this world (or it is a script whose interpreter is not there)", name);
}

static void end(struct sg_session_spec *spec, struct sg_supervisor *supervisor, int status)
{
	const bool started = supervisor->command_started;
	char text[SG_CONTROL_TEXT_MAX];
	int recorded;

	sg_world_done(&supervisor->world);
	sg_entry_end_all(supervisor);
	recorded = end_record(supervisor, status);
	if (recorded < 0) {
		(void)snprintf(text, sizeof(text), "the record %s is not complete: %s", spec->log_path,
			       sg_audit_words(recorded));
		send_control(spec->control, SG_CONTROL_FAILED, 125, text, -1);
	} else if (!started && (status == 126 || status == 127)) {
		describe_not_started(spec->world.argv[0], status, text, sizeof(text));
		send_control(spec->control, SG_CONTROL_FAILED, status, text, -1);
	} else {
		send_control(spec->control, SG_CONTROL_ENDED, status, "", -1);
	}
}

void sg_session_run(struct sg_session_spec *spec)
{
	static struct sg_supervisor supervisor;
	const struct sg_world_stand_in stand_in = {.door = spec->door,
						   .front = (int)syscall(SYS_pidfd_open, getppid(), 0),
						   .looked = &supervisor.looked,
						   .answer = sg_door_stand_in,
						   .data = &supervisor};
	struct sg_error error = SG_ERROR_INIT;
	sigset_t all;
	int status;

	(void)prctl(PR_SET_NAME, "sg-supervisor", 0, 0, 0);
	(void)setsid();
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	supervisor.origin = &supervisor;
	supervisor.policy = spec->policy;
	supervisor.plan = spec->plan;
	supervisor.world = SG_WORLD_INIT;
	supervisor.control = spec->control;
	supervisor.door = spec->door;
	spec->world.stand_in = &stand_in;
	supervisor.description = spec->description;
	supervisor.owner = spec->user;
	supervisor.owner_uid = spec->owner;
	supervisor.ids_fixed =
		(spec->world.capabilities & (UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID)) == 0;
	if (start(spec, &supervisor, &error) < 0) {
		sg_world_done(&supervisor.world);
		fail(spec, &error);
	}
	(void)mallopt(M_MMAP_THRESHOLD, SG_MMAP_THRESHOLD);
	sg_process_end_at(supervisor.world.keeper);
	status = sg_supervise(&supervisor);
	end(spec, &supervisor, status);
	_exit(0);
}
