#include "supervisor/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"

enum { STACK_SIZE = 512 * 1024, MATCHER_MEMORY = 1 << 20, IDLE_KEPT = 2, IDLE_SECONDS = 10, HEAD_SIZE = 4096 };

struct job {
	struct job *next;
	struct sg_request request;
	void (*handler)(struct sg_request *); /* NULL: the name is walked and the request goes back */
	int control;                          /* owned: where the caller's person is told of refusals */
	int listener;                         /* the main thread's number of the listener */
	dev_t own_devices[SG_OWN_DEVICES_MAX], skeleton;
	size_t own_device_count;
};

struct list {
	struct job *first, **end;
};

/* The lock guards everything but `ready`. */
struct sg_pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct list wanted, walked;
	size_t threads, idle, waiting; /* of `wanted` */
	int ready;
};

struct worker {
	struct sg_pool *pool;
	struct sg_supervisor supervisor; /* its own */
};

static void put(struct list *list, struct job *job)
{
	job->next = NULL;
	*list->end = job;
	list->end = &job->next;
}

static struct job *take(struct list *list)
{
	struct job *job = list->first;

	if (job == NULL)
		return NULL;
	list->first = job->next;
	if (list->first == NULL)
		list->end = &list->first;
	return job;
}

int sg_pool_start(struct sg_supervisor *supervisor)
{
	struct sg_pool *pool;

	if (!supervisor->plan->may_hang || supervisor->plan->decide_looks)
		return 0;
	pool = calloc(1, sizeof(*pool));
	if (pool == NULL)
		return -ENOMEM;
	(void)pthread_mutex_init(&pool->lock, NULL);
	(void)pthread_cond_init(&pool->work, NULL);
	pool->wanted.end = &pool->wanted.first;
	pool->walked.end = &pool->walked.first;
	pool->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->ready < 0) {
		free(pool);
		return -errno;
	}
	supervisor->pool = pool;
	return 0;
}

/* --- what a worker does --- */

/* The address of a connect, bind or sendto, if it is a unix socket's name. Returns false for everything else. */
static bool read_socket_name(struct sg_request *request, char *name, size_t size)
{
	const struct seccomp_data *data = &request->notification.data;
	const bool sends = data->nr == SYS_sendto;
	const uint64_t address = data->args[sends ? 4 : 1], length = data->args[sends ? 5 : 2];
	struct sockaddr_un un = {0};

	if ((!sends && data->nr != SYS_connect && data->nr != SYS_bind) ||
	    length <= offsetof(struct sockaddr_un, sun_path) || length > sizeof(un) ||
	    sg_caller_read(&request->caller, address, &un, (size_t)length) < 0 || un.sun_family != AF_UNIX ||
	    un.sun_path[0] == '\0')
		return false;
	return snprintf(name, size, "%.*s", (int)sizeof(un.sun_path), un.sun_path) > 0;
}

/* What the call names. Returns 0 with the name and where it starts, or a negative errno value: nothing to walk. */
static int read_name(struct sg_request *request, char *name, size_t size, int *ret_start)
{
	const struct seccomp_data *data = &request->notification.data;
	uint64_t address;
	ssize_t length;

	*ret_start = AT_FDCWD;
	switch (data->nr) {
	case SYS_execve:
		address = data->args[0];
		break;
	case SYS_execveat:
		*ret_start = (int)data->args[0];
		address = data->args[1];
		break;
	default:
		return read_socket_name(request, name, size) ? 0 : -ENOENT;
	}
	length = sg_caller_read_string(&request->caller, address, name, size);
	return length < 0 ? (int)length : 0;
}

/*
 * Walks the name of a call as its handler will, and where it may be executed opens the file and reads its beginning, as that does:
 * what came of it is not kept. Nothing is opened that the policy refuses.
 */
static void walk(struct sg_request *request)
{
	struct sg_supervisor *supervisor = request->supervisor;
	SG_CLEANUP(sg_resolved_done) struct sg_resolved object = SG_RESOLVED_INIT;
	char name[PATH_MAX], head[HEAD_SIZE];
	struct sg_decision decision;
	SG_AUTO_FD int file = -1;
	int start;

	if (read_name(request, name, sizeof(name), &start) < 0 || sg_request_identify(request) < 0 ||
	    sg_resolve(&supervisor->view, &request->caller, start, name, SG_RESOLVE_EMPTY, &object) < 0 ||
	    object.unnamed || !S_ISREG(object.status.st_mode))
		return;
	sg_decide(supervisor->policy, supervisor->names, object.name, object.length, SG_ACCESS_EXECUTE,
		  sg_is_own(supervisor, &object.status), &decision);
	if (decision.verdict != SG_VERDICT_ALLOW || !sg_caller_valid(&request->caller))
		return;
	file = sg_reopen(&supervisor->view, object.fd, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (file >= 0)
		(void)!pread(file, head, sizeof(head), 0);
}

static void finish(struct sg_pool *pool, struct job *job)
{
	sg_fd_close(job->control);
	sg_fd_close(job->request.caller.listener);
	if (job->handler != NULL) {
		free(job);
		return;
	}
	job->request.caller.listener = job->listener;
	(void)pthread_mutex_lock(&pool->lock);
	put(&pool->walked, job);
	(void)pthread_mutex_unlock(&pool->lock);
	(void)eventfd_write(pool->ready, 1);
}

static void work(struct worker *worker, struct job *job)
{
	struct sg_supervisor *own = &worker->supervisor, *supervisor = job->request.supervisor;

	own->control = job->control;
	memcpy(own->own_devices, job->own_devices, sizeof(own->own_devices));
	own->skeleton = job->skeleton;
	own->own_device_count = job->own_device_count;
	job->request.supervisor = own;
	if (job->handler == NULL)
		walk(&job->request);
	else
		job->handler(&job->request);
	if (job->handler != NULL && !job->request.answered)
		sg_answer_error(&job->request, EINTR);
	job->request.supervisor = supervisor;
	finish(worker->pool, job);
}

/* The next call; NULL: there was none for a while, and there are others who wait for one. */
static struct job *await(struct sg_pool *pool)
{
	struct job *job;

	(void)pthread_mutex_lock(&pool->lock);
	while ((job = take(&pool->wanted)) == NULL) {
		struct timespec end;
		int status;

		(void)clock_gettime(CLOCK_REALTIME, &end);
		end.tv_sec += IDLE_SECONDS;
		pool->idle++;
		status = pthread_cond_timedwait(&pool->work, &pool->lock, &end);
		pool->idle--;
		if (status == ETIMEDOUT && pool->wanted.first == NULL && pool->idle >= IDLE_KEPT) {
			pool->threads--;
			break;
		}
	}
	if (job != NULL)
		pool->waiting--;
	(void)pthread_mutex_unlock(&pool->lock);
	return job;
}

static void *run(void *data)
{
	struct worker *worker = data;
	/* The umask is the caller's, for the time of a call. */
	const bool apart = unshare(CLONE_FS) == 0;
	struct job *job;

	while ((job = await(worker->pool)) != NULL) {
		if (!apart && job->handler != NULL) {
			sg_answer_error(&job->request, EAGAIN);
			finish(worker->pool, job);
		} else {
			work(worker, job);
		}
	}
	sg_matcher_free(worker->supervisor.names);
	free(worker);
	return NULL;
}

/* --- what the main thread does --- */

static struct worker *make_worker(const struct sg_supervisor *supervisor)
{
	struct worker *worker = malloc(sizeof(*worker));

	if (worker == NULL)
		return NULL;
	worker->pool = supervisor->pool;
	worker->supervisor = *supervisor;
	worker->supervisor.origin = supervisor->origin;
	worker->supervisor.entry_limit = 0; /* `control` is that of the job */
	worker->supervisor.ids_length = 0;
	worker->supervisor.in_row = 0; /* what is done for calls in a row is the main thread's */
	if (sg_matcher_new(supervisor->plan->names, MATCHER_MEMORY, &worker->supervisor.names) < 0) {
		free(worker);
		return NULL;
	}
	return worker;
}

static int add_thread(const struct sg_supervisor *supervisor)
{
	struct worker *worker = make_worker(supervisor);
	pthread_attr_t attributes;
	pthread_t thread;
	int status;

	if (worker == NULL)
		return -ENOMEM;
	(void)pthread_attr_init(&attributes);
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attributes, STACK_SIZE);
	status = pthread_create(&thread, &attributes, run, worker);
	(void)pthread_attr_destroy(&attributes);
	if (status != 0) {
		sg_matcher_free(worker->supervisor.names);
		free(worker);
	}
	return -status;
}

/* Under the lock: forgets the callers that are gone. */
static void drop_dead(struct sg_pool *pool)
{
	struct job **at = &pool->wanted.first;

	while (*at != NULL) {
		struct job *job = *at;

		if (sg_caller_valid(&job->request.caller)) {
			at = &job->next;
			continue;
		}
		*at = job->next;
		pool->waiting--;
		sg_fd_close(job->control);
		sg_fd_close(job->request.caller.listener);
		free(job);
	}
	pool->wanted.end = at;
}

/* Whether one more may wait for a worker. */
static bool has_room(struct sg_pool *pool)
{
	bool room;

	(void)pthread_mutex_lock(&pool->lock);
	if (pool->waiting >= SG_POOL_WANTED_MAX)
		drop_dead(pool);
	room = pool->waiting < SG_POOL_WANTED_MAX;
	(void)pthread_mutex_unlock(&pool->lock);
	return room;
}

/* Takes the request over. Returns 0 or a negative errno value: then it is still the caller's. */
static int give(struct sg_request *request, void (*handler)(struct sg_request *))
{
	struct sg_supervisor *supervisor = request->supervisor;
	struct sg_pool *pool = supervisor->pool;
	struct job *job = has_room(pool) ? malloc(sizeof(*job)) : NULL;
	const int control = sg_entry_control(supervisor, request->caller.listener);
	bool alone;

	if (job == NULL)
		return -ENOMEM;
	*job = (struct job){.request = *request,
			    .handler = handler,
			    .listener = request->caller.listener,
			    .control = fcntl(control, F_DUPFD_CLOEXEC, 3),
			    .own_device_count = supervisor->own_device_count};
	memcpy(job->own_devices, supervisor->own_devices, sizeof(job->own_devices));
	job->skeleton = supervisor->skeleton;
	job->request.caller.listener = fcntl(request->caller.listener, F_DUPFD_CLOEXEC, 3);
	(void)pthread_mutex_lock(&pool->lock);
	alone = pool->idle <= pool->waiting && pool->threads < SG_POOL_MAX;
	pool->threads += alone;
	(void)pthread_mutex_unlock(&pool->lock);
	if (job->control < 0 || job->request.caller.listener < 0 || (alone && add_thread(supervisor) < 0)) {
		(void)pthread_mutex_lock(&pool->lock);
		pool->threads -= alone;
		(void)pthread_mutex_unlock(&pool->lock);
		sg_fd_close(job->control);
		sg_fd_close(job->request.caller.listener);
		free(job);
		return -EAGAIN;
	}
	(void)pthread_mutex_lock(&pool->lock);
	put(&pool->wanted, job);
	pool->waiting++;
	(void)pthread_cond_signal(&pool->work);
	(void)pthread_mutex_unlock(&pool->lock);
	request->answered = true; /* by the worker, or by us later */
	return 0;
}

bool sg_pool_handle(struct sg_request *request, void (*handler)(struct sg_request *))
{
	if (request->supervisor->pool == NULL)
		return false;
	if (give(request, handler) < 0)
		sg_answer_error(request, EAGAIN);
	return true;
}

bool sg_pool_prepare(struct sg_request *request)
{
	const int number = request->notification.data.nr;

	if (request->supervisor->pool == NULL || request->prepared ||
	    (number != SYS_execve && number != SYS_execveat && number != SYS_connect && number != SYS_bind &&
	     number != SYS_sendto))
		return false;
	if (give(request, NULL) < 0)
		sg_answer_error(request, EAGAIN);
	return true;
}

int sg_pool_fd(const struct sg_supervisor *supervisor)
{
	return supervisor->pool == NULL ? -1 : supervisor->pool->ready;
}

bool sg_pool_return(struct sg_supervisor *supervisor, struct sg_request *ret)
{
	struct sg_pool *pool = supervisor->pool;
	eventfd_t count;
	struct job *job;

	if (pool == NULL)
		return false;
	(void)pthread_mutex_lock(&pool->lock);
	job = take(&pool->walked);
	if (job == NULL)
		(void)eventfd_read(pool->ready, &count); /* under the lock: what comes now makes it readable again */
	(void)pthread_mutex_unlock(&pool->lock);
	if (job == NULL)
		return false;
	*ret = job->request;
	ret->answered = false;
	ret->prepared = true;
	free(job);
	return true;
}
