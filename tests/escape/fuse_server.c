/*
 * A file system whose server does not answer: fuse_server FOLDER mounts it there and serves it until its input ends.
 *
 *   hello       a file with the text "hello"      tool      a script that says "tool"
 *   folder      a folder with all of these but it and a folder inner    hang*     looking the name up is not answered
 *   slow*       a file that is there; opening it is not answered        absent*   not there
 *
 * Nor is any call that changes something. What is not answered is said in one line, "held OPERATION NAME", until a line comes: then
 * it is answered, and all that follows at once: looks as if the name were that of hello, all else with EIO.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { HELLO = 2, TOOL, FOLDER, SLOW, INNER, HELD_MAX = 1024, BUFFER_SIZE = 1 << 18 };

static const struct node {
	const char *name;
	uint64_t number;
	mode_t mode;
	const char *text;
} nodes[] = {
	{"", FUSE_ROOT_ID, S_IFDIR | 0777, NULL},
	{"hello", HELLO, S_IFREG | 0666, "hello\n"},
	{"tool", TOOL, S_IFREG | 0777, "#!/bin/sh\necho tool\n"},
	{"folder", FOLDER, S_IFDIR | 0777, NULL},
	{"slow", SLOW, S_IFREG | 0666, "slow\n"},
	{"inner", INNER, S_IFDIR | 0777, NULL},
};

static const struct {
	uint32_t opcode;
	const char *name;
	size_t before; /* what stands before the name */
} changes[] = {
	{FUSE_CREATE, "create", sizeof(struct fuse_create_in)},
	{FUSE_MKDIR, "mkdir", sizeof(struct fuse_mkdir_in)},
	{FUSE_MKNOD, "mknod", sizeof(struct fuse_mknod_in)},
	{FUSE_UNLINK, "unlink", 0},
	{FUSE_RMDIR, "rmdir", 0},
	{FUSE_SYMLINK, "symlink", 0},
	{FUSE_RENAME, "rename", sizeof(struct fuse_rename_in)},
	{FUSE_RENAME2, "rename", sizeof(struct fuse_rename2_in)},
};

static int device;
static struct {
	uint64_t unique;
	uint32_t opcode;
} held[HELD_MAX];
static size_t held_count;
static bool released;

static void answer(uint64_t unique, int error, const void *data, size_t size)
{
	struct fuse_out_header header = {.len = (uint32_t)(sizeof(header) + size), .error = error, .unique = unique};
	struct iovec parts[] = {{&header, sizeof(header)}, {(void *)(uintptr_t)data, size}};

	(void)!writev(device, parts, 2);
}

static const struct node *node_of(uint64_t number)
{
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		if (nodes[i].number == number)
			return &nodes[i];
	return &nodes[0];
}

static struct fuse_attr attributes(const struct node *node)
{
	return (struct fuse_attr){.ino = node->number,
				  .size = node->text == NULL ? 0 : strlen(node->text),
				  .mode = node->mode,
				  .nlink = 1,
				  .blksize = 4096};
}

static void answer_entry(uint64_t unique, const struct node *node)
{
	const struct fuse_entry_out entry = {.nodeid = node->number, .attr = attributes(node)};

	answer(unique, 0, &entry, sizeof(entry));
}

static void answer_late(uint64_t unique, uint32_t opcode)
{
	if (opcode == FUSE_LOOKUP)
		answer_entry(unique, node_of(HELLO));
	else
		answer(unique, -EIO, NULL, 0);
}

static void hold(const struct fuse_in_header *in, const char *operation, const char *name)
{
	if (released) {
		answer_late(in->unique, in->opcode);
		return;
	}
	if (held_count < HELD_MAX) {
		held[held_count].unique = in->unique;
		held[held_count++].opcode = in->opcode;
	}
	(void)printf("held %s %s\n", operation, name);
	(void)fflush(stdout);
}

static void release(void)
{
	for (size_t i = 0; i < held_count; i++)
		answer_late(held[i].unique, held[i].opcode);
	held_count = 0;
	released = true;
}

static void look_up(const struct fuse_in_header *in, const char *name)
{
	if (strncmp(name, "hang", 4) == 0) {
		hold(in, "lookup", name);
		return;
	}
	if (strncmp(name, "slow", 4) == 0)
		name = "slow";
	for (size_t i = 1; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		if (nodes[i].number != (in->nodeid == FUSE_ROOT_ID ? INNER : FOLDER) &&
		    strcmp(name, nodes[i].name) == 0) {
			answer_entry(in->unique, &nodes[i]);
			return;
		}
	answer(in->unique, -ENOENT, NULL, 0);
}

static void read_file(const struct fuse_in_header *in, const struct fuse_read_in *read)
{
	const char *text = node_of(in->nodeid)->text;
	const size_t length = text == NULL ? 0 : strlen(text);

	answer(in->unique, 0, read->offset < length ? text + read->offset : NULL,
	       read->offset < length ? length - read->offset : 0);
}

static void serve(const struct fuse_in_header *in, const char *data)
{
	const struct fuse_init_out init = {.major = FUSE_KERNEL_VERSION,
					   .minor = 31,
					   .max_readahead = 65536,
					   .flags = FUSE_PARALLEL_DIROPS,
					   .max_background = 64,
					   .max_write = 65536};
	const struct fuse_attr_out attr = {.attr = attributes(node_of(in->nodeid))};
	const struct fuse_open_out opened = {0};
	const struct fuse_statfs_out system = {.st = {.bsize = 4096, .namelen = 255}};

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
		if (changes[i].opcode == in->opcode) {
			hold(in, changes[i].name, data + changes[i].before);
			return;
		}
	switch (in->opcode) {
	case FUSE_INIT:
		answer(in->unique, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		look_up(in, data);
		break;
	case FUSE_GETATTR:
		answer(in->unique, 0, &attr, sizeof(attr));
		break;
	case FUSE_SETATTR:
		hold(in, "setattr", node_of(in->nodeid)->name);
		break;
	case FUSE_OPEN:
		if (in->nodeid == SLOW) {
			hold(in, "open", "slow");
			break;
		}
		__attribute__((fallthrough));
	case FUSE_OPENDIR:
		answer(in->unique, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		read_file(in, (const struct fuse_read_in *)(const void *)data);
		break;
	case FUSE_STATFS:
		answer(in->unique, 0, &system, sizeof(system));
		break;
	case FUSE_READDIR:
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		answer(in->unique, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT: /* what hangs is not interrupted */
		break;
	default:
		answer(in->unique, -ENOSYS, NULL, 0);
	}
}

int main(int argc, char **argv)
{
	static _Alignas(8) char buffer[BUFFER_SIZE];
	char options[128], line[64];
	struct pollfd polls[2];
	ssize_t size;

	device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	(void)snprintf(options, sizeof(options), "fd=%d,rootmode=40777,user_id=0,group_id=0,allow_other", device);
	if (argc != 2 || device < 0 || mount("hangs", argv[1], "fuse", MS_NOSUID | MS_NODEV, options) < 0) {
		perror("fuse_server");
		return 1;
	}
	(void)puts("ready");
	(void)fflush(stdout);
	for (;;) {
		polls[0] = (struct pollfd){.fd = device, .events = POLLIN};
		polls[1] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
		if (poll(polls, 2, -1) < 0)
			break;
		if ((polls[1].revents & (POLLIN | POLLHUP)) != 0) {
			if (read(STDIN_FILENO, line, sizeof(line)) <= 0)
				break;
			release();
		}
		if ((polls[0].revents & POLLERR) != 0)
			break;
		if ((polls[0].revents & POLLIN) == 0)
			continue;
		size = read(device, buffer, sizeof(buffer));
		if (size >= (ssize_t)sizeof(struct fuse_in_header))
			serve((const struct fuse_in_header *)(const void *)buffer,
			      buffer + sizeof(struct fuse_in_header));
		else if (size < 0 && errno == ENODEV)
			break;
	}
	(void)umount2(argv[1], MNT_DETACH);
	return 0;
}
