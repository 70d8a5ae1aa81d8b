/* A recipe as a struct. Strings and arrays live in its arena; copies go through JSON. */
#ifndef ADZE_COMPRESS_RECIPE_H
#define ADZE_COMPRESS_RECIPE_H
#include "adze/compress.h"
#include "base/json.h"
#include "base/memory.h"

#define ADZE_RECIPE_VERSION 1

#define ADZE_SCHEME_LIST(X)                                                                        \
    X(NONE, "none")                                                                                \
    X(STATIC, "static")                                                                            \
    X(DYNAMIC, "dynamic")                                                                          \
    X(WEIGHT_ONLY, "weight_only")                                                                  \
    X(FLOAT16, "float16")
typedef enum adze_scheme {
#define X(name, text) ADZE_SCHEME_##name,
    ADZE_SCHEME_LIST(X)
#undef X
} adze_scheme;

#define ADZE_CALIBRATOR_LIST(X)                                                                    \
    X(MINMAX, "minmax")                                                                            \
    X(PERCENTILE, "percentile")                                                                    \
    X(ENTROPY, "entropy")                                                                          \
    X(MSE, "mse")
typedef enum adze_calibrator {
#define X(name, text) ADZE_CALIBRATOR_##name,
    ADZE_CALIBRATOR_LIST(X)
#undef X
} adze_calibrator;

#define ADZE_GRANULARITY_LIST(X)                                                                   \
    X(TENSOR, "tensor")                                                                            \
    X(CHANNEL, "channel")                                                                          \
    X(BLOCK, "block")
typedef enum adze_granularity {
#define X(name, text) ADZE_GRANULARITY_##name,
    ADZE_GRANULARITY_LIST(X)
#undef X
} adze_granularity;

/* How the numbers of activations become 8 bits. */
typedef struct adze_activation_recipe {
    adze_dtype type; /* uint8 or int8 */
    bool symmetric;  /* zero point in the middle */
    adze_calibrator calibrator;
    double percentile; /* of the numbers that stay inside the range */
} adze_activation_recipe;

typedef struct adze_weight_recipe {
    adze_dtype type; /* int8, uint8, int4, uint4 */
    adze_granularity granularity;
    int64_t block; /* numbers along the input channels that share a scale */
    bool symmetric;
    adze_calibrator calibrator; /* minmax or mse */
} adze_weight_recipe;

/* One value's own choice; without a range the calibrator decides. */
typedef struct adze_override {
    const char *value;
    adze_activation_recipe activation;
    bool ranged;
    float low, high;
} adze_override;

typedef struct adze_named_range {
    const char *name;
    float low, high;
} adze_named_range;

typedef struct adze_named_floats {
    const char *name;
    int64_t count;
    const float *values;
} adze_named_floats;

struct adze_recipe {
    adze_arena arena;
    adze_scheme scheme;
    adze_activation_recipe activations;
    adze_weight_recipe weights;
    int float_count;
    const char **float_nodes; /* names, globs or operator types that stay float */
    bool equalize, bias_correction;
    int64_t samples;
    uint64_t seed;
    int override_count;
    adze_override *overrides;
    bool has_preprocess;
    adze_preprocess preprocess;

    bool resolved;
    int range_count, range_capacity;
    adze_named_range *ranges; /* by value, sorted by name once parsed */
    int factor_count, factor_capacity;
    adze_named_floats *factors; /* equalisation: by the first node of the pair */
    int correction_count, correction_capacity;
    adze_named_floats *corrections; /* added to the bias: by node */
    int kept_count, kept_capacity;
    const char **kept; /* weighted nodes that stayed float */
};

adze_status adze_recipe_from_json(adze_recipe **out, const json_t *json, const char *name,
                                  adze_error *err) ADZE_MUST_CHECK;
/* A new reference. */
adze_status adze_recipe_to_json(json_t **out, const adze_recipe *recipe,
                                adze_error *err) ADZE_MUST_CHECK;
adze_status adze_recipe_copy(adze_recipe **out, const adze_recipe *recipe,
                             adze_error *err) ADZE_MUST_CHECK;

/* What holds for a value: its override or the recipe's activations. */
adze_override adze_recipe_activation(const adze_recipe *recipe, const char *value);
/* The node is to stay float. */
bool adze_recipe_keeps_float(const adze_recipe *recipe, const char *node, const char *op);

/* Additions to a resolved recipe; false: out of memory. Values are copied. */
bool adze_recipe_add_range(adze_recipe *recipe, const char *value, float low, float high);
bool adze_recipe_add_factors(adze_recipe *recipe, const char *node, const float *values,
                             int64_t count);
bool adze_recipe_add_correction(adze_recipe *recipe, const char *node, const float *values,
                                int64_t count);
bool adze_recipe_add_kept(adze_recipe *recipe, const char *node);
/* NULL when there is none. */
const adze_named_range *adze_recipe_find_range(const adze_recipe *recipe, const char *value);
const adze_named_floats *adze_recipe_find_factors(const adze_recipe *recipe, const char *node);
const adze_named_floats *adze_recipe_find_correction(const adze_recipe *recipe, const char *node);

#endif
