/* GatherBlockQuantized of com.microsoft: rows of a quantized table, made floats as they are taken, so that the table
 * of an embedding stays as small as it is in the file. Numbers below 8 bits lie in bytes along the last axis. */
#include <string.h>

#include "ops/helpers.h"

enum { DATA, INDICES, SCALES, ZEROS };

typedef struct blocks {
    const adze_tensor *data, *indices, *scales, *zeros;
    int rank, gather, quantize;
    int64_t bits, size;           /* of a number; of a block */
    int64_t dims[ADZE_MAX_RANK];  /* of the data in numbers, not bytes */
    int64_t scale[ADZE_MAX_RANK]; /* strides of the scales */
    int64_t inner, outer;         /* numbers behind the gathered axis, and places before it */
    int64_t default_zero;
    adze_tensor *y;
} blocks;

/* How many numbers stand in one element of the data. */
static int64_t numbers_in(const adze_node *node, adze_dtype dtype)
{
    const int64_t bits = adze_node_int(node, "bits", 4);
    return dtype == ADZE_U8 && (bits == 2 || bits == 4) ? 8 / bits : 1;
}

static adze_status gather_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *data = adze_ops_ranked(infer, DATA), *at = adze_ops_ranked(infer, INDICES);
    const adze_type *scales = adze_infer_input(infer, SCALES);
    adze_dim dims[ADZE_MAX_RANK];
    int axis, along, rank = 0;
    if (!data || !at)
        return ADZE_OK;
    ADZE_TRY(adze_ops_axis(&axis, node, adze_node_int(node, "gather_axis", 0), data->rank, err));
    ADZE_TRY(adze_ops_axis(&along, node, adze_node_int(node, "quantize_axis", 1), data->rank, err));
    const int64_t many = numbers_in(node, data->dtype);
    if (many > 1 && axis == data->rank - 1)
        return adze_ops_bad(node, err, "rows cannot be gathered along the axis of packed numbers");
    if (data->rank + at->rank - 1 > ADZE_MAX_RANK)
        return adze_ops_bad(node, err, "the result has too many axes");
    for (int i = 0; i < data->rank; i++) {
        for (int k = 0; i == axis && k < at->rank; k++)
            dims[rank++] = at->dims[k];
        if (i != axis)
            dims[rank++] =
                i == data->rank - 1 ? adze_infer_mul(infer, data->dims[i], many) : data->dims[i];
    }
    adze_infer_set_tensor(infer, 0, scales->dtype, rank, dims);
    return ADZE_OK;
}

static adze_status gather_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    const adze_tensor *data = adze_ops_prepare_input(prepare, DATA);
    const adze_tensor *scales = adze_ops_prepare_input(prepare, SCALES);
    const adze_tensor *zeros = adze_ops_prepare_input(prepare, ZEROS);
    const int64_t bits = adze_node_int(node, "bits", 4),
                  size = adze_node_int(node, "block_size", 128);
    const bool four = data->dtype == ADZE_U4 || data->dtype == ADZE_I4;
    if ((!four && data->dtype != ADZE_U8) || data->quant)
        return adze_ops_unsupported(node, data->dtype, err);
    if (!adze_ops_is_float(scales->dtype))
        return adze_ops_unsupported(node, scales->dtype, err);
    if (zeros && zeros->dtype != data->dtype)
        return adze_ops_unsupported(node, zeros->dtype, err);
    if ((bits != 2 && bits != 4 && bits != 8) || (four && bits != 4) || size < 1 ||
        size > INT32_MAX)
        return adze_fail(err, ADZE_UNSUPPORTED, "bits %lld, block_size %lld", (long long)bits,
                         (long long)size);
    return ADZE_OK;
}

/* Number `i` of a tensor that holds more than one in a byte, or one in an element. */
static int64_t number_at(const blocks *b, const adze_tensor *t, int64_t row, int64_t i,
                         int64_t row_bytes)
{
    if (t->dtype != ADZE_U8)
        return adze_tensor_get_i64(t, row * row_bytes + i);
    const int64_t each = 8 / b->bits;
    const uint8_t byte = ((const uint8_t *)t->data)[row * row_bytes + i / each];
    return byte >> (i % each * b->bits) & ((1 << b->bits) - 1);
}

static const char *fill(blocks *b, const adze_run *run)
{
    const adze_node *node = run->node;
    *b = (blocks){.data = run->inputs[DATA],
                  .indices = run->inputs[INDICES],
                  .scales = run->inputs[SCALES],
                  .zeros = adze_ops_input(run, ZEROS),
                  .bits = adze_node_int(node, "bits", 4),
                  .size = adze_node_int(node, "block_size", 128),
                  .inner = 1,
                  .outer = 1,
                  .y = run->outputs[0]};
    const adze_tensor *d = b->data, *s = b->scales, *z = b->zeros;
    b->rank = d->rank;
    if (adze_ops_axis(&b->gather, node, adze_node_int(node, "gather_axis", 0), d->rank, NULL) ||
        adze_ops_axis(&b->quantize, node, adze_node_int(node, "quantize_axis", 1), d->rank, NULL))
        return "an axis that the data do not have";
    b->default_zero = d->dtype == ADZE_U8 ? 1 << (b->bits - 1) : 0;
    if (s->rank != d->rank || (z && z->rank != d->rank))
        return "scales and zero points are not of the rank of the data";
    for (int i = 0; i < d->rank; i++) {
        b->dims[i] = d->dims[i] * (i == d->rank - 1 ? numbers_in(node, d->dtype) : 1);
        const int64_t n = i == b->quantize ? (b->dims[i] + b->size - 1) / b->size : b->dims[i];
        const int64_t packed =
            z && z->dtype == ADZE_U8 && i == d->rank - 1 ? (n * b->bits + 7) / 8 : n;
        if (s->dims[i] != n || (z && z->dims[i] != packed))
            return "scales or zero points do not fit the data";
        if (i != b->gather)
            *(i < b->gather ? &b->outer : &b->inner) *= b->dims[i];
    }
    adze_ops_strides(s->rank, s->dims, b->scale);
    return NULL;
}

/* The number of the data at these places, as a float. */
static double number_of(const blocks *b, const int64_t *at)
{
    const int last = b->rank - 1;
    int64_t row = 0, scale = 0, zero_row = 0;
    for (int i = 0; i < last; i++) {
        const int64_t block = i == b->quantize ? at[i] / b->size : at[i];
        row = row * b->dims[i] + at[i];
        scale += block * b->scale[i];
        zero_row = zero_row * b->scales->dims[i] + block;
    }
    const int64_t block = last == b->quantize ? at[last] / b->size : at[last];
    const int64_t q = number_at(b, b->data, row, at[last], b->data->dims[last]);
    const int64_t zero =
        b->zeros ? number_at(b, b->zeros, zero_row, block, b->zeros->dims[last]) : b->default_zero;
    return (double)(q - zero) * adze_ops_get(b->scales, scale + block);
}

static void gather_rows(void *user, int64_t begin, int64_t end, int worker)
{
    ADZE_UNUSED(worker);
    const blocks *b = user;
    const int64_t count = adze_tensor_elements(b->indices), most = b->dims[b->gather];
    for (int64_t r = begin; r < end; r++) {
        int64_t index = adze_tensor_get_i64(b->indices, r % count), at[ADZE_MAX_RANK] = {0};
        index = index < 0 ? index + most : index;
        at[b->gather] = index;
        for (int64_t rest = r / count, i = b->gather - 1; i >= 0; rest /= b->dims[i--])
            at[i] = rest % b->dims[i];
        for (int64_t k = 0; k < b->inner; k++) {
            const bool there = index >= 0 && index < most;
            adze_ops_put(b->y, r * b->inner + k, there ? number_of(b, at) : 0);
            for (int i = b->rank - 1; i > b->gather && ++at[i] == b->dims[i]; i--)
                at[i] = 0;
        }
    }
}

static adze_status gather_run(adze_run *run, adze_error *err)
{
    blocks b;
    const char *wrong = fill(&b, run);
    if (wrong)
        return adze_fail(err, ADZE_BAD_DATA, "%s '%s': %s", adze_node_op(run->node),
                         adze_node_name(run->node), wrong);
    adze_ops_parallel(run, adze_tensor_elements(b.indices) * b.outer,
                      ADZE_MAX(1, 4096 / ADZE_MAX(b.inner, 1)), gather_rows, &b);
    return ADZE_OK;
}

const adze_op adze_ops_gather_blocks[] = {
    {.domain = "com.microsoft",
     .name = "GatherBlockQuantized",
     .since = 1,
     .min_inputs = 3,
     .max_inputs = 4,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "bits block_size gather_axis quantize_axis",
     .infer = gather_infer,
     .prepare = gather_prepare,
     .run = gather_run},
    {.name = NULL},
};
