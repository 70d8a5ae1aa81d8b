/* The ordered list of passes. */
#include "passes/passes.h"

adze_pass_options adze_pass_options_default(void) {
    return (adze_pass_options){.fuse = true};
}

adze_status adze_passes_run(adze_graph *graph, const adze_pass_options *options,
                            adze_error *err) {
    ADZE_UNUSED(options);
    return adze_graph_infer(graph, err);
}
