/* What a model is and what suits it, in sentences, before anything is tried. */
#ifndef ADZE_SEARCH_ASSESS_H
#define ADZE_SEARCH_ASSESS_H
#include <jansson.h>

#include "adze/model.h"

/* A new array of sentences. */
adze_status adze_assess(json_t **sentences, const adze_model *model,
                        adze_error *err) ADZE_MUST_CHECK;

#endif
