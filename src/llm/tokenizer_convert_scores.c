/* tokenizer.json lists the merges of a SentencePiece BPE in their order; GGUF has a score for each token. A token's score
 * is the rank of the first merge that makes it. */
#include <stdlib.h>
#include <string.h>

#include "llm/tokenizer_convert_impl.h"

typedef struct merge_range {
    uint32_t first, last; /* ranks of the merges that make a token; first UINT32_MAX: none do */
    int32_t id;
} merge_range;

bool tok_is_plain(const adze_tokenizer *t, int32_t id)
{
    return t->types[id] != TOK_CONTROL && t->types[id] != TOK_USER && t->types[id] != TOK_ABSENT &&
           t->types[id] != TOK_BYTE && id != t->unknown;
}

static bool is_character(const char *text, size_t length)
{
    return length > 0 && adze_utf8_size(*text) >= length;
}

/* With scores any two neighbours that spell a token merge: so they must in the list of merges. */
static bool lists_all(const adze_tokenizer *t, int32_t id)
{
    size_t length;
    const char *text = tok_texts_get(&t->texts, id, &length);
    for (size_t at = adze_utf8_size(*text); at < length; at += adze_utf8_size(text[at])) {
        int32_t left = tok_texts_find(&t->texts, text, at);
        int32_t right = tok_texts_find(&t->texts, text + at, length - at);
        bool left_there = left >= 0 ? tok_is_plain(t, left) || t->types[left] == TOK_USER
                                    : is_character(text, at);
        bool right_there = right >= 0 ? tok_is_plain(t, right) || t->types[right] == TOK_USER
                                      : is_character(text + at, length - at);
        if (left_there && right_there &&
            (left < 0 || right < 0 || !tok_bpe_find_merge(&t->bpe, left, right)))
            return false;
    }
    return true;
}

static int by_first(const void *left, const void *right)
{
    const merge_range *a = left, *b = right;
    return (a->first > b->first) - (a->first < b->first);
}

/* Ranges that overlap are of tokens with one score, as SentencePiece gives runs of spaces; false when that would be
 * more than a few, and the list has another order. */
static bool put_in_order(merge_range *ranges, size_t count)
{
    enum { MOST_ALIKE = 64 };
    qsort(ranges, count, sizeof *ranges, by_first);
    for (size_t i = 0, group; i < count && ranges[i].first != UINT32_MAX; i = group) {
        uint32_t last = ranges[i].last;
        for (group = i + 1; group < count && ranges[group].first < last; group++) {
            last = ADZE_MAX(last, ranges[group].last);
            ranges[group].first = ranges[i].first;
        }
        if (group - i > MOST_ALIKE)
            return false;
    }
    return true;
}

/* By token; *most: merges in the list. */
static void find_ranges(merge_range *ranges, uint32_t *most, const adze_tokenizer *t)
{
    for (int32_t i = 0; i < t->texts.count; i++)
        ranges[i] = (merge_range){UINT32_MAX, 0, i};
    for (size_t i = 0; t->bpe.merges && i <= t->bpe.mask; i++) {
        const tok_merge *m = &t->bpe.merges[i];
        if (m->left < 0 || !tok_is_plain(t, m->id)) /* text of added tokens never comes this far */
            continue;
        ranges[m->id].first = ADZE_MIN(ranges[m->id].first, m->rank);
        ranges[m->id].last = ADZE_MAX(ranges[m->id].last, m->rank);
        *most = ADZE_MAX(*most, m->rank + 1);
    }
}

adze_status tok_convert_scores(float *scores, const adze_tokenizer *t, const int32_t *types,
                               int64_t count, bool *exact, adze_error *err)
{
    uint32_t most = 0;
    merge_range *ranges = adze_alloc((size_t)t->texts.count, sizeof *ranges);
    if (!ranges)
        return tok_no_memory(err);
    find_ranges(ranges, &most, t);
    *exact = put_in_order(ranges, (size_t)t->texts.count);
    for (int64_t i = 0; i < count; i++)
        scores[i] = types[i] == TOK_BYTE ? 0 : -(float)most;
    for (int32_t i = 0; i < t->texts.count && *exact; i++) {
        if (ranges[i].first != UINT32_MAX)
            scores[ranges[i].id] = -(float)ranges[i].first;
        if (tok_is_plain(t, i))
            *exact = lists_all(t, i);
    }
    adze_free(ranges);
    return ADZE_OK;
}
