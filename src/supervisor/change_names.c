/*
 * Making, removing, renaming and linking names.
 *
 * The folder is pinned, the last component is text: the name decided is that of the folder with the component
 * behind it, and the act is done on exactly these two. Whether the component stands for a directory is part
 * of the name for globs; each act says which it takes it for, in a way that makes the kernel refuse the
 * other.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/change.h"

enum { MODE_BITS = 01777, SET_ID_BITS = 06000 };

static const char set_id_reason[] = "a file of set-user-id or set-group-id lends authority, also outside of the world";

static bool is_directory(const struct sg_change_name *name)
{
	return name->at.exists && S_ISDIR(name->at.status.st_mode);
}

static int64_t result_of(int returned)
{
	return returned < 0 ? -errno : 0;
}

int64_t sg_change_remove(struct sg_change *change)
{
	const bool folder = (change->flags & AT_REMOVEDIR) != 0;
	struct sg_change_name *name = &change->first;
	const char *special;
	int status = sg_change_pin_place(change, false);

	if (status < 0)
		return status;
	special = sg_change_special(name);
	if (special != NULL)
		return !folder                      ? -EISDIR
		       : strcmp(special, ".") == 0  ? -EINVAL
		       : strcmp(special, "..") == 0 ? -ENOTEMPTY
						    : -EBUSY;
	sg_change_form(name, name->at.exists ? is_directory(name) : folder);
	(void)sg_change_ask(change, name, SG_ACCESS_CHANGE, false);
	if (name->decision.verdict != SG_VERDICT_HIDE) {
		if (!name->at.exists)
			return -ENOENT;
		if (is_directory(name) != folder)
			return folder ? -ENOTDIR : -EISDIR;
		if (!folder && name->at.slash)
			return -ENOTDIR;
		if (sg_change_in_proc(name))
			return -EPERM;
	}
	status = sg_change_commit(change, false);
	if (status < 0)
		return status;
	return result_of(unlinkat(name->at.fd, name->at.last, folder ? AT_REMOVEDIR : 0));
}

/* Pins and decides a name that is to be made. Returns 0 with the decision made, or the error of the call. */
static int prepare_new(struct sg_change *change, bool second, bool folder)
{
	struct sg_change_name *name = second ? &change->second : &change->first;
	int status = sg_change_pin_place(change, second);

	if (status < 0)
		return status;
	if (sg_change_special(name) != NULL)
		return -EEXIST;
	sg_change_form(name, name->at.exists ? is_directory(name) : folder);
	(void)sg_change_ask(change, name, SG_ACCESS_CHANGE, true);
	if (name->decision.verdict == SG_VERDICT_HIDE)
		return 0;
	if (name->at.exists) /* before a refusal: "mkdir -p" counts on it */
		return -EEXIST;
	if (name->at.slash && !folder)
		return -ENOENT;
	return sg_change_in_proc(name) ? -ENOENT : 0;
}

int64_t sg_change_make_folder(struct sg_change *change)
{
	const mode_t mode = (mode_t)sg_change_argument(change, 0);
	mode_t before;
	int status;
	int64_t result;

	if ((mode & SET_ID_BITS) != 0)
		return sg_change_refuse(change, EPERM, set_id_reason);
	status = prepare_new(change, false, true);
	if (status == 0)
		status = sg_caller_status(&change->request->caller); /* the umask */
	if (status == 0)
		status = sg_change_commit(change, false);
	if (status < 0)
		return status;
	before = umask(change->request->caller.umask);
	result = result_of(mkdirat(change->first.at.fd, change->first.at.last, mode & MODE_BITS));
	(void)umask(before);
	return result;
}

int64_t sg_change_make_node(struct sg_change *change)
{
	mode_t mode = (mode_t)(uint16_t)sg_change_argument(change, 0), before;
	int status;
	int64_t result;

	if ((mode & S_IFMT) == 0)
		mode |= S_IFREG;
	if ((mode & SET_ID_BITS) != 0)
		return sg_change_refuse(change, EPERM, set_id_reason);
	if (S_ISCHR(mode) || S_ISBLK(mode) || S_ISDIR(mode))
		return sg_change_refuse(change, EPERM, "device nodes are not made in a world");
	if (!S_ISREG(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
		return -EINVAL;
	status = prepare_new(change, false, false);
	if (status == 0)
		status = sg_caller_status(&change->request->caller);
	if (status == 0)
		status = sg_change_commit(change, false);
	if (status < 0)
		return status;
	before = umask(change->request->caller.umask);
	result = result_of(mknodat(change->first.at.fd, change->first.at.last, mode & (S_IFMT | MODE_BITS), 0));
	(void)umask(before);
	return result;
}

static void refuse_growth(struct sg_change_name *to, const char *reason)
{
	to->decision = (struct sg_decision){.verdict = SG_VERDICT_DENY, .error = EACCES, .reason = reason};
}

/* The rule of those that refuse that speaks, by its literal prefix, of names below this one; or NULL. */
static const struct sg_rule *find_refused_below(const struct sg_policy *policy, const char *name, size_t length)
{
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct sg_rule *rule = &policy->rules[i];
		size_t prefix_length;
		const char *prefix;

		if (rule->glob == NULL || (SG_NAME_BIT(rule->kind) & SG_NAMES_REFUSE) == 0)
			continue;
		prefix = sg_glob_prefix(rule->glob, &prefix_length);
		if (prefix_length > length && strncmp(prefix, name, length) == 0 && prefix[length] == '/')
			return rule;
	}
	return NULL;
}

/* The rule that grants just this name, or NULL. Where too many rules match to tell, one of those. */
static const struct sg_rule *find_literal(const struct sg_supervisor *supervisor, const struct sg_change_name *name)
{
	uint32_t rules[16];
	struct sg_match match;
	size_t count;

	if (sg_matcher_match(supervisor->names, name->at.name, name->at.length, &match) < 0)
		return NULL;
	count = sg_matcher_rules(supervisor->names, SG_NAMES_ALLOW, rules, SG_ARRAY_SIZE(rules));
	for (size_t i = 0; i < count; i++)
		if (count == SG_ARRAY_SIZE(rules) || sg_glob_is_literal(supervisor->policy->rules[rules[i]].glob))
			return &supervisor->policy->rules[rules[i]];
	return NULL;
}

/*
 * Two places for which no symbolic link is made, by whatever call. Under a name that a rule spells out: the next session of
 * that profile would follow it when it looks the rule's name up, and give what it leads to (world/plan.c). And above names
 * that a rule refuses: whoever outside follows it would find under them what this world has put elsewhere.
 */
static void check_symlink(const struct sg_change *change, struct sg_change_name *name)
{
	const struct sg_supervisor *supervisor = change->request->supervisor;
	const struct sg_rule *rule;

	if (name->decision.verdict != SG_VERDICT_ALLOW || name->own)
		return;
	rule = find_literal(supervisor, name);
	if (rule != NULL) {
		refuse_growth(name, "a rule names this file: a symbolic link there would lead the rule elsewhere");
	} else {
		rule = find_refused_below(supervisor->policy, name->at.name, name->at.length);
		if (rule != NULL)
			refuse_growth(name,
				      "a rule refuses names below this one: a symbolic link would lead them elsewhere");
	}
	name->decision.rule = rule != NULL ? rule : name->decision.rule;
}

static bool is_symlink(const struct sg_change_name *name)
{
	return name->at.exists && S_ISLNK(name->at.status.st_mode);
}

int64_t sg_change_make_symlink(struct sg_change *change)
{
	char text[PATH_MAX];
	ssize_t length =
		sg_caller_read_string(&change->request->caller, sg_change_argument(change, 0), text, sizeof(text));
	int status;

	if (length <= 0)
		return length < 0 ? length : -ENOENT;
	status = prepare_new(change, false, false);
	if (status < 0)
		return status;
	check_symlink(change, &change->first);
	status = sg_change_commit(change, false);
	if (status < 0)
		return status;
	return result_of(symlinkat(text, change->first.at.fd, change->first.at.last));
}

static void decide(const struct sg_change *change, const struct sg_change_name *name, unsigned int access,
		   struct sg_decision *ret)
{
	const struct sg_supervisor *supervisor = change->request->supervisor;

	sg_decide(supervisor->policy, supervisor->names, name->at.name, name->at.length, access, name->own, ret);
}

/*
 * A second name may give nothing that the first does not: not reading, writing or executing, and not the same
 * without the record that the first asks for.
 */
static void check_link(const struct sg_change *change, struct sg_change_name *from, struct sg_change_name *to)
{
	static const unsigned int accesses[] = {SG_ACCESS_READ, SG_ACCESS_WRITE, SG_ACCESS_EXECUTE};

	for (size_t i = 0; i < SG_ARRAY_SIZE(accesses) && to->decision.verdict == SG_VERDICT_ALLOW; i++) {
		struct sg_decision old, new;

		decide(change, from, accesses[i], &old);
		decide(change, to, accesses[i], &new);
		if (new.verdict != SG_VERDICT_ALLOW)
			continue;
		if (old.verdict != SG_VERDICT_ALLOW)
			refuse_growth(to, "under its new name the file could be used in ways that its old "
					  "name forbids");
		else if (old.record && !new.record)
			refuse_growth(to, "under its new name the file could be used without the record that "
					  "its old name asks for");
	}
}

/*
 * A file that moves. Who may write both names may copy, so what counts is what copying would not give:
 * reading, and execution where a rule forbids just this.
 */
static void check_file_move(const struct sg_change *change, struct sg_change_name *from, struct sg_change_name *to)
{
	struct sg_decision old, new;

	decide(change, from, SG_ACCESS_READ, &old);
	decide(change, to, SG_ACCESS_READ, &new);
	if (old.verdict != SG_VERDICT_ALLOW && new.verdict == SG_VERDICT_ALLOW) {
		refuse_growth(to, "under its new name the file could be read");
		return;
	}
	decide(change, from, SG_ACCESS_EXECUTE, &old);
	decide(change, to, SG_ACCESS_EXECUTE, &new);
	if (old.verdict != SG_VERDICT_ALLOW && old.rule != NULL && new.verdict == SG_VERDICT_ALLOW)
		refuse_growth(to, "under its new name the file could be executed, which a rule denies");
}

/* Decides about `from` becoming `to` as a directory or not, with the decisions left in both. Returns true if
 * allowed. */
static bool ask_move(struct sg_change *change, struct sg_change_name *from, struct sg_change_name *to, bool directory)
{
	struct sg_supervisor *supervisor = change->request->supervisor;
	struct sg_decision move;

	sg_change_form(from, directory);
	sg_change_form(to, directory);
	if (!sg_change_ask(change, from, SG_ACCESS_CHANGE, from == &change->second) ||
	    !sg_change_ask(change, to, SG_ACCESS_CHANGE, to == &change->second))
		return false;
	if (!directory) {
		check_file_move(change, from, to);
		return to->decision.verdict == SG_VERDICT_ALLOW;
	}
	sg_decide_move(supervisor->policy, supervisor->names, from->at.name, from->at.length, to->at.name,
		       to->at.length, &move);
	if (move.verdict == SG_VERDICT_ALLOW)
		return true;
	to->decision = move;
	return false;
}

/* A slash makes the kernel refuse what is no directory. */
static void write_last(const struct sg_change_name *name, bool directory, char *out)
{
	(void)snprintf(out, NAME_MAX + 2, "%s%s", name->at.last, directory ? "/" : "");
}

static bool became_directory(const struct sg_change_name *name)
{
	struct stat status;

	return fstatat(name->at.fd, name->at.last, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
}

/*
 * The kernel can be told to move a directory only, but not to move anything but a directory. The world itself
 * cannot put one there meanwhile (its calls wait for this one); somebody outside could. Then the move is
 * decided again as that of a directory, and taken back if it is not allowed.
 */
static int act_rename(struct sg_change *change, bool first_directory, bool second_directory)
{
	const bool exchange = (change->flags & RENAME_EXCHANGE) != 0;
	struct sg_change_name *first = &change->first, *second = &change->second;
	char from[NAME_MAX + 2], to[NAME_MAX + 2];
	bool undo;

	write_last(first, first_directory || first->at.slash, from);
	write_last(second, (exchange ? second_directory : first_directory) || second->at.slash, to);
	if (renameat2(first->at.fd, from, second->at.fd, to, change->flags) < 0)
		return -errno;
	undo = !first_directory && became_directory(second) && !ask_move(change, first, second, true);
	if (exchange && !undo)
		undo = !second_directory && became_directory(first) && !ask_move(change, second, first, true);
	if (!undo)
		return 0;
	(void)renameat2(second->at.fd, second->at.last, first->at.fd, first->at.last,
			exchange ? RENAME_EXCHANGE : RENAME_NOREPLACE);
	return -EAGAIN;
}

/* Before anything is asked that depends on what is there: a name that a rule hides. Returns 0 or the error of the call. */
static int check_hidden(struct sg_change *change, struct sg_change_name *name, bool making)
{
	if (!sg_change_is_hidden(change, name, making))
		return 0;
	if (!sg_caller_valid(&change->request->caller))
		return -EINTR;
	(void)sg_report(change->request, &name->decision, name->at.name, name->named);
	return -name->decision.error;
}

int64_t sg_change_rename(struct sg_change *change)
{
	struct sg_change_name *first = &change->first, *second = &change->second;
	const bool exchange = (change->flags & RENAME_EXCHANGE) != 0, keep = (change->flags & RENAME_NOREPLACE) != 0;
	bool first_directory, second_directory, hidden;
	int status;

	if (exchange && (change->flags & ~(unsigned int)RENAME_EXCHANGE) != 0)
		return -EINVAL;
	if ((change->flags & RENAME_WHITEOUT) != 0)
		return sg_change_refuse(change, EPERM,
					"a whiteout is a device node, and device nodes are not made in a world");
	status = sg_change_pin_place(change, false);
	if (status == 0)
		status = sg_change_pin_place(change, true);
	if (status == 0)
		status = check_hidden(change, first, false);
	if (status == 0)
		status = check_hidden(change, second, !exchange);
	if (status < 0)
		return status;
	if (sg_change_special(first) != NULL)
		return -EBUSY;
	if (sg_change_special(second) != NULL)
		return keep ? -EEXIST : -EBUSY;
	first_directory = is_directory(first);
	second_directory = is_directory(second);
	if (ask_move(change, first, second, first_directory) && exchange)
		(void)ask_move(change, second, first, second_directory);
	if (is_symlink(first))
		check_symlink(change, second);
	if (exchange && is_symlink(second))
		check_symlink(change, first);
	hidden = first->decision.verdict == SG_VERDICT_HIDE || second->decision.verdict == SG_VERDICT_HIDE;
	if (!hidden && (!first->at.exists || (exchange && !second->at.exists)))
		return -ENOENT;
	if (!hidden && keep && second->at.exists)
		return -EEXIST;
	if (!hidden && (sg_change_in_proc(first) || sg_change_in_proc(second)))
		return sg_change_in_proc(first) == sg_change_in_proc(second) ? -EPERM : -EXDEV;
	/* The names for the record: as they are, not as they were asked for last. */
	if (first->decision.verdict == SG_VERDICT_ALLOW && second->decision.verdict == SG_VERDICT_ALLOW) {
		sg_change_form(first, first_directory);
		sg_change_form(second, exchange ? second_directory : first_directory);
	}
	status = sg_change_commit(change, true);
	return status < 0 ? status : act_rename(change, first_directory, second_directory);
}

int64_t sg_change_link(struct sg_change *change)
{
	struct sg_change_name *first = &change->first, *second = &change->second;
	char pin[SG_CHANGE_LINK_MAX];
	int status;

	if ((change->flags & AT_SYMLINK_FOLLOW) == 0)
		change->flags |= AT_SYMLINK_NOFOLLOW;
	status = sg_change_pin_object(change);
	if (status == 0)
		status = check_hidden(change, first, false);
	if (status == 0)
		status = prepare_new(change, true, false);
	if (status < 0)
		return status;
	sg_change_decide_object(change, SG_ACCESS_CHANGE);
	if (S_ISDIR(first->at.status.st_mode) && first->decision.verdict != SG_VERDICT_HIDE)
		return -EPERM;
	if (first->decision.verdict == SG_VERDICT_ALLOW)
		check_link(change, first, second);
	if (is_symlink(first))
		check_symlink(change, second);
	status = sg_change_commit(change, true);
	if (status < 0)
		return status;
	sg_change_pin_name(change, first, pin);
	return result_of(
		linkat(change->request->supervisor->view.proc, pin, second->at.fd, second->at.last, AT_SYMLINK_FOLLOW));
}
