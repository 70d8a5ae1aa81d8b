/* How long this machine needs for a token of a language model, before any weight is read: its products,
 * one after another, and attention are timed on memory of their own, as large as the model's or larger
 * than the caches. About half a second. */
#ifndef ADZE_LLM_SPEED_H
#define ADZE_LLM_SPEED_H
#include "llm/engine_impl.h"

typedef struct llm_speed {
    double weights;   /* seconds for all that a token does but attention */
    double cache_key; /* seconds more for each token that it looks back to */
} llm_speed;

ADZE_MUST_CHECK adze_status adze_llm_speed_measure(llm_speed *out, const adze_engine *engine,
                                                   adze_error *err);

#endif
