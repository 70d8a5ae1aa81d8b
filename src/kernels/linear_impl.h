/* What the levels of the products of language models share: block types seen as small integers, and the
 * quantized rows of x ("records"). Included by linear.c and x86/linear_*.c, each with flags of its
 * own, so that the plain C loops below become vectors of each level. */
#ifndef ADZE_KERNELS_LINEAR_IMPL_H
#define ADZE_KERNELS_LINEAR_IMPL_H
#include "kernels/blocks_iq_impl.h"
#include "kernels/blocks_k_impl.h"
#include "kernels/blocks_simple_impl.h"
#include "kernels/kernels.h"
#include "kernels/loop_impl.h"

enum {
    LINEAR_SLAB = 512,   /* most tokens at once: bounds the scratch */
    LINEAR_PANEL = 16,   /* parts begin at a multiple of so many rows */
    LINEAR_BLOCK = 32,   /* elements of x with one scale */
    LINEAR_CHUNK = 1024, /* most weights of a row that a level unpacks at once; whole blocks */
};

/* `count` blocks of one row. codes: each weight's q; scale, offset (where the type has one): of each
 * group. */
typedef void (*linear_unpack_fn)(const uint8_t *blocks, int64_t count, int8_t *codes, float *scale,
                                 float *offset);

typedef struct linear_format {
    int block, bytes; /* weights and bytes of a stored block */
    int group;        /* weights with one scale: 16 or 32 */
    int zero;         /* q + zero is in 0 .. 63; not for wide ones */
    bool wide;        /* q is any of -128 .. 127 */
    bool offset;
    linear_unpack_fn unpack;
} linear_format;

/* A row of x quantized: parts of one record, in this order, each at a multiple of 64 bytes. */
typedef struct linear_record {
    int8_t *codes;  /* [k] */
    float *scale;   /* [k / 32] */
    int32_t *zeros; /* [k / group]: what takes q + zero back to q, in the level's own form */
    float *sums;    /* [k / group]: scale * (sum of codes), for offsets */
} linear_record;

typedef struct linear_job {
    adze_linear_args args; /* tokens: at most LINEAR_SLAB of all */
    int64_t all_tokens;
    const linear_format *format; /* NULL: this type is not seen as integers */
    uint8_t *records;
    size_t record_size;
    uint8_t *workers; /* scratch, worker after worker */
    size_t worker_size;
    const adze_linear_table *table;
    int64_t part_rows, part_tokens;
    int64_t row_parts, token_parts;
} linear_job;

static inline size_t linear_round_up(size_t size)
{
    return (size + 63) & ~(size_t)63;
}

/* Bytes of a record; never a multiple of 4096, so that the records of a tile lie in different sets of the
 * cache. */
static inline size_t linear_record_size(const linear_format *f, int64_t k)
{
    const size_t groups = linear_round_up((size_t)(k / f->group) * sizeof(float));
    const size_t size = linear_round_up((size_t)k) +
                        linear_round_up((size_t)(k / LINEAR_BLOCK) * sizeof(float)) + 2 * groups;
    return size % 4096 == 0 ? size + 64 : size;
}

static inline linear_record linear_record_at(const linear_job *job, int64_t token)
{
    const size_t k = (size_t)job->args.k;
    const size_t groups = linear_round_up(k / (size_t)job->format->group * sizeof(float));
    uint8_t *at = job->records + (size_t)token * job->record_size;
    linear_record r;
    r.codes = (int8_t *)at;
    at += linear_round_up(k);
    r.scale = (float *)(void *)at;
    at += linear_round_up(k / LINEAR_BLOCK * sizeof(float));
    r.zeros = (int32_t *)(void *)at;
    r.sums = (float *)(void *)(at + groups);
    return r;
}

static inline const uint8_t *linear_row(const linear_job *job, int64_t row)
{
    return (const uint8_t *)job->args.w + (size_t)row * job->args.w_stride;
}

/* The scale of 32 elements, from the bits of their largest magnitude, and what each is multiplied by to
 * become a code. As integers, bits of NaN are above those of infinity. */
static inline float linear_scale_of(uint32_t most, float *inverse)
{
    const float largest = float_of(most);
    const bool usable = most < 0x7f800000u && largest >= 1e-30f;
    *inverse = usable ? 127.0f / largest : 0.0f;
    if (most >= 0x7f800000u)
        return float_of(0x7fc00000u);
    return usable ? largest / 127.0f : 0.0f;
}

static inline float linear_block_scale(const float *x, float *inverse)
{
    uint32_t most = 0;
    for (int i = 0; i < LINEAR_BLOCK; i++) {
        const uint32_t bits = bits_of(x[i]) & 0x7fffffffu;
        most = bits > most ? bits : most;
    }
    return linear_scale_of(most, inverse);
}

static inline void linear_block_codes(const float *x, float inverse, int8_t *codes)
{
    if (inverse == 0.0f)
        memset(codes, 0, LINEAR_BLOCK);
    else
        for (int i = 0; i < LINEAR_BLOCK; i++)
            codes[i] = (int8_t)round_small_int(x[i] * inverse);
}

/* unpack_all_<name> over unpack_<name>(block, q, scale, offset), whose groups of `stored` weights become
 * one or more of `group`. Codes are made `shift` less, offsets that much more. */
#define LINEAR_UNPACK(name, block, bytes, stored, group, shift, with_offset)                       \
    static void unpack_all_##name(const uint8_t *blocks, int64_t count, int8_t *codes,             \
                                  float *scale, float *offset)                                     \
    {                                                                                              \
        for (int64_t b = 0; b < count; b++, blocks += (bytes), codes += (block)) {                 \
            float s[(block) / (stored)], o[(block) / (stored)];                                    \
            unpack_##name(blocks, codes, s, o);                                                    \
            for (int j = 0; (shift) > 0 && j < (block); j++)                                       \
                codes[j] = (int8_t)(codes[j] - (shift));                                           \
            for (int g = 0; g < (block) / (group); g++) {                                          \
                const int from = g * (group) / (stored);                                           \
                *scale++ = s[from];                                                                \
                if (with_offset)                                                                   \
                    *offset++ = (shift) > 0 ? o[from] + (float)(shift)*s[from] : o[from];          \
            }                                                                                      \
        }                                                                                          \
    }

/* name, enum, block, bytes, stored group, group, zero, wide, shift, offset */
#define LINEAR_FORMATS(X)                                                                          \
    X(q4_0, Q4_0, 32, 18, 32, 32, 8, false, 0, false)                                              \
    X(q4_1, Q4_1, 32, 20, 32, 32, 0, false, 0, true)                                               \
    X(q5_0, Q5_0, 32, 22, 32, 32, 16, false, 0, false)                                             \
    X(q5_1, Q5_1, 32, 24, 32, 32, 16, false, 16, true)                                             \
    X(q8_0, Q8_0, 32, 34, 32, 32, 0, true, 0, false)                                               \
    X(q8_1, Q8_1, 32, 36, 32, 32, 0, true, 0, false)                                               \
    X(q2_K, Q2_K, 256, 84, 16, 16, 0, false, 0, true)                                              \
    X(q3_K, Q3_K, 256, 110, 16, 16, 4, false, 0, false)                                            \
    X(q4_K, Q4_K, 256, 144, 32, 32, 0, false, 0, true)                                             \
    X(q5_K, Q5_K, 256, 176, 32, 32, 16, false, 16, true)                                           \
    X(q6_K, Q6_K, 256, 210, 16, 16, 32, false, 0, false)                                           \
    X(q8_K, Q8_K, 256, 292, 256, 32, 0, true, 0, false)                                            \
    X(tq1_0, TQ1_0, 256, 54, 256, 32, 1, false, 0, false)                                          \
    X(tq2_0, TQ2_0, 256, 66, 256, 32, 1, false, 0, false)                                          \
    X(mxfp4, MXFP4, 32, 17, 32, 32, 12, false, 0, false)                                           \
    X(nvfp4, NVFP4, 64, 36, 16, 16, 12, false, 0, false)                                           \
    X(q1_0, Q1_0, 128, 18, 128, 32, 1, false, 0, false)                                            \
    X(q2_0, Q2_0, 64, 18, 64, 32, 1, false, 0, false)                                              \
    X(iq1_s, IQ1_S, 256, 50, 32, 32, 9, false, 0, false)                                           \
    X(iq1_m, IQ1_M, 256, 56, 16, 16, 9, false, 0, false)                                           \
    X(iq2_xxs, IQ2_XXS, 256, 66, 32, 32, 0, true, 0, false)                                        \
    X(iq2_xs, IQ2_XS, 256, 74, 16, 16, 0, true, 0, false)                                          \
    X(iq2_s, IQ2_S, 256, 82, 16, 16, 0, true, 0, false)                                            \
    X(iq3_xxs, IQ3_XXS, 256, 98, 32, 32, 0, true, 0, false)                                        \
    X(iq3_s, IQ3_S, 256, 110, 32, 32, 15, false, 0, false)                                         \
    X(iq4_nl, IQ4_NL, 32, 18, 32, 32, 0, true, 0, false)                                           \
    X(iq4_xs, IQ4_XS, 256, 136, 32, 32, 0, true, 0, false)

#define X(name, code, block, bytes, stored, group, zero, wide, shift, offset)                      \
    LINEAR_UNPACK(name, block, bytes, stored, group, shift, offset)
LINEAR_FORMATS(X)
#undef X

/* Each by name, where the compiler is to know its members; and all by type. */
#define X(name, code, block, bytes, stored, group, zero, wide, shift, offset)                      \
    static const linear_format format_##name = {                                                   \
        block, bytes, group, zero, wide, offset, unpack_all_##name};
LINEAR_FORMATS(X)
#undef X

static inline const linear_format *linear_format_of(adze_dtype dtype)
{
    switch (dtype) {
#define X(name, code, block, bytes, stored, group, zero, wide, shift, offset)                      \
    case ADZE_##code: return &format_##name;
        LINEAR_FORMATS(X)
#undef X
    default: return NULL;
    }
}

#endif
