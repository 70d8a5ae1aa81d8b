/* Candidates: recipes to try, from coarse (one of each scheme) to fine (variations of the best, layers
 * left in float). A recipe is JSON as docs/recipes.md says. */
#ifndef ADZE_SEARCH_CANDIDATES_H
#define ADZE_SEARCH_CANDIDATES_H
#include <jansson.h>

#include "base/memory.h"

/* Schemes that are refined around their best. */
#define ADZE_SCHEME_STATIC_INT8 "static int8"
#define ADZE_SCHEME_INT4 "weight-only int4"

typedef struct adze_candidate {
    const char *name;   /* for people, unique within a search */
    const char *scheme; /* "static int8", "dynamic int8", "weight-only int8", ... */
    json_t *recipe;     /* owned by the list */
} adze_candidate;

typedef struct adze_candidates {
    adze_arena arena;
    int count, capacity;
    adze_candidate *items;
    bool failed; /* out of memory */
} adze_candidates;

void adze_candidates_free(adze_candidates *list);

/* One of each scheme. */
void adze_candidates_coarse(adze_candidates *list);
/* The grid of static int8: calibrators by activation types by weight granularity. */
void adze_candidates_grid(adze_candidates *list);
/* Around one static recipe: bias correction, equalisation, both. */
void adze_candidates_refine(adze_candidates *list, const adze_candidate *around);
/* `around` with these nodes left in float; what: "first layer", "3 most sensitive layers". */
void adze_candidates_leave_float(adze_candidates *list, const adze_candidate *around,
                                 const char *what, const char *const *nodes, int count);
/* True when a candidate of this name is in the list already. */
bool adze_candidates_has(const adze_candidates *list, const char *name);

#endif
