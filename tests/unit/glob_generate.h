/* Globs and names made at random, but the same for the same seed. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct generator {
	uint64_t state;
};

/* splitmix64 */
static inline uint32_t generate_below(struct generator *generator, uint32_t limit)
{
	uint64_t z = generator->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)((z ^ z >> 31) >> 33) % limit;
}

/* A glob of up to 60 bytes or so; not every one is valid (two stars may meet a third, braces may hold a dot
 * folder). */
static inline size_t generate_glob(struct generator *generator, char *out)
{
	static const char *const pieces[] = {
		"/",    "/",    "/",    "a",     "b",       "ab",      ".",        "*",     "*",        "**",
		"/*/",  "/**/", "/**",  "/*",    "?",       "[ab]",    "[^a]",     "[^.]*", "[a-c.]",   "{a,b}",
		"{,a}", "{,/}", "{*,}", "{/,a}", "{a,/b/}", "{b*,**}", "{a,{,b}}", "\\*",   "{[ab],?}", "{,1,2}/",
	};
	size_t length = 1;

	out[0] = '/';
	for (uint32_t left = 1 + generate_below(generator, 7); left > 0; left--) {
		const char *piece = pieces[generate_below(generator, sizeof(pieces) / sizeof(pieces[0]))];

		memcpy(out + length, piece, strlen(piece));
		length += strlen(piece);
	}
	return length;
}

/* A name of up to `most` + 1 bytes, seldom not canonical. */
static inline size_t generate_name(struct generator *generator, char *out, uint32_t most)
{
	static const char letters[] = "aaabbc.*1////";
	size_t length = 1 + generate_below(generator, most);

	out[0] = generate_below(generator, 50) == 0 ? 'a' : '/';
	for (size_t i = 1; i < length; i++)
		out[i] = letters[generate_below(generator, sizeof(letters) - 1)];
	return length;
}
