/* What each scheme does to the base graph. */
#ifndef ADZE_COMPRESS_SCHEMES_H
#define ADZE_COMPRESS_SCHEMES_H
#include "compress/calibrate.h"

/* What a scheme works on. */
typedef struct adze_compression {
    adze_graph *graph;            /* the base graph, being changed */
    const adze_recipe *recipe;    /* what is asked for */
    adze_recipe *resolved;        /* takes what came from data; NULL: recipe is resolved already */
    const adze_observation *seen; /* NULL when not needed */
    adze_arena *arena;            /* scratch */
} adze_compression;

/* The weights of this node are to be compressed. */
bool adze_compress_wants(const adze_compression *work, const adze_node *node);

/* Biases make up for the mean error of the rounded weights: what the mean input makes of it. */
adze_status adze_compress_correct_biases(adze_compression *work, adze_error *err) ADZE_MUST_CHECK;

adze_status adze_compress_static(adze_compression *work, adze_error *err) ADZE_MUST_CHECK;
/* DynamicQuantizeLinear, MatMulInteger and ConvInteger: ranges of activations at run time. */
adze_status adze_compress_dynamic(adze_compression *work, adze_error *err) ADZE_MUST_CHECK;
/* Integers in the file, floats at run time. */
adze_status adze_compress_weights(adze_compression *work, adze_error *err) ADZE_MUST_CHECK;
adze_status adze_compress_float16(adze_compression *work, adze_error *err) ADZE_MUST_CHECK;

#endif
