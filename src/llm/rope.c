/* Angular frequencies of rotary positions under the scalings that models are trained with. */
#include <math.h>
#include <string.h>

#include "llm/config.h"

const char *adze_rope_scaling(const adze_llm_config *c)
{
    const adze_gguf_entry *e = adze_config_key(c, "rope.scaling.type");
    return e                          ? adze_gguf_string(c->meta, e->key, "none")
           : adze_rope_factor(c) == 1 ? "none"
                                      : "linear";
}

double adze_rope_factor(const adze_llm_config *c)
{
    float old = adze_config_float(c, "rope.scale_linear", 1); /* the key in files of 2023 */
    double factor = adze_config_float(c, "rope.scaling.factor", old);
    return factor > 0 ? factor : 1;
}

/* Index of the pair that turns `turns` times over the original context. */
static double pair_of_turns(double turns, double dims, double base, double original)
{
    return dims * log(original / (turns * 2 * 3.14159265358979323846)) / (2 * log(base));
}

/* YaRN: pairs that turn often keep their frequency, slow ones are interpolated, a ramp between. */
static void yarn(const adze_llm_config *c, float base, int64_t dims, float *f, float *scale)
{
    double factor = adze_rope_factor(c);
    double original =
        (double)adze_config_int(c, "rope.scaling.original_context_length", c->trained_context);
    double fast = adze_config_float(c, "rope.scaling.yarn_beta_fast", 32);
    double slow = adze_config_float(c, "rope.scaling.yarn_beta_slow", 1);
    double low = floor(pair_of_turns(fast, (double)dims, base, original));
    double high = ceil(pair_of_turns(slow, (double)dims, base, original));
    low = fmax(low, 0);
    high = fmin(high, (double)dims - 1);
    for (int64_t i = 0; i < dims / 2; i++) {
        double ramp = ((double)i - low) / fmax(high - low, 0.001);
        ramp = fmin(fmax(ramp, 0), 1);
        f[i] = (float)(f[i] / factor * ramp + f[i] * (1 - ramp));
    }
    float usual = factor > 1 ? (float)(0.1 * log(factor) + 1) : 1;
    *scale *= adze_config_float(c, "rope.scaling.yarn_attn_factor", usual);
}

static float original_context(const adze_llm_config *c)
{
    return (float)adze_config_int(c, "rope.scaling.original_context_length", c->trained_context);
}

/* Dynamic NTK: the base grows with the length of the timeline beyond the original context. Its key is adze's own:
 * GGUF's scaling types do not have it. */
static float dynamic_base(const adze_llm_config *c, float base, int64_t dims, int64_t context)
{
    double factor = adze_config_float(c, "rope.scaling.dynamic_factor", 0);
    double original = original_context(c);
    if (factor == 0 || dims <= 2)
        return base;
    double length = fmax((double)context, original);
    double grown = factor * length / original - (factor - 1);
    return (float)(base * pow(grown, (double)dims / ((double)dims - 2)));
}

bool adze_rope_is_long(const adze_llm_config *c, int64_t context)
{
    return (float)context > original_context(c);
}

void adze_rope_frequencies(const adze_llm_config *c, float base, int64_t dims, int64_t context,
                           const float *factors, float *f, float *scale)
{
    const char *type = adze_rope_scaling(c);
    *scale = adze_config_float(c, "rope.scaling.attn_factor", 1);
    base = dynamic_base(c, base, dims, context);
    for (int64_t i = 0; i < dims / 2; i++)
        f[i] = (float)(1.0 / pow(base, 2.0 * (double)i / (double)dims));
    if (strcmp(type, "yarn") == 0)
        yarn(c, base, dims, f, scale);
    for (int64_t i = 0; i < dims / 2 && strcmp(type, "linear") == 0; i++)
        f[i] /= (float)adze_rope_factor(c);
    for (int64_t i = 0; i < dims / 2 && factors; i++)
        f[i] /= factors[i];
}
