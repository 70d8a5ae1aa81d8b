/* Encoding of iq4_nl and iq4_xs: each element is a scale times one of sixteen levels, which are denser
 * near zero. Scales of either sign are tried, since the levels reach farther below zero than above. */
#ifndef ADZE_KERNELS_BLOCKS_IQ4_ENCODE_IMPL_H
#define ADZE_KERNELS_BLOCKS_IQ4_ENCODE_IMPL_H
#include "kernels/blocks_iq_impl.h"
#include "kernels/blocks_iq_weights_impl.h"

/* Of the weights, as in quantize_row_iq4_nl_impl of ggml-quants.c. */
#define IQ4_SPREAD 2.0f

enum { IQ4_BLOCK = 32, IQ4_GROUPS = 8, IQ4_TRIES = 9 };

/* The levels; between them, halfway, where the nearest changes: in order of a binary search, of which
 * the first question is between[0], the next are 1 and 2, then 3 to 6, then 7 to 14. */
static const float iq4_even[8] = {-127, -83, -49, -22, 1, 25, 53, 89};
static const float iq4_odd[8] = {-104, -65, -35, -10, 13, 38, 69, 113};
static const float iq4_second[8] = {-57, 45.5f};
static const float iq4_third[8] = {-93.5f, -28.5f, 19, 79};
static const float iq4_fourth[8] = {-115.5f, -74, -42, -16, 7, 31.5f, 61, 101};

#define IQ4_FIRST (-4.5f)

/* The nearest level to each v; number: its code. */
INLINE lanes nearest_level(lanes v, uint8_t *number)
{
#ifdef __AVX2__
    const __m256 first = _mm256_cmp_ps(v, lanes_set(IQ4_FIRST), _CMP_GT_OQ);
    __m256i at = _mm256_srli_epi32(_mm256_castps_si256(first), 31);
    const __m256 second =
        _mm256_cmp_ps(v, _mm256_permutevar8x32_ps(lanes_load(iq4_second), at), _CMP_GT_OQ);
    at = _mm256_sub_epi32(_mm256_add_epi32(at, at), _mm256_castps_si256(second));
    const __m256 third =
        _mm256_cmp_ps(v, _mm256_permutevar8x32_ps(lanes_load(iq4_third), at), _CMP_GT_OQ);
    at = _mm256_sub_epi32(_mm256_add_epi32(at, at), _mm256_castps_si256(third));
    const __m256 fourth =
        _mm256_cmp_ps(v, _mm256_permutevar8x32_ps(lanes_load(iq4_fourth), at), _CMP_GT_OQ);
    int32_t numbers[8];
    _mm256_storeu_si256((__m256i *)numbers,
                        _mm256_sub_epi32(_mm256_add_epi32(at, at), _mm256_castps_si256(fourth)));
    for (int i = 0; i < 8; i++)
        number[i] = (uint8_t)numbers[i];
    return _mm256_blendv_ps(_mm256_permutevar8x32_ps(lanes_load(iq4_even), at),
                            _mm256_permutevar8x32_ps(lanes_load(iq4_odd), at), fourth);
#else
    static const float between[15] = {-115.5f, -93.5f, -74,   -57,   -42, -28.5f, -16, IQ4_FIRST,
                                      7,       19,     31.5f, 45.5f, 61,  79,     101};
    static const float step[15] = {23, 21, 18, 16, 14, 13, 12, 11, 12, 12, 13, 15, 16, 20, 24};
    lanes out = lanes_set(-127);
    int32_t steps[8] = {0};
    for (int k = 0; k < 15; k++)
        for (int i = 0; i < 8; i++) {
            out.v[i] += v.v[i] > between[k] ? step[k] : 0.0f;
            steps[i] += v.v[i] > between[k];
        }
    for (int i = 0; i < 8; i++)
        number[i] = (uint8_t)steps[i];
    return out;
#endif
}

/* The codes of a block at scale s. */
INLINE iq_fit fit_levels(const float *x, const float *w, float s, uint8_t *number)
{
    const lanes inverse = lanes_set(1.0f / s);
    lanes xq = lanes_set(0.0f), qq = xq;
    for (int i = 0; i < IQ4_BLOCK; i += 8) {
        const lanes values = lanes_load(x + i);
        const lanes q = nearest_level(lanes_mul(values, inverse), number + i);
        const lanes wq = lanes_mul(lanes_load(w + i), q);
        xq = lanes_add(xq, lanes_mul(wq, values));
        qq = lanes_add(qq, lanes_mul(wq, q));
    }
    return (iq_fit){lanes_sum(xq), lanes_sum(qq)};
}

/* The scale that a block would like, in *best its levels' worth: those are tried at which the element of
 * largest magnitude is so many times the lowest level, or the highest. 0: none. */
ONE_COPY float best_level_scale(const float *x, const float *w, iq_fit *best)
{
    float extreme = 0.0f;
    for (int i = 0; i < IQ4_BLOCK; i++)
        extreme = fabsf(x[i]) > fabsf(extreme) ? x[i] : extreme;
    float out = 0.0f, gain = 0.0f;
    *best = (iq_fit){0, 0};
    if (fabsf(extreme) < 0x1p-40f)
        return out;
    uint8_t number[IQ4_BLOCK];
    for (int k = 0; k < 2 * IQ4_TRIES; k++) {
        const float times = 0.8f + 0.05f * (float)(k / 2);
        const float s = extreme / ((k % 2 ? 113.0f : -127.0f) * times);
        const iq_fit fit = fit_levels(x, w, s, number);
        if (fit.qq > 0.0f && fit.xq / fit.qq * fit.xq > gain) {
            out = fit.xq / fit.qq;
            gain = out * fit.xq;
            *best = fit;
        }
    }
    return out;
}

static inline void pack_levels(const uint8_t *number, uint8_t *b)
{
    for (int j = 0; j < 16; j++)
        b[j] = (uint8_t)(number[j] | number[j + 16] << 4);
}

/* The levels at this scale, then the scale that suits these: as long as it gets better, twice. */
static inline void encode_iq4_nl_block(const float *source, const float *importance, uint8_t *b)
{
    float x[IQ4_BLOCK], w[IQ4_BLOCK];
    uint8_t number[IQ4_BLOCK];
    memset(b, 0, 18);
    const float unit = load_values(source, IQ4_BLOCK, x);
    if (unit == 0.0f)
        return;
    load_weights(x, IQ4_BLOCK, IQ4_SPREAD, importance, w);
    iq_fit fit;
    float d = round_scale(unit, best_level_scale(x, w, &fit));
    for (int round = 0; round < 2 && d != 0.0f; round++) {
        fit = fit_levels(x, w, d, number);
        const float better = fit.qq > 0.0f ? round_scale(unit, fit.xq / fit.qq) : d;
        if (fit_cost(fit, better) < fit_cost(fit, d))
            d = better;
    }
    if (d == 0.0f || !(fit_cost(fit, d) < 0.0f))
        return;
    store_half(b, d * unit);
    pack_levels(number, b + 2);
}

static void encode_iq4_nl(const float *src, int64_t n, const float *importance, const void *tables,
                          void *dst)
{
    ADZE_UNUSED(tables);
    uint8_t *to = dst;
    for (int64_t i = 0; i < n; i += IQ4_BLOCK, to += 18)
        encode_iq4_nl_block(src + i, importance ? importance + i : NULL, to);
}

typedef struct iq4_work {
    float x[8 * IQ4_BLOCK], w[8 * IQ4_BLOCK];
    float unit;
    float best[IQ4_GROUPS], weight[IQ4_GROUPS]; /* the scale that a group would like */
    int8_t scale[IQ4_GROUPS];
    uint8_t number[8 * IQ4_BLOCK];
} iq4_work;

static inline float nearest_iq4_multiple(float wanted, float d)
{
    float l = wanted / d;
    l = l < 31.0f ? l : 31.0f;
    return l > -32.0f ? floorf(l + 0.5f) : -32.0f;
}

/* As choose_d of the grid formats; the scales are -32 .. 31. */
static inline float choose_iq4_d(const iq4_work *work)
{
    float most = 0.0f, best = 0.0f, least = FLT_MAX;
    for (int g = 0; g < IQ4_GROUPS; g++)
        most = fabsf(work->best[g]) > fabsf(most) ? work->best[g] : most;
    for (int k = 0; k < 32; k++) {
        const float times = 0.85f + 0.02f * (float)(k / 2);
        const float d = round_scale(work->unit, most * times / (k % 2 ? 31.0f : -32.0f));
        if (d == 0.0f)
            continue;
        float cost = 0.0f;
        for (int g = 0; g < IQ4_GROUPS; g++) {
            const float off = d * nearest_iq4_multiple(work->best[g], d) - work->best[g];
            cost += work->weight[g] * off * off;
        }
        if (cost < least) {
            least = cost;
            best = d;
        }
    }
    return best;
}

/* The levels of each group at the multiple of d that suits it best. Gives what all of them are worth as
 * multiples of d. */
static inline iq_fit settle_levels(iq4_work *work, float d)
{
    iq_fit all = {0, 0};
    for (int g = 0; g < IQ4_GROUPS; g++) {
        const float *x = work->x + g * IQ4_BLOCK, *w = work->w + g * IQ4_BLOCK;
        uint8_t *number = work->number + g * IQ4_BLOCK;
        const int middle = (int)nearest_iq4_multiple(work->best[g], d);
        float least = 0.0f; /* of multiple 0 */
        iq_fit best = {0, 0};
        work->scale[g] = 0;
        memset(number, 0, IQ4_BLOCK);
        for (int l = middle > -32 ? middle - 1 : -32; l <= middle + 1 && l <= 31; l++) {
            if (l == 0)
                continue;
            uint8_t at[IQ4_BLOCK];
            const float times = (float)l;
            const iq_fit fit = fit_levels(x, w, d * times, at);
            const float cost = fit_cost(fit, d * times);
            if (cost < least) {
                least = cost;
                best = (iq_fit){fit.xq * times, fit.qq * times * times};
                memcpy(number, at, sizeof at);
                work->scale[g] = (int8_t)l;
            }
        }
        all.xq += best.xq;
        all.qq += best.qq;
    }
    return all;
}

static inline void encode_iq4_xs_block(const float *source, const float *importance, uint8_t *b)
{
    iq4_work work;
    memset(b, 0, 136);
    work.unit = load_values(source, 8 * IQ4_BLOCK, work.x);
    if (work.unit == 0.0f)
        return;
    load_weights(work.x, 8 * IQ4_BLOCK, IQ4_SPREAD, importance, work.w);
    for (int g = 0; g < IQ4_GROUPS; g++) {
        iq_fit fit;
        work.best[g] = best_level_scale(work.x + g * IQ4_BLOCK, work.w + g * IQ4_BLOCK, &fit);
        work.weight[g] = fit.qq;
    }
    float d = choose_iq4_d(&work);
    if (d == 0.0f)
        return;
    const iq_fit all = settle_levels(&work, d);
    if (all.qq > 0.0f) {
        const float better = round_scale(work.unit, all.xq / all.qq);
        if (fit_cost(all, better) < fit_cost(all, d))
            d = better;
    }
    if (!(fit_cost(all, d) < 0.0f))
        return;
    store_half(b, d * work.unit);
    for (int g = 0; g < IQ4_GROUPS; g++) {
        const unsigned scale = (unsigned)(work.scale[g] + 32);
        b[2 + g / 4] = (uint8_t)(b[2 + g / 4] | scale >> 4 << g % 4 * 2);
        b[4 + g / 2] = (uint8_t)(b[4 + g / 2] | (scale & 15) << g % 2 * 4);
        pack_levels(work.number + g * IQ4_BLOCK, b + 8 + 16 * g);
    }
}

static void encode_iq4_xs(const float *src, int64_t n, const float *importance, const void *tables,
                          void *dst)
{
    ADZE_UNUSED(tables);
    uint8_t *to = dst;
    for (int64_t i = 0; i < n; i += 8 * IQ4_BLOCK, to += 136)
        encode_iq4_xs_block(src + i, importance ? importance + i : NULL, to);
}

#endif
