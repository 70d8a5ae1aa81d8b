/* The solver. best[i][b]: least loss of the first i items within b cells of the budget; only the choice is kept for
 * each (item, cell), one byte, and walked back from the end. */
#include "search/knapsack.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

enum { CELLS = 100000, MOST_CHOICES = 255 };

typedef struct solver {
    const adze_choice_item *items;
    int count;
    double budget, least;   /* sum of the smallest sizes */
    double cell;            /* bytes above the smallest, for each cell */
    double *before, *after; /* [CELLS + 1] */
    uint8_t *taken;         /* [count][CELLS + 1] */
} solver;

static double smallest_size(const adze_choice_item *item)
{
    double size = item->choices[0].size;
    for (int k = 1; k < item->count; k++)
        size = fmin(size, item->choices[k].size);
    return size;
}

static int cells_of(const solver *s, const adze_choice_item *item, int choice)
{
    double more = item->choices[choice].size - smallest_size(item);
    double cells = s->cell > 0 ? ceil(more / s->cell - 1e-9) : more > 0 ? CELLS + 1.0 : 0;
    return (int)fmin(cells, CELLS + 1.0);
}

static void add_item(solver *s, int i)
{
    const adze_choice_item *item = &s->items[i];
    uint8_t *taken = s->taken + (size_t)i * (CELLS + 1);
    for (int b = 0; b <= CELLS; b++)
        s->after[b] = INFINITY;
    for (int k = 0; k < item->count; k++) {
        int cells = cells_of(s, item, k);
        double loss = item->choices[k].loss;
        for (int b = cells; b <= CELLS; b++) {
            double total = s->before[b - cells] + loss;
            if (total < s->after[b]) {
                s->after[b] = total;
                taken[b] = (uint8_t)k;
            }
        }
    }
    double *swap = s->before;
    s->before = s->after;
    s->after = swap;
}

static void walk_back(const solver *s, int *picks)
{
    int at = CELLS;
    for (int i = s->count - 1; i >= 0; i--) {
        picks[i] = s->taken[(size_t)i * (CELLS + 1) + (size_t)at];
        at -= cells_of(s, &s->items[i], picks[i]);
    }
}

/* Rounding up left some bytes: whatever still fits and helps most for its bytes, until nothing does. */
static void spend_rest(const solver *s, int *picks)
{
    double left = s->budget;
    for (int i = 0; i < s->count; i++)
        left -= s->items[i].choices[picks[i]].size;
    for (;;) {
        int item = -1, choice = 0;
        double most = 0;
        for (int i = 0; i < s->count; i++) {
            const adze_choice *now = &s->items[i].choices[picks[i]];
            for (int k = 0; k < s->items[i].count; k++) {
                const adze_choice *c = &s->items[i].choices[k];
                double gain = now->loss - c->loss, more = c->size - now->size;
                if (gain <= 0 || more > left)
                    continue;
                double rate = gain / fmax(more, 1);
                if (rate > most) {
                    most = rate;
                    item = i;
                    choice = k;
                }
            }
        }
        if (item < 0)
            return;
        left -= s->items[item].choices[choice].size - s->items[item].choices[picks[item]].size;
        picks[item] = choice;
    }
}

adze_status adze_knapsack_solve(int *picks, const adze_choice_item *items, int count, double budget,
                                adze_error *err)
{
    solver s = {.items = items, .count = count, .budget = budget};
    for (int i = 0; i < count; i++) {
        if (items[i].count < 1 || items[i].count > MOST_CHOICES)
            return adze_fail(err, ADZE_BAD_ARGUMENT, "item %d has %d choices", i, items[i].count);
        s.least += smallest_size(&items[i]);
    }
    if (s.least > budget)
        return adze_fail(err, ADZE_LIMIT, "the smallest types take %.0f bytes, the limit is %.0f",
                         s.least, budget);
    s.cell = (budget - s.least) / CELLS;
    s.before = adze_alloc(CELLS + 1, sizeof *s.before);
    s.after = adze_alloc(CELLS + 1, sizeof *s.after);
    s.taken = adze_alloc((size_t)count + 1, CELLS + 1);
    bool made = s.before && s.after && s.taken;
    for (int i = 0; made && i < count; i++)
        add_item(&s, i);
    if (made) {
        walk_back(&s, picks);
        spend_rest(&s, picks);
    }
    adze_free(s.before);
    adze_free(s.after);
    adze_free(s.taken);
    return made ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "choosing types for %d tensors", count);
}
