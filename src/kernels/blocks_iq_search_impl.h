/* The nearest point of a grid. Eight elements are rounded, each to its nearest level; where that
 * combination is no point, the points that lie nearest to it are listed in the encoder's tables, and
 * all of them are tried: what a point costs is a sum of what each coordinate costs at its level. */
#ifndef ADZE_KERNELS_BLOCKS_IQ_SEARCH_IMPL_H
#define ADZE_KERNELS_BLOCKS_IQ_SEARCH_IMPL_H
#include <stdbool.h>
#include <stddef.h>
#include "kernels/blocks_iq_grids_impl.h"
#include "kernels/blocks_iq_lanes_impl.h"
#include "kernels/blocks_iq_weights_impl.h"

enum {
    NEAR_POINTS = 24,           /* in each list; a multiple of 8 */
    PAIR_COMBINATIONS = 6561,   /* 3^8: three levels, eight coordinates */
    TRIPLE_COMBINATIONS = 4096, /* 8^4 */
    ON_GRID = 0x8000
};

/* A grid of points of 8 coordinates with a number of 2 bits (levels: 3), or of 4 with 3 bits (8). */
typedef struct iq_grid {
    const uint16_t *point;
    int points, bits;
} iq_grid;

/* place: of a combination of levels: ON_GRID | number of the point, or the number of its list.
 * index_of_bits: of eight bits, the combination that has level 1 where the bit is set. */
typedef struct iq_tables {
    uint16_t index_of_bits[256];
    uint16_t place[PAIR_COMBINATIONS + 1];
    uint16_t near[][NEAR_POINTS];
} iq_tables;

static inline int grid_combinations(const iq_grid *grid)
{
    return grid->bits == 2 ? PAIR_COMBINATIONS : TRIPLE_COMBINATIONS;
}

static inline size_t grid_tables_size(const iq_grid *grid)
{
    const int lists = grid_combinations(grid) - grid->points;
    return sizeof(iq_tables) + (size_t)lists * NEAR_POINTS * sizeof(uint16_t);
}

/* `level`: of each number. */
void adze_iq_tables_init(const iq_grid *grid, const float *level, iq_tables *tables);

/* cost[i]: in lane n, what element i costs at level n (scaled). */
INLINE void level_costs(lanes scaled, const float *x, const float *w, int count, lanes *cost)
{
    for (int i = 0; i < count; i++) {
        const lanes d = lanes_sub(scaled, lanes_set(x[i]));
        cost[i] = lanes_mul(lanes_mul(d, d), lanes_set(w[i]));
    }
}

/* The cheapest of a list: eight points to a vector, in each lane the first of the cheapest, of these the
 * lowest lane. */
INLINE uint32_t cheapest(const uint16_t *list, const lanes *cost, int count, int bits)
{
#ifdef __AVX2__
    lanes least = _mm256_setzero_ps(), winner = least;
    for (int k = 0; k < NEAR_POINTS; k += 8) {
        const __m256i point = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(list + k)));
        lanes sum = _mm256_permutevar8x32_ps(cost[0], point);
        for (int i = 1; i < count; i++)
            sum = lanes_add(sum,
                            _mm256_permutevar8x32_ps(cost[i], _mm256_srli_epi32(point, bits * i)));
        if (k == 0) {
            least = sum;
            winner = _mm256_castsi256_ps(point);
            continue;
        }
        const lanes less = _mm256_cmp_ps(sum, least, _CMP_LT_OQ);
        least = lanes_min(sum, least);
        winner = _mm256_blendv_ps(winner, _mm256_castsi256_ps(point), less);
    }
    __m256 lowest = _mm256_min_ps(least, _mm256_permute2f128_ps(least, least, 1));
    lowest = _mm256_min_ps(lowest, _mm256_permute_ps(lowest, 0x4e));
    lowest = _mm256_min_ps(lowest, _mm256_permute_ps(lowest, 0xb1));
    const int equal = _mm256_movemask_ps(_mm256_cmp_ps(least, lowest, _CMP_EQ_OQ)) | 128;
    uint32_t points[8];
    _mm256_storeu_si256((__m256i *)points, _mm256_castps_si256(winner));
    return points[__builtin_ctz((unsigned)equal)];
#else
    float least = INFINITY;
    uint32_t winner = list[0];
    for (int lane = 0; lane < 8; lane++)
        for (int k = lane; k < NEAR_POINTS; k += 8) {
            float sum = cost[0].v[list[k] & 7];
            for (int i = 1; i < count; i++)
                sum = sum + cost[i].v[list[k] >> bits * i & 7];
            if (sum < least) {
                least = sum;
                winner = list[k];
            }
        }
    return winner;
#endif
}

/* The points that say x[8] best at this scale, as numbers of levels: one of 8 coordinates, ... */
INLINE uint32_t nearest_point(const iq_grid *grid, const iq_tables *tables, const float *level,
                              const float *x, const float *w, float scale)
{
    const lanes values = lanes_load(x);
    const unsigned first = lanes_above(values, lanes_set(0.5f * (level[0] + level[1]) * scale));
    const unsigned second = lanes_above(values, lanes_set(0.5f * (level[1] + level[2]) * scale));
    const unsigned place =
        tables->place[tables->index_of_bits[first] + tables->index_of_bits[second]];
    if (place & ON_GRID)
        return grid->point[place & ~(unsigned)ON_GRID];
    lanes cost[8];
    level_costs(lanes_mul(lanes_load(level), lanes_set(scale)), x, w, 8, cost);
    return cheapest(tables->near[place], cost, 8, 2);
}

/* ... or two of 4 coordinates, whose levels are taken as 1, 3 .. 15 for rounding. */
INLINE uint32_t nearest_points(const iq_tables *tables, const float *level, const float *x,
                               const float *w, float scale)
{
    static const float power[8] = {1, 8, 64, 512, 4096, 32768, 262144, 2097152};
    lanes number = lanes_mul(lanes_load(x), lanes_set(0.5f / scale));
    number = lanes_min(lanes_sub(number, lanes_set(0.5f)), lanes_set(7.0f));
    number = lanes_round(lanes_max(number, lanes_set(0.0f)));
    const uint32_t both = (uint32_t)lanes_sum(lanes_mul(number, lanes_load(power)));
    uint32_t point[2] = {both & 4095, both >> 12};
    for (int h = 0; h < 2; h++) {
        const unsigned place = tables->place[point[h]];
        if (place & ON_GRID)
            continue;
        lanes cost[4];
        level_costs(lanes_mul(lanes_load(level), lanes_set(scale)), x + 4 * h, w + 4 * h, 4, cost);
        point[h] = cheapest(tables->near[place], cost, 4, 3);
    }
    return point[0] | point[1] << 12;
}

#endif
