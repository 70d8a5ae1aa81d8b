/* Cross-layer equalisation. */
#include "compress/base_graph.h"

adze_status adze_compress_equalize(adze_graph *graph, const adze_recipe *given, adze_recipe *found,
                                   adze_error *err)
{
    ADZE_UNUSED(graph);
    ADZE_UNUSED(given);
    ADZE_UNUSED(found);
    ADZE_UNUSED(err);
    return ADZE_OK;
}
