/* Rewrites: graph in, graph out, verified before and after. passes.c is the ordered list. */
#ifndef ADZE_PASSES_PASSES_H
#define ADZE_PASSES_PASSES_H
#include "adze/passes.h"
#include "graph/ir.h"
#include "ops/registry.h"

typedef struct adze_pass {
    const char *name;
    const char *what; /* one line for people */
    adze_status (*run)(adze_graph *graph, bool *changed, adze_error *err);
} adze_pass;

typedef struct adze_pass_options {
    bool fuse;         /* false: only what execution needs */
    const char *after; /* stop after the first pass of this name; NULL: all */
} adze_pass_options;

adze_pass_options adze_pass_options_default(void);

adze_status adze_passes_run(adze_graph *graph, const adze_pass_options *options,
                            adze_error *err) ADZE_MUST_CHECK;
/* The first pass of this name alone. */
adze_status adze_passes_run_one(adze_graph *graph, const char *name,
                                adze_error *err) ADZE_MUST_CHECK;

#endif
