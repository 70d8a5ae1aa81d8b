/* The only place that asks the C library for memory, so that tests can fail each allocation in turn.
 * Arenas: one per lifetime (model, graph, pass, plan, request); freeing is one call. */
#ifndef ADZE_BASE_MEMORY_H
#define ADZE_BASE_MEMORY_H
#include <stdarg.h>
#include "base/error.h"

/* Zeroed; NULL on failure or if count * size overflows; size 0 gives a unique pointer. 64-byte aligned. */
void *adze_alloc(size_t count, size_t size);
/* Not zeroed and not aligned beyond malloc's promise; for buffers that grow. Pairs with adze_free. */
void *adze_realloc(void *pointer, size_t count, size_t size);
void adze_free(void *pointer);
/* Asks for large pages under memory that was not touched yet; where there are none, nothing happens. */
void adze_memory_large_pages(void *pointer, size_t size);

/* adze.h: adze_memory_set_limit. Bytes asked for and not yet given back: */
size_t adze_memory_in_use(void);
/* Whether the limit refused this thread memory since the last call. */
bool adze_memory_was_refused(void);
/* Bytes that this machine, or the control group of this process, has. */
size_t adze_machine_memory(void);

/* For tests: the n-th allocation from now on (1 = next) and every later one fails; 0 switches off. */
void adze_alloc_fail_after(long n);

typedef struct adze_arena {
    struct adze_arena_block *blocks;
    size_t used; /* bytes handed out, for statistics */
} adze_arena;

/* Zeroed memory, 16-byte aligned (64 when size >= 64); NULL when there is none. Lives until
 * adze_arena_free. */
void *adze_arena_alloc(adze_arena *arena, size_t count, size_t size);
char *adze_arena_strdup(adze_arena *arena, const char *text);
char *adze_arena_strndup(adze_arena *arena, const char *text, size_t length);
char *adze_arena_printf(adze_arena *arena, const char *format, ...) ADZE_PRINTF(2, 3);
void *adze_arena_memdup(adze_arena *arena, const void *bytes, size_t size);
void adze_arena_free(adze_arena *arena); /* frees all, leaves it usable */
/* Takes back all that was handed out and keeps room for as much again in one piece. */
void adze_arena_reset(adze_arena *arena);

#define ADZE_ARENA_NEW(arena, type) ((type *)adze_arena_alloc((arena), 1, sizeof(type)))
#define ADZE_ARENA_ARRAY(arena, type, n) ((type *)adze_arena_alloc((arena), (n), sizeof(type)))

/* Growing array in an arena: makes room for one more element; *items may move (old copy stays until
 * the arena is freed). False when out of memory. */
bool adze_arena_grow(adze_arena *arena, void *items_pointer, int *capacity, int count, size_t size);

/* a * b and a + b; false on overflow. */
bool adze_mul_size(size_t *out, size_t a, size_t b);
bool adze_add_size(size_t *out, size_t a, size_t b);

#endif
