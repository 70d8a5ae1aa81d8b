/** @file
 * Smaller and faster models: recipes, calibration, quantization.
 *
 * A recipe is JSON that says what to do to a model (docs/recipes.md). A calibration is what was seen of
 * a model's values while it ran over data: collected once, it serves any number of recipes. Quantizing
 * gives a new model and the resolved recipe, which holds every number that came from data: from it the
 * same bytes can be made again anywhere, without data.
 * Threads: recipes, calibrations and models may be read by many threads while nobody changes them. */
#ifndef ADZE_COMPRESS_H
#define ADZE_COMPRESS_H
#include "adze/data.h"
#include "adze/model.h"

ADZE_BEGIN_C

/* ---- recipes ---- */

typedef struct adze_recipe adze_recipe;

/** A recipe with the defaults of `scheme`: "static", "dynamic", "weight_only", "float16" or "none".
 * Free with adze_recipe_free. Fails with ADZE_BAD_ARGUMENT, ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_recipe_create(adze_recipe **out, const char *scheme,
                                                        adze_error *err);
/** Reads a recipe file. The message of a failure names file, key, what was expected and found. Fails
 * with ADZE_NOT_FOUND, ADZE_BAD_FILE, ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_recipe_load(adze_recipe **out, const char *path,
                                                      adze_error *err);
/** The same from text; `name` stands for the file in messages. */
ADZE_MUST_CHECK ADZE_API adze_status adze_recipe_parse(adze_recipe **out, const char *text,
                                                       const char *name, adze_error *err);
ADZE_MUST_CHECK ADZE_API adze_status adze_recipe_save(const adze_recipe *recipe, const char *path,
                                                      adze_error *err);
/** Frees and nulls; NULL is fine. */
ADZE_API void adze_recipe_free(adze_recipe **recipe);

/** Sets one field by its dotted key, as "activations.calibrator"; `value` is JSON or a plain word.
 * Replaces *recipe, unchanged on failure. Fails with ADZE_BAD_ARGUMENT, ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_recipe_set(adze_recipe **recipe, const char *key,
                                                     const char *value, adze_error *err);

/** Canonical text: keys sorted, numbers exact, no white space; equal recipes give equal text. Free
 * with adze_string_free. */
ADZE_MUST_CHECK ADZE_API adze_status adze_recipe_text(char **out, const adze_recipe *recipe,
                                                      adze_error *err);
/** SHA-256 of the canonical text, in hexadecimal. */
ADZE_MUST_CHECK ADZE_API adze_status adze_recipe_hash(char out[65], const adze_recipe *recipe,
                                                      adze_error *err);
/** Quantizing with it needs no data: it is resolved, or its scheme looks at weights alone. */
ADZE_API bool adze_recipe_is_complete(const adze_recipe *recipe);
ADZE_API const char *adze_recipe_scheme(const adze_recipe *recipe);
/** How many samples it wants to be calibrated with (0: all), and the seed that chooses them. */
ADZE_API int64_t adze_recipe_samples(const adze_recipe *recipe);
ADZE_API uint64_t adze_recipe_seed(const adze_recipe *recipe);
ADZE_API bool adze_recipe_equalizes(const adze_recipe *recipe);
/** The preprocessing of pictures that travels along; false: none. */
ADZE_API bool adze_recipe_preprocess(adze_preprocess *out, const adze_recipe *recipe);
ADZE_API void adze_recipe_set_preprocess(adze_recipe *recipe, const adze_preprocess *preprocess);

/* ---- calibration ---- */

typedef struct adze_calibration adze_calibration;

typedef struct adze_calibration_options {
    int64_t samples; /* how many to look at; 0: all */
    uint64_t seed;   /* chooses them */
    int64_t batch;   /* samples at a time */
    bool plain;      /* observe the model as it is */
    bool equalized;  /* observe it after cross-layer equalisation, for recipes that equalize */
} adze_calibration_options;

/** All samples, seed 1, 16 at a time, plain only. */
ADZE_API adze_calibration_options adze_calibration_options_default(void);

/** Prepares to observe `model`, which must outlive the calibration; free with adze_calibration_close.
 * Fails with ADZE_UNSUPPORTED, ADZE_BAD_MODEL, ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_calibration_open(adze_calibration **out,
                                                           const adze_model *model,
                                                           const adze_calibration_options *options,
                                                           adze_error *err);
/** Runs the model on `inputs` (in graph order) and observes. The result does not depend on the order
 * of the calls. Fails with ADZE_BAD_DATA. */
ADZE_MUST_CHECK ADZE_API adze_status adze_calibration_add(adze_calibration *calibration,
                                                          const adze_tensor *inputs,
                                                          adze_error *err);
/** Observes samples of a data set, as the options say. `progress` (or NULL) is called with the share
 * done; returning false cancels. */
ADZE_MUST_CHECK ADZE_API adze_status
adze_calibration_collect(adze_calibration *calibration, const adze_dataset *data,
                         bool (*progress)(void *user, double share), void *user, adze_error *err);
/** Frees and nulls; NULL is fine. */
ADZE_API void adze_calibration_close(adze_calibration **calibration);

/** What the calibrator of `recipe` makes of a value's observations. Fails with ADZE_NOT_FOUND. */
ADZE_MUST_CHECK ADZE_API adze_status adze_calibration_range(float *low, float *high,
                                                            const adze_calibration *calibration,
                                                            const char *value,
                                                            const adze_recipe *recipe,
                                                            adze_error *err);

/* ---- quantizing ---- */

/** Applies `recipe` to `model` (unchanged; must outlive *out, which shares constants with it).
 * `calibration` may be NULL when the recipe is complete. `*resolved` (may be NULL) becomes the recipe
 * with everything that came from data; free it with adze_recipe_free. Fails with ADZE_BAD_ARGUMENT
 * (data needed), ADZE_BAD_MODEL (a resolved recipe of another model), ADZE_UNSUPPORTED. */
ADZE_MUST_CHECK ADZE_API adze_status adze_quantize(adze_model **out, adze_recipe **resolved,
                                                   const adze_model *model,
                                                   const adze_recipe *recipe,
                                                   const adze_calibration *calibration,
                                                   adze_error *err);

ADZE_END_C
#endif
