/* What the levels of the attention family share: which keys a query sees, scores to weights of a chunk,
 * rotary position. */
#ifndef ADZE_KERNELS_ATTENTION_IMPL_H
#define ADZE_KERNELS_ATTENTION_IMPL_H
#include "kernels/attention.h"
#include "kernels/math_impl.h"

enum { CHUNK = ADZE_ATTENTION_CHUNK, SPLIT = ADZE_ATTENTION_SPLIT };

typedef struct key_range {
    int64_t begin, end;
} key_range;

/* The keys of [first, last) that a token sees; begin >= end: none. */
static inline key_range keys_seen(const adze_attention_args *a, int64_t token, int64_t first,
                                  int64_t last)
{
    key_range r = {0, a->keys};
    if (a->positions != NULL) {
        r.end = a->positions[token] + 1;
        r.begin = a->window > 0 && r.end > a->window ? r.end - a->window : 0;
    }
    r.begin = r.begin > first ? r.begin : first;
    r.end = r.end < last ? r.end : last;
    return r;
}

static inline int64_t rows_of(const adze_attention_block *b)
{
    return b->tokens * (b->args->heads / b->args->kv_heads);
}

/* One row in one chunk, keys key .. key + CHUNK - 1, of which [begin, end) of the chunk are seen. */
typedef struct chunk_row {
    float scale, softcap, slope;
    int64_t position, key;
    int begin, end;
} chunk_row;

/* Products to scores, seen or not. */
static inline void score_chunk(const chunk_row *c, float *s)
{
    const float scale = c->scale, cap = c->softcap, slope = c->slope;
    VECTOR_LOOP
    for (int j = 0; j < CHUNK; j++)
        s[j] = s[j] * scale;
    if (cap > 0) {
        VECTOR_LOOP
        for (int j = 0; j < CHUNK; j++)
            s[j] = cap * tanh_f32(s[j] / cap);
    }
    if (slope != 0) {
        const float offset = (float)(c->key - c->position); /* key minus position */
        VECTOR_LOOP
        for (int j = 0; j < CHUNK; j++)
            s[j] = s[j] - slope * fabsf((float)j + offset);
    }
}

static void rope(int64_t heads, int64_t d, int64_t r, bool interleaved, const float *table,
                 const float *x, float *y)
{
    const int64_t half = r / 2;
    const float *c = table, *s = table + half;
    for (int64_t h = 0; h < heads; h++, x += d, y += d) {
        if (interleaved) {
            VECTOR_LOOP
            for (int64_t i = 0; i < half; i++) {
                const float a = x[2 * i], b = x[2 * i + 1];
                y[2 * i] = a * c[i] - b * s[i];
                y[2 * i + 1] = b * c[i] + a * s[i];
            }
        } else {
            VECTOR_LOOP
            for (int64_t i = 0; i < half; i++) {
                const float a = x[i], b = x[i + half];
                y[i] = a * c[i] - b * s[i];
                y[i + half] = b * c[i] + a * s[i];
            }
        }
        if (y != x)
            memcpy(y + r, x + r, (size_t)(d - r) * sizeof(float));
    }
}

#endif
