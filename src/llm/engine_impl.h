/* The inside of an engine. */
#ifndef ADZE_LLM_ENGINE_IMPL_H
#define ADZE_LLM_ENGINE_IMPL_H
#include "adze/llm.h"
#include "adze/session.h"
#include "llm/build.h"

struct adze_engine {
    adze_context *context;
    adze_checkpoint *checkpoint;
    adze_arena arena; /* weights and tables that had to be made */
    adze_llm_config config;
    adze_build_sizes sizes;
    adze_tokenizer *tokenizer; /* NULL: the file has none */
    adze_graph *body, *head;   /* head NULL: encoders */
    adze_plan *body_plan, *head_plan;
};

#endif
