/*
 * Names that are not in the world, where attempts on them are to be recorded (LogOnRead, LogOnWrite).
 *
 * What no rule grants is not there, so the walk itself answers ENOENT, and somebody who watches /root would hear nothing of a program
 * that tries to write there. Here the attempt gets its record. Nothing is decided: the answer is the walk's, whatever stands
 * here, and the host is not looked at. The name is put together from the folder that the walk reaches, as the world sees it,
 * and the rest of the text; where the text climbs by ".." through what is not there, it names nothing, and nothing is recorded. What
 * a rule allows and is merely missing was refused by nobody.
 */
#include <errno.h>
#include <string.h>

#include "supervisor/supervisor.h"

/* Whether some rule asks for records of such attempts: most policies have none, and pay nothing. */
static bool is_watched(const struct sg_policy *policy, unsigned int access)
{
	size_t reads, writes;

	(void)sg_policy_rules(policy, SG_RULE_LOG_READ, &reads);
	(void)sg_policy_rules(policy, SG_RULE_LOG_WRITE, &writes);
	return (reads > 0 && (access & SG_ACCESS_READ) != 0) ||
	       (writes > 0 && (access & (SG_ACCESS_WRITE | SG_ACCESS_CHANGE)) != 0);
}

size_t sg_name_append(char name[static PATH_MAX], size_t used, const char *rest)
{
	for (const char *at = rest; *at != '\0';) {
		const size_t skip = strspn(at, "/"), length = strcspn(at + skip, "/");

		at += skip;
		if (length == 2 && strncmp(at, "..", 2) == 0)
			return 0;
		if (length > 0 && !(length == 1 && at[0] == '.')) {
			if (used + 1 + length >= PATH_MAX)
				return 0;
			if (used == 0 || name[used - 1] != '/')
				name[used++] = '/';
			memcpy(name + used, at, length);
			used += length;
		}
		at += length;
	}
	name[used] = '\0';
	return used;
}

/* The canonical name that the text stands for in the world, though it is not there. Returns its length, or 0. */
static size_t find_name(struct sg_request *request, int dirfd, const char *named, char name[static PATH_MAX])
{
	size_t end = strlen(named);
	char folder[PATH_MAX];

	for (;;) {
		SG_CLEANUP(sg_resolved_done) struct sg_resolved object;
		int status;

		while (end > 0 && named[end - 1] == '/')
			end--;
		while (end > 0 && named[end - 1] != '/')
			end--;
		(void)memcpy(folder, named, end);
		memcpy(folder + end, end == 0 ? "." : "", end == 0 ? 2 : 1);
		sg_resolved_init(&object);
		status = sg_resolve(&request->supervisor->view, &request->caller, dirfd, folder, 0, &object);
		if (status == 0) {
			if (!S_ISDIR(object.status.st_mode) || object.unnamed || object.length >= PATH_MAX)
				return 0;
			memcpy(name, object.name, object.length + 1);
			return sg_name_append(name, object.length, named + end);
		}
		if (status != -ENOENT || end <= 1)
			return 0;
	}
}

void sg_record_absent(struct sg_request *request, int dirfd, const char *named, unsigned int access)
{
	struct sg_supervisor *supervisor = request->supervisor;
	struct sg_decision decision;
	char name[PATH_MAX];
	size_t length;

	if (named[0] == '\0' || !is_watched(supervisor->policy, access))
		return;
	length = find_name(request, dirfd, named, name);
	if (length == 0)
		return;
	sg_decide(supervisor->policy, supervisor->names, name, length, access, false, &decision);
	if (decision.verdict == SG_VERDICT_ALLOW || !decision.record || !sg_caller_valid(&request->caller))
		return;
	decision.error = ENOENT;
	decision.silent = true; /* programs look in many places where nothing is */
	(void)sg_report(request, &decision, name, named);
}
