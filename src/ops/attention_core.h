/* Scaled dot-product attention as the operators of ONNX and onnxruntime have it: softmax(q k^T * scale + bias) v
 * for batches, with grouped heads, keys in two parts (past and new), any layout whose rows are contiguous. An
 * operator fills in the struct; masks of every form come in as a function that gives one row of bias.
 * (A cache of a language model has kernels of its own: kernels/attention.h.) */
#ifndef ADZE_OPS_ATTENTION_CORE_H
#define ADZE_OPS_ATTENTION_CORE_H
#include "ops/helpers.h"

/* [batch, heads, length, numbers] somewhere in a tensor of floats; strides in elements. */
typedef struct adze_heads {
    const adze_tensor *tensor;
    int64_t first, batch, head, row;
} adze_heads;

typedef enum adze_scores_mode { /* of what `scores` shows */
                                ADZE_SCORES_RAW,
                                ADZE_SCORES_CAPPED,
                                ADZE_SCORES_BIASED,
                                ADZE_SCORES_SOFTMAX
} adze_scores_mode;

typedef struct adze_attend {
    int64_t batches, heads, kv_heads, queries, keys; /* keys: past and new */
    int64_t past, d, dv;
    adze_heads q, k, v, past_k, past_v, y;
    float scale, softcap;
    adze_dtype round;         /* type that scores and probabilities are rounded to */
    adze_dtype precision;     /* type of the softmax */
    bool exact;               /* probabilities are not rounded to `round` */
    bool half_scale;          /* q and k times sqrt(scale), as ONNX; else q k times scale */
    bool smooth;              /* one more in the sum of every softmax: a sink */
    const adze_tensor *sinks; /* or its score for each head, NULL: none */
    /* Adds to a row of keys numbers; NULL: nothing to add. A row of -inf alone gives zeros. */
    void (*bias)(const struct adze_attend *a, int64_t batch, int64_t head, int64_t query,
                 float *row);
    const void *user;
    const int64_t
        *valid; /* [batches] keys that exist, or NULL: all of them; what lies behind is not read */
    adze_tensor *scores; /* [batches, heads, queries, keys or fewer] or NULL */
    adze_scores_mode mode;
} adze_attend;

/* A tensor [batch, heads, length, d], or [batch, length, heads * d] (packed). */
adze_heads adze_heads_of(const adze_tensor *tensor, bool packed, int64_t heads, int64_t length,
                         int64_t d);
/* Bytes; only the numbers of `a` and q's type are looked at. */
size_t adze_attend_scratch(const adze_run *run, const adze_attend *a);
void adze_attend_run(adze_run *run, const adze_attend *a);
/* Copies past (or nothing) and new rows one behind the other into [batch, heads, total, d]. */
void adze_attend_join(adze_run *run, const adze_heads *past, int64_t past_rows,
                      const adze_heads *rows, int64_t count, adze_tensor *to);

/* A tensor that broadcasts to [batches, heads, queries, keys]; keys beyond its last axis are at -inf. */
typedef struct adze_mask {
    const adze_tensor *tensor;
    int64_t stride[3], keys; /* batch, head, query */
} adze_mask;
/* False when it does not broadcast. `short_keys`: the last axis may be shorter. */
bool adze_mask_make(adze_mask *mask, const adze_tensor *tensor, const adze_attend *a,
                    bool short_keys);
/* row += the mask: booleans forbid with -inf, numbers are added. */
void adze_mask_add(const adze_mask *mask, int64_t batch, int64_t head, int64_t query, int64_t keys,
                   float *row);

#endif
