/* Encoding with an importance matrix of the formats of 32 elements to a scale: blocks are the lanes of
 * the search, eight at a time. */
#ifndef ADZE_KERNELS_BLOCKS_MATRIX_IMPL_H
#define ADZE_KERNELS_BLOCKS_MATRIX_IMPL_H
#include "kernels/blocks_bits_impl.h"
#include "kernels/blocks_search_impl.h"

/* Eight blocks: q (less the least q), and for each block scale and offset as the file holds them. */
typedef struct coded_blocks {
    uint8_t q[256];
    float scale[8], offset[8];
} coded_blocks;

static const search_plan q4_0_plan = {
    .top = 8, .first = -1.2f, .between = 0.3f, .matrix_tries = 10, .refinements = 2};
static const search_plan q5_0_plan = {
    .top = 16, .first = -1.2f, .between = 0.3f, .matrix_tries = 10, .refinements = 2};
static const search_plan q4_1_plan = {
    .top = 15, .first = -1.6f, .between = 0.3f, .matrix_tries = 12, .refinements = 3};
static const search_plan q5_1_plan = {
    .top = 31, .first = -1.6f, .between = 0.3f, .matrix_tries = 12, .refinements = 3};

static inline void code_blocks(const float *x, const float *importance, const search_plan *plan,
                               bool with_offset, coded_blocks *c)
{
    const float size = size_of_block(x), low = with_offset ? 0.0f : -plan->top;
    memset(c, 0, sizeof *c);
    if (size < NEXT_TO_NOTHING) {
        memset(c->q, (int)-low, sizeof c->q);
        return;
    }
    const unit u = unit_of(size);
    elements e;
    load_elements(x, importance, u, 32, &e);
    if (with_offset) {
        const offset_sums sums = sum_up(e.x, e.w, 32, true);
        const offset_fit fit = fit_offset(e.x, e.w, 32, &sums, plan, plan->matrix_tries, true);
        f8_store(c->scale, fit.scale);
        f8_store(c->offset, fit.min);
    } else {
        f8_store(c->scale, fit_scale(e.x, e.w, 32, plan, plan->matrix_tries).scale);
    }
    for (int g = 0; g < 8; g++) {
        const float scale = snap(c->scale[g], u), min = snap(c->offset[g], u);
        round_group(x + 32 * g, 32, u, scale, min, low, with_offset ? plan->top : plan->top - 1,
                    c->q + 32 * g);
        c->scale[g] = scale * u.down;
        c->offset[g] = -min * u.down;
    }
}

static inline void pack_q4_0(float scale, float offset, const uint8_t *q, uint8_t *b)
{
    ADZE_UNUSED(offset);
    store_half(b, scale);
    pack_nibbles(q, 16, b + 2);
}

static inline void pack_q4_1(float scale, float offset, const uint8_t *q, uint8_t *b)
{
    store_half(b, scale);
    store_half(b + 2, offset);
    pack_nibbles(q, 16, b + 4);
}

static inline void pack_q5_0(float scale, float offset, const uint8_t *q, uint8_t *b)
{
    ADZE_UNUSED(offset);
    store_half(b, scale);
    pack_fifth_bits(q, b + 2);
    pack_nibbles(q, 16, b + 6);
}

static inline void pack_q5_1(float scale, float offset, const uint8_t *q, uint8_t *b)
{
    store_half(b, scale);
    store_half(b + 2, offset);
    pack_fifth_bits(q, b + 4);
    pack_nibbles(q, 16, b + 8);
}

/* encode_matrix_<name>: the row in portions of eight blocks, the last filled up with zeros. */
#define MATRIX_ENCODER(name, bytes, with_offset)                                                   \
    static inline void encode_matrix_##name(const float *src, int64_t n, const float *importance,  \
                                            void *dst)                                             \
    {                                                                                              \
        uint8_t *to = dst;                                                                         \
        for (int64_t i = 0; i < n; i += 256) {                                                     \
            const int64_t count = n - i < 256 ? n - i : 256;                                       \
            float x[256] = {0}, weights[256] = {0};                                                \
            memcpy(x, src + i, (size_t)count * sizeof *x);                                         \
            memcpy(weights, importance + i, (size_t)count * sizeof *x);                            \
            coded_blocks c;                                                                        \
            code_blocks(x, weights, &name##_plan, with_offset, &c);                                \
            for (int g = 0; 32 * g < count; g++, to += (bytes))                                    \
                pack_##name(c.scale[g], c.offset[g], c.q + 32 * g, to);                            \
        }                                                                                          \
    }

MATRIX_ENCODER(q4_0, 18, false)
MATRIX_ENCODER(q4_1, 20, true)
MATRIX_ENCODER(q5_0, 22, false)
MATRIX_ENCODER(q5_1, 24, true)

#endif
