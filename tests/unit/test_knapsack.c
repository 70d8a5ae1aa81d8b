/* The solver of type choices against all combinations. */
#include "base/rng.h"
#include "search/knapsack.h"
#include "test.h"

enum { ITEMS = 5, CHOICES = 4 };

static double best_of_all(const adze_choice_item *items, double budget)
{
    double best = 1e300;
    for (int code = 0; code < CHOICES * CHOICES * CHOICES * CHOICES * CHOICES; code++) {
        double size = 0, loss = 0;
        for (int i = 0, rest = code; i < ITEMS; i++, rest /= CHOICES) {
            size += items[i].choices[rest % CHOICES].size;
            loss += items[i].choices[rest % CHOICES].loss;
        }
        if (size <= budget && loss < best)
            best = loss;
    }
    return best;
}

TEST(knapsack_is_optimal)
{
    adze_rng rng = adze_rng_seed(5);
    for (int round = 0; round < 20; round++) {
        adze_choice choices[ITEMS][CHOICES];
        adze_choice_item items[ITEMS];
        double least = 0, most = 0;
        for (int i = 0; i < ITEMS; i++) {
            items[i] = (adze_choice_item){choices[i], CHOICES};
            for (int k = 0; k < CHOICES; k++)
                choices[i][k] =
                    (adze_choice){(double)(1 + k) * (double)(1 + adze_rng_below(&rng, 1000)),
                                  adze_rng_f64(&rng) / (1 + k)};
            double small = 1e300, large = 0;
            for (int k = 0; k < CHOICES; k++) {
                small = choices[i][k].size < small ? choices[i][k].size : small;
                large = choices[i][k].size > large ? choices[i][k].size : large;
            }
            least += small;
            most += large;
        }
        double budget = least + (most - least) * adze_rng_f64(&rng);
        int picks[ITEMS];
        adze_error err;
        CHECK_OK(adze_knapsack_solve(picks, items, ITEMS, budget, &err), &err);
        double size = 0, loss = 0;
        for (int i = 0; i < ITEMS; i++) {
            size += choices[i][picks[i]].size;
            loss += choices[i][picks[i]].loss;
        }
        CHECK(size <= budget);
        CHECK_NEAR(loss, best_of_all(items, budget),
                   2e-2 * loss); /* sizes on a grid: rarely not equal */
    }
}

TEST(knapsack_that_cannot_fit)
{
    adze_choice choice = {10, 1};
    adze_choice_item items[] = {{&choice, 1}, {&choice, 1}};
    int picks[2];
    adze_error err;
    CHECK_EQ(adze_knapsack_solve(picks, items, 2, 19.5, &err), ADZE_LIMIT);
    CHECK_OK(adze_knapsack_solve(picks, items, 2, 20, &err), &err);
}
