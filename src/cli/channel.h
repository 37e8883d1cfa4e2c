/*
 * One direction of bytes: from a descriptor to another, without blocking, without unbounded buffering, and
 * without touching the status flags of what the user shares with us.
 *
 * What the world controls here: the bytes, and when it reads or writes at its end of the pipe or pty. A slow
 * or greedy peer fills a pipe or one buffer of fixed size, and then its own direction waits; no other does.
 *
 * Ways, the cheapest that is sound:
 *   pipe to pipe, file or device: splice(2) with SPLICE_F_NONBLOCK (pages change hands, the user's O_NONBLOCK
 * is not needed); anything that splice refuses (O_APPEND files, terminals, sockets): one buffer, read and
 * written; a file to the world: read and written too. Spliced, the pipe would hold references to the host's
 * page cache, which the world could pass on to the kernel's interfaces that take pages; copies are the
 * world's own.
 *
 * How the user's descriptors are kept from blocking us: pipes by SPLICE_F_NONBLOCK, sockets by MSG_DONTWAIT,
 * terminals by opening them anew with O_NONBLOCK, regular files do not block but for the disk. Other devices
 * are polled first.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SG_CHANNEL_PIPE_SIZE =
		1024 * 1024,            /* what a pipe grows to when much passes (pipe(7): the unprivileged limit) */
	SG_CHANNEL_GROW_AT = 32 * 1024, /* this much within a window is "much" */
	SG_CHANNEL_BUFFER = 128 * 1024, /* of a direction that is copied */
	SG_CHANNEL_TERMINAL_CHUNK = 16 * 1024, /* read at once for a terminal: what is still shown after Ctrl-C */
	SG_CHANNEL_WINDOW_NS = 1000 * 1000,
	SG_CHANNEL_REST_AT = 64 * 1024,        /* from so much within a window (64 MB/s) on, after each step... */
	SG_CHANNEL_REST_NS = 200 * 1000,       /* ...let so long pass, so that the next step has much to do again */
	SG_CHANNEL_REST_CAPACITY = 256 * 1024, /* only where the pipes hold so much that nobody starves meanwhile */
};

enum sg_channel_kind { SG_CHANNEL_PIPE, SG_CHANNEL_FILE, SG_CHANNEL_SOCKET, SG_CHANNEL_TERMINAL, SG_CHANNEL_OTHER };

struct sg_channel_end {
	int fd;      /* what is read, written and polled; -1: none */
	int user_fd; /* 0-2 if this is the user's (then /dev/null is put there when the channel ends), else -1
		      */
	enum sg_channel_kind kind;
	bool owned;      /* close `fd` at the end */
	bool blocking;   /* a terminal that could not be opened anew: small writes after a poll only */
	size_t capacity; /* of a pipe, as known; else 0 */
};

/*
 * Called with what was read, before it is written; only in directions that copy. May change the bytes and
 * make them fewer; returns how many they are now.
 */
typedef size_t (*sg_channel_pass)(void *data, char *bytes, size_t size);

struct sg_channel {
	struct sg_channel_end in, out;
	bool open;   /* bytes may still come */
	bool paused; /* do not read now */
	bool splices;
	bool awaits_out; /* the output was full; else the input was empty */
	bool in_ended;   /* only what is in the buffer remains */
	bool finishing;  /* the writers are gone: an empty input is the end */
	bool grown;
	uint64_t rest_until_ns; /* 0, or no polling until then */
	uint64_t window_ns;     /* when the present window began */
	uint64_t window_moved;  /* bytes in it */
	uint64_t moved;         /* bytes that reached the output */
	int error;              /* 0, or a negative errno value: what ended the channel, but for EPIPE and hang-up */
	int peek;               /* on the pipe that a file was given to: what was not read is given back */
	char *buffer;           /* buffer_size bytes, NULL until needed; start..end is not written yet */
	size_t buffer_size, start, end;
	sg_channel_pass pass;
	void *pass_data;
};

#define SG_CHANNEL_INIT                                                                                                \
	((struct sg_channel){.in = {.fd = -1, .user_fd = -1}, .out = {.fd = -1, .user_fd = -1}, .peek = -1})

/*
 * Opens the direction `in` to `out`. The numbers 0-2 are the user's and stay open, flags unchanged; any other
 * is taken over and closed with the channel. Nothing is read yet.
 */
void sg_channel_open(struct sg_channel *channel, int in, int out);

/* For a terminal of our own (struct sg_terminal), which stays the caller's: kind and blocking are given, not
 * found out. */
void sg_channel_open_terminal(struct sg_channel *channel, int in, int out, bool blocking, sg_channel_pass pass,
			      void *data);

/*
 * Ends the direction: closes what it owns, puts /dev/null where it used the user's 0 or 1 (so that the
 * process at their other end sees the end, as it would if the command had closed it; 2 stays for messages of
 * our own), and sets `error` unless it is set already.
 */
void sg_channel_end(struct sg_channel *channel, int error);

/*
 * Frees everything; ends the channel if it is open. Where the input was a regular file, its offset is set
 * back by what the world did not read from the pipe (at most `moved`), so that whoever shares the file goes
 * on where the command left off.
 */
void sg_channel_done(struct sg_channel *channel);

/* Fills two entries (fd -1: nothing to wait for). To be given to sg_channel_step() after poll(2). */
void sg_channel_poll(const struct sg_channel *channel, struct pollfd *in, struct pollfd *out);

/*
 * Moves what can be moved now, after poll(2). Does not block, but as said at the head. `now_ns` is
 * CLOCK_MONOTONIC. Ends the channel at the end of the input or when the output is gone.
 */
void sg_channel_step(struct sg_channel *channel, const struct pollfd *in, const struct pollfd *out, uint64_t now_ns);

/*
 * Appends bytes of ours to the buffer of a direction that copies, behind what is there; all or nothing.
 * Returns 0, -ENOBUFS when they do not fit, -EPIPE when the channel has ended.
 */
int sg_channel_insert(struct sg_channel *channel, const char *bytes, size_t size);
