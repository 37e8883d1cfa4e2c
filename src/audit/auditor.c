#include "audit/auditor.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/fd.h"

/* The state of the running auditor: one process, one thread. */
struct state {
	struct sg_auditor *with;
	struct sg_buffer lines;             /* JSON not yet wholly written */
	size_t lines_done;                  /* bytes of it that are in the log */
	uint64_t position;                  /* in the ring, after the records in `lines` */
	uint64_t sequence;                  /* of the last record in `lines` or the log */
	uint64_t last_record, dirty_since;  /* sg_ring_now(); dirty_since 0: all is synced */
	uint64_t ended_at;                  /* when the writer was seen to be gone; 0: it is there */
	bool writer_died, has_end;          /* the last record is a session-end */
	int fault;                          /* negative errno value; ENOSPC and EDQUOT may go away */
	char previous[SG_RECORD_HASH_SIZE]; /* hash of the last line */
	_Alignas(8) unsigned char record[SG_RECORD_BOUND];
};

static bool may_pass(int fault)
{
	return fault == -ENOSPC || fault == -EDQUOT;
}

static void set_fault(struct state *state, int fault)
{
	struct sg_ring_control *control = state->with->ring.control;

	state->fault = fault;
	atomic_store(&control->fault, (uint32_t)-fault);
	atomic_fetch_add(&control->progress, 1);
	sg_ring_wake(&control->progress);
}

/* Turns the binary record in state->record into a line. */
static int add_line(struct state *state, size_t size)
{
	const struct sg_record_context context = {.session = state->with->session, .previous = state->previous};
	struct sg_record_header header;
	size_t start = state->lines.size;
	int result;

	memcpy(&header, state->record, sizeof(header));
	result = header.sequence == state->sequence + 1 ? sg_record_emit(state->record, size, &context, &state->lines)
							: -EBADMSG;
	if (result < 0) {
		state->lines.size = start;
		return result;
	}
	sg_record_hash(state->lines.data + start, state->lines.size - start, state->previous);
	sg_buffer_append_byte(&state->lines, '\n');
	state->sequence++;
	state->has_end = header.kind == SG_RECORD_SESSION_END;
	return sg_buffer_status(&state->lines);
}

/* A record of the auditor's own. Only as the last: from then on the writer's sequence numbers are void. */
static int add_own(struct state *state, const struct sg_record *record)
{
	struct timespec now;
	uint64_t time;

	(void)clock_gettime(CLOCK_REALTIME, &now);
	time = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	return add_line(state, sg_record_encode(record, state->sequence + 1, time, state->record));
}

/*
 * The log leaves some of its disk to others, until the session is at its end: a world can make many refusals, and what else
 * is written there may matter more to the host. Returns false if `size` more bytes would take of that.
 */
static bool leaves_reserve(const struct state *state, size_t size)
{
	struct statfs disk;
	uint64_t reserve, room;

	if (state->ended_at != 0 || fstatfs(state->with->log, &disk) < 0 || disk.f_blocks == 0)
		return true;
	reserve = (uint64_t)disk.f_blocks / SG_AUDITOR_RESERVE_PARTS * (uint64_t)disk.f_bsize;
	room = (uint64_t)disk.f_bavail * (uint64_t)disk.f_bsize;
	if (reserve > SG_AUDITOR_RESERVE_MAX)
		reserve = SG_AUDITOR_RESERVE_MAX;
	return room >= size && room - size >= reserve;
}

/* Writes what is left of the lines. On success the space in the ring is the writer's again. */
static int write_lines(struct state *state)
{
	struct sg_ring_control *control = state->with->ring.control;

	if (!leaves_reserve(state, state->lines.size - state->lines_done))
		return -ENOSPC;
	while (state->lines_done < state->lines.size) {
		ssize_t count = write(state->with->log, state->lines.data + state->lines_done,
				      state->lines.size - state->lines_done);

		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			return count < 0 ? -errno : -EIO;
		state->lines_done += (size_t)count;
		if (state->dirty_since == 0)
			state->dirty_since = sg_ring_now();
	}
	sg_buffer_clear(&state->lines);
	state->lines_done = 0;
	atomic_store_explicit(&control->tail, state->position, memory_order_release);
	atomic_fetch_add(&control->progress, 1);
	if (atomic_load(&control->waiters) > 0)
		sg_ring_wake(&control->progress);
	return 0;
}

/* Fills `lines` from the ring. Returns 0, also when there was nothing; -EBADMSG for what no writer of ours
 * writes. */
static int read_batch(struct state *state)
{
	const struct sg_ring *ring = &state->with->ring;
	uint64_t head = atomic_load_explicit(&ring->control->head, memory_order_acquire);

	while (state->lines.size < SG_AUDITOR_BATCH) {
		long size = sg_ring_read(ring, state->position, head, state->record, sizeof(state->record));
		int result = size > 0 ? add_line(state, (size_t)size) : (int)size;

		if (size == 0 || result < 0)
			return result;
		state->position += (uint64_t)size;
		state->last_record = sg_ring_now();
	}
	return 0;
}

/* Writes all that the ring holds. Sets state->fault when it cannot. */
static void take(struct state *state)
{
	int result;

	do {
		int bad = state->lines.size == 0 ? read_batch(state) : 0;

		if (bad < 0) {
			const struct sg_record note = {
				.kind = SG_RECORD_NOTE,
				.audience = sg_record_text("owner"),
				.message = sg_record_text("the ring holds what is no record: the log ends here")};

			set_fault(state, bad);
			(void)add_own(state, &note);
			(void)write_lines(state);
			return;
		}
		if (state->lines.size == 0)
			return;
		result = write_lines(state);
	} while (result == 0);
	if (result != state->fault)
		set_fault(state, result);
}

static void sync_log(struct state *state)
{
	struct sg_ring_control *control = state->with->ring.control;

	/* EINVAL: the log is something that has no storage behind it (fdatasync(2)). */
	if (state->dirty_since != 0 && fdatasync(state->with->log) < 0 && errno != EINVAL) {
		set_fault(state, errno == ENOSPC || errno == EDQUOT ? -EIO : -errno);
		return;
	}
	state->dirty_since = 0;
	atomic_store(&control->synced, atomic_load_explicit(&control->tail, memory_order_relaxed));
	atomic_fetch_add(&control->progress, 1);
	if (atomic_load(&control->waiters) > 0)
		sg_ring_wake(&control->progress);
}

static bool elapsed(uint64_t since, uint64_t now, unsigned int milliseconds)
{
	return now - since >= (uint64_t)milliseconds * 1000000;
}

static bool wants_sync(const struct state *state, uint64_t now)
{
	const struct sg_ring_control *control = state->with->ring.control;

	if (atomic_load(&control->flush) > atomic_load(&control->synced) && state->lines.size == 0)
		return true;
	return state->dirty_since != 0 && elapsed(state->dirty_since, now, SG_AUDITOR_SYNC_MS);
}

/* Looks at what poll() found: the eventfd is emptied, the end of the writer noted. */
static void heed(struct state *state, const struct pollfd *polled)
{
	uint64_t count;
	char byte;

	if (polled[0].revents != 0)
		(void)!read(state->with->event, &count, sizeof(count));
	if (polled[1].revents != 0 && read(state->with->socket, &byte, sizeof(byte)) <= 0 && state->ended_at == 0)
		state->ended_at = sg_ring_now();
	/* Both ends of the socket gone, not only shut down: that is no orderly end either. */
	if (polled[2].revents != 0 || (polled[1].revents & POLLHUP) != 0) {
		state->writer_died = true;
		if (state->ended_at == 0)
			state->ended_at = sg_ring_now();
	}
}

/*
 * Waits for work: without a timeout if nothing has come for a while. The order is what makes that safe:
 * `sleeping` is set, then `head` is read; the writer moves `head`, then reads `sleeping`; with sequential
 * consistency one of the two sees the other.
 */
static void wait_for_work(struct state *state)
{
	struct sg_ring_control *control = state->with->ring.control;
	struct pollfd polled[] = {{.fd = state->with->event, .events = POLLIN},
				  {.fd = state->ended_at != 0 ? -1 : state->with->socket, .events = POLLIN},
				  {.fd = state->writer_died ? -1 : state->with->writer, .events = POLLIN}};
	int timeout = state->fault != 0 ? SG_AUDITOR_RETRY_MS : SG_AUDITOR_ROUND_MS;

	if (state->fault == 0 && state->dirty_since == 0 && state->ended_at == 0 &&
	    elapsed(state->last_record, sg_ring_now(), SG_AUDITOR_IDLE_MS)) {
		atomic_store(&control->sleeping, 1);
		if (atomic_load(&control->head) != state->position ||
		    atomic_load(&control->flush) > atomic_load(&control->synced))
			timeout = 0;
		else
			timeout = -1;
	}
	if (poll(polled, SG_ARRAY_SIZE(polled), timeout) > 0)
		heed(state, polled);
	atomic_store(&control->sleeping, 0);
}

/* Before the end: a log that has no session-end gets one, so that its readers know that no more will come. */
static void close_log(struct state *state)
{
	const struct sg_record end = {
		.kind = SG_RECORD_SESSION_END,
		.audience = sg_record_text("owner"),
		.exit_status = -1,
		.policy_hash = sg_record_text(state->with->policy),
		.reason = sg_record_text(state->writer_died ? "the supervisor ended without closing the log"
							    : "the supervisor closed the log without a session-end")};

	if (state->has_end || state->fault != 0)
		return;
	if (add_own(state, &end) < 0)
		return;
	state->fault = write_lines(state);
}

static SG_NORETURN void finish(struct state *state)
{
	struct sg_auditor_message message = {.ended = 1, .records = state->sequence};

	close_log(state);
	if (!state->with->early_end && (state->fault == 0 || may_pass(state->fault)))
		sync_log(state);
	message.status = state->fault;
	memcpy(message.hash, state->previous, sizeof(message.hash));
	(void)!write(state->with->socket, &message, sizeof(message));
	if (state->with->early_end && state->fault == 0)
		sync_log(state);
	_exit(state->fault == 0 ? 0 : 1);
}

static bool over(const struct state *state)
{
	uint64_t head = atomic_load_explicit(&state->with->ring.control->head, memory_order_acquire);

	if (state->fault != 0 && !may_pass(state->fault))
		return true;
	if (state->ended_at == 0)
		return false;
	if (state->fault != 0)
		return elapsed(state->ended_at, sg_ring_now(), SG_AUDITOR_END_MS);
	return head == state->position && state->lines.size == 0;
}

static SG_NORETURN void serve(struct state *state)
{
	for (;;) {
		take(state);
		if (may_pass(state->fault) && state->lines.size == 0)
			set_fault(state, 0);
		if (wants_sync(state, sg_ring_now()) && state->fault == 0)
			sync_log(state);
		if (over(state))
			finish(state);
		wait_for_work(state);
	}
}

void sg_auditor_run(struct sg_auditor *auditor)
{
	static struct state state;
	struct sg_auditor_message message = {0};
	struct sg_error error = SG_ERROR_INIT;

	state.with = auditor;
	state.last_record = sg_ring_now();
	memset(state.previous, '0', SG_RECORD_HASH_SIZE - 1);
	message.status = sg_auditor_confine(auditor, &error);
	(void)snprintf(message.text, sizeof(message.text), "%.*s", (int)sizeof(message.text) - 1, error.text);
	if (write(auditor->socket, &message, sizeof(message)) != (ssize_t)sizeof(message) || message.status < 0)
		_exit(1);
	serve(&state);
}
