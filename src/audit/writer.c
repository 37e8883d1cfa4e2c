#include "audit/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "audit/auditor.h"
#include "audit/ring.h"
#include "base/fd.h"

enum {
	RING_SIZE = 1024 * 1024,
	WAIT_MS = 100,
	STUCK_MS = 5000,
	START_MS = 5000,
	END_SLICE_MS = 200, /* of the wait for the auditor's end */
	SLICE_MS = 50,      /* a wait for the auditor's progress looks this often whether it is still there */
};

struct sg_audit {
	struct sg_ring ring;
	int event;
	int socket;
	int child; /* pidfd of the auditor */
	uint64_t wait_ns, stuck_ns;
	const char *audience;
	char policy[SG_AUDITOR_SESSION_MAX + 1];

	/* Guards everything below and the writer's half of the ring's control page. */
	pthread_mutex_t lock;
	uint64_t head, sequence;
	uint64_t seen_tail, seen_at; /* the reader's position, and when it was last seen to move or to have
					nothing to do */
	uint64_t kinds[SG_RECORD_KINDS_];
	uint64_t unrecorded, unrecorded_since; /* failed since the last record that succeeded; CLOCK_REALTIME */
	struct sg_audit_counts counts;
	bool stopped, early_end;
};

static uint64_t wall_clock(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t coarse_clock(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void kick(struct sg_audit *audit)
{
	const uint64_t one = 1;

	/* EAGAIN: the counter is full, so it is readable, which is all that is wanted. */
	(void)!write(audit->event, &one, sizeof(one));
}

void sg_audit_free(struct sg_audit *audit)
{
	if (audit == NULL)
		return;
	sg_ring_done(&audit->ring);
	sg_fd_close(audit->event);
	sg_fd_close(audit->socket);
	sg_fd_close(audit->child);
	(void)pthread_mutex_destroy(&audit->lock);
	free(audit);
}

/* Waits for a message of the auditor. Returns 0, -ETIMEDOUT, or -EPIPE if it ended without one. */
static int receive(const struct sg_audit *audit, struct sg_auditor_message *ret_message, unsigned int timeout_ms)
{
	const uint64_t deadline = sg_ring_now() + (uint64_t)timeout_ms * 1000000;

	for (;;) {
		struct pollfd polled[] = {{.fd = audit->socket, .events = POLLIN},
					  {.fd = audit->child, .events = POLLIN}};
		uint64_t now = sg_ring_now();
		int left = now < deadline ? (int)((deadline - now + 999999) / 1000000) : 0;
		int count = poll(polled, SG_ARRAY_SIZE(polled), left);

		if (count < 0 && errno != EINTR)
			return -errno;
		if (count == 0 && left == 0)
			return -ETIMEDOUT;
		if (count <= 0)
			continue;
		/* The message first: it stays readable after its sender's end. */
		if (recv(audit->socket, ret_message, sizeof(*ret_message), MSG_DONTWAIT) ==
		    (ssize_t)sizeof(*ret_message))
			return 0;
		if ((polled[0].revents & POLLHUP) != 0 || (polled[1].revents & POLLIN) != 0)
			return -EPIPE;
	}
}

static void reap(const struct sg_audit *audit)
{
	siginfo_t info;

	/* ECHILD: someone who waits for all children has its status; the message said how it ended. */
	while (waitid(P_PIDFD, (id_t)audit->child, &info, WEXITED) < 0 && errno == EINTR)
		;
}

static int check_options(const struct sg_audit_options *options, struct sg_error *error)
{
	size_t length = options->session == NULL ? 0 : strlen(options->session);

	if (length == 0 || length >= SG_AUDITOR_SESSION_MAX)
		return sg_error_set(error, -EINVAL, "a session id has 1 to %d bytes", SG_AUDITOR_SESSION_MAX - 1);
	for (size_t i = 0; i < length; i++) {
		char c = options->session[i];

		if (c < '!' || c > '~' || c == '"' || c == '\\')
			return sg_error_set(error, -EINVAL, "session id %s: not printable ASCII without quotes",
					    options->session);
	}
	return 0;
}

/* Everything that both processes will have. */
static int prepare(const struct sg_audit_options *options, struct sg_audit *audit, struct sg_auditor *auditor,
		   struct sg_error *error)
{
	int pair[2], result;

	result = sg_ring_create(options->ring_size == 0 ? RING_SIZE : options->ring_size, &audit->ring, error);
	if (result < 0)
		return result;
	audit->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (audit->event < 0)
		return sg_error_set_errno(error, -errno, "eventfd for the auditor");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return sg_error_set_errno(error, -errno, "socket for the auditor");
	audit->socket = pair[0];
	auditor->socket = pair[1];
	/* Our own pidfd, made here and inherited: made there, it could be the one of a process that got our
	 * number. */
	auditor->writer = pidfd_open(getpid(), 0);
	if (auditor->writer < 0)
		return sg_error_set_errno(error, -errno, "pidfd of the supervisor");
	auditor->ring = audit->ring;
	auditor->event = audit->event;
	auditor->log = options->log;
	memcpy(auditor->session, options->session, strlen(options->session) + 1);
	memcpy(auditor->policy, audit->policy, sizeof(audit->policy));
	return 0;
}

static int fork_auditor(struct sg_audit *audit, struct sg_auditor *auditor, struct sg_error *error)
{
	pid_t pid = fork();
	int result;

	if (pid < 0)
		return sg_error_set_errno(error, -errno, "fork the auditor");
	if (pid == 0)
		sg_auditor_run(auditor);
	auditor->socket = sg_fd_close(auditor->socket);
	auditor->writer = sg_fd_close(auditor->writer);
	audit->child = pidfd_open(pid, 0);
	if (audit->child < 0)
		return sg_error_set_errno(error, -errno, "pidfd of the auditor");
	result = sg_ring_keep_from_children(&audit->ring);
	if (result < 0)
		return sg_error_set_errno(error, result, "keep the audit ring from children");
	return 0;
}

int sg_audit_ready(struct sg_audit *audit, struct sg_error *error)
{
	struct sg_auditor_message message = {0};
	int result = receive(audit, &message, START_MS);

	if (result < 0)
		return sg_error_set_errno(error, result, "the auditor did not start");
	if (message.status < 0) {
		reap(audit);
		return sg_error_set(error, message.status, "start the auditor: %s", message.text);
	}
	return 0;
}

int sg_audit_start(const struct sg_audit_options *options, struct sg_audit **ret_audit, struct sg_error *error)
{
	struct sg_auditor auditor = {.log = -1, .event = -1, .socket = -1, .writer = -1};
	struct sg_audit *audit;
	int result = check_options(options, error);

	if (result < 0)
		return result;
	audit = calloc(1, sizeof(*audit));
	if (audit == NULL)
		return sg_error_set_errno(error, -ENOMEM, "start the auditor");
	audit->event = audit->socket = audit->child = -1;
	audit->wait_ns = (uint64_t)(options->wait_ms == 0 ? WAIT_MS : options->wait_ms) * 1000000;
	audit->stuck_ns = (uint64_t)(options->stuck_ms == 0 ? STUCK_MS : options->stuck_ms) * 1000000;
	audit->early_end = auditor.early_end = options->early_end;
	audit->audience = options->audience == NULL ? "owner" : options->audience;
	if (options->policy != NULL)
		memcpy(audit->policy, options->policy, strnlen(options->policy, sizeof(audit->policy) - 1));
	(void)pthread_mutex_init(&audit->lock, NULL);
	result = prepare(options, audit, &auditor, error);
	if (result == 0)
		result = fork_auditor(audit, &auditor, error);
	if (result == 0 && !options->no_wait)
		result = sg_audit_ready(audit, error);
	sg_fd_close(auditor.socket);
	sg_fd_close(auditor.writer);
	if (result < 0) {
		/* If it runs, it sees the end of the socket and ends too. */
		sg_audit_free(audit);
		return result;
	}
	audit->seen_at = coarse_clock();
	*ret_audit = audit;
	return 0;
}

/* Why the auditor is gone: the fault that it left, if it ended by itself. */
static int why_gone(const struct sg_audit *audit)
{
	uint32_t fault = atomic_load(&audit->ring.control->fault);

	return fault != 0 && fault <= 4095 ? -(int)fault : -EPIPE;
}

/* Under the lock. 0 if the auditor is there and writes, and *ret_free is the room in the ring; else why not.
 */
static int check(struct sg_audit *audit, uint64_t now, uint64_t *ret_free)
{
	const struct sg_ring_control *control = audit->ring.control;
	uint32_t fault = atomic_load_explicit(&control->fault, memory_order_acquire);
	uint64_t tail = atomic_load_explicit(&control->tail, memory_order_acquire);

	if (fault != 0)
		return fault <= 4095 ? -(int)fault : -EPROTO;
	if (sg_ring_orphaned(&audit->ring))
		return why_gone(audit);
	if (audit->head - tail > audit->ring.size || tail < audit->seen_tail)
		return -EPROTO;
	if (tail != audit->seen_tail || tail == audit->head) {
		audit->seen_tail = tail;
		audit->seen_at = now;
	} else if (now - audit->seen_at > audit->stuck_ns) {
		return -ETIMEDOUT;
	}
	*ret_free = audit->ring.size - (audit->head - tail);
	return 0;
}

/* Under the lock, given room. Writes the record and makes it visible. */
static void place(struct sg_audit *audit, const struct sg_record *record)
{
	audit->sequence++;
	audit->head += sg_record_encode(record, audit->sequence, wall_clock(), sg_ring_at(&audit->ring, audit->head));
	audit->kinds[record->kind]++;
	audit->counts.appended++;
}

/*
 * Under the lock. Publishes what was placed since `old_head` and wakes the auditor if it sleeps, or if the
 * ring has just become half full. See wait_for_work() in auditor.c for the order.
 */
static void publish(struct sg_audit *audit, uint64_t old_head)
{
	struct sg_ring_control *control = audit->ring.control;
	const uint64_t half = audit->ring.size / 2;

	atomic_store(&control->head, audit->head);
	if ((atomic_load(&control->sleeping) != 0 && atomic_exchange(&control->sleeping, 0) != 0) ||
	    (old_head - audit->seen_tail < half && audit->head - audit->seen_tail >= half)) {
		audit->counts.kicks++;
		kick(audit);
	}
}

/* Under the lock. One record, and before it the count of those that failed. -EAGAIN: no room. */
static int try_append(struct sg_audit *audit, const struct sg_record *record, size_t bound)
{
	const struct sg_record flood = {
		.kind = SG_RECORD_FLOOD,
		.audience = sg_record_text(audit->audience),
		.reason = sg_record_text("records that could not be taken; each was answered by a refusal"),
		.coalesced = audit->unrecorded,
		.since = audit->unrecorded_since};
	uint64_t room = 0, old_head = audit->head;
	int result;

	if (audit->stopped)
		return -ESHUTDOWN;
	result = check(audit, coarse_clock(), &room);
	if (result < 0)
		return result;
	if (audit->unrecorded > 0)
		bound += sg_record_bound(&flood);
	if (bound > room)
		return -EAGAIN;
	if (audit->unrecorded > 0) {
		place(audit, &flood);
		audit->unrecorded = 0;
	}
	place(audit, record);
	publish(audit, old_head);
	/* It may have died between the first look and the publication: then nobody will read what was just
	 * written. */
	return sg_ring_orphaned(&audit->ring) ? why_gone(audit) : 0;
}

/* Under the lock, which is given up meanwhile. Waits for room until `deadline` and tries again. */
static int append_slowly(struct sg_audit *audit, const struct sg_record *record, size_t bound)
{
	struct sg_ring_control *control = audit->ring.control;
	const uint64_t deadline = sg_ring_now() + audit->wait_ns;
	int result;

	audit->counts.slowed++;
	atomic_fetch_add(&control->waiters, 1);
	for (;;) {
		/* Taken before the ring is looked at: progress made after that changes it, and the wait
		 * returns at once. */
		uint32_t value = atomic_load(&control->progress);
		uint64_t now, left;

		result = try_append(audit, record, bound);
		now = sg_ring_now();
		if (result != -EAGAIN)
			break;
		if (now >= deadline) {
			result = -ENOBUFS;
			break;
		}
		left = deadline - now < SLICE_MS * 1000000ULL ? deadline - now : SLICE_MS * 1000000ULL;
		audit->counts.kicks++;
		(void)pthread_mutex_unlock(&audit->lock);
		kick(audit);
		(void)sg_ring_wait(&control->progress, value, left);
		(void)pthread_mutex_lock(&audit->lock);
	}
	atomic_fetch_sub(&control->waiters, 1);
	return result;
}

int sg_audit_append(struct sg_audit *audit, const struct sg_record *record, uint64_t *ret_sequence)
{
	const size_t bound = sg_record_bound(record);
	int result;

	if (bound == 0)
		return -EINVAL;
	(void)pthread_mutex_lock(&audit->lock);
	result = try_append(audit, record, bound);
	if (result == -EAGAIN)
		result = append_slowly(audit, record, bound);
	if (result < 0) {
		audit->counts.failed++;
		if (audit->unrecorded++ == 0)
			audit->unrecorded_since = wall_clock();
	} else if (ret_sequence != NULL) {
		*ret_sequence = audit->sequence;
	}
	(void)pthread_mutex_unlock(&audit->lock);
	return result;
}

int sg_audit_flush(struct sg_audit *audit, unsigned int timeout_ms)
{
	struct sg_ring_control *control = audit->ring.control;
	const uint64_t deadline = sg_ring_now() + (uint64_t)timeout_ms * 1000000;
	uint64_t target, room, now;
	int result;

	(void)pthread_mutex_lock(&audit->lock);
	target = audit->head;
	atomic_store(&control->flush, target);
	atomic_store(&control->sleeping, 0);
	atomic_fetch_add(&control->waiters, 1);
	kick(audit);
	for (;;) {
		uint32_t value = atomic_load(&control->progress);

		result = 0;
		if (atomic_load(&control->synced) >= target)
			break;
		result = check(audit, coarse_clock(), &room);
		now = sg_ring_now();
		if (result == 0 && now >= deadline)
			result = -ETIMEDOUT;
		if (result < 0)
			break;
		(void)pthread_mutex_unlock(&audit->lock);
		now = deadline - now < SLICE_MS * 1000000ULL ? deadline - now : SLICE_MS * 1000000ULL;
		(void)sg_ring_wait(&control->progress, value, now);
		(void)pthread_mutex_lock(&audit->lock);
	}
	atomic_fetch_sub(&control->waiters, 1);
	(void)pthread_mutex_unlock(&audit->lock);
	return result;
}

const char *sg_audit_words(int status)
{
	static const struct {
		int status;
		const char *words;
	} table[] = {{-ENOSPC, "No space left on device (a hundredth of it, at most 256 MiB, is left to others)"},
		     {-EPIPE, "the auditor has ended"},
		     {-ETIMEDOUT, "the auditor does not write any more"},
		     {-ENOBUFS, "more happens than the auditor can write"},
		     {-EPROTO, "the ring to the auditor is damaged"},
		     {-EBADMSG, "the ring to the auditor is damaged"},
		     {-ESHUTDOWN, "the session is at its end"}};

	for (size_t i = 0; i < SG_ARRAY_SIZE(table); i++)
		if (table[i].status == status)
			return table[i].words;
	return strerror(-status);
}

int sg_audit_alive(struct sg_audit *audit)
{
	uint64_t room;
	int result;

	(void)pthread_mutex_lock(&audit->lock);
	result = audit->stopped ? -ESHUTDOWN : check(audit, coarse_clock(), &room);
	(void)pthread_mutex_unlock(&audit->lock);
	return result;
}

int sg_audit_pidfd(const struct sg_audit *audit)
{
	return audit->child;
}

void sg_audit_counts(struct sg_audit *audit, struct sg_audit_counts *ret_counts)
{
	(void)pthread_mutex_lock(&audit->lock);
	*ret_counts = audit->counts;
	(void)pthread_mutex_unlock(&audit->lock);
}

/* The session's last record, with what was counted. */
static int append_end(struct sg_audit *audit, const struct sg_record *end)
{
	struct sg_record record = *end;

	record.kind = SG_RECORD_SESSION_END;
	record.policy_hash = sg_record_text(audit->policy);
	(void)pthread_mutex_lock(&audit->lock);
	record.count_exec = audit->kinds[SG_RECORD_EXEC];
	record.count_grant = audit->kinds[SG_RECORD_GRANT];
	record.count_refusal = audit->kinds[SG_RECORD_REFUSAL];
	record.count_slowed = audit->counts.slowed;
	record.count_failed = audit->counts.failed;
	(void)pthread_mutex_unlock(&audit->lock);
	return sg_audit_append(audit, &record, NULL);
}

/* Whoever stops the auditor may do so at any time: what is late is let go on, again and again. */
static int await_end(const struct sg_audit *audit, struct sg_auditor_message *ret_message, unsigned int timeout_ms)
{
	int result;

	for (unsigned int left = timeout_ms;; left -= END_SLICE_MS) {
		result = receive(audit, ret_message, left < END_SLICE_MS ? left : END_SLICE_MS);
		if (result != -ETIMEDOUT || left <= END_SLICE_MS)
			return result;
		(void)pidfd_send_signal(audit->child, SIGCONT, NULL, 0);
	}
}

int sg_audit_stop(struct sg_audit *audit, const struct sg_record *end, unsigned int timeout_ms,
		  struct sg_audit_result *ret_result)
{
	struct sg_auditor_message message = {0};
	int appended = 0, result;

	if (ret_result != NULL)
		*ret_result = (struct sg_audit_result){0};
	if (audit == NULL)
		return 0;
	if (end != NULL)
		appended = append_end(audit, end);
	(void)pthread_mutex_lock(&audit->lock);
	audit->stopped = true;
	(void)pthread_mutex_unlock(&audit->lock);
	/* The end of the socket wakes the auditor; a copy of ours in some child does not hide it, as with
	 * close(2) it would. */
	(void)shutdown(audit->socket, SHUT_WR);
	result = await_end(audit, &message, timeout_ms);
	if (result != -ETIMEDOUT && !audit->early_end)
		reap(audit);
	if (result == 0)
		result = message.status;
	if (result == 0)
		result = appended;
	message.hash[sizeof(message.hash) - 1] = '\0';
	if (ret_result != NULL) {
		ret_result->status = result;
		ret_result->records = message.records;
		memcpy(ret_result->hash, message.hash, sizeof(message.hash));
	}
	sg_audit_free(audit);
	return result;
}
