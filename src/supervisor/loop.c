/* The supervisor's loop: calls of the world, calls of its first process, messages of the front end, ends of processes. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "policy/compile.h"
#include "policy/words.h"
#include "supervisor/door.h"
#include "supervisor/guard.h"
#include "supervisor/learn.h"
#include "supervisor/pool.h"
#include "supervisor/supervisor.h"
#include "tables/syscalls.h"

static void tell(struct sg_supervisor *supervisor, enum sg_control_kind kind, int value, int fd)
{
	struct sg_control_message message = {.kind = (uint32_t)kind, .value = value};

	(void)sg_fd_send(supervisor->control, &message, offsetof(struct sg_control_message, text), &fd,
			 fd >= 0 ? 1 : 0);
}

/* A call that the policy does not give, or not with these arguments: refused, and recorded with what it would take. */
static void refuse_call(struct sg_request *request, const struct sg_syscall *call)
{
	struct sg_decision decision = {
		.verdict = SG_VERDICT_DENY, .error = EPERM, .reason = "no kernel that we know has it"};
	struct sg_need need = {.kind = SG_NEED_UNKNOWN};
	char reason[512];

	request->operation = "call";
	if (call != NULL) {
		/* Which flag would help is asked of all of them; without them the reason says less. */
		if (sg_policy_read_flags(request->supervisor->policy) == 0)
			sg_need_find(request->supervisor->policy, call,
				     (const uint64_t *)request->notification.data.args, &need);
		sg_words_need(&need, reason, sizeof(reason));
		decision.reason = reason;
		decision.rule = need.rule;
		decision.needs = need.kind == SG_NEED_FLAG ? need.flag : NULL;
		if (call->class == SG_CLASS_NEVER && call->error != 0)
			decision.error = call->error;
	}
	(void)sg_report(request, &decision, call != NULL ? call->name : "an unknown system call", need.detail);
	sg_answer_error(request, decision.error);
}

bool sg_call_is_given(const struct sg_supervisor *supervisor, const struct sg_syscall *call)
{
	return sg_policy_find(supervisor->policy, SG_RULE_SYSCALL, call->name) != NULL &&
	       sg_policy_find(supervisor->policy, SG_RULE_DENY_SYSCALL, call->name) == NULL;
}

/*
 * Calls that mostly are over when they are answered, and come by the hundred: about files, and connections (those that are another
 * case say so: net_connect.c). Executions have stops that have to be collected, and messages may be asked of the session's resolver.
 */
static bool comes_in_rows(const struct sg_syscall *call)
{
	return call->class == SG_CLASS_NET_NAME
		       ? call->number == SYS_connect || call->number == SYS_accept || call->number == SYS_accept4
		       : call->class != SG_CLASS_EXEC;
}

static void handle_names(struct sg_request *request, void (*handler)(struct sg_request *))
{
	if (!sg_pool_handle(request, handler))
		handler(request);
}

static void handle(struct sg_request *request)
{
	struct sg_supervisor *supervisor = request->supervisor;
	const struct sg_syscall *call = sg_syscall_by_number((unsigned int)request->notification.data.nr);
	const pid_t tid = request->caller.tid;
	const bool first = (!supervisor->command_started && tid == supervisor->world.command) ||
			   sg_entry_is_starting(supervisor, tid);

	if (supervisor->learning != NULL && !first && sg_learn_handle(request))
		return;
	if (call == NULL || (!sg_call_is_given(supervisor, call) && !(call->class == SG_CLASS_EXEC && first))) {
		refuse_call(request, call);
		return;
	}
	if (sg_pool_prepare(request))
		return;
	supervisor->in_row = comes_in_rows(call) ? supervisor->in_row + 1 : 0;
	switch ((enum sg_syscall_class)call->class) {
	case SG_CLASS_FILE_OPEN:
		handle_names(request, sg_handle_open);
		break;
	case SG_CLASS_EXEC:
		sg_handle_exec(request);
		break;
	case SG_CLASS_FILE_CHANGE:
	case SG_CLASS_FD_CHANGE:
		handle_names(request, sg_handle_change);
		break;
	case SG_CLASS_FILE_LOOK:
	case SG_CLASS_FILE_DETAIL:
	case SG_CLASS_FD_LOOK:
		handle_names(request, sg_handle_look);
		break;
	case SG_CLASS_FILE_ENTER:
		sg_handle_enter(request);
		break;
	case SG_CLASS_NET_NAME:
		sg_handle_network(request);
		break;
	default:
		refuse_call(request, call);
		break;
	}
}

static void handle_and_answer(struct sg_request *request)
{
	handle(request);
	/* A handler that found the caller gone has not answered; if it was wrong, the caller gets an error. */
	if (!request->answered)
		sg_answer_error(request, EINTR);
}

static void serve(struct sg_supervisor *supervisor, int listener, struct sg_request *request)
{
	request->supervisor = supervisor;
	request->operation = "call";
	request->generation = atomic_load(&supervisor->generation);
	request->caller = (struct sg_caller){.listener = listener,
					     .id = request->notification.id,
					     .tid = (pid_t)request->notification.pid,
					     .proc = supervisor->view.proc};
	sg_note_caller(request->caller.tid);
	handle_and_answer(request);
}

void sg_receive_call(struct sg_supervisor *supervisor, int listener)
{
	struct sg_request request = {.answered = false};

	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request.notification) < 0)
		return; /* ENOENT, EINTR: the caller went away before it was received */
	serve(supervisor, listener, &request);
}

/* What workers have made ready. */
static void receive_prepared(struct sg_supervisor *supervisor)
{
	struct sg_request request;

	while (sg_pool_return(supervisor, &request))
		handle_and_answer(&request);
}

/* From here on programs of the world run, and its door is answered; without one the session is just not listed. */
static void note_seal(struct sg_supervisor *supervisor)
{
	struct epoll_event event = {.events = EPOLLIN};

	supervisor->sealed = true;
	if (supervisor->door >= 0)
		(void)epoll_ctl(supervisor->rare, EPOLL_CTL_ADD, supervisor->door, &event);
}

/*
 * The first process of the world tells what became of the command. What poll(2) found may have been received since, by sg_await_seal, and
 * where there is no call, receiving waits for one.
 */
static void receive_first(struct sg_supervisor *supervisor)
{
	struct pollfd wait = {.fd = supervisor->world.first_listener, .events = POLLIN};
	struct seccomp_notif call = {0};
	struct seccomp_notif_resp answer = {0};

	if (poll(&wait, 1, 0) <= 0 || (wait.revents & POLLIN) == 0 ||
	    ioctl(supervisor->world.first_listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
		return;
	answer.id = call.id;
	/*
	 * The command stops as often as the world likes, and whoever reads of it may be stopped: one that finds no room is dropped, since then
	 * others are unread.
	 */
	if (call.data.nr == SG_WORLD_CALL && call.data.args[0] == SG_WORLD_CALL_STOPPED &&
	    sg_control_has_room(supervisor->control, 3))
		tell(supervisor, SG_CONTROL_STOPPED, (int)call.data.args[1], -1);
	if (call.data.nr == SG_WORLD_CALL && call.data.args[0] == SG_WORLD_CALL_SEALED)
		note_seal(supervisor);
	(void)ioctl(supervisor->world.first_listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

bool sg_await_seal(struct sg_supervisor *supervisor)
{
	const int64_t deadline = sg_now_ms() + SG_WORLD_START_SECONDS * 1000;

	/* A listener is closed when nobody can call any more (forget_first): poll(2) would wait for nothing. */
	while (!supervisor->sealed && supervisor->world.first_listener >= 0) {
		/*
		 * A first process that was killed before it sealed itself ends with its namespace, and that with the command, which we
		 * trace and alone can reap: its end is what can be seen.
		 */
		struct pollfd waits[] = {{.fd = supervisor->world.first_listener, .events = POLLIN},
					 {.fd = supervisor->world.command_pidfd, .events = POLLIN}};
		const int64_t left = deadline - sg_now_ms();

		if (left <= 0 || (poll(waits, SG_ARRAY_SIZE(waits), (int)left) < 0 && errno != EINTR) ||
		    (waits[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
			return false;
		if ((waits[0].revents & POLLIN) != 0)
			receive_first(supervisor);
		else if (waits[1].revents != 0)
			return false;
	}
	return supervisor->sealed;
}

/*
 * Job-control and keyboard signals are for the command's process group, the others for the command itself. Its number may be
 * another's as soon as it is reaped: so it is looked for by its pidfd first.
 */
void sg_deliver(pid_t command, int pidfd, int number)
{
	const bool group = number == SIGINT || number == SIGQUIT || number == SIGTSTP || number == SIGCONT;

	if (number <= 0 || number >= NSIG || command <= 0 || pidfd_send_signal(pidfd, 0, NULL, 0) < 0)
		return;
	if (!group || kill(-command, number) < 0)
		(void)pidfd_send_signal(pidfd, number, NULL, 0);
}

static void receive_control(struct sg_supervisor *supervisor)
{
	struct sg_control_message message;
	size_t count;
	ssize_t size = sg_fd_receive(supervisor->control, &message, sizeof(message), NULL, 0, &count);

	if (size <= 0) { /* the front end is gone, and with it whoever wanted the session */
		supervisor->ended = true;
		supervisor->exit_status = 125;
	} else if ((size_t)size >= offsetof(struct sg_control_message, text) && message.kind == SG_CONTROL_SIGNAL) {
		sg_deliver(supervisor->world.command, supervisor->world.command_pidfd, message.value);
	}
}

/* The keeper says how the first process ended; its end without a word is the end of the world too. */
static void receive_keeper(struct sg_supervisor *supervisor)
{
	int status;
	ssize_t size;

	supervisor->ended = true;
	supervisor->exit_status = 125;
	size = sg_fd_read_full(supervisor->world.keeper_socket, &status, sizeof(status));
	/* A world that ended at once: the keeper left without having read our message. Its own is behind that error. */
	if (size == -ECONNRESET)
		size = sg_fd_read_full(supervisor->world.keeper_socket, &status, sizeof(status));
	if (size != sizeof(status))
		return;
	/*
	 * The keeper has reaped the first process, and with it the kernel the whole PID namespace: nothing of the world is left to
	 * be waited for, and the keeper exits by itself.
	 */
	supervisor->world.keeper = 0;
	supervisor->exit_status = WIFEXITED(status)     ? WEXITSTATUS(status)
				  : WIFSIGNALED(status) ? 128 + WTERMSIG(status)
							: 125;
}

static int make_signals(struct sg_supervisor *supervisor)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	supervisor->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return supervisor->signals < 0 ? -errno : 0;
}

static void drain_signals(struct sg_supervisor *supervisor)
{
	struct signalfd_siginfo info[8];

	while (read(supervisor->signals, info, sizeof(info)) == (ssize_t)sizeof(info))
		continue;
	sg_exec_collect(supervisor);
}

/* Of two timeouts of poll(2). */
static int earlier(int a, int b)
{
	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/*
 * What comes with every call is polled. The rest has work now and then and stands behind one descriptor: each that is polled
 * costs, most of all when its socket has gone from the caches. The listeners stay out of it: only who polls one itself is woken on
 * the caller's CPU.
 */
enum { LISTENER, SIGNALS, RARE, ENTRIES };
enum { KEEPER, CONTROL, FIRST, NETWORK, DOOR, POOL, RARE_COUNT };

static void fill_rare(const struct sg_supervisor *supervisor, struct pollfd polls[RARE_COUNT])
{
	const int fds[RARE_COUNT] = {[KEEPER] = supervisor->world.keeper_socket,
				     [CONTROL] = supervisor->control,
				     [FIRST] = supervisor->world.first_listener,
				     [NETWORK] = sg_network_fd(supervisor),
				     [POOL] = sg_pool_fd(supervisor),
				     /* Who enters must find a world that has begun. */
				     [DOOR] = supervisor->sealed ? supervisor->door : -1};

	for (int i = 0; i < RARE_COUNT; i++)
		polls[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
}

static int make_rare(struct sg_supervisor *supervisor)
{
	struct pollfd polls[RARE_COUNT];
	struct epoll_event event = {.events = EPOLLIN};

	supervisor->rare = epoll_create1(EPOLL_CLOEXEC);
	if (supervisor->rare < 0)
		return -errno;
	fill_rare(supervisor, polls);
	for (int i = 0; i < RARE_COUNT; i++)
		if (polls[i].fd >= 0 && epoll_ctl(supervisor->rare, EPOLL_CTL_ADD, polls[i].fd, &event) < 0)
			return -errno;
	return 0;
}

/* Returns how many there are. */
static size_t fill_polls(const struct sg_supervisor *supervisor, struct pollfd polls[ENTRIES + SG_ENTRY_POLLS])
{
	polls[LISTENER] = (struct pollfd){.fd = supervisor->world.listener, .events = POLLIN};
	polls[SIGNALS] = (struct pollfd){.fd = supervisor->signals, .events = POLLIN};
	polls[RARE] = (struct pollfd){.fd = supervisor->rare, .events = POLLIN};
	return ENTRIES + sg_entry_polls(supervisor, polls + ENTRIES);
}

static int find_timeout(const struct sg_supervisor *supervisor)
{
	return earlier(earlier(sg_exec_timeout(supervisor), sg_network_timeout(supervisor)),
		       sg_entry_timeout(supervisor));
}

/* Once the command runs, its front end gets its terminal. */
static void announce(struct sg_supervisor *supervisor)
{
	if (!supervisor->command_started || supervisor->announced)
		return;
	supervisor->announced = true;
	tell(supervisor, SG_CONTROL_STARTED, 0, supervisor->world.pty_master);
	supervisor->world.pty_master = sg_fd_close(supervisor->world.pty_master);
}

/* The keeper holds a copy of the listener: closing ours takes nothing out of an epoll instance. */
static void forget_first(struct sg_supervisor *supervisor)
{
	(void)epoll_ctl(supervisor->rare, EPOLL_CTL_DEL, supervisor->world.first_listener, NULL);
	supervisor->world.first_listener = sg_fd_close(supervisor->world.first_listener);
}

static void act_rarely(struct sg_supervisor *supervisor, const struct pollfd rare[RARE_COUNT])
{
	if ((rare[FIRST].revents & POLLIN) != 0)
		receive_first(supervisor);
	else if ((rare[FIRST].revents & (POLLHUP | POLLERR)) != 0)
		forget_first(supervisor);
	if ((rare[POOL].revents & POLLIN) != 0)
		receive_prepared(supervisor);
	if (rare[CONTROL].revents != 0)
		receive_control(supervisor);
	if ((rare[DOOR].revents & POLLIN) != 0)
		sg_door_answer(supervisor);
	if (rare[KEEPER].revents != 0)
		receive_keeper(supervisor);
}

/*
 * After some calls in a row the next is awaited without poll, as long as nothing else is under way. Everything else
 * waits meanwhile, and the world must not be able to keep it waiting, by whatever calls in whatever rhythm: so it is looked for
 * after LOOK calls that came by this way, whatever became of them, and after the first that took until another tick of the guard,
 * which also ends a wait in which nothing comes (within some 40 ms). Returns false if no call came by this way.
 */
static bool receive_quickly(struct sg_supervisor *supervisor)
{
	enum { LOOK = 16 };
	struct sg_request request = {.answered = false};
	bool received;

	if (!sg_is_in_row(supervisor) || supervisor->unlooked >= LOOK || supervisor->looked_at != sg_guard_ticks() ||
	    find_timeout(supervisor) >= 0 || supervisor->pool != NULL || supervisor->entry_limit > 0 ||
	    supervisor->world.listener < 0 || sg_guard_begin() < 0)
		return false;
	supervisor->unlooked++;
	received = ioctl(supervisor->world.listener, SECCOMP_IOCTL_NOTIF_RECV, &request.notification) == 0;
	sg_guard_end();
	if (received)
		serve(supervisor, supervisor->world.listener, &request);
	else
		supervisor->in_row = 0;
	return received;
}

/* Fails where somebody of the host has taken the limits that the session began with: it cannot go on, and does not spin. */
static void end_blind(struct sg_supervisor *supervisor, int error)
{
	char text[96];
	const int length =
		snprintf(text, sizeof(text), "the session was ended: its supervisor cannot wait for calls any more: %s",
			 strerror(error));

	sg_entry_notice(supervisor, supervisor->world.listener, text, (size_t)length);
	supervisor->ended = true;
	supervisor->exit_status = 125;
}

/* Waits, and looks at what seldom has anything where there is something. Returns false if nothing is known, or all is over. */
static bool wait_for(struct sg_supervisor *supervisor, struct pollfd *wait, size_t count,
		     struct pollfd rare[RARE_COUNT])
{
	int found = poll(wait, (nfds_t)count, find_timeout(supervisor));

	atomic_fetch_add(&supervisor->looked, 1);
	supervisor->unlooked = 0;
	supervisor->looked_at = sg_guard_ticks();
	if (found >= 0 && wait[RARE].revents != 0) {
		fill_rare(supervisor, rare);
		found = poll(rare, RARE_COUNT, 0);
	}
	if (found < 0 && errno != EINTR)
		end_blind(supervisor, errno);
	return found >= 0;
}

int sg_supervise(struct sg_supervisor *supervisor)
{
	if (make_signals(supervisor) < 0 || make_rare(supervisor) < 0)
		return 125;
	while (!supervisor->ended) {
		struct pollfd wait[ENTRIES + SG_ENTRY_POLLS], rare[RARE_COUNT] = {0};
		size_t count;

		if (receive_quickly(supervisor))
			continue;
		count = fill_polls(supervisor, wait);
		if (!wait_for(supervisor, wait, count, rare))
			continue;
		if ((wait[SIGNALS].revents & POLLIN) != 0)
			drain_signals(supervisor);
		if ((wait[LISTENER].revents & POLLIN) != 0)
			sg_receive_call(supervisor, supervisor->world.listener);
		else if ((wait[LISTENER].revents & (POLLHUP | POLLERR)) != 0) /* no filtered process is left */
			supervisor->world.listener = sg_fd_close(supervisor->world.listener);
		announce(supervisor);
		sg_entry_act(supervisor, wait + ENTRIES, count - ENTRIES);
		act_rarely(supervisor, rare);
		sg_exec_expire(supervisor);
		sg_network_run(supervisor, rare[NETWORK].revents != 0);
	}
	return supervisor->exit_status;
}
