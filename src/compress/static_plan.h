/* Static quantization in two steps: decide what stands behind every value (static_plan.c), then write
 * the QuantizeLinear and DequantizeLinear nodes (static_qdq.c). */
#ifndef ADZE_COMPRESS_STATIC_PLAN_H
#define ADZE_COMPRESS_STATIC_PLAN_H
#include "compress/schemes.h"
#include "compress/weights.h"

typedef struct adze_static_value {
    bool pair;        /* QuantizeLinear and DequantizeLinear stand behind it */
    int group;        /* values of a group share one scale: id of a member on the way to its root */
    adze_node *clamp; /* Relu or Clip that may melt into what makes this value; NULL: none */
    /* at the root: */
    bool ranged;
    float low, high;
    adze_dtype type;
    bool symmetric;
    adze_affine affine;
} adze_static_value;

typedef struct adze_static_plan {
    adze_compression *work;
    adze_uses uses;
    bool *quantized;           /* by id of node: computes on integers */
    adze_static_value *values; /* by id */
} adze_static_plan;

adze_status adze_static_plan_make(adze_static_plan *out, adze_compression *work,
                                  adze_error *err) ADZE_MUST_CHECK;
/* The root of a value's group. */
adze_static_value *adze_static_root(const adze_static_plan *plan, const adze_value *value);
/* Input i of this quantized node is an activation (or a constant in the place of one). */
bool adze_static_is_activation(const adze_node *node, int i);

#endif
