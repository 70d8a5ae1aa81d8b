/* One choice for each item, least total loss within a budget: the multiple-choice knapsack problem (Kellerer, Pferschy,
 * Pisinger: Knapsack Problems, 2004, chapter 11), solved by dynamic programming over a fine grid of sizes
 * that are rounded up, so the budget always holds; what rounding left over is spent exactly at the end. */
#ifndef ADZE_SEARCH_KNAPSACK_H
#define ADZE_SEARCH_KNAPSACK_H
#include "base/error.h"

typedef struct adze_choice {
    double size, loss; /* >= 0 */
} adze_choice;

typedef struct adze_choice_item {
    const adze_choice *choices;
    int count;
} adze_choice_item;

/* Fills picks[items]: the index of each item's choice. Fails with ADZE_LIMIT when even the smallest choices
 * exceed the budget, ADZE_NO_MEMORY. */
adze_status adze_knapsack_solve(int *picks, const adze_choice_item *items, int count, double budget,
                                adze_error *err) ADZE_MUST_CHECK;

#endif
