/* Mutations of ONNX models as structures: what comes out is always a well-formed file, and mostly a model that
 * still makes sense. */
#ifndef ADZE_MUTATE_ONNX_H
#define ADZE_MUTATE_ONNX_H
#include "base/rng.h"
#include "formats/onnx.h"

/* Constants whose name begins so hold what the graph input of the rest of the name is fed with. */
#define MUTATE_FEED "feed:"

/* Some change of one place; everything new lies in the arena. */
void mutate_model(adze_onnx_model *model, adze_arena *arena, adze_rng *rng);
/* The nodes of `from` behind those of `to`, reading from each other. */
void mutate_join(adze_onnx_model *to, const adze_onnx_model *from, adze_arena *arena,
                 adze_rng *rng);
/* A model of one input and one operator. */
adze_onnx_model *mutate_fresh(adze_arena *arena, adze_rng *rng);

#endif
