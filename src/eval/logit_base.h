/* Log-probabilities of a reference model, 16 bits each, in the file format of llama-perplexity (llama.cpp,
 * tools/perplexity): "_logits_", int32 context, vocabulary, chunks; the tokens; then for each scored token a
 * scale and a least log-probability (float32 each) and a code for each token of the vocabulary. */
#ifndef ADZE_EVAL_LOGIT_BASE_H
#define ADZE_EVAL_LOGIT_BASE_H
#include "base/file.h"

/* uint16s of one row. */
int64_t adze_logit_row_size(int64_t vocabulary);
/* Log-probabilities of logits [vocabulary] as a row, and back: log p of token i. */
void adze_logit_row_pack(uint16_t *row, const float *logits, int64_t vocabulary);
/* Unpacks into out [vocabulary]. */
void adze_logit_row_unpack(float *out, const uint16_t *row, int64_t vocabulary);

typedef struct adze_logit_base {
    adze_mapping *mapping;
    int64_t context, vocabulary, chunks;
    const uint8_t *tokens, *rows; /* int32 [chunks * context]; rows of uint16, unaligned */
} adze_logit_base;

adze_status adze_logit_base_open(adze_logit_base *out, const char *path,
                                 adze_error *err) ADZE_MUST_CHECK;
void adze_logit_base_close(adze_logit_base *base);

/* The head of a file to write: magic, sizes, tokens. */
void adze_logit_base_begin(adze_output *output, int32_t context, int32_t vocabulary, int32_t chunks,
                           const int32_t *tokens);

#endif
