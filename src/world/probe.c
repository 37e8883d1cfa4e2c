#include "world/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "world/identity.h"
#include "world/probe_internal.h"

static const sg_trial_function trials[SG_FEATURES_] = {
#define SG_FEATURE(id, name, since, needs, effect, probe, ...) [SG_FEATURE_##id] = sg_trial_##probe,
#include "tables/features.def"
#undef SG_FEATURE
};

/* What a trial's process sends back. */
struct answer {
	int status;
	char detail[SG_PROBE_DETAIL_MAX];
};

int sg_trial_say(const struct sg_trial *trial, int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(trial->detail, SG_PROBE_DETAIL_MAX, format, arguments);
	va_end(arguments);
	return status;
}

int sg_trial_fail(const struct sg_trial *trial, const char *call)
{
	const int error = errno == 0 ? EIO : errno;

	return sg_trial_say(trial, -error, "%s: %s", call, strerrordesc_np(error));
}

long sg_trial_number(const char *path)
{
	SG_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[32], *end;
	ssize_t size = fd < 0 ? -1 : sg_fd_read_full(fd, text, sizeof(text) - 1);
	long number;

	if (size <= 0)
		return -1;
	text[size] = '\0';
	number = strtol(text, &end, 10);
	return end == text ? -1 : number;
}

/* Dies with its parent, so that a trial that is killed leaves nothing behind. */
static SG_NORETURN void answer_with(int out, sg_trial_function function, const struct sg_trial *trial)
{
	struct answer answer = {0};
	const struct sg_trial own = {.folder = trial->folder, .detail = answer.detail};

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	answer.status = function(&own);
	(void)sg_fd_write_full(out, &answer, sizeof(answer));
	_exit(0);
}

static int take_answer(int in, pid_t pid, int timeout, const struct sg_trial *trial)
{
	struct pollfd wait = {.fd = in, .events = POLLIN};
	struct answer answer;
	int status = -EIO;

	if (poll(&wait, 1, timeout) <= 0)
		status = sg_trial_say(trial, -ETIMEDOUT, "no answer within %d seconds", timeout / 1000);
	else if (sg_fd_read_full(in, &answer, sizeof(answer)) == (ssize_t)sizeof(answer)) {
		answer.detail[sizeof(answer.detail) - 1] = '\0';
		status = sg_trial_say(trial, answer.status, "%s", answer.detail);
	} else {
		status = sg_trial_say(trial, -EIO, "the trial was ended from outside");
	}
	sg_trial_reap(pid);
	return status;
}

int sg_trial_sleeper(void)
{
	const pid_t pid = fork();

	if (pid != 0)
		return pid < 0 ? -errno : pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	for (;;)
		(void)pause();
}

void sg_trial_reap(int pid)
{
	(void)kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}

static SG_NORETURN void run_within(const struct sg_identity *identity, int go, int out, sg_trial_function function,
				   const struct sg_trial *trial)
{
	struct answer answer = {0};
	struct sg_error error = SG_ERROR_INIT;
	char byte;

	if (sg_fd_read_full(go, &byte, 1) != 1)
		_exit(1);
	answer.status = sg_identity_take(identity, &error);
	if (answer.status < 0) {
		(void)snprintf(answer.detail, sizeof(answer.detail), "%.*s", SG_PROBE_DETAIL_MAX - 1, error.text);
		(void)sg_fd_write_full(out, &answer, sizeof(answer));
		_exit(0);
	}
	answer_with(out, function, trial);
}

int sg_trial_within(uint64_t flags, bool inner, sg_trial_function function, const struct sg_trial *trial)
{
	struct clone_args arguments = {.flags = CLONE_NEWUSER | flags, .exit_signal = SIGCHLD};
	int go[2] = {-1, -1}, out[2] = {-1, -1}, status;
	struct sg_error error = SG_ERROR_INIT;
	struct sg_identity identity;
	long pid = -1;

	if (sg_identity_find(NULL, &identity, &error) < 0)
		return sg_trial_say(trial, error.code, "%s", error.text);
	if (pipe2(go, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0) {
		status = sg_trial_fail(trial, "pipe2");
	} else {
		pid = syscall(SYS_clone3, &arguments, sizeof(arguments));
		if (pid == 0) {
			sg_fd_close(go[1]);
			sg_fd_close(out[0]);
			run_within(&identity, go[0], out[1], function, trial);
		}
		status = pid < 0 ? sg_trial_fail(trial, "clone3") : 0;
	}
	go[0] = sg_fd_close(go[0]);
	out[1] = sg_fd_close(out[1]);
	if (pid > 0) {
		status = sg_identity_write_maps(&identity, (pid_t)pid, inner, &error);
		if (status < 0) {
			(void)sg_trial_say(trial, status, "%s", error.text);
			sg_trial_reap((pid_t)pid);
		} else {
			(void)sg_fd_write_full(go[1], "", 1);
			status = take_answer(out[0], (pid_t)pid, SG_PROBE_TIMEOUT_MS, trial);
		}
	}
	sg_fd_close(go[1]);
	sg_fd_close(out[0]);
	return status;
}

void sg_probe(enum sg_feature feature, const char *folder, struct sg_probe_result *ret)
{
	const struct sg_trial trial = {.folder = folder, .detail = ret->detail};
	int out[2], status;
	pid_t pid;

	*ret = (struct sg_probe_result){.state = SG_PROBE_MISSING};
	if (sg_feature_hidden(feature)) {
		ret->error = sg_trial_say(&trial, -EOPNOTSUPP, "hidden for a test");
		return;
	}
	if (pipe2(out, O_CLOEXEC) < 0) {
		ret->error = sg_trial_fail(&trial, "pipe2");
		return;
	}
	pid = fork();
	if (pid == 0) {
		sg_fd_close(out[0]);
		answer_with(out[1], trials[feature], &trial);
	}
	sg_fd_close(out[1]);
	status = pid < 0 ? sg_trial_fail(&trial, "fork") : take_answer(out[0], pid, SG_PROBE_TIMEOUT_MS, &trial);
	sg_fd_close(out[0]);
	ret->state = status == 0 ? SG_PROBE_PRESENT : status > 0 ? SG_PROBE_NOT_NEEDED : SG_PROBE_MISSING;
	ret->error = status < 0 ? status : 0;
}

void sg_probe_all(const char *folder, struct sg_probe_result *results)
{
	results[0] = (struct sg_probe_result){.state = SG_PROBE_PRESENT};
	for (int i = 1; i < SG_FEATURES_; i++) {
		const enum sg_feature needs = sg_feature_infos[i].needs;

		if (results[needs].state == SG_PROBE_PRESENT || results[needs].state == SG_PROBE_NOT_NEEDED) {
			sg_probe((enum sg_feature)i, folder, &results[i]);
			continue;
		}
		results[i] = (struct sg_probe_result){.state = SG_PROBE_UNTRIED};
		(void)snprintf(results[i].detail, sizeof(results[i].detail), "it needs %s",
			       sg_feature_infos[needs].name);
	}
}

void sg_probe_explain(const char *folder, struct sg_buffer *out)
{
	struct sg_probe_result results[SG_FEATURES_];

	sg_probe_all(folder, results);
	for (int i = 1; i < SG_FEATURES_; i++)
		if (sg_feature_infos[i].effect == SG_EFFECT_NEEDED && results[i].state == SG_PROBE_MISSING)
			sg_buffer_printf(out, "missing: %s (%s). What helps: %s\n", sg_feature_infos[i].name,
					 results[i].detail, sg_feature_infos[i].remedy);
}
