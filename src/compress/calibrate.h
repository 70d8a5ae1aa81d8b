/* A calibration: the graph as it will be quantized, run over data with an observer for each value. */
#ifndef ADZE_COMPRESS_CALIBRATE_H
#define ADZE_COMPRESS_CALIBRATE_H
#include "adze/session.h"
#include "compress/observer.h"
#include "graph/ir.h"

/* One run of one form of the model. */
typedef struct adze_observation {
    adze_graph *graph; /* NULL: not observed in this form */
    adze_plan *plan;
    adze_session *session;
    adze_observer *observers; /* by id of the graph's values */
    bool *wanted;             /* float values that are computed or inputs */
    int *channel_axis;        /* -1: no sums wanted */
    adze_tensor *outputs;
    struct adze_calibration *owner;
} adze_observation;

struct adze_calibration {
    adze_arena arena;
    const adze_model *model;
    adze_calibration_options options;
    adze_observation plain, equalized;
    int64_t samples; /* seen so far */
    bool failed;     /* out of memory while observing */
};

/* The observation that a recipe needs; NULL: it was not made. */
const adze_observation *adze_calibration_for(const adze_calibration *calibration,
                                             const adze_recipe *recipe);
const adze_observer *adze_observation_find(const adze_observation *observation, const char *value);

#endif
