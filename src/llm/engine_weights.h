/* The weights of a running engine, for measuring what their errors do. */
#ifndef ADZE_LLM_ENGINE_WEIGHTS_H
#define ADZE_LLM_ENGINE_WEIGHTS_H
#include "adze/llm.h"
#include "llm/checkpoint.h"

const adze_checkpoint *adze_engine_checkpoint(const adze_engine *engine);
/* The bytes that the engine computes with for the weight `name`, rows as in the checkpoint; they may be changed while
 * no chat runs, and the file stays as it is. NULL: no such weight, or it cannot be written. */
void *adze_engine_weight_bytes(const adze_engine *engine, const char *name);

#endif
