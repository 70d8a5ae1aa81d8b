/* Reading, writing and packing rows of log-probabilities. */
#include "eval/logit_base.h"

#include <math.h>
#include <string.h>

#include "base/cursor.h"

enum { HEAD = 4 }; /* uint16s before the codes of a row: two floats */

int64_t adze_logit_row_size(int64_t vocabulary)
{
    return (vocabulary + 1) / 2 * 2 + HEAD;
}

void adze_logit_row_pack(uint16_t *row, const float *logits, int64_t vocabulary)
{
    float largest = logits[0], least = logits[0];
    double sum = 0;
    for (int64_t i = 1; i < vocabulary; i++) {
        largest = logits[i] > largest ? logits[i] : largest;
        least = logits[i] < least ? logits[i] : least;
    }
    least = ADZE_MAX(least, largest - 16);
    for (int64_t i = 0; i < vocabulary; i++)
        sum += expf(logits[i] - largest);
    float head[2] = {(largest - least) / 65535.0f, least - largest - (float)log(sum)};
    memcpy(row, head, sizeof head);
    float inverse = head[0] > 0 ? 1 / head[0] : 0;
    for (int64_t i = 0; i < vocabulary; i++) {
        float code = rintf(inverse * (logits[i] - least));
        row[HEAD + i] = (uint16_t)(code > 0 ? ADZE_MIN(code, 65535.0f) : 0);
    }
    if (vocabulary % 2)
        row[HEAD + vocabulary] = 0;
}

void adze_logit_row_unpack(float *out, const uint16_t *row, int64_t vocabulary)
{
    float head[2];
    memcpy(head, row, sizeof head);
    for (int64_t i = 0; i < vocabulary; i++)
        out[i] = head[0] * (float)row[HEAD + i] + head[1];
}

static adze_status parse(adze_logit_base *b, const char *path, adze_error *err)
{
    size_t size = adze_mapping_size(b->mapping);
    adze_cursor c = adze_cursor_over(adze_mapping_bytes(b->mapping), size);
    const uint8_t *magic = adze_cursor_bytes(&c, 8);
    if (!magic || memcmp(magic, "_logits_", 8) != 0)
        return adze_fail(err, ADZE_BAD_FILE,
                         "%s: offset 0: expected \"_logits_\", found something else: this "
                         "is no file of log-probabilities",
                         path);
    b->context = (int32_t)adze_cursor_u32le(&c);
    b->vocabulary = (int32_t)adze_cursor_u32le(&c);
    b->chunks = (int32_t)adze_cursor_u32le(&c);
    if (c.failed || b->context < 4 || b->vocabulary < 1 || b->chunks < 1)
        return adze_fail(err, ADZE_BAD_FILE,
                         "%s: offset 8: impossible context %lld, vocabulary %lld, "
                         "chunks %lld",
                         path, (long long)b->context, (long long)b->vocabulary,
                         (long long)b->chunks);
    int64_t scored = b->context - 1 - b->context / 2;
    uint64_t tokens = (uint64_t)b->context * (uint64_t)b->chunks * 4;
    uint64_t rows = (uint64_t)scored * (uint64_t)b->chunks;
    b->tokens = adze_cursor_bytes(&c, tokens);
    uint64_t row = (uint64_t)adze_logit_row_size(b->vocabulary) * 2, bytes;
    bool fits = !__builtin_mul_overflow(rows, row, &bytes);
    b->rows = fits ? adze_cursor_bytes(&c, bytes) : NULL;
    if (!b->tokens || !b->rows)
        return adze_fail(err, ADZE_BAD_FILE,
                         "%s: %zu bytes are too few for %lld chunks of %lld tokens over a "
                         "vocabulary of %lld: the file is cut off",
                         path, size, (long long)b->chunks, (long long)b->context,
                         (long long)b->vocabulary);
    return ADZE_OK;
}

adze_status adze_logit_base_open(adze_logit_base *out, const char *path, adze_error *err)
{
    adze_logit_base b = {0};
    ADZE_TRY(adze_mapping_open(&b.mapping, path, err));
    adze_status status = parse(&b, path, err);
    if (status != ADZE_OK)
        adze_mapping_release(&b.mapping);
    else
        *out = b;
    return status;
}

void adze_logit_base_close(adze_logit_base *base)
{
    adze_mapping_release(&base->mapping);
    *base = (adze_logit_base){0};
}

void adze_logit_base_begin(adze_output *output, int32_t context, int32_t vocabulary, int32_t chunks,
                           const int32_t *tokens)
{
    const int32_t sizes[] = {context, vocabulary, chunks};
    adze_output_write(output, "_logits_", 8);
    adze_output_write(output, sizes, sizeof sizes);
    adze_output_write(output, tokens, (size_t)context * (size_t)chunks * sizeof *tokens);
}
