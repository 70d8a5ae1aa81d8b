/* Unigram (Kudo 2018): of all ways to write a piece in tokens, the one with the highest sum of scores, found
 * from left to right: the best way to reach each place is kept. A character that no token covers alone costs
 * more than any token and becomes the unknown token; a run of such is one. WordPiece: the longest token that begins
 * the word, then the longest that goes on; a word with a rest that no token begins is unknown as a whole. */
#include <float.h>
#include <string.h>

#include "llm/tokenizer_impl.h"

static void reach(tok_node *node, double score, size_t start, int32_t id)
{
    if (score > node->score)
        *node = (tok_node){score, (uint32_t)start, id};
}

static void walk(tok_encoder *e, const char *text, size_t length)
{
    const tok_unigram *u = &e->t->unigram;
    for (size_t at = 0, size; at < length; at += size) {
        size = ADZE_MIN(adze_utf8_size(text[at]), length - at);
        double score = e->nodes[at].score;
        bool covered = false;
        uint32_t node = 0;
        for (size_t i = at; i < length && (node = tok_trie_step(&u->trie, node, text[i])) != 0;
             i++) {
            int32_t id = u->trie.values[node];
            if (id < 0)
                continue;
            reach(&e->nodes[i + 1], score + u->scores[id], at, id);
            covered |= i + 1 - at == size;
        }
        if (!covered)
            reach(&e->nodes[at + size], score + u->unknown_score, at, -1);
    }
}

static adze_status emit_unknown(tok_encoder *e, const char *text, size_t length)
{
    const adze_tokenizer *t = e->t;
    int32_t id = t->unigram.find_fused ? tok_texts_find(&t->texts, text, length) : -1;
    if (id >= 0)
        return tok_emit(e, id);
    if (t->unigram.byte_fallback)
        return tok_bytes_encode(e, text, length);
    return t->unknown < 0 ? ADZE_OK : tok_emit(e, t->unknown);
}

adze_status tok_unigram_encode(tok_encoder *e, const char *text, size_t length)
{
    ADZE_TRY(tok_grow(&e->nodes, &e->node_capacity, length + 1, sizeof *e->nodes, e->err));
    for (size_t i = 0; i <= length; i++)
        e->nodes[i] = (tok_node){-DBL_MAX, 0, -1};
    e->nodes[0].score = 0;
    walk(e, text, length);
    size_t from = 0, unknown_from = 0;
    bool in_unknown = false;
    /* the links lead from the end: turn them round */
    uint32_t at = (uint32_t)length, after = 0;
    while (at > 0) {
        uint32_t start = e->nodes[at].start;
        e->nodes[at].start = after;
        after = at;
        at = start;
    }
    for (at = after; at > 0; at = e->nodes[at].start) {
        int32_t id = e->nodes[at].id;
        bool unknown = id < 0 || id == e->t->unknown;
        if (in_unknown && !unknown)
            ADZE_TRY(emit_unknown(e, text + unknown_from, from - unknown_from));
        if (unknown && !in_unknown)
            unknown_from = from;
        if (!unknown)
            ADZE_TRY(tok_emit(e, id));
        in_unknown = unknown;
        from = at;
    }
    return in_unknown ? emit_unknown(e, text + unknown_from, from - unknown_from) : ADZE_OK;
}

/* ---- WordPiece ---- */

static size_t longest_match(const tok_trie *trie, const char *text, size_t length, int32_t *id)
{
    size_t best = 0;
    uint32_t node = 0;
    *id = trie->values[0];
    for (size_t i = 0; i < length && (node = tok_trie_step(trie, node, text[i])) != 0; i++)
        if (trie->values[node] >= 0) {
            *id = trie->values[node];
            best = i + 1;
        }
    return best;
}

static int64_t count_characters(const char *text, size_t length)
{
    int64_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

adze_status tok_wordpiece_encode(tok_encoder *e, const char *text, size_t length)
{
    const tok_wordpiece *w = &e->t->wordpiece;
    size_t before = e->count, at = 0;
    bool known = count_characters(text, length) <= w->longest_word;
    while (known && at < length) {
        int32_t id;
        bool first = at == 0 && e->count == before;
        size_t size = longest_match(first ? &w->first : &w->rest, text + at, length - at, &id);
        known = id >= 0;
        if (known)
            ADZE_TRY(tok_emit(e, id));
        at += size;
    }
    if (known)
        return ADZE_OK;
    e->count = before;
    return e->t->unknown < 0 ? ADZE_OK : tok_emit(e, e->t->unknown);
}
