/*
 * What a record costs: the append, and the auditor's time for writing it. Run by `meson test --benchmark`;
 * prints one line each. The pause between records is what a mediated call takes, so that the ring is used as
 * it is in life.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "audit/log.h"
#include "audit/ring.h"
#include "audit/writer.h"
#include "base/fd.h"

#define TEXT(literal) ((struct sg_record_text){.data = (literal), .size = sizeof(literal) - 1})

enum { RECORDS = 100000, PAUSE_NS = 5000 };

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double child_seconds(void)
{
	struct rusage usage;

	(void)getrusage(RUSAGE_CHILDREN, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int run(const char *name, uint64_t pause_ns)
{
	static const struct sg_record_ancestor parents[] = {{.pid = 17, .program = TEXT("/usr/bin/bash")},
							    {.pid = 16, .program = TEXT("/usr/bin/shellguard")}};
	const struct sg_record record = {.kind = SG_RECORD_GRANT,
					 .world = 1,
					 .audience = TEXT("owner"),
					 .operation = TEXT("open"),
					 .object = TEXT("/home/user/work/project/src/main.c"),
					 .named = TEXT("src/main.c"),
					 .verdict = SG_RECORD_VERDICT_ALLOW,
					 .rule_file = TEXT("/etc/shellguard/profiles/base-shell.toml"),
					 .rule_line = 12,
					 .rule_column = 14,
					 .rule_text = TEXT("ReadWrite = [\"~/work/**\"]"),
					 .pid = 4711,
					 .tid = 4711,
					 .uid = 1000,
					 .program = TEXT("/usr/bin/cc1"),
					 .parents = {parents, 2}};
	static uint64_t taken[RECORDS];
	char path[] = "/tmp/sg-bench-audit-XXXXXX";
	int log = mkostemp(path, O_APPEND | O_CLOEXEC), result;
	struct sg_audit_options options = {.session = "20261122T042801Z-7f3a9c", .log = log, .wait_ms = 1000};
	struct sg_error error = SG_ERROR_INIT;
	struct sg_audit_counts counts;
	struct sg_audit *audit;
	double before = child_seconds();
	uint64_t begin, total = 0;

	begin = sg_ring_now();
	if (log < 0 || sg_audit_start(&options, &audit, &error) < 0) {
		(void)fprintf(stderr, "%s\n", error.text);
		return 1;
	}
	(void)printf("%s: start %.0f us\n", name, (double)(sg_ring_now() - begin) / 1e3);
	for (size_t i = 0; i < RECORDS; i++) {
		uint64_t start = sg_ring_now(), end;

		if (sg_audit_append(audit, &record, NULL) < 0)
			return 1;
		end = sg_ring_now();
		taken[i] = end - start;
		total += taken[i];
		while (sg_ring_now() - end < pause_ns)
			;
	}
	sg_audit_counts(audit, &counts);
	begin = sg_ring_now();
	result = sg_audit_stop(audit, NULL, 10000, NULL);
	qsort(taken, RECORDS, sizeof(taken[0]), by_value);
	(void)printf("%s: append ns: median %llu, mean %llu, 99%% %llu, 99.9%% %llu, most %llu; slowed %llu, "
		     "kicks %llu; "
		     "auditor %.0f ms CPU for %d records of %lld bytes; stop %.1f ms\n",
		     name, (unsigned long long)taken[RECORDS / 2], (unsigned long long)(total / RECORDS),
		     (unsigned long long)taken[RECORDS / 100 * 99], (unsigned long long)taken[RECORDS / 1000 * 999],
		     (unsigned long long)taken[RECORDS - 1], (unsigned long long)counts.slowed,
		     (unsigned long long)counts.kicks, (child_seconds() - before) * 1e3, RECORDS,
		     (long long)lseek(log, 0, SEEK_END) / RECORDS, (double)(sg_ring_now() - begin) / 1e6);
	(void)unlink(path);
	sg_fd_close(log);
	return result < 0;
}

int main(void)
{
	return run("paced", PAUSE_NS) != 0 || run("flood", 0) != 0;
}
