/* Splitting by class. Each class is shuffled by a generator of its own, so that what happens to one class
 * does not depend on the others; the sizes are shared out by largest remainder. */
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "data/dataset_impl.h"

typedef struct group { /* the samples of a class */
    int64_t first, count, taken;
    double rest; /* what rounding down took away */
} group;

typedef struct plan {
    adze_arena arena;
    const adze_dataset *dataset;
    int64_t *order; /* samples, by class */
    group *groups;
    int64_t group_count;
    bool *first; /* [count]: goes to the first part */
} plan;

static int64_t class_of(const adze_dataset *dataset, int64_t sample)
{
    int64_t label = adze_dataset_label(dataset, sample);
    return ADZE_MAX(label, (int64_t)0);
}

static bool make_plan(plan *p, const adze_dataset *dataset)
{
    int64_t n = dataset->count, classes = adze_dataset_classes(dataset);
    *p = (plan){.dataset = dataset, .group_count = ADZE_MAX(classes, (int64_t)1)};
    p->order = ADZE_ARENA_ARRAY(&p->arena, int64_t, (size_t)n);
    p->first = ADZE_ARENA_ARRAY(&p->arena, bool, (size_t)n);
    p->groups = ADZE_ARENA_ARRAY(&p->arena, group, (size_t)p->group_count);
    if (!p->order || !p->first || !p->groups)
        return false;
    for (int64_t i = 0; i < n; i++)
        p->groups[class_of(dataset, i)].count++;
    for (int64_t g = 1; g < p->group_count; g++)
        p->groups[g].first = p->groups[g - 1].first + p->groups[g - 1].count;
    for (int64_t i = 0; i < n; i++) {
        group *mine = &p->groups[class_of(dataset, i)];
        p->order[mine->first + mine->taken++] = i;
    }
    return true;
}

/* Largest remainder first; in the order of the classes among equals. */
static int by_rest(const void *a, const void *b)
{
    const group *x = *(group *const *)a, *y = *(group *const *)b;
    if (x->rest != y->rest)
        return x->rest > y->rest ? -1 : 1;
    return x->first < y->first ? -1 : x->first > y->first;
}

static bool share_out(plan *p, double fraction)
{
    int64_t n = p->dataset->count, left = (int64_t)nearbyint(fraction * (double)n);
    left = ADZE_MIN(ADZE_MAX(left, (int64_t)1), n - 1);
    group **wanting = ADZE_ARENA_ARRAY(&p->arena, group *, (size_t)p->group_count);
    if (!wanting)
        return false;
    for (int64_t g = 0; g < p->group_count; g++) {
        double share = fraction * (double)p->groups[g].count;
        p->groups[g].taken = (int64_t)share;
        p->groups[g].rest = share - floor(share);
        left -= p->groups[g].taken;
        wanting[g] = &p->groups[g];
    }
    qsort(wanting, (size_t)p->group_count, sizeof(group *), by_rest);
    for (int64_t g = 0; left > 0; g = (g + 1) % p->group_count)
        if (wanting[g]->taken < wanting[g]->count) {
            wanting[g]->taken++;
            left--;
        }
    for (int64_t g = p->group_count - 1; left < 0; g = (g + p->group_count - 1) % p->group_count)
        if (wanting[g]->taken > 0) {
            wanting[g]->taken--;
            left++;
        }
    return true;
}

static void choose(plan *p, uint64_t seed)
{
    for (int64_t g = 0; g < p->group_count; g++) {
        adze_rng rng = adze_rng_seed(seed ^ ((uint64_t)g * 0x9e3779b97f4a7c15u));
        int64_t *order = p->order + p->groups[g].first;
        for (int64_t i = 0; i < p->groups[g].taken; i++) {
            uint64_t rest = (uint64_t)(p->groups[g].count - i);
            int64_t k = i + (int64_t)adze_rng_below(&rng, rest), kept = order[k];
            order[k] = order[i];
            order[i] = kept;
            p->first[kept] = true;
        }
    }
}

static adze_status part(adze_dataset **out, plan *p, bool first, adze_error *err)
{
    int64_t count = 0;
    for (int64_t i = 0; i < p->dataset->count; i++)
        if (p->first[i] == first)
            p->order[count++] = i;
    return adze_dataset_subset(out, p->dataset, p->order, count, err);
}

adze_status adze_dataset_split(adze_dataset **first, adze_dataset **second,
                               const adze_dataset *dataset, double fraction, uint64_t seed,
                               adze_error *err)
{
    if (!(fraction > 0 && fraction < 1))
        return adze_fail(err, ADZE_BAD_ARGUMENT, "split: expected a fraction over 0 and under 1");
    if (dataset->count < 2)
        return adze_fail(err, ADZE_BAD_DATA, "%s: one sample cannot be split",
                         dataset->source->path);
    plan p;
    adze_dataset *one = NULL, *other = NULL;
    adze_status status = ADZE_OK;
    if (make_plan(&p, dataset) && share_out(&p, fraction)) {
        choose(&p, seed);
        status = part(&one, &p, true, err);
        if (status == ADZE_OK)
            status = part(&other, &p, false, err);
    } else {
        status = adze_source_no_memory(dataset->source, err);
    }
    adze_arena_free(&p.arena);
    if (status != ADZE_OK) {
        adze_dataset_close(&one);
        return status;
    }
    *first = one;
    *second = other;
    return ADZE_OK;
}
