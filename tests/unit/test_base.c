#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/folder.h"
#include "base/text.h"
#include "base/users.h"

static void test_escape(void **state)
{
	static const struct {
		const char *in;
		size_t length;
		const char *out;
	} rows[] = {
		{"plain", 5, "plain"},
		{"a\nb\tc", 5, "a\\nb\\tc"},
		{"\033]0;x\007", 6, "\\e]0;x\\x07"},
		{"\xff\xc3\xa9", 3, "\\xff\xc3\xa9"},
		{"\xe2\x80\xae", 3, "\\u{202e}"},
		{"\xc2\x9b", 2, "\\u{9b}"},
		{"\xc0\xaf", 2, "\\xc0\\xaf"},
		{"back\\slash", 10, "back\\\\slash"},
		{"nul\0x", 5, "nul\\x00x"},
	};
	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(rows); i++) {
		char out[64];

		assert_int_equal(sg_text_escape(out, sizeof(out), rows[i].in, rows[i].length), strlen(rows[i].out));
		assert_string_equal(out, rows[i].out);
	}
	char tiny[4];
	assert_int_equal(sg_text_escape(tiny, sizeof(tiny), "\n\n", 2), 2);
	assert_string_equal(tiny, "\\n");
}

static void test_nearest(void **state)
{
	static const char *const names[] = {"dns", "ping", "outgoing", "incoming"};

	(void)state;
	assert_string_equal(sg_text_nearest("dsn", names, 4), "dns");
	assert_string_equal(sg_text_nearest("outgonig", names, 4), "outgoing");
	assert_null(sg_text_nearest("filesystem", names, 4));
	assert_null(sg_text_nearest("", names, 4));
}

static void test_json(void **state)
{
	SG_AUTO_BUFFER struct sg_buffer buffer = SG_BUFFER_INIT;

	(void)state;
	sg_buffer_append_json(&buffer, "a\"b\\c\n\x7f\xff\xc3\xa9", 10);
	assert_string_equal(buffer.data, "\"a\\\"b\\\\c\\u000a\\u007f\\udcff\xc3\xa9\"");
	sg_buffer_append_json(&buffer, "\xe2\x80\xae\xe2\x80\xa8\xc2\x9b\xf0\x9f\x98\x80", 12);
	assert_non_null(strstr(buffer.data, "\"\\u202e\\u2028\\u009b\xf0\x9f\x98\x80\""));
	assert_int_equal(sg_buffer_status(&buffer), 0);
}

static void test_error(void **state)
{
	struct sg_error error = SG_ERROR_INIT;

	(void)state;
	assert_int_equal(sg_error_set_errno(&error, -ENOENT, "open %s", "a\nb"), -ENOENT);
	assert_string_equal(error.text, "open a\\nb: No such file or directory");
	assert_int_equal(sg_error_set(&error, -EPERM, "later"), -EPERM);
	assert_int_equal(error.code, -ENOENT);
}

static void test_pass_fds(void **state)
{
	int pair[2], fds[2], got[2];
	size_t count;
	char byte;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(sg_fd_send(pair[0], "x", 1, fds, 2), 0);
	assert_int_equal(sg_fd_receive(pair[1], &byte, 1, got, 2, &count), 1);
	assert_int_equal(count, 2);
	assert_int_equal(write(got[1], "y", 1), 1);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	assert_int_equal(byte, 'y');
	/* More descriptors than asked for: all are closed, nothing is adopted. */
	assert_int_equal(sg_fd_send(pair[0], "x", 1, fds, 2), 0);
	assert_int_equal(sg_fd_receive(pair[1], &byte, 1, got, 1, &count), -EPROTO);
	for (int i = 0; i < 2; i++) {
		sg_fd_close(pair[i]);
		sg_fd_close(fds[i]);
		sg_fd_close(got[i]);
	}
}

static void test_user_lines(void **state)
{
	static const char *const bad[] = {"",
					  "root",
					  "a:x:0:0:g:/h",
					  "a:x:0:0:g:/h:/s:more",
					  ":x:0:0:g:/h:/s",
					  "a:x:-1:0:g:/h:/s",
					  "a:x:4294967295:0:g:/h:/s",
					  "a:x:99999999999:0:g:/h:/s",
					  "a:x::0:g:/h:/s",
					  "a:x:0:0x1:g:/h:/s"};
	struct sg_user user = {.uid = 7};
	char longest[8192];

	(void)state;
	for (size_t i = 0; i < SG_ARRAY_SIZE(bad); i++)
		assert_int_equal(sg_user_parse(bad[i], &user), -EINVAL);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(sg_user_parse(longest, &user), -EINVAL);
	memcpy(longest, "a:x:1:2:g:/", 11);
	memcpy(longest + 5000, ":/bin/sh", 9);
	assert_int_equal(sg_user_parse(longest, &user), -EINVAL);
	assert_int_equal(user.uid, 7);
	assert_int_equal(sg_user_parse("a:x:4294967294:2:g,,:/home/a:", &user), 0);
	assert_true(user.uid == 4294967294U && user.gid == 2);
	assert_string_equal(user.name, "a");
	assert_string_equal(user.home, "/home/a");
}

/* What the C library says, which asks the same services through its plugins: this program is not static. */
static void test_user_database(void **state)
{
	const char *const strange[] = {"", "no such user", "-h", "a:b", "../root", "nobody-of-this-name"};
	const struct passwd *entry;
	struct sg_user user;
	int compared = 0;

	(void)state;
	setpwent();
	while ((entry = getpwent()) != NULL && compared < 30) {
		char name[256];
		gid_t groups[64], expected[64];
		size_t count = 0;
		int wanted = 64;

		(void)snprintf(name, sizeof(name), "%s", entry->pw_name);
		assert_int_equal(sg_user_by_name(name, &user), 0);
		assert_int_equal(user.uid, entry->pw_uid);
		assert_int_equal(user.gid, entry->pw_gid);
		assert_string_equal(user.home, entry->pw_dir);
		assert_true(getgrouplist(name, user.gid, expected, &wanted) > 0);
		assert_int_equal(sg_user_groups(name, user.gid, groups, 64, &count), 0);
		assert_int_equal(count, wanted);
		for (size_t i = 0; i < count; i++) {
			bool found = false;

			for (int j = 0; j < wanted; j++)
				found |= expected[j] == groups[i];
			assert_true(found);
		}
		compared++;
	}
	endpwent();
	assert_true(compared > 0);
	assert_int_equal(sg_user_by_uid(0, &user), 0);
	assert_string_equal(user.name, "root");
	assert_int_equal(sg_user_by_uid(0x7ffffff0, &user), -ENOENT);
	for (size_t i = 0; i < SG_ARRAY_SIZE(strange); i++)
		assert_int_equal(sg_user_by_name(strange[i], &user), -ENOENT);
}

/* Made where it is missing; refused where others may look into it, where it is a link, and where something else has the name. */
static void test_own_folder(void **state)
{
	char root[] = "/tmp/sg-base-XXXXXX", path[64], link[64];
	struct sg_error error = SG_ERROR_INIT;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(root));
	(void)snprintf(path, sizeof(path), "%s/a/b", root);
	(void)snprintf(link, sizeof(link), "%s/link", root);
	fd = sg_folder_open_own(path, O_RDONLY, &error);
	assert_true(fd >= 0);
	(void)sg_fd_close(fd);
	assert_int_equal(chmod(path, 0710), 0);
	assert_int_equal(sg_folder_open_own(path, O_PATH, &error), -EPERM);
	assert_non_null(strstr(error.text, "closed to others"));
	assert_int_equal(sg_folder_open_own(path, O_PATH, NULL), -EPERM);
	assert_int_equal(chmod(path, 0700), 0);
	assert_int_equal(symlink(path, link), 0);
	assert_true(sg_folder_open_own(link, O_RDONLY, NULL) < 0);
	assert_int_equal(sg_folder_open_own("/dev/null", O_RDONLY, NULL), -ENOTDIR);
	assert_int_equal(unlink(link), 0);
	assert_int_equal(rmdir(path), 0);
	*strrchr(path, '/') = '\0';
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(root), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),        cmocka_unit_test(test_user_lines),
		cmocka_unit_test(test_user_database), cmocka_unit_test(test_nearest),
		cmocka_unit_test(test_json),          cmocka_unit_test(test_error),
		cmocka_unit_test(test_pass_fds),      cmocka_unit_test(test_own_folder),
	};
	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
