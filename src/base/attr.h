/* Attributes and small macros that every module uses. */
#pragma once

#include <stddef.h>
#include <stdlib.h>

#define SG_PRINTF(format_index, first_argument) __attribute__((format(printf, format_index, first_argument)))
#define SG_UNUSED __attribute__((unused))
#define SG_NORETURN __attribute__((noreturn))
#define SG_MUST_USE __attribute__((warn_unused_result))
#define SG_CLEANUP(function) __attribute__((cleanup(function)))
#define SG_ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define SG_STRINGIFY_(x) #x
#define SG_STRINGIFY(x) SG_STRINGIFY_(x)

/* 1 in a build with a sanitizer that keeps a shadow of memory. */
#if defined(__has_feature)
#define SG_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SG_SANITIZED 1
#else
#define SG_SANITIZED 0
#endif

static inline void sg_free_pointer(void *pointer_to_pointer)
{
	void **p = (void **)pointer_to_pointer;
	free(*p);
	*p = NULL;
}

/* `SG_AUTO_FREE char *name = ...`: freed when the scope ends. Move ownership out with sg_take_pointer(). */
#define SG_AUTO_FREE SG_CLEANUP(sg_free_pointer)

/* Returns the pointer and clears the variable, so that its cleanup does nothing. */
#define sg_take_pointer(variable)                                                                                      \
	({                                                                                                             \
		__typeof__(variable) taken_ = (variable);                                                              \
		(variable) = NULL;                                                                                     \
		taken_;                                                                                                \
	})

/* Defines sg_auto_<name>(), for SG_CLEANUP, from a _free function that takes a (possibly NULL) pointer. */
#define SG_DEFINE_AUTO(type, name, free_function)                                                                      \
	static inline void sg_auto_##name(type **pointer)                                                              \
	{                                                                                                              \
		free_function(*pointer);                                                                               \
		*pointer = NULL;                                                                                       \
	}
