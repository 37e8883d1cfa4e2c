/* Profiles of many rules as a large site might have them, the same for the same number; and names for them to decide. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"

struct rules_random {
	uint64_t state;
};

/* splitmix64 */
static inline uint32_t rules_below(struct rules_random *random, uint32_t limit)
{
	uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ z >> 31) >> 33) % limit;
}

static inline const char *rules_word(struct rules_random *random)
{
	static const char *const words[] = {"alpha", "beta",  "cache", "conf",   "core",  "data",  "db",
					    "etc",   "home",  "index", "lib",    "local", "log",   "main",
					    "node",  "queue", "run",   "share",  "site",  "spool", "src",
					    "srv",   "test",  "user",  "worker", "store", "web"};

	return words[rules_below(random, sizeof(words) / sizeof(words[0]))];
}

static inline const char *rules_ending(struct rules_random *random)
{
	static const char *const endings[] = {"c", "conf", "h", "json", "key", "log", "pem", "py"};

	return endings[rules_below(random, sizeof(endings) / sizeof(endings[0]))];
}

/* /TOP and two to five folders, most of them with a number. */
static inline void rules_folder(struct rules_random *random, const char *top, struct sg_buffer *out)
{
	sg_buffer_append_text(out, top);
	for (uint32_t left = 2 + rules_below(random, 4); left > 0; left--) {
		sg_buffer_printf(out, "/%s", rules_word(random));
		if (rules_below(random, 2) == 0)
			sg_buffer_printf(out, "%u", rules_below(random, 500));
	}
}

/* One glob: a file, a tree, the files of an ending, alternatives, a name anywhere, a beginning with a class. */
static inline void rules_glob(struct rules_random *random, const char *top, struct sg_buffer *out)
{
	const uint32_t form = rules_below(random, 100);

	if (form >= 97) {
		sg_buffer_printf(out, "%s/**/%s%u.%s", top, rules_word(random), rules_below(random, 100000),
				 rules_ending(random));
		return;
	}
	rules_folder(random, top, out);
	if (form < 35)
		sg_buffer_printf(out, "/%s.%s", rules_word(random), rules_ending(random));
	else if (form < 60)
		sg_buffer_append_text(out, "/**");
	else if (form < 75)
		sg_buffer_printf(out, "/*.%s", rules_ending(random));
	else if (form < 85)
		sg_buffer_printf(out, "/{%s,%s1,x%s}/**", rules_word(random), rules_word(random), rules_word(random));
	else if (form < 92)
		sg_buffer_printf(out, "/**/%s.%s", rules_word(random), rules_ending(random));
	else
		sg_buffer_printf(out, "/%s*[0-9]", rules_word(random));
}

/* Appends a valid profile of `count` rules of files, in shares as one would write them. */
static inline void rules_profile(size_t count, struct sg_buffer *out)
{
	static const struct {
		const char *key, *top;
		size_t share; /* of 100 */
	} keys[] = {{"ReadOnly", "/data", 50}, {"ReadWrite", "/work", 15}, {"Exec", "/opt", 15},
		    {"Deny", "/data", 12},     {"Hide", "/srv", 3},        {"LogOnWrite", "/work", 5}};
	struct rules_random random = {.state = 1};

	sg_buffer_append_text(out, "[Runtime]\nFlags = [\"start\", \"fork\", \"exec\"]\n[Filesystem]\n");
	for (size_t i = 0, done = 0, share = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		share += keys[i].share;
		sg_buffer_printf(out, "%s = [\n", keys[i].key);
		for (; done < count * share / 100; done++) {
			sg_buffer_append_text(out, "    \"");
			rules_glob(&random, keys[i].top, out);
			sg_buffer_append_text(out, "\",\n");
		}
		sg_buffer_append_text(out, "]\n");
	}
}
