/* The only caller of malloc. Each allocation is preceded by the pointer that malloc returned, so that
 * memory from calloc (whose untouched pages cost nothing) can be aligned and still be resized, and by its size, so that
 * all of it can be counted against a limit. */
#include "base/memory.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGNMENT = 64, FIRST_BLOCK = 4096, LARGEST_BLOCK = 1 << 20 };

/* One allocation: half the address space, or a terabyte where that is more than any machine has. */
static const size_t largest = (size_t)ADZE_MIN((uint64_t)PTRDIFF_MAX, (uint64_t)1 << 40) - 4096;

/* Memory belongs to the process, and so do these, the only mutable globals: what all allocations together may
 * take (0: not decided yet) and take, and whether this thread was refused some for it. */
static _Atomic size_t limit, in_use;
static _Thread_local bool refused;

/* Test hook: allocations left before failing, negative when off. */
static atomic_long allocations_left = -1;

void adze_alloc_fail_after(long n)
{
    atomic_store(&allocations_left, n > 0 ? n - 1 : -1);
}

static bool told_to_fail(void)
{
    long left = atomic_load_explicit(&allocations_left, memory_order_relaxed);
    while (left > 0)
        if (atomic_compare_exchange_weak(&allocations_left, &left, left - 1))
            return false;
    return left == 0;
}

bool adze_mul_size(size_t *out, size_t a, size_t b)
{
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *out = a * b;
    return true;
}

bool adze_add_size(size_t *out, size_t a, size_t b)
{
    if (a > SIZE_MAX - b)
        return false;
    *out = a + b;
    return true;
}

void adze_memory_set_limit(size_t bytes)
{
    atomic_store(&limit, bytes);
}

size_t adze_memory_limit(void)
{
    size_t most = atomic_load(&limit); /* read once: another thread may set it meanwhile */
    if (most > 0)
        return most;
    const size_t usual = adze_machine_memory() / 2;
    return atomic_compare_exchange_strong(&limit, &most, usual) ? usual : most;
}

size_t adze_memory_in_use(void)
{
    return atomic_load(&in_use);
}

bool adze_memory_was_refused(void)
{
    bool was = refused;
    refused = false;
    return was;
}

static bool reserve(size_t bytes)
{
    size_t most = adze_memory_limit();
    if (bytes <= most && atomic_fetch_add(&in_use, bytes) <= most - bytes)
        return true;
    if (bytes <= most)
        atomic_fetch_sub(&in_use, bytes);
    refused = true;
    return false;
}

typedef struct header { /* right before the bytes handed out */
    void *raw;          /* what malloc returned */
    size_t size;        /* bytes asked for */
} header;

static header *header_of(void *pointer)
{
    return (header *)pointer - 1;
}

static void *place(void *raw, size_t shift, size_t size)
{
    void *pointer = (char *)raw + shift;
    *header_of(pointer) = (header){raw, size};
    return pointer;
}

void *adze_alloc(size_t count, size_t size)
{
    size_t bytes;
    if (told_to_fail() || !adze_mul_size(&bytes, count, size) || bytes > largest || !reserve(bytes))
        return NULL;
    char *raw = calloc(1, bytes + ALIGNMENT + (bytes == 0));
    if (!raw) {
        atomic_fetch_sub(&in_use, bytes);
        return NULL;
    }
    uintptr_t at = ((uintptr_t)raw + sizeof(header) + ALIGNMENT - 1) & ~(uintptr_t)(ALIGNMENT - 1);
    return place(raw, at - (uintptr_t)raw, bytes);
}

void adze_memory_large_pages(void *pointer, size_t size)
{
#ifdef MADV_HUGEPAGE
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t begin = ((uintptr_t)pointer + page - 1) / page * page;
    const uintptr_t end = ((uintptr_t)pointer + size) / page * page;
    if (end > begin)
        (void)madvise((char *)pointer + (begin - (uintptr_t)pointer), end - begin, MADV_HUGEPAGE);
#else
    ADZE_UNUSED(pointer);
    ADZE_UNUSED(size);
#endif
}

void *adze_realloc(void *pointer, size_t count, size_t size)
{
    size_t bytes;
    const header old = pointer ? *header_of(pointer) : (header){0};
    if (told_to_fail() || !adze_mul_size(&bytes, count, size) || bytes > largest)
        return NULL;
    const size_t more = bytes > old.size ? bytes - old.size : 0;
    if (!reserve(more))
        return NULL;
    size_t shift = pointer ? (size_t)((char *)pointer - (char *)old.raw) : sizeof(header);
    void *raw = realloc(old.raw, bytes + shift + (bytes == 0));
    atomic_fetch_sub(&in_use, raw ? old.size + more - bytes : more);
    return raw ? place(raw, shift, bytes) : NULL;
}

void adze_free(void *pointer)
{
    if (!pointer)
        return;
    atomic_fetch_sub(&in_use, header_of(pointer)->size);
    free(header_of(pointer)->raw);
}

struct adze_arena_block {
    struct adze_arena_block *next;
    size_t size, used; /* of the bytes behind this header */
};

static char *block_bytes(struct adze_arena_block *block)
{
    return (char *)block + ALIGNMENT;
}

static void *take(struct adze_arena_block *block, size_t bytes, size_t alignment)
{
    size_t start = (block->used + alignment - 1) & ~(alignment - 1);
    if (start > block->size || bytes > block->size - start)
        return NULL;
    block->used = start + bytes;
    return block_bytes(block) + start;
}

static struct adze_arena_block *add_block(adze_arena *arena, size_t bytes)
{
    struct adze_arena_block *head = arena->blocks;
    size_t usual = head ? ADZE_MIN(head->size * 2, (size_t)LARGEST_BLOCK) : FIRST_BLOCK;
    bool large = bytes > usual / 2;
    size_t size = large ? bytes : usual, total;
    if (!adze_add_size(&total, size, ALIGNMENT))
        return NULL;
    struct adze_arena_block *block = adze_alloc(1, total);
    if (!block)
        return NULL;
    block->size = size;
    if (large && head) { /* goes behind the head, whose room stays in use */
        block->next = head->next;
        head->next = block;
    } else {
        block->next = head;
        arena->blocks = block;
    }
    return block;
}

void *adze_arena_alloc(adze_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (!adze_mul_size(&bytes, count, size))
        return NULL;
    bytes = ADZE_MAX(bytes, (size_t)1);
    size_t alignment = bytes >= ALIGNMENT ? ALIGNMENT : 16;
    void *result = arena->blocks ? take(arena->blocks, bytes, alignment) : NULL;
    if (!result) {
        struct adze_arena_block *block = add_block(arena, bytes);
        if (!block)
            return NULL;
        result = take(block, bytes, alignment);
    }
    arena->used += bytes;
    return result;
}

void *adze_arena_memdup(adze_arena *arena, const void *bytes, size_t size)
{
    void *copy = adze_arena_alloc(arena, 1, size);
    if (copy && size)
        memcpy(copy, bytes, size);
    return copy;
}

char *adze_arena_strndup(adze_arena *arena, const char *text, size_t length)
{
    size_t size;
    char *copy = adze_add_size(&size, length, 1) ? adze_arena_alloc(arena, 1, size) : NULL;
    if (copy && length)
        memcpy(copy, text, length);
    return copy;
}

char *adze_arena_strdup(adze_arena *arena, const char *text)
{
    return adze_arena_strndup(arena, text, strlen(text));
}

char *adze_arena_printf(adze_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : adze_arena_alloc(arena, 1, (size_t)length + 1);
    if (text) {
        va_start(args, format);
        (void)vsnprintf(text, (size_t)length + 1, format, args);
        va_end(args);
    }
    return text;
}

void adze_arena_free(adze_arena *arena)
{
    struct adze_arena_block *block = arena->blocks;
    while (block) {
        struct adze_arena_block *next = block->next;
        adze_free(block);
        block = next;
    }
    *arena = (adze_arena){0};
}

void adze_arena_reset(adze_arena *arena)
{
    struct adze_arena_block *first = arena->blocks;
    size_t total = 0;
    if (first && !first->next) {
        memset(block_bytes(first), 0, first->used);
        first->used = arena->used = 0;
        return;
    }
    for (struct adze_arena_block *block = first; block; block = block->next)
        total += block->size;
    adze_arena_free(arena);
    if (total)
        add_block(arena, total); /* without it the arena grows as before */
}

bool adze_arena_grow(adze_arena *arena, void *items_pointer, int *capacity, int count, size_t size)
{
    if (count < *capacity)
        return true;
    if (*capacity > INT32_MAX / 2)
        return false;
    int wanted = *capacity ? *capacity * 2 : 8;
    void *old, *items = adze_arena_alloc(arena, (size_t)wanted, size);
    if (!items)
        return false;
    memcpy(&old, items_pointer, sizeof old);
    if (count)
        memcpy(items, old, (size_t)count * size);
    memcpy(items_pointer, &items, sizeof items);
    *capacity = wanted;
    return true;
}
