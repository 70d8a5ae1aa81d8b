/* How long this machine needs for a token of a language model, before any weight is read: the model generates with its
 * weights somewhere in memory of their own, as large as the model or larger than the caches; attention is timed
 * beside it. About a second; longer where a few tokens take longer. */
#ifndef ADZE_LLM_SPEED_H
#define ADZE_LLM_SPEED_H
#include "llm/engine_impl.h"

typedef struct llm_speed {
    double token; /* seconds for a token with nothing before it */
    double key;   /* seconds more for each token that it looks back to */
} llm_speed;

/* The engine's weights are replaced meanwhile: nothing else may run on it. Not for encoders. */
ADZE_MUST_CHECK adze_status adze_llm_speed_measure(llm_speed *out, const adze_engine *engine,
                                                   adze_error *err);

#endif
