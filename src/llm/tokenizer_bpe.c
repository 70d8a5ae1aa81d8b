/* Byte pair encoding. A piece is a chain of symbols; of all neighbours that merge, those of the best rank do
 * first, from the left. Where the vocabulary lists its merges, the rank is the place in that list and
 * is found by the two ids; SentencePiece's form has scores instead: any two neighbours that spell a token merge,
 * the token with the highest score first. Pairs wait in a heap, so a piece of n symbols takes O(n log n);
 * ids of pieces seen before are kept in a table for the length of one call. */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "llm/tokenizer_impl.h"

enum { LONGEST_CACHED = 48, CACHE_FIRST = 256, CACHE_MOST = 1 << 15 };

/* ---- the table of merges ---- */

static size_t home_of(int32_t left, int32_t right, size_t mask)
{
    uint64_t key = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
    key *= 0x9e3779b97f4a7c15u;
    return (size_t)(key ^ key >> 32) & mask;
}

const tok_merge *tok_bpe_find_merge(const tok_bpe *b, int32_t left, int32_t right)
{
    for (size_t i = home_of(left, right, b->mask);; i = (i + 1) & b->mask) {
        const tok_merge *m = &b->merges[i];
        if (m->left < 0)
            return NULL;
        if (m->left == left && m->right == right)
            return m;
    }
}

static void add_merge(tok_bpe *b, tok_merge merge)
{
    size_t i = home_of(merge.left, merge.right, b->mask);
    while (b->merges[i].left >= 0) {
        if (b->merges[i].left == merge.left && b->merges[i].right == merge.right)
            return; /* said twice: the first counts */
        i = (i + 1) & b->mask;
    }
    b->merges[i] = merge;
}

static int shown(adze_string text)
{
    return (int)adze_utf8_valid_prefix(text.data, ADZE_MIN(text.length, (size_t)60));
}

static adze_status bad_merge(const char *where, int64_t i, adze_string left, adze_string right,
                             const char *missing, adze_error *err)
{
    return adze_fail(err, ADZE_BAD_FILE,
                     "%s: merge %lld joins '%.*s' and '%.*s': %s is no token of the vocabulary; "
                     "vocabulary and merges are not of one model: get the file again",
                     where, (long long)i, shown(left), left.data, shown(right), right.data,
                     missing);
}

/* Ids of both sides and of what they make, which lacks the prefix of the right side. */
static adze_status resolve(const adze_tokenizer *t, tok_merge *m, adze_text *joined,
                           const adze_string *pair, const char *where, adze_error *err)
{
    int64_t i = m->rank;
    adze_string prefix = t->bpe.prefix, right = pair[1];
    m->left = tok_texts_find(&t->texts, pair[0].data, pair[0].length);
    m->right = tok_texts_find(&t->texts, right.data, right.length);
    if (m->left < 0 || m->right < 0)
        return bad_merge(where, i, pair[0], right, m->left < 0 ? "the first" : "the second", err);
    if (prefix.length && right.length >= prefix.length &&
        memcmp(right.data, prefix.data, prefix.length) == 0)
        right = (adze_string){right.data + prefix.length, right.length - prefix.length};
    joined->length = 0;
    adze_text_add(joined, pair[0].data, pair[0].length);
    adze_text_add(joined, right.data, right.length);
    if (joined->failed)
        return tok_no_memory(err);
    m->id = tok_texts_find(&t->texts, joined->data, joined->length);
    return m->id < 0 ? bad_merge(where, i, pair[0], pair[1], "their union", err) : ADZE_OK;
}

adze_status tok_bpe_build(adze_tokenizer *t, const tok_merge_list *merges, const char *where,
                          adze_error *err)
{
    tok_bpe *b = &t->bpe;
    size_t capacity = 16;
    while (capacity < (size_t)merges->count * 3 / 2)
        capacity *= 2;
    b->mask = capacity - 1;
    b->merges = ADZE_ARENA_ARRAY(&t->arena, tok_merge, capacity);
    if (!b->merges)
        return tok_no_memory(err);
    for (size_t i = 0; i < capacity; i++)
        b->merges[i].left = -1;
    adze_text joined = {0};
    adze_status status = ADZE_OK;
    for (int64_t i = 0; i < merges->count && status == ADZE_OK; i++) {
        tok_merge m = {.rank = (uint32_t)i};
        status = resolve(t, &m, &joined, &merges->pairs[2 * i], where, err);
        if (status == ADZE_OK)
            add_merge(b, m);
    }
    adze_text_free(&joined);
    return status;
}

/* ---- ranks from scores ---- */

typedef struct scored {
    float score;
    int32_t id;
} scored;

static int by_falling_score(const void *left, const void *right)
{
    const scored *a = left, *b = right;
    return (a->score < b->score) - (a->score > b->score);
}

adze_status tok_bpe_rank(adze_tokenizer *t, const float *scores, adze_error *err)
{
    size_t count = (size_t)t->texts.count;
    scored *order = adze_alloc(count, sizeof *order);
    t->bpe.ranks = ADZE_ARENA_ARRAY(&t->arena, uint32_t, count);
    if (!order || !t->bpe.ranks) {
        adze_free(order);
        return tok_no_memory(err);
    }
    for (size_t i = 0; i < count; i++)
        order[i] = (scored){scores[i], (int32_t)i};
    qsort(order, count, sizeof *order, by_falling_score);
    uint32_t rank = 0;
    for (size_t i = 0; i < count; i++) {
        rank += i > 0 && order[i].score != order[i - 1].score;
        t->bpe.ranks[order[i].id] = rank;
    }
    adze_free(order);
    return ADZE_OK;
}

/* ---- the heap of pairs ---- */

static bool before(const tok_pair *a, const tok_pair *b)
{
    return a->rank < b->rank || (a->rank == b->rank && a->left < b->left);
}

static void push(tok_encoder *e, tok_pair pair)
{
    size_t at = e->heap_count++;
    for (size_t up; at > 0 && before(&pair, &e->heap[up = (at - 1) / 2]); at = up)
        e->heap[at] = e->heap[up];
    e->heap[at] = pair;
}

static tok_pair pop(tok_encoder *e)
{
    tok_pair top = e->heap[0], last = e->heap[--e->heap_count];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= e->heap_count)
            break;
        if (child + 1 < e->heap_count && before(&e->heap[child + 1], &e->heap[child]))
            child++;
        if (!before(&e->heap[child], &last))
            break;
        e->heap[at] = e->heap[child];
        at = child;
    }
    e->heap[at] = last;
    return top;
}

/* ---- merging ---- */

static void try_pair(tok_encoder *e, const char *text, int32_t left, int32_t right)
{
    if (left < 0 || right < 0)
        return;
    const tok_bpe *b = &e->t->bpe;
    const tok_symbol *l = &e->symbols[left], *r = &e->symbols[right];
    tok_pair pair = {.left = left, .length = l->length + r->length};
    if (b->merges) {
        const tok_merge *m = l->id < 0 || r->id < 0 ? NULL : tok_bpe_find_merge(b, l->id, r->id);
        if (!m)
            return;
        pair.id = m->id;
        pair.rank = m->rank;
    } else {
        pair.id = tok_texts_find(&e->t->texts, text + l->start, pair.length);
        if (pair.id < 0)
            return;
        pair.rank = b->ranks[pair.id];
    }
    push(e, pair);
}

/* A pair may be stale: then one of its symbols has grown or gone, and the two are longer together. */
static void merge_all(tok_encoder *e, const char *text, int32_t count)
{
    e->heap_count = 0;
    for (int32_t i = 1; i < count; i++)
        try_pair(e, text, i - 1, i);
    while (e->heap_count) {
        tok_pair pair = pop(e);
        tok_symbol *left = &e->symbols[pair.left];
        if (left->length == 0 || left->next < 0)
            continue;
        tok_symbol *right = &e->symbols[left->next];
        if (left->length + right->length != pair.length)
            continue;
        left->id = pair.id;
        left->length = pair.length;
        left->next = right->next;
        right->length = 0;
        if (right->next >= 0)
            e->symbols[right->next].previous = pair.left;
        try_pair(e, text, left->previous, pair.left);
        try_pair(e, text, pair.left, left->next);
    }
}

/* ---- the symbols of a piece ---- */

static void add_symbol(tok_encoder *e, int32_t *count, size_t start, size_t length, int32_t id)
{
    e->symbols[*count] =
        (tok_symbol){(uint32_t)start, (uint32_t)length, id, *count - 1, *count + 1};
    ++*count;
}

static int32_t find_character(const tok_encoder *e, const char *text, size_t length, size_t at,
                              size_t size)
{
    const adze_tokenizer *t = e->t;
    adze_string prefix = at > 0 ? t->bpe.prefix : (adze_string){0};
    adze_string suffix = at + size == length ? t->bpe.suffix : (adze_string){0};
    char whole[256];
    if (!prefix.length && !suffix.length)
        return size == 1 ? t->single[(unsigned char)text[at] & 0x7F]
                         : tok_texts_find(&t->texts, text + at, size);
    if (prefix.length + size + suffix.length > sizeof whole)
        return -1;
    memcpy(whole, prefix.length ? prefix.data : "", prefix.length);
    memcpy(whole + prefix.length, text + at, size);
    memcpy(whole + prefix.length + size, suffix.length ? suffix.data : "", suffix.length);
    return tok_texts_find(&t->texts, whole, prefix.length + size + suffix.length);
}

static bool have_bytes(const adze_tokenizer *t, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (t->bytes[(unsigned char)text[i]] < 0)
            return false;
    return true;
}

/* Characters that are no tokens become bytes, or the unknown token, or nothing. */
static int32_t split_characters(tok_encoder *e, const char *text, size_t length)
{
    const adze_tokenizer *t = e->t;
    bool by_text = !t->bpe.merges, in_unknown = false;
    int32_t count = 0;
    for (size_t at = 0, size; at < length; at += size) {
        size = ADZE_MIN(adze_utf8_size(text[at]), length - at);
        int32_t id = find_character(e, text, length, at, size);
        if (id >= 0 || by_text) {
            add_symbol(e, &count, at, size, id);
            in_unknown = false;
        } else if (t->bpe.byte_fallback && have_bytes(t, text + at, size)) {
            for (size_t i = 0; i < size; i++)
                add_symbol(e, &count, at + i, 1, t->bytes[(unsigned char)text[at + i]]);
            in_unknown = false;
        } else if (in_unknown && t->bpe.fuse_unknown) {
            e->symbols[count - 1].length += (uint32_t)size;
        } else if (t->unknown >= 0) {
            add_symbol(e, &count, at, size, t->unknown);
            in_unknown = true;
        }
    }
    return count;
}

static int32_t split_bytes(tok_encoder *e, const char *text, size_t length)
{
    int32_t count = 0;
    for (size_t at = 0; at < length; at++) {
        int32_t id = e->t->bytes[(unsigned char)text[at]];
        if (id < 0)
            id = e->t->unknown;
        if (id >= 0)
            add_symbol(e, &count, at, 1, id);
    }
    return count;
}

static adze_status encode_symbols(tok_encoder *e, const char *text, size_t length)
{
    ADZE_TRY(tok_grow(&e->symbols, &e->symbol_capacity, length, sizeof *e->symbols, e->err));
    /* each symbol is pushed once at first, and each merge pushes two */
    ADZE_TRY(tok_grow(&e->heap, &e->heap_capacity, 3 * length, sizeof *e->heap, e->err));
    int32_t count =
        e->t->bpe.byte_level ? split_bytes(e, text, length) : split_characters(e, text, length);
    if (count == 0)
        return ADZE_OK;
    e->symbols[count - 1].next = -1;
    merge_all(e, text, count);
    for (int32_t i = 0; i >= 0; i = e->symbols[i].next) {
        const tok_symbol *s = &e->symbols[i];
        if (s->id >= 0)
            ADZE_TRY(tok_emit(e, s->id));
        else
            ADZE_TRY(tok_bytes_encode(e, text + s->start, s->length));
    }
    return ADZE_OK;
}

adze_status tok_bytes_encode(tok_encoder *e, const char *text, size_t length)
{
    if (!have_bytes(e->t, text, length))
        return e->t->unknown >= 0 ? tok_emit(e, e->t->unknown) : ADZE_OK;
    for (size_t i = 0; i < length; i++)
        ADZE_TRY(tok_emit(e, e->t->bytes[(unsigned char)text[i]]));
    return ADZE_OK;
}

/* ---- pieces seen before ---- */

static adze_status grow_cache(tok_encoder *e)
{
    size_t old = e->cache ? e->cache_mask + 1 : 0, capacity = old ? old * 2 : CACHE_FIRST;
    if (capacity > CACHE_MOST) { /* text of ever new words: begin anew, the memory stays */
        memset(e->cache, 0, old * sizeof *e->cache);
        e->cache_count = e->cache_id_count = e->cache_bytes.length = 0;
        return ADZE_OK;
    }
    tok_cache_slot *slots = adze_alloc(capacity, sizeof *slots);
    if (!slots)
        return tok_no_memory(e->err);
    for (size_t i = 0; i < old; i++) {
        size_t at = (size_t)e->cache[i].hash & (capacity - 1);
        while (slots[at].key_length)
            at = (at + 1) & (capacity - 1);
        if (e->cache[i].key_length)
            slots[at] = e->cache[i];
    }
    adze_free(e->cache);
    e->cache = slots;
    e->cache_mask = capacity - 1;
    return ADZE_OK;
}

static tok_cache_slot *find_cached(const tok_encoder *e, const char *text, size_t length,
                                   uint64_t hash)
{
    for (size_t i = (size_t)hash & e->cache_mask;; i = (i + 1) & e->cache_mask) {
        tok_cache_slot *slot = &e->cache[i];
        if (!slot->key_length || (slot->hash == hash && slot->key_length == length &&
                                  memcmp(e->cache_bytes.data + slot->key, text, length) == 0))
            return slot;
    }
}

static adze_status keep(tok_encoder *e, const char *text, size_t length, uint64_t hash,
                        size_t first)
{
    if (e->cache_count * 3 >= e->cache_mask * 2)
        ADZE_TRY(grow_cache(e));
    size_t count = e->count - first;
    ADZE_TRY(tok_grow(&e->cache_ids, &e->cache_id_capacity, e->cache_id_count + count,
                      sizeof *e->cache_ids, e->err));
    tok_cache_slot *slot = find_cached(e, text, length, hash);
    *slot = (tok_cache_slot){hash, (uint32_t)e->cache_bytes.length, (uint32_t)length,
                             (uint32_t)e->cache_id_count, (uint32_t)count};
    adze_text_add(&e->cache_bytes, text, length);
    if (count)
        memcpy(e->cache_ids + e->cache_id_count, e->ids + first, count * sizeof *e->ids);
    e->cache_id_count += count;
    e->cache_count++;
    return e->cache_bytes.failed ? tok_no_memory(e->err) : ADZE_OK;
}

static bool newlines_only(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (text[i] != '\n')
            return false;
    return true;
}

static int32_t find_whole(const adze_tokenizer *t, const char *text, size_t length)
{
    if (!t->bpe.ignore_merges && !(t->bpe.whole_newlines && newlines_only(text, length)))
        return -1;
    return tok_texts_find(t->bpe.byte_level ? &t->raw : &t->texts, text, length);
}

adze_status tok_bpe_encode(tok_encoder *e, const char *text, size_t length)
{
    int32_t whole = find_whole(e->t, text, length);
    if (whole >= 0)
        return tok_emit(e, whole);
    if (length > LONGEST_CACHED)
        return encode_symbols(e, text, length);
    uint64_t hash = adze_hash64(text, length);
    if (!e->cache)
        ADZE_TRY(grow_cache(e));
    const tok_cache_slot *slot = find_cached(e, text, length, hash);
    if (slot->key_length) {
        for (uint32_t i = 0; i < slot->id_count; i++)
            ADZE_TRY(tok_emit(e, e->cache_ids[slot->ids + i]));
        return ADZE_OK;
    }
    size_t first = e->count;
    ADZE_TRY(encode_symbols(e, text, length));
    return keep(e, text, length, hash, first);
}
