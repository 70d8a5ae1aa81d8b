/* Tables of the IQ encoders: for each combination of levels its number on the grid, or the points that
 * lie nearest. A distance is the sum of two, each over half of the coordinates, whose combinations are
 * few enough to be tabulated. */
#include "kernels/blocks_iq_search_impl.h"

enum { HALVES = 81, MOST_POINTS = 2048 }; /* 3^4 combinations of four coordinates; or 8^2 of two */

typedef struct distances {
    int halves, levels;
    float between[HALVES][HALVES];               /* squared */
    uint8_t low[MOST_POINTS], high[MOST_POINTS]; /* the halves of each point */
} distances;

/* The number of a combination whose coordinates have `bits` each. */
static unsigned combination_of(unsigned numbers, int count, int bits, unsigned levels)
{
    unsigned out = 0;
    for (int i = count - 1; i >= 0; i--)
        out = out * levels + (numbers >> bits * i & ((1u << bits) - 1));
    return out;
}

static void tabulate(const iq_grid *grid, const float *level, distances *table)
{
    const int count = grid->bits == 2 ? 4 : 2;
    table->levels = grid->bits == 2 ? 3 : 8;
    table->halves = grid->bits == 2 ? 81 : 64;
    for (int a = 0; a < table->halves; a++)
        for (int b = 0; b < table->halves; b++) {
            float sum = 0.0f;
            for (int i = 0, rest_a = a, rest_b = b; i < count; i++) {
                const float d = level[rest_a % table->levels] - level[rest_b % table->levels];
                sum += d * d;
                rest_a /= table->levels;
                rest_b /= table->levels;
            }
            table->between[a][b] = sum;
        }
    for (int p = 0; p < grid->points; p++) {
        const unsigned all =
            combination_of(grid->point[p], 2 * count, grid->bits, (unsigned)table->levels);
        table->low[p] = (uint8_t)(all % (unsigned)table->halves);
        table->high[p] = (uint8_t)(all / (unsigned)table->halves);
    }
}

/* The point with this combination, -1 when there is none; then `near` holds the nearest, in order. */
static int find_nearest(const iq_grid *grid, const distances *table, int combination,
                        uint16_t *near)
{
    const float *low = table->between[combination % table->halves];
    const float *high = table->between[combination / table->halves];
    float distance[NEAR_POINTS];
    int have = 0;
    for (int p = 0; p < grid->points; p++) {
        const float d = low[table->low[p]] + high[table->high[p]];
        if (d == 0.0f)
            return p;
        if (have == NEAR_POINTS && d >= distance[have - 1])
            continue;
        int at = have < NEAR_POINTS ? have++ : NEAR_POINTS - 1;
        for (; at > 0 && distance[at - 1] > d; at--) {
            distance[at] = distance[at - 1];
            near[at] = near[at - 1];
        }
        distance[at] = d;
        near[at] = grid->point[p];
    }
    return -1;
}

void adze_iq_tables_init(const iq_grid *grid, const float *level, iq_tables *tables)
{
    distances table;
    tabulate(grid, level, &table);
    for (unsigned bits = 0; bits < 256; bits++) {
        unsigned combination = 0;
        for (int i = 7; i >= 0; i--)
            combination = combination * 3 + (bits >> i & 1);
        tables->index_of_bits[bits] = (uint16_t)combination;
    }
    int lists = 0;
    for (int c = 0; c < grid_combinations(grid); c++) {
        uint16_t near[NEAR_POINTS];
        const int point = find_nearest(grid, &table, c, near);
        tables->place[c] = (uint16_t)(point >= 0 ? ON_GRID | point : lists);
        if (point < 0)
            memcpy(tables->near[lists++], near, sizeof near);
    }
}
