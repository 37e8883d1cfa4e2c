#include "cli/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/fd.h"
#include "cli/terminal.h"

/* Room behind a terminal's chunk for lines of ours. */
enum { INSERT_ROOM = 48 * 1024, BLOCKING_CHUNK = 64, SPLICE_SIZE = SG_CHANNEL_PIPE_SIZE };

static enum sg_channel_kind kind_of(int fd)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return SG_CHANNEL_OTHER;
	if (S_ISFIFO(status.st_mode))
		return SG_CHANNEL_PIPE;
	if (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode))
		return SG_CHANNEL_FILE;
	if (S_ISSOCK(status.st_mode))
		return SG_CHANNEL_SOCKET;
	return isatty(fd) ? SG_CHANNEL_TERMINAL : SG_CHANNEL_OTHER;
}

static struct sg_channel_end look_at(int fd)
{
	struct sg_channel_end end = {.fd = fd, .user_fd = fd <= 2 ? fd : -1, .kind = kind_of(fd), .owned = fd > 2};

	if (end.kind == SG_CHANNEL_PIPE) {
		int size = fcntl(fd, F_GETPIPE_SZ);

		end.capacity = size > 0 ? (size_t)size : 0;
	}
	if (end.kind == SG_CHANNEL_TERMINAL && end.user_fd >= 0) {
		int opened = sg_terminal_reopen(fd);

		end.blocking = opened < 0;
		end.fd = opened < 0 ? fd : opened;
		end.owned = opened >= 0;
	}
	return end;
}

static bool can_splice(const struct sg_channel *channel)
{
	enum sg_channel_kind out = channel->out.kind;

	return channel->in.kind == SG_CHANNEL_PIPE &&
	       (out == SG_CHANNEL_PIPE || out == SG_CHANNEL_FILE || out == SG_CHANNEL_OTHER);
}

void sg_channel_open(struct sg_channel *channel, int in, int out)
{
	*channel = SG_CHANNEL_INIT;
	channel->in = look_at(in);
	channel->out = look_at(out);
	channel->splices = can_splice(channel);
	channel->buffer_size = SG_CHANNEL_BUFFER;
	channel->open = true;
}

void sg_channel_open_terminal(struct sg_channel *channel, int in, int out, bool blocking, sg_channel_pass pass,
			      void *data)
{
	*channel = SG_CHANNEL_INIT;
	channel->in = (struct sg_channel_end){.fd = in, .user_fd = -1, .kind = SG_CHANNEL_TERMINAL};
	channel->out =
		(struct sg_channel_end){.fd = out, .user_fd = -1, .kind = SG_CHANNEL_TERMINAL, .blocking = blocking};
	channel->buffer_size = SG_CHANNEL_TERMINAL_CHUNK + INSERT_ROOM;
	channel->pass = pass;
	channel->pass_data = data;
	channel->open = true;
}

static void close_end(struct sg_channel_end *end)
{
	if (end->owned)
		sg_fd_close(end->fd);
	if (end->user_fd == 0 || end->user_fd == 1) {
		SG_AUTO_FD int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		if (null >= 0)
			(void)dup3(null, end->user_fd, O_CLOEXEC);
		else
			(void)close(end->user_fd);
	}
	end->fd = -1;
	end->user_fd = -1;
}

/*
 * How much of a file given to a pipe nobody has read. The world may write to that pipe itself (through
 * /proc/self/fd), so the number is never believed beyond what we put there.
 */
static uint64_t unread(const struct sg_channel *channel, int pipe)
{
	uint64_t count = channel->end - channel->start;
	int queued = 0;

	if (pipe >= 0 && ioctl(pipe, FIONREAD, &queued) == 0 && queued > 0)
		count += (uint64_t)queued < channel->moved ? (uint64_t)queued : channel->moved;
	return count;
}

static void give_back(struct sg_channel *channel, int file, int pipe)
{
	uint64_t count = unread(channel, pipe);

	if (count > 0)
		(void)lseek(file, -(off_t)count, SEEK_CUR);
}

/*
 * At its end a file's pipe must be closed, or the world would not see the end; but what it leaves unread is
 * known only later. A reading end, which keeps no one from seeing the end, can still tell.
 */
static void keep_peek(struct sg_channel *channel)
{
	char path[64];

	if (channel->out.kind != SG_CHANNEL_PIPE)
		return;
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", channel->out.fd);
	channel->peek = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

void sg_channel_end(struct sg_channel *channel, int error)
{
	bool file_to_world = channel->in.kind == SG_CHANNEL_FILE && channel->in.user_fd >= 0;

	if (!channel->open)
		return;
	channel->open = false;
	if (channel->error == 0 && error != -EPIPE && error != -ECONNRESET)
		channel->error = error;
	if (file_to_world && channel->in_ended && error == 0) {
		keep_peek(channel);
		channel->out.fd = sg_fd_close(channel->out.fd);
		channel->out.owned = false;
		return;
	}
	if (file_to_world)
		give_back(channel, channel->in.fd, channel->out.fd);
	close_end(&channel->in);
	close_end(&channel->out);
}

void sg_channel_done(struct sg_channel *channel)
{
	sg_channel_end(channel, 0);
	if (channel->peek >= 0 && channel->in.fd >= 0)
		give_back(channel, channel->in.fd, channel->peek);
	channel->peek = sg_fd_close(channel->peek);
	free(channel->buffer);
	channel->buffer = NULL;
}

static bool must_write(const struct sg_channel *channel)
{
	return channel->splices ? channel->awaits_out : channel->start < channel->end;
}

/*
 * A poll entry whose peer has gone answers POLLHUP at once whatever is asked for: the input is left out while
 * the output is awaited. The output is always there, to learn that its reader has gone.
 */
void sg_channel_poll(const struct sg_channel *channel, struct pollfd *in, struct pollfd *out)
{
	bool writes = must_write(channel);

	*in = (struct pollfd){.fd = -1, .events = POLLIN};
	*out = (struct pollfd){.fd = -1};
	if (!channel->open || channel->rest_until_ns != 0)
		return;
	if (!writes && !channel->paused)
		in->fd = channel->in.fd;
	out->fd = channel->out.fd;
	out->events = writes ? POLLOUT : 0;
}

static void grow_end(struct sg_channel_end *end)
{
	int size;

	if (end->kind != SG_CHANNEL_PIPE || end->capacity >= SG_CHANNEL_PIPE_SIZE)
		return;
	/* The user may be at the limit for all pipes (EPERM), or the system's may be lower: half is better
	 * than none. */
	for (size_t wanted = SG_CHANNEL_PIPE_SIZE; wanted > end->capacity; wanted /= 2) {
		size = fcntl(end->fd, F_SETPIPE_SZ, (int)wanted);
		if (size > 0) {
			end->capacity = (size_t)size;
			return;
		}
	}
}

static bool is_roomy(const struct sg_channel_end *end)
{
	return end->kind != SG_CHANNEL_PIPE || end->capacity >= SG_CHANNEL_REST_CAPACITY;
}

/* The input was full, so that its writers may be waiting for us, or had enough for another large step. */
static bool has_more(const struct sg_channel *channel, size_t count)
{
	return channel->splices ? count >= channel->in.capacity : channel->end >= SG_CHANNEL_BUFFER / 2;
}

/*
 * A writer of small pieces would wake us, and we the reader, for each of them, at a cost far above that of
 * moving it. Once bytes flow fast (a conversation of small messages does not), we look only so often, and
 * find much at once.
 */
static void account(struct sg_channel *channel, size_t count, uint64_t now_ns)
{
	channel->moved += count;
	if (now_ns - channel->window_ns > SG_CHANNEL_WINDOW_NS) {
		channel->window_ns = now_ns;
		channel->window_moved = 0;
	}
	channel->window_moved += count;
	if (channel->window_moved >= SG_CHANNEL_GROW_AT && !channel->grown) {
		channel->grown = true;
		grow_end(&channel->in);
		grow_end(&channel->out);
	}
	if (channel->window_moved >= SG_CHANNEL_REST_AT && !channel->finishing && !has_more(channel, count) &&
	    is_roomy(&channel->in) && is_roomy(&channel->out) &&
	    (channel->in.kind == SG_CHANNEL_PIPE || channel->out.kind == SG_CHANNEL_PIPE))
		channel->rest_until_ns = now_ns + SG_CHANNEL_REST_NS;
}

static bool input_is_empty(const struct sg_channel *channel)
{
	int queued = 0;

	return ioctl(channel->in.fd, FIONREAD, &queued) < 0 || queued == 0;
}

static void step_splice(struct sg_channel *channel, uint64_t now_ns)
{
	ssize_t count = splice(channel->in.fd, NULL, channel->out.fd, NULL, SPLICE_SIZE, SPLICE_F_NONBLOCK);

	if (count > 0) {
		account(channel, (size_t)count, now_ns);
		return;
	}
	if (count == 0) {
		sg_channel_end(channel, 0);
	} else if (errno == EAGAIN) {
		/* One side was ready: it was the other. If another process took the data, the roles change
		 * once more. */
		if (channel->finishing && input_is_empty(channel))
			sg_channel_end(channel, 0);
		else
			channel->awaits_out = !channel->awaits_out;
	} else if (errno == EINVAL || errno == ENOSYS) {
		channel->splices = false;
	} else if (errno != EINTR) {
		sg_channel_end(channel, -errno);
	}
}

static ssize_t read_some(const struct sg_channel_end *in, char *data, size_t size)
{
	ssize_t count;

	do {
		count = in->kind == SG_CHANNEL_SOCKET ? recv(in->fd, data, size, MSG_DONTWAIT)
						      : read(in->fd, data, size);
	} while (count < 0 && errno == EINTR);
	return count < 0 ? -errno : count;
}

static void fill_buffer(struct sg_channel *channel)
{
	size_t room = channel->in.kind == SG_CHANNEL_TERMINAL ? SG_CHANNEL_TERMINAL_CHUNK : SG_CHANNEL_BUFFER;
	ssize_t count;

	if (channel->buffer == NULL)
		channel->buffer = malloc(channel->buffer_size);
	if (channel->buffer == NULL) {
		sg_channel_end(channel, -ENOMEM);
		return;
	}
	count = read_some(&channel->in, channel->buffer, room);
	if (count == -EAGAIN && !channel->finishing)
		return;
	if (count <= 0) {
		channel->in_ended = true;
		/* EIO: the last descriptor of the other side of a terminal was closed, or the terminal hung
		 * up. */
		if (count < 0 && count != -EAGAIN && count != -EIO)
			channel->error = (int)count;
		sg_channel_end(channel, 0);
		return;
	}
	channel->start = 0;
	channel->end = channel->pass != NULL ? channel->pass(channel->pass_data, channel->buffer, (size_t)count)
					     : (size_t)count;
}

static ssize_t write_some(const struct sg_channel_end *out, const char *data, size_t size)
{
	ssize_t count;

	if (out->blocking && size > BLOCKING_CHUNK)
		size = BLOCKING_CHUNK;
	do {
		count = out->kind == SG_CHANNEL_SOCKET ? send(out->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
						       : write(out->fd, data, size);
	} while (count < 0 && errno == EINTR);
	return count < 0 ? -errno : count;
}

/* What is not spliced and may block (a pipe of the user's that splice refuses) waits for poll before each
 * write. */
static void drain_buffer(struct sg_channel *channel, uint64_t now_ns)
{
	ssize_t count = write_some(&channel->out, channel->buffer + channel->start, channel->end - channel->start);

	if (count == -EAGAIN)
		return;
	if (count < 0) {
		sg_channel_end(channel, (int)count);
		return;
	}
	channel->start += (size_t)count;
	account(channel, (size_t)count, now_ns);
}

static void step_copy(struct sg_channel *channel, bool out_ready, uint64_t now_ns)
{
	bool was_empty = channel->start == channel->end;

	if (was_empty)
		fill_buffer(channel);
	if (!channel->open || channel->start == channel->end)
		return;
	/*
	 * What was just read is written without asking poll, where the write cannot block; the user's own
	 * devices are asked first.
	 */
	if (out_ready || channel->out.user_fd < 0 || channel->out.kind == SG_CHANNEL_SOCKET ||
	    channel->out.kind == SG_CHANNEL_FILE)
		if (!channel->out.blocking || out_ready)
			drain_buffer(channel, now_ns);
}

void sg_channel_step(struct sg_channel *channel, const struct pollfd *in, const struct pollfd *out, uint64_t now_ns)
{
	bool in_ready, out_ready;

	if (!channel->open)
		return;
	if (channel->rest_until_ns != 0) {
		if (now_ns < channel->rest_until_ns && !channel->finishing)
			return;
		channel->rest_until_ns = 0;
		if (channel->splices) /* which asks for itself */
			step_splice(channel, now_ns);
		return;
	}
	if (out->fd >= 0 && (out->revents & (POLLERR | POLLNVAL | POLLHUP)) != 0) {
		sg_channel_end(channel, -EPIPE);
		return;
	}
	in_ready = in->fd >= 0 && in->revents != 0;
	out_ready = out->fd >= 0 && (out->revents & POLLOUT) != 0;
	if (!in_ready && !out_ready && !(channel->finishing && !must_write(channel)))
		return;
	if (channel->splices)
		step_splice(channel, now_ns);
	else
		step_copy(channel, out_ready, now_ns);
}

int sg_channel_insert(struct sg_channel *channel, const char *bytes, size_t size)
{
	if (!channel->open)
		return -EPIPE;
	if (channel->buffer == NULL)
		channel->buffer = malloc(channel->buffer_size);
	if (channel->buffer == NULL)
		return -ENOBUFS;
	if (channel->start == channel->end)
		channel->start = channel->end = 0;
	if (size > channel->buffer_size - channel->end)
		return -ENOBUFS;
	memcpy(channel->buffer + channel->end, bytes, size);
	channel->end += size;
	return 0;
}
