/* shellguard run: from options to a session, and the front end of it. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "audit/log.h"
#include "base/fd.h"
#include "cli/help.h"
#include "cli/missing.h"
#include "cli/options.h"
#include "cli/relay.h"
#include "cli/run.h"
#include "cli/written.h"
#include "supervisor/door.h"
#include "supervisor/session.h"
#include "world/confine.h"
#include "world/environment.h"
#include "world/filter_learn.h"
#include "world/grants.h"

/* Everything that a session is made of, until its end. */
struct run {
	struct sg_options options;
	struct sg_run_mode mode;
	struct sg_policy *policy;
	struct sg_plan *plan;
	struct sg_identity identity;
	struct sg_filter_program *filter;  /* what the kernel gets */
	struct sg_filter_program *watched; /* of a watched session: its own filter; else NULL */
	struct sg_stdio stdio;
	struct sg_stdio_pipes pipes;
	struct sg_world_limit limits[32];
	char session[SG_LOG_SESSION_SIZE];
	char **environment, *log_path, *door_path, *description;
	int door;
	char *default_command[2];
	struct sg_cgroup group;
	struct sg_missing missing;
	struct sg_missing_profile profile; /* of AppArmor */
	int log;
};

static void find_limits(struct run *run, struct sg_world_spec *world)
{
	size_t count = 0;

	for (size_t i = 0; i < sg_limit_count && count < SG_ARRAY_SIZE(run->limits); i++) {
		uint64_t value = sg_policy_limit(run->policy, sg_limit_infos[i].name, NULL);

		if (value != 0 && sg_limit_infos[i].resource != SG_LIMIT_GROUP)
			run->limits[count++] = (struct sg_world_limit){sg_limit_infos[i].resource, (rlim_t)value};
	}
	world->limits = run->limits;
	world->limit_count = count;
}

/* A profile that gives nothing cannot start anything: say what it takes. */
static int check_can_start(const struct run *run)
{
	static const char least[] =
		"\n    [Runtime]\n    Flags = [\"start\"]\n    [Filesystem]\n    Exec = [\"/usr/bin/PROGRAM\"]\n\n";
	size_t executable;

	(void)sg_policy_rules(run->policy, SG_RULE_EXECUTE, &executable);
	if (sg_policy_has_flag(run->policy, "start") && executable > 0)
		return 0;
	sg_complain("the profile \"%s\" allows nothing to start; the least that a program needs is:",
		    run->policy->name);
	(void)sg_print(STDERR_FILENO, least, sizeof(least) - 1);
	return SG_EXIT_FAILED;
}

/* What of `granted` every profile that starts a program has. */
static int find_base(const struct sg_filter_grants *granted, const struct sg_variables *variables,
		     struct sg_filter_grants *ret)
{
	SG_AUTO_POLICY struct sg_policy *policy = NULL;

	if (sg_load_policy(NULL, 0, "Runtime.Flags = [\"start\"]\n", variables, &policy) != 0)
		return -EINVAL;
	sg_grants_find(policy, ret);
	for (size_t i = 0; i < SG_ARRAY_SIZE(ret->calls.words); i++)
		ret->calls.words[i] &= granted->calls.words[i];
	for (size_t i = 0; i < SG_ARRAY_SIZE(ret->flags.words); i++)
		ret->flags.words[i] &= granted->flags.words[i];
	return 0;
}

static int make_filter(struct run *run, const struct sg_variables *variables, struct sg_error *error)
{
	struct sg_filter_grants grants, base;
	struct sg_filter_plan plan;
	int status;

	run->filter = malloc(sizeof(*run->filter));
	if (run->filter == NULL)
		return -ENOMEM;
	sg_grants_find(run->policy, &grants);
	sg_grants_plan(run->plan, &plan);
	status = sg_filter_build(&grants, &plan, run->filter, error);
	if (status < 0 || !run->mode.watched)
		return status;
	run->watched = run->filter;
	run->filter = malloc(sizeof(*run->filter));
	if (run->filter == NULL)
		return -ENOMEM;
	status = find_base(&grants, variables, &base);
	return status == 0 ? sg_filter_build_watching(&base, &plan, run->filter, error) : status;
}

static const char *working_directory(const struct run *run, const struct sg_variables *variables, bool *ret_named)
{
	size_t count;
	const struct sg_rule *rules = sg_policy_rules(run->policy, SG_RULE_DIRECTORY, &count);

	*ret_named = count > 0;
	return count > 0 ? rules[0].text : variables->cwd;
}

static int prepare(struct run *run, const struct sg_variables *variables, struct sg_error *error)
{
	struct sg_plan_options options = {.pty = run->stdio.wants_pty, .cwd = variables->cwd};
	size_t count;
	const struct sg_rule *users = sg_policy_rules(run->policy, SG_RULE_USER, &count);
	int status = sg_identity_find(count > 0 ? users[0].text : NULL, &run->identity, error);

	options.owned = run->identity.mapped;
	options.user = run->identity.uid;
	options.written = sg_written_of_caller(&run->identity);
	if (status == 0)
		status = sg_plan_make(run->policy, &options, &run->plan, error);
	if (status == 0)
		status = make_filter(run, variables, error);
	if (status == 0)
		status = sg_log_new_session(run->session);
	if (status == 0)
		status = sg_environment_make(run->policy, environ, run->session, variables->home, variables->user,
					     &run->environment);
	return status;
}

/*
 * Copies of the command's words: where the arguments lie, the first process overwrites them (sg_init_forget_arguments), while the
 * command still reads them.
 */
static char **copy_words(char *const *words)
{
	size_t count = 0;
	char **copy;

	while (words[count] != NULL)
		count++;
	copy = calloc(count + 1, sizeof(*copy));
	for (size_t i = 0; copy != NULL && i < count; i++) {
		copy[i] = strdup(words[i]);
		if (copy[i] == NULL)
			return NULL;
	}
	return copy;
}

static void describe_world(struct run *run, const struct sg_variables *variables, struct sg_world_spec *world)
{
	mode_t mask = umask(0);

	(void)umask(mask);
	*world = (struct sg_world_spec){
		.identity = &run->identity,
		.mounts = run->plan->mounts,
		.mount_count = run->plan->mount_count,
		.filter = run->filter->code,
		.filter_length = run->filter->count,
		.capabilities = sg_grants_capabilities(run->policy),
		.hostname = "world",
		.argv = run->options.command,
		.environment = run->environment,
		.umask = mask,
		.pty = run->stdio.wants_pty,
		.landlock = run->missing.landlock,
		.apparmor = run->profile.lock >= 0 ? run->profile.name : NULL,
		.apparmor_lock = run->profile.lock,
		.ping = sg_policy_has_flag(run->policy, "ping"),
		.resolver = sg_policy_has_flag(run->policy, "dns"),
		.background = run->stdio.keys_on_demand,
		.termios = run->stdio.wants_pty ? &run->stdio.termios : NULL,
		.window = run->stdio.wants_pty ? &run->stdio.window : NULL,
	};
	world->directory = working_directory(run, variables, &world->directory_named);
	find_limits(run, world);
	world->group = run->group.world;
	world->group_required = run->group.memory;
	for (int i = 0; i < 3; i++) {
		world->stdio[i] = run->pipes.world[i];
		world->closed[i] = run->stdio.of[i].kind == SG_STDIO_CLOSED;
	}
}

static uid_t streams_owner(const struct run *run)
{
	return run->identity.uid == 0 ? run->identity.zero : run->identity.uid;
}

/* As root our pipes are root's, and the world's 0 is not: give them to it, so that it can open /dev/stdout anew. */
static int hand_over_pipes(const struct run *run, struct sg_error *error)
{
	for (int i = 0; run->identity.mapped && i < 3; i++)
		if (run->pipes.world[i] >= 0 && fchown(run->pipes.world[i], streams_owner(run), (gid_t)-1) < 0)
			return sg_error_set_errno(error, -errno, "cannot hand over the world's pipes");
	return 0;
}

/* Signals to us reach the command through the relay, so the supervisor must not be killed by the terminal's. */
static pid_t fork_supervisor(struct sg_session_spec *spec, int control, int parent, struct run *run)
{
	struct clone_args arguments = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	const bool grouped = run->group.supervisor >= 0;
	long pid;

	if (grouped) {
		arguments.flags |= CLONE_INTO_CGROUP;
		arguments.cgroup = (uint64_t)(unsigned int)run->group.supervisor;
	}
	pid = syscall(SYS_clone3, &arguments, sizeof(arguments));
	if (pid < 0 && grouped && !spec->world.group_required) {
		arguments.flags = CLONE_NEWUSER;
		spec->world.group = -1;
		pid = syscall(SYS_clone3, &arguments, sizeof(arguments));
	}
	if (pid != 0)
		return pid < 0 ? -errno : (pid_t)pid;
	/* Our ends of the sockets must be ours alone, or the supervisor would never see that we have died. */
	sg_fd_close(control);
	sg_fd_close(parent);
	sg_stdio_pipes_close_front(&run->pipes);
	sg_session_run(spec);
}

/* As root: the supervisor cannot write its own maps, nor clone trees that its ids cannot reach. */
static int prepare_as_root(struct run *run, pid_t supervisor, int socket, struct sg_error *error)
{
	int status = sg_identity_write_maps(&run->identity, supervisor, false, error);
	SG_AUTO_FD int namespace = -1;
	char path[48];

	(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)supervisor);
	namespace = open(path, O_RDONLY | O_CLOEXEC);
	if (status == 0 && namespace < 0)
		status = sg_error_set_errno(error, -errno, "cannot open the session's user namespace");
	if (status == 0)
		status = sg_mount_prepare(run->plan->mounts, run->plan->mount_count, namespace, error);
	if (status == 0)
		status = sg_mount_send(socket, run->plan->mounts, run->plan->mount_count);
	return status < 0 ? sg_error_set_errno(error, status, "cannot prepare the world as root") : 0;
}

/* The session's door (ps, stop). A session works without one: where its folder cannot be made it is just not listed. */
static void make_door(struct run *run)
{
	SG_AUTO_BUFFER struct sg_buffer text = SG_BUFFER_INIT;

	sg_buffer_printf(&text, "{\"session\":\"%s\",\"pid\":%d,\"policy\":", run->session, (int)getpid());
	sg_buffer_append_json(&text, run->policy->name, strlen(run->policy->name));
	/* Whose the pipes of whoever enters must be, so that the world can open /dev/stdout anew. */
	if (run->identity.mapped)
		sg_buffer_printf(&text, ",\"streams_uid\":%u", (unsigned int)streams_owner(run));
	sg_buffer_append_text(&text, ",\"command\":[");
	for (size_t i = 0; run->options.command[i] != NULL && text.size < SG_DOOR_TEXT_MAX / 2; i++) {
		const char *word = run->options.command[i];

		if (i > 0)
			sg_buffer_append_byte(&text, ',');
		sg_buffer_append_json(&text, word, strnlen(word, 200));
	}
	sg_buffer_append_text(&text, "]}\n");
	run->description = sg_buffer_take(&text);
	if (run->description == NULL || strlen(run->description) >= SG_DOOR_TEXT_MAX ||
	    sg_door_open(run->session, &run->door, &run->door_path, NULL) < 0)
		run->door = -1;
}

/* No world reaches a door, its own or another: who is behind a connection that was made for it would look like the owner. */
static int withhold_doors(struct run *run, struct sg_error *error)
{
	SG_AUTO_FREE char *path = run->door_path == NULL ? NULL : realpath(run->door_path, NULL);

	if (run->door_path == NULL)
		return 0;
	if (path == NULL)
		return sg_error_set_errno(error, -errno, "cannot find the session's door %s again", run->door_path);
	*strrchr(path, '/') = '\0';
	return sg_plan_withhold(run->plan, path) < 0
		       ? sg_error_set_errno(error, -ENOMEM, "cannot withhold the sessions' doors")
		       : 0;
}

/* A server that does not answer may hold a thread of it for ever: then the profile goes with the next session that starts. */
static void await_exit_for_a_while(pid_t supervisor)
{
	enum { PATIENCE_MS = 500 };
	SG_AUTO_FD int pidfd = (int)syscall(SYS_pidfd_open, supervisor, 0);
	struct pollfd ended = {.fd = pidfd, .events = POLLIN};

	if (pidfd >= 0)
		(void)poll(&ended, 1, PATIENCE_MS);
}

static int run_session(struct run *run, const struct sg_variables *variables)
{
	struct sg_session_spec spec = {.policy = run->policy,
				       .plan = run->plan,
				       .identity = &run->identity,
				       .session = run->session,
				       .log = run->log,
				       .parent = -1,
				       .watched = run->watched,
				       .door = run->door,
				       .description = run->description,
				       .log_path = run->log_path,
				       .user = variables->user,
				       .owner = geteuid()};
	struct sg_relay relay = {
		.stdio = &run->stdio, .pipes = &run->pipes, .quiet = run->options.quiet, .on_demand = true};
	struct sg_error error = SG_ERROR_INIT;
	int control[2] = {-1, -1}, parent[2] = {-1, -1}, status, result = SG_EXIT_FAILED;
	pid_t supervisor = -1;

	status = sg_stdio_make_pipes(&run->stdio, &run->pipes, &error);
	if (status == 0)
		status = hand_over_pipes(run, &error);
	if (status == 0 && run->identity.mapped && run->group.group >= 0)
		status = sg_cgroup_hand_over(&run->group, streams_owner(run), &error);
	if (status == 0 && (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0 ||
			    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, parent) < 0))
		status = sg_error_set_errno(&error, -errno, "cannot prepare the session");
	if (status == 0) {
		describe_world(run, variables, &spec.world);
		spec.control = control[1];
		spec.missing = run->missing.features;
		spec.missing_count = run->missing.count;
		spec.no_apparmor = run->missing.no_apparmor;
		if (run->identity.mapped)
			spec.parent = parent[1];
		supervisor = fork_supervisor(&spec, control[0], parent[0], run);
		if (supervisor < 0)
			status = sg_error_set_errno(&error, supervisor,
						    "cannot make a user namespace (\"shellguard doctor\" says why)");
	}
	if (status == 0 && run->identity.mapped)
		status = prepare_as_root(run, supervisor, parent[0], &error);
	sg_stdio_pipes_close_world(&run->pipes);
	run->door = sg_fd_close(run->door);
	sg_fd_close(control[1]);
	sg_fd_close(parent[0]);
	sg_fd_close(parent[1]);
	if (status == 0)
		status = sg_log_settle(run->log_path, &error);
	if (status == 0) {
		relay.control = control[0];
		status = sg_relay_run(&relay, &result, &error);
	}
	sg_fd_close(control[0]);
	/*
	 * By its last message the supervisor says that the world is gone and the record whole: its own exit is waited for only
	 * where that message did not come as it should, or where it holds what only we can take away: the world's profile.
	 */
	if (supervisor > 0 && (status < 0 || !relay.started))
		while (waitpid(supervisor, NULL, 0) < 0 && errno == EINTR)
			continue;
	else if (supervisor > 0 && run->profile.lock >= 0)
		await_exit_for_a_while(supervisor);
	if (run->door_path != NULL)
		(void)unlink(run->door_path);
	if (status < 0) {
		sg_complain("%s", error.code != 0 ? error.text : "the session failed");
		result = SG_EXIT_FAILED;
	}
	if (!relay.started && result == SG_EXIT_FAILED)
		sg_missing_explain(variables->cwd);
	return result;
}

/*
 * No world reaches a record. The folder of all of them is withheld where a profile gives a folder above it; a record that the
 * user puts where this world may write is refused, since a single file there could be moved away from under any cover.
 */
static int withhold_record(struct run *run, struct sg_error *error)
{
	SG_AUTO_FREE char *path = realpath(run->log_path, NULL);
	char *slash;

	if (path == NULL)
		return sg_error_set_errno(error, -errno, "cannot find the record %s again", run->log_path);
	if (run->options.record != NULL) {
		int status = sg_plan_gives_writing(run->plan, path);

		if (status <= 0)
			return status < 0 ? sg_error_set_errno(error, status, "cannot judge the place of the record")
					  : 0;
		(void)unlink(path); /* empty, and made a moment ago by us */
		return sg_error_set(
			error, -EPERM,
			"the record %s would lie where the profile lets the world write; choose another place", path);
	}
	/* FOLDER/sessions/ID.jsonl: all of FOLDER is ours. */
	for (int i = 0; i < 2; i++) {
		slash = strrchr(path, '/');
		if (slash == NULL || slash == path)
			return sg_error_set(error, -EINVAL, "the record %s lies in no folder of its own",
					    run->log_path);
		*slash = '\0';
	}
	return sg_plan_withhold(run->plan, path) < 0 ? sg_error_set_errno(error, -ENOMEM, "cannot withhold the records")
						     : 0;
}

/*
 * What a start takes: few, but some are kept at high numbers, out of the way of those that are inherited. Refused before anything is made: half-way, each side would
 * wait for a descriptor that the other could not send.
 */
enum { DESCRIPTORS_MIN = 1024 };

static int check_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max < DESCRIPTORS_MIN) {
		sg_complain("a session takes up to %d descriptors, and this process may have fewer; raise the limit "
			    "(ulimit -Hn)",
			    DESCRIPTORS_MIN);
		return SG_EXIT_FAILED;
	}
	/* The command has the profile's limit in any case. */
	if (limit.rlim_cur < DESCRIPTORS_MIN) {
		limit.rlim_cur = DESCRIPTORS_MIN;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
	return 0;
}

static int check_cores(void)
{
	struct sg_error error = SG_ERROR_INIT;

	if (sg_confine_check_cores(&error) == 0)
		return 0;
	sg_complain("%s", error.text);
	return SG_EXIT_FAILED;
}

static int load(struct run *run, const struct sg_variables *variables)
{
	static const char *const fallback[] = {"developer"};
	const struct sg_profile_text texts[] = {{SG_POLICY_COMMAND_LINE, run->options.lines.data},
						{run->mode.name, run->mode.text}};
	const bool named = run->options.profile_count > 0 || run->mode.text != NULL;

	return sg_load_policy_texts(named ? run->options.profiles : fallback, named ? run->options.profile_count : 1,
				    texts, SG_ARRAY_SIZE(texts), variables, &run->policy);
}

/* To whom it may concern: the record's name, and nothing else. */
static void tell_record(struct run *run)
{
	if (run->mode.tell < 0)
		return;
	(void)sg_fd_write_full(run->mode.tell, run->log_path, strlen(run->log_path));
	run->mode.tell = sg_fd_close(run->mode.tell);
}

static int run_all(struct run *run)
{
	const struct sg_variables *variables = sg_variables_of_caller();
	struct sg_error error = SG_ERROR_INIT;
	const char *shell = getenv("SHELL");
	int status;

	if (check_descriptors() != 0 || check_cores() != 0 || sg_missing_inside(".") != 0)
		return SG_EXIT_FAILED;
	if (variables == NULL) {
		sg_complain("the working directory is gone, or lies outside of what we see");
		return SG_EXIT_FAILED;
	}
	if (run->options.command[0] == NULL) {
		run->default_command[0] = (char *)(uintptr_t)(shell != NULL && shell[0] == '/' ? shell : "/bin/sh");
		run->options.command = run->default_command;
	}
	run->options.command = copy_words(run->options.command);
	if (run->options.command == NULL) {
		sg_complain("out of memory");
		return SG_EXIT_FAILED;
	}
	if (sg_stdio_inspect(&run->stdio, &error) < 0) {
		sg_complain("%s", error.text);
		return SG_EXIT_FAILED;
	}
	status = load(run, variables);
	if (status != 0)
		return SG_EXIT_FAILED;
	status = check_can_start(run);
	if (status != 0)
		return status;
	if (prepare(run, variables, &error) != 0) {
		sg_complain("%s", error.code != 0 ? error.text : "cannot prepare the session");
		return SG_EXIT_FAILED;
	}
	status = sg_missing_find(run->policy, run->plan, &run->identity, run->session, run->mode.watched, &run->group,
				 &run->missing);
	if (status != 0)
		return status;
	if (!run->options.quiet)
		sg_written_warn(run->plan);
	if (run->options.dry_run)
		return SG_EXIT_OK;
	if (sg_log_create(run->options.record, run->session, &run->log, &run->log_path, &error) < 0) {
		sg_complain("%s; without a record nothing is started", error.text);
		return SG_EXIT_FAILED;
	}
	if (sg_written_note(run->plan, &error) < 0 || withhold_record(run, &error) < 0) {
		sg_complain("%s", error.text);
		return SG_EXIT_FAILED;
	}
	tell_record(run);
	make_door(run);
	if (withhold_doors(run, &error) < 0 || sg_missing_withhold_apparmor(run->plan, &error) < 0) {
		sg_complain("%s", error.text);
		if (run->door_path != NULL)
			(void)unlink(run->door_path);
		return SG_EXIT_FAILED;
	}
	status = sg_missing_take_apparmor(run->plan, &run->missing, &run->profile);
	if (status != 0) {
		if (run->door_path != NULL)
			(void)unlink(run->door_path);
		return status;
	}
	status = run_session(run, variables);
	sg_missing_release_apparmor(&run->profile);
	return status;
}

/*
 * Not freed: it goes with the process. Its pages are shared with the supervisor, a fork of ours, and to free each piece
 * would copy nearly all of them, just before the end.
 */
static struct run the_run = {.pipes = SG_STDIO_PIPES_INIT,
			     .group = SG_CGROUP_INIT,
			     .log = -1,
			     .door = -1,
			     .profile = {.lock = -1},
			     .mode = {.tell = -1}};

/*
 * Large tables in pages of their own, for the start: what is taken from the heap is cleared by writing to it, also where it was
 * never used, and what the supervisor takes again there is a page shared with us, and is copied.
 */
static void prepare_memory(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, SG_MMAP_THRESHOLD_START);
}

void sg_run_as(struct sg_options *options, const struct sg_run_mode *mode)
{
	prepare_memory();
	the_run.options = *options;
	the_run.mode = *mode;
	sg_cgroup_exit(&the_run.group, run_all(&the_run));
}

int sg_command_run(int argc, char **argv)
{
	int status;

	prepare_memory();
	if (sg_options_read(argc, argv, &the_run.options) < 0)
		status = SG_EXIT_FAILED;
	else if (the_run.options.help)
		status = sg_command_help("run", STDOUT_FILENO) == 0 ? SG_EXIT_OK : SG_EXIT_FAILED;
	else
		status = run_all(&the_run);
	sg_cgroup_exit(&the_run.group, status);
}
