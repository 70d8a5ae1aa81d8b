/** @file
 * The rewrites that a graph goes through before it is executed. A plan runs them on its own copy; here
 * they can be listed and run step by step, to see what each does. */
#ifndef ADZE_PASSES_H
#define ADZE_PASSES_H
#include "adze/graph.h"

ADZE_BEGIN_C

/** Number of passes, in order of execution. A pass may stand in the list more than once. */
ADZE_API int adze_pass_count(void);
/** Name of pass i ("fuse_activation") and what it does in a few words; NULL when there is none. */
ADZE_API const char *adze_pass_name(int i);
ADZE_API const char *adze_pass_what(int i);

/** Rewrites `graph` in place for execution, up to and with the first pass called `after` (NULL: all).
 * Some of what the passes make cannot be saved to files. Fails with ADZE_NOT_FOUND (no pass is called
 * so), ADZE_BAD_MODEL, ADZE_NO_MEMORY; the graph is then of no more use. */
ADZE_MUST_CHECK ADZE_API adze_status adze_graph_rewrite(adze_graph *graph, const char *after,
                                                        adze_error *err);

ADZE_END_C
#endif
