/* The vocabulary's strings, one behind the other, with a table from string to id; and tries over them, whose
 * nodes are numbered level by level so that a node's children lie side by side. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "llm/tokenizer_impl.h"

bool tok_texts_reserve(tok_texts *t, adze_arena *arena, int32_t count, size_t total)
{
    *t = (tok_texts){.count = count};
    if (!adze_add_size(&total, total, (size_t)count + 1) || total > UINT32_MAX)
        return false;
    t->bytes = adze_arena_alloc(arena, 1, total);
    t->offsets = ADZE_ARENA_ARRAY(arena, uint32_t, (size_t)count + 1);
    return t->bytes && t->offsets;
}

void tok_texts_put(tok_texts *t, int32_t id, const char *bytes, size_t length)
{
    if (length)
        memcpy(t->bytes + t->offsets[id], bytes, length);
    t->offsets[id + 1] = t->offsets[id] + (uint32_t)length + 1;
    t->longest = ADZE_MAX(t->longest, (uint32_t)length);
}

const char *tok_texts_get(const tok_texts *t, int32_t id, size_t *length)
{
    *length = t->offsets[id + 1] - t->offsets[id] - 1;
    return t->bytes + t->offsets[id];
}

static bool same(const tok_texts *t, int32_t id, const char *bytes, size_t length)
{
    size_t its_length;
    const char *its = tok_texts_get(t, id, &its_length);
    return its_length == length && memcmp(its, bytes, length) == 0;
}

/* The slot of this text, or the empty one where it belongs. */
static uint32_t *slot_of(const tok_texts *t, const char *bytes, size_t length, uint32_t hash)
{
    for (size_t i = hash & t->mask;; i = (i + 1) & t->mask) {
        uint32_t *slot = &t->slots[2 * i];
        if (slot[1] == 0 || (slot[0] == hash && same(t, (int32_t)slot[1] - 1, bytes, length)))
            return slot;
    }
}

bool tok_texts_index(tok_texts *t, adze_arena *arena)
{
    size_t capacity = 16;
    while (capacity < (size_t)t->count * 3 / 2)
        capacity *= 2;
    t->mask = capacity - 1;
    t->slots = ADZE_ARENA_ARRAY(arena, uint32_t, 2 * capacity);
    if (!t->slots)
        return false;
    for (int32_t id = 0; id < t->count; id++) {
        size_t length;
        const char *text = tok_texts_get(t, id, &length);
        if (!length)
            continue;
        uint32_t hash = (uint32_t)adze_hash64(text, length);
        uint32_t *slot = slot_of(t, text, length, hash);
        if (slot[1] == 0) {
            slot[0] = hash;
            slot[1] = (uint32_t)id + 1;
        }
    }
    return true;
}

int32_t tok_texts_find(const tok_texts *t, const char *bytes, size_t length)
{
    if (!t->slots || !length || length > t->longest)
        return -1;
    return (int32_t)slot_of(t, bytes, length, (uint32_t)adze_hash64(bytes, length))[1] - 1;
}

/* ---- tries ---- */

/* Keys [low, high) share their first `depth` bytes: those below one node. */
typedef struct range {
    uint32_t low, high, depth;
} range;

static int by_text(const void *left, const void *right)
{
    const tok_key *a = left, *b = right;
    uint32_t shorter = ADZE_MIN(a->length, b->length);
    int order = shorter ? memcmp(a->bytes, b->bytes, shorter) : 0;
    if (order)
        return order;
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    return (a->value > b->value) - (a->value < b->value);
}

/* Nodes are as many as there are distinct prefixes, the empty one included. */
static uint32_t count_nodes(const tok_key *keys, size_t count)
{
    uint32_t nodes = 1;
    for (size_t i = 0; i < count; i++) {
        uint32_t common = 0;
        if (i > 0)
            while (common < keys[i].length && common < keys[i - 1].length &&
                   keys[i].bytes[common] == keys[i - 1].bytes[common])
                common++;
        nodes += keys[i].length - common;
    }
    return nodes;
}

static void fill(tok_trie *trie, range *ranges, const tok_key *keys, size_t count)
{
    uint32_t made = 1;
    ranges[0] = (range){0, (uint32_t)count, 0};
    for (uint32_t node = 0; node < made; node++) {
        range r = ranges[node];
        trie->first[node] = made;
        trie->values[node] = -1;
        for (; r.low < r.high && keys[r.low].length == r.depth; r.low++)
            if (trie->values[node] < 0)
                trie->values[node] = keys[r.low].value;
        while (r.low < r.high) {
            uint32_t next = r.low;
            char label = keys[r.low].bytes[r.depth];
            while (next < r.high && keys[next].bytes[r.depth] == label)
                next++;
            trie->labels[made] = (uint8_t)label;
            ranges[made++] = (range){r.low, next, r.depth + 1};
            r.low = next;
        }
    }
    trie->first[made] = made;
    for (uint32_t node = trie->first[0]; node < trie->first[1]; node++)
        trie->root[trie->labels[node]] = node;
}

bool tok_trie_build(tok_trie *trie, adze_arena *arena, tok_key *keys, size_t count)
{
    size_t total = 1;
    for (size_t i = 0; i < count; i++)
        total += keys[i].length;
    if (total >= UINT32_MAX || count >= UINT32_MAX)
        return false;
    if (count)
        qsort(keys, count, sizeof *keys, by_text);
    *trie = (tok_trie){.count = count_nodes(keys, count)};
    range *ranges = adze_alloc(trie->count, sizeof *ranges);
    trie->first = ADZE_ARENA_ARRAY(arena, uint32_t, (size_t)trie->count + 1);
    trie->values = ADZE_ARENA_ARRAY(arena, int32_t, trie->count);
    trie->labels = ADZE_ARENA_ARRAY(arena, uint8_t, trie->count);
    bool ok = ranges && trie->first && trie->values && trie->labels;
    if (ok)
        fill(trie, ranges, keys, count);
    adze_free(ranges);
    return ok;
}

uint32_t tok_trie_step(const tok_trie *trie, uint32_t node, char byte)
{
    uint8_t label = (uint8_t)byte;
    if (node == 0)
        return trie->root[label];
    uint32_t low = trie->first[node], high = trie->first[node + 1];
    while (high - low > 8) {
        uint32_t middle = low + (high - low) / 2;
        if (trie->labels[middle] <= label)
            low = middle;
        else
            high = middle;
    }
    for (; low < high; low++)
        if (trie->labels[low] == label)
            return low;
    return 0;
}
