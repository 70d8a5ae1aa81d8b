/* The preprocessing description as JSON (in recipes and files of its own), and its work on a picture. */
#ifndef ADZE_DATA_PREPROCESS_H
#define ADZE_DATA_PREPROCESS_H
#include "adze/data.h"
#include "base/json.h"

/* `where` names the file or recipe in messages; unknown keys are errors. */
adze_status adze_preprocess_from_json(adze_preprocess *out, const json_t *json, const char *where,
                                      adze_error *err) ADZE_MUST_CHECK;
/* A new reference, NULL without memory; reading it back gives the same description. */
json_t *adze_preprocess_to_json(const adze_preprocess *preprocess);

/* 8-bit samples: interleaved [height, width, channels] or planes [channels, height, width]. */
typedef struct adze_picture {
    const uint8_t *pixels;
    int width, height, channels; /* 1 or 3 */
    bool planar;
    const char *where; /* for messages */
} adze_picture;

/* What preprocessing makes of a picture of this size; fails when the crop is larger than it. */
adze_status adze_preprocess_shape(int64_t dims[3], const adze_preprocess *preprocess,
                                  const adze_picture *picture, adze_error *err) ADZE_MUST_CHECK;
/* Writes the dims[0] * dims[1] * dims[2] floats of adze_preprocess_shape. */
adze_status adze_preprocess_apply(float *out, const adze_preprocess *preprocess,
                                  const adze_picture *picture, adze_error *err) ADZE_MUST_CHECK;

#endif
