/* The random numbers of ONNX operators: the Mersenne twister as NumPy's RandomState seeds and reads it,
 * so that a seed means the same here as in ONNX's reference. */
#ifndef ADZE_OPS_RANDOM_H
#define ADZE_OPS_RANDOM_H
#include "adze/graph.h"

typedef struct adze_twister {
    uint32_t state[624];
    int at;
    bool has_normal;
    double normal;
} adze_twister;

/* From attribute `seed`; without one, from the node's name: runs can be repeated. */
void adze_twister_open(adze_twister *t, const adze_node *node);
double adze_twister_uniform(adze_twister *t); /* [0, 1), 53 bits */
double adze_twister_normal(adze_twister *t);

#endif
