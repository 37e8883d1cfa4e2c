/* Names and memory that change while a call on them is decided. Bounded tries; what is given must never be
 * the secret. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

static char texts[2][PATH_MAX];
static volatile char flip[PATH_MAX];
static volatile int stop;

static void *flip_path(void *data)
{
	size_t length = strlen(texts[0]) + 1;

	(void)data;
	for (unsigned int turn = 0; !stop; turn++)
		for (size_t i = 0; i < length; i++)
			flip[i] = texts[turn & 1][i];
	return NULL;
}

static int opened, failed;

static void judge(const char *name, int fd)
{
	if (fd < 0) {
		failed++;
		return;
	}
	opened++;
	if (holds_secret(fd))
		escaped(name);
}

/* ALLOWED DENIED TRIES: two paths of one length; the text changes from one to the other while it is read. */
static int pointer(int argc, char **argv)
{
	pthread_t thread;
	int tries = atoi(argv[2]);

	(void)argc;
	(void)snprintf(texts[0], PATH_MAX, "%s", argv[0]);
	(void)snprintf(texts[1], PATH_MAX, "%s", argv[1]);
	if (strlen(texts[0]) != strlen(texts[1]) || pthread_create(&thread, NULL, flip_path, NULL) != 0)
		return 1;
	(void)strcpy((char *)(size_t)flip, texts[0]);
	for (int i = 0; i < tries; i++) {
		const char *path = (const char *)(size_t)flip;

		judge("race-open", (int)syscall(SYS_open, path, O_RDONLY, 0));
		judge("race-openat", openat(AT_FDCWD, path, O_RDONLY));
		judge("race-openat2",
		      (int)syscall(SYS_openat2, AT_FDCWD, path, &(struct { unsigned long long a, b, c; }){0}, 24));
		judge("race-rdwr", open(path, O_RDWR));
	}
	stop = 1;
	(void)pthread_join(thread, NULL);
	saw_number("opened", opened);
	saw_number("failed", failed);
	refused("race-pointer", 0);
	must_read("afterwards", argv[0], "OPEN");
	return 0;
}

static _Noreturn void swap_for_ever(const char *dir, int kind)
{
	int fd = open(dir, O_PATH);

	for (;;) {
		if (kind == 0) { /* a symbolic link from one to the other */
			(void)unlinkat(fd, "next", 0);
			if (symlinkat("open.txt", fd, "next") == 0)
				(void)renameat(fd, "next", fd, "way");
			if (symlinkat("secret.key", fd, "next") == 0)
				(void)renameat(fd, "next", fd, "way");
		} else { /* the folder on the way: a real one, or a link to the denied one */
			(void)syscall(SYS_renameat2, fd, "way", fd, "other", RENAME_EXCHANGE);
		}
	}
}

/* DIR KIND TRIES: a sibling swaps "way" in DIR. */
static int swap(int argc, char **argv)
{
	const int kind = atoi(argv[1]), tries = atoi(argv[2]);
	char path[PATH_MAX];
	pid_t sibling;

	(void)argc;
	(void)snprintf(path, sizeof(path), kind == 0 ? "%s/way" : "%s/way/data", argv[0]);
	sibling = fork();
	if (sibling == 0)
		swap_for_ever(argv[0], kind);
	for (int i = 0; i < tries; i++) {
		judge("swap-read", open(path, O_RDONLY));
		judge("swap-write", open(path, O_RDWR));
		judge("swap-create", open(path, O_RDWR | O_CREAT, 0600));
	}
	(void)kill(sibling, SIGKILL);
	(void)waitpid(sibling, NULL, 0);
	saw_number("opened", opened);
	saw_number("failed", failed);
	refused("race-swap", 0);
	return 0;
}

/* PATH TRIES: somebody outside moves the folders above it meanwhile. Ends when the file "done" beside it is
 * there. */
static int watch_outside(int argc, char **argv)
{
	int tries = atoi(argv[1]);

	(void)argc;
	saw("ready", "1");
	for (int i = 0; i < tries; i++) {
		judge("outside-read", open(argv[0], O_RDONLY));
		for (int j = 2; j < argc; j++)
			judge("outside-read-other", open(argv[j], O_RDONLY));
	}
	saw_number("opened", opened);
	refused("race-outside", 0);
	return 0;
}

static atomic_int ticks;

static void tick(int number)
{
	(void)number;
	atomic_fetch_add(&ticks, 1);
}

/* OPEN DENIED TRIES: under a storm of signals no open is lost, answered twice, or given without a decision.
 */
static int signals(int argc, char **argv)
{
	struct itimerval timer = {{0, 200}, {0, 200}};
	struct sigaction action = {.sa_handler = tick};
	int tries = atoi(argv[2]), lost = 0, gave = 0;

	(void)argc;
	(void)sigaction(SIGPROF, &action, NULL);
	(void)sigaction(SIGVTALRM, &action, NULL);
	(void)setitimer(ITIMER_PROF, &timer, NULL);
	(void)setitimer(ITIMER_VIRTUAL, &timer, NULL);
	for (int i = 0; i < tries; i++) {
		int fd = open(argv[0], O_RDONLY);

		lost += fd < 0 && errno != EINTR;
		if (fd >= 0)
			(void)close(fd);
		fd = open(argv[1], O_RDONLY);
		gave += fd >= 0;
		if (fd >= 0)
			(void)close(fd);
	}
	saw_number("ticks", ticks);
	saw_number("lost", lost);
	if (gave > 0)
		escaped("signals");
	else
		refused("signals", 0);
	if (lost == 0)
		(void)must_work("signals-open", 0);
	return 0;
}

const struct probe probes[] = {
	{"pointer", pointer}, {"swap", swap}, {"outside", watch_outside}, {"signals", signals}, {NULL, NULL},
};
