/* The builder's ground: weights as constants, nodes, the simple blocks. */
#include "llm/build.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/kernels.h"
#include "llm/architectures.h"
#include "tensor/dtype.h"

adze_value *adze_build_fail(adze_builder *b, adze_status status, const char *format, ...)
{
    char message[1024];
    va_list args;
    if (b->status != ADZE_OK)
        return NULL;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    b->status = adze_fail(b->err, status, "%s: %s", adze_checkpoint_path(b->checkpoint), message);
    return NULL;
}

/* ---- weights ---- */

static const char *full_name(char buf[128], const char *name, const char *suffix, int64_t layer)
{
    if (layer < 0)
        snprintf(buf, 128, "%s.%s", name, suffix);
    else
        snprintf(buf, 128, "blk.%lld.%s.%s", (long long)layer, name, suffix);
    return buf;
}

static const adze_checkpoint_tensor *find(const adze_builder *b, const char *name,
                                          const char *suffix, int64_t layer)
{
    char full[128];
    return adze_checkpoint_find(b->checkpoint, full_name(full, name, suffix, layer));
}

bool adze_build_has(const adze_builder *b, const char *name, int64_t layer)
{
    return find(b, name, "weight", layer) != NULL;
}

/* Bytes of all rows: in place, or made once in the arena (also where they lie unaligned in the file). */
static const void *bytes_of(adze_builder *b, const adze_checkpoint_tensor *t)
{
    size_t bits = (size_t)adze_dtype_describe(t->dtype)->bits;
    bool aligned = bits < 16 || (uintptr_t)t->mapped % (bits / 8) == 0;
    if (t->mapped && aligned)
        return t->mapped;
    size_t size = (size_t)t->rows * t->row_bytes;
    void *bytes = adze_arena_alloc(b->arena, 1, ADZE_MAX(size, 1));
    if (!bytes)
        return adze_build_fail(b, ADZE_NO_MEMORY, "tensor %s: %zu bytes", t->name, size);
    adze_status status = adze_checkpoint_rows(b->checkpoint, t, 0, t->rows, bytes, b->err);
    if (status != ADZE_OK) {
        b->status = status;
        return NULL;
    }
    b->made_bytes += size;
    return bytes;
}

static adze_value *constant(adze_builder *b, const char *name, adze_dtype dtype, int rank,
                            const int64_t *dims, const void *bytes)
{
    const adze_value *known = adze_graph_find(b->graph, name);
    if (known)
        return (adze_value *)(uintptr_t)known;
    adze_tensor tensor = adze_tensor_view(dtype, rank, dims, (void *)(uintptr_t)bytes);
    adze_value *value = adze_graph_add_constant(b->graph, name, &tensor, false);
    return value ? value : adze_build_fail(b, ADZE_NO_MEMORY, "tensor %s", name);
}

adze_value *adze_build_weight(adze_builder *b, const char *name, int64_t layer)
{
    char full[128];
    if (b->status != ADZE_OK)
        return NULL;
    const adze_checkpoint_tensor *t = find(b, name, "weight", layer);
    if (!t)
        return adze_build_fail(b, ADZE_BAD_MODEL, "tensor %s is missing",
                               full_name(full, name, "weight", layer));
    const void *bytes = bytes_of(b, t);
    return bytes ? constant(b, t->name, t->dtype, t->rank, t->dims, bytes) : NULL;
}

/* Any float or block type as float32, in the arena unless it is so already. */
static const float *as_floats(adze_builder *b, const adze_checkpoint_tensor *t)
{
    const void *bytes = bytes_of(b, t);
    if (!bytes || t->dtype == ADZE_F32)
        return bytes;
    adze_block_decode_fn decode = b->graph->context->kernels->blocks.codec[t->dtype].decode;
    int64_t n = adze_shape_elements(t->rank, t->dims);
    float *floats = ADZE_ARENA_ARRAY(b->arena, float, (size_t)n);
    if (!decode || !floats) {
        adze_build_fail(b, decode ? ADZE_NO_MEMORY : ADZE_UNSUPPORTED, "tensor %s of type %s",
                        t->name, adze_dtype_describe(t->dtype)->name);
        return NULL;
    }
    decode(bytes, n, floats);
    return floats;
}

adze_value *adze_build_vector(adze_builder *b, const char *name, const char *suffix, int64_t layer)
{
    const adze_checkpoint_tensor *t = b->status == ADZE_OK ? find(b, name, suffix, layer) : NULL;
    const float *floats = t ? as_floats(b, t) : NULL;
    return floats ? constant(b, t->name, ADZE_F32, t->rank, t->dims, floats) : NULL;
}

adze_value *adze_build_constant(adze_builder *b, const char *name, int rank, const int64_t *dims,
                                const float *values)
{
    if (b->status != ADZE_OK)
        return NULL;
    adze_tensor t = adze_tensor_view(ADZE_F32, rank, dims, (void *)(uintptr_t)values);
    adze_value *value = adze_graph_add_constant(b->graph, name, &t, true);
    return value ? value : adze_build_fail(b, ADZE_NO_MEMORY, "constant");
}

/* ---- nodes ---- */

adze_value *adze_build_node(adze_builder *b, const char *domain, const char *op, const char *name,
                            int inputs, adze_value *const *values)
{
    if (b->status != ADZE_OK || !values[0])
        return NULL;
    while (inputs > 0 && !values[inputs - 1])
        inputs--;
    adze_node *node = adze_graph_add_node(b->graph, domain, op, name, inputs, values, 1);
    return node ? node->outputs[0] : adze_build_fail(b, ADZE_NO_MEMORY, "%s", op);
}

void adze_build_int(adze_builder *b, adze_value *value, const char *name, int64_t attr)
{
    if (value && !adze_node_set_int(value->producer, name, attr))
        adze_build_fail(b, ADZE_NO_MEMORY, "attribute %s", name);
}

void adze_build_float(adze_builder *b, adze_value *value, const char *name, float attr)
{
    if (value && !adze_node_set_float(value->producer, name, attr))
        adze_build_fail(b, ADZE_NO_MEMORY, "attribute %s", name);
}

void adze_build_string(adze_builder *b, adze_value *value, const char *name, const char *attr)
{
    if (value && !adze_node_set_string(value->producer, name, attr))
        adze_build_fail(b, ADZE_NO_MEMORY, "attribute %s", name);
}

adze_value *adze_build_add(adze_builder *b, adze_value *x, adze_value *y)
{
    return x && y ? ADZE_BUILD(b, "", "Add", x, y) : NULL;
}

adze_value *adze_build_scale(adze_builder *b, adze_value *x, float factor)
{
    if (factor == 0 || factor == 1 || !x)
        return x;
    adze_value *by = adze_build_constant(b, NULL, 0, NULL, &factor);
    return ADZE_BUILD(b, "", "Mul", x, by);
}

adze_value *adze_build_reshape(adze_builder *b, adze_value *x, int rank, const int64_t *dims)
{
    if (!x || b->status != ADZE_OK)
        return NULL;
    adze_tensor t = adze_tensor_view(ADZE_I64, 1, (int64_t[]){rank}, (void *)(uintptr_t)dims);
    adze_value *shape = adze_graph_add_constant(b->graph, NULL, &t, true);
    return shape ? ADZE_BUILD(b, "", "Reshape", x, shape)
                 : adze_build_fail(b, ADZE_NO_MEMORY, "shape");
}

/* ---- simple blocks ---- */

static adze_value *rows_of(adze_builder *b, adze_value *ids, adze_value *table)
{
    return ids && table ? ADZE_BUILD(b, "adze", "Embedding", ids, table) : NULL;
}

adze_value *adze_build_embedding(adze_builder *b, adze_value *tokens, const char *name)
{
    adze_value *x = rows_of(b, tokens, adze_build_weight(b, name, -1));
    if (b->config->embedding_scale > 0)
        adze_build_float(b, x, "scale", b->config->embedding_scale);
    return x;
}

adze_value *adze_build_learned_positions(adze_builder *b)
{
    adze_value *table = adze_build_weight(b, "position_embd", -1);
    if (table && b->context > table->constant->dims[0])
        return adze_build_fail(b, ADZE_LIMIT,
                               "a context of %lld tokens: the model has learned %lld positions",
                               (long long)b->context, (long long)table->constant->dims[0]);
    return rows_of(b, b->positions, table);
}

adze_value *adze_build_norm(adze_builder *b, adze_value *x, const char *name, int64_t layer)
{
    const adze_llm_config *c = b->config;
    adze_value *scale = adze_build_vector(b, name, "weight", layer);
    adze_value *bias = adze_build_vector(b, name, "bias", layer);
    bool mean = c->architecture->layer_norm;
    if (!scale) {
        char full[128];
        return adze_build_fail(b, ADZE_BAD_MODEL, "tensor %s is missing",
                               full_name(full, name, "weight", layer));
    }
    adze_value *y = mean ? ADZE_BUILD(b, "", "LayerNormalization", x, scale, bias)
                         : ADZE_BUILD(b, "", "RMSNormalization", x, scale);
    adze_build_int(b, y, "axis", -1);
    adze_build_float(b, y, "epsilon", c->norm_epsilon);
    return y;
}

static adze_value *linear(adze_builder *b, adze_value *x, adze_value *weight, adze_value *bias)
{
    if (!x || !weight)
        return NULL;
    adze_value *inputs[] = {x, weight, bias};
    return adze_build_node(b, "adze", "Linear", weight->name, 3, inputs);
}

adze_value *adze_build_linear(adze_builder *b, adze_value *x, const char *name, int64_t layer)
{
    adze_value *weight = adze_build_weight(b, name, layer);
    return linear(b, x, weight, adze_build_vector(b, name, "bias", layer));
}

adze_value *adze_build_linear_rows(adze_builder *b, adze_value *x, const char *name, int64_t layer,
                                   int64_t first, int64_t count)
{
    const adze_checkpoint_tensor *t = find(b, name, "weight", layer);
    adze_value *whole = adze_build_weight(b, name, layer);
    if (!whole || !x)
        return NULL;
    if (t->rank != 2 || first < 0 || first + count > t->rows)
        return adze_build_fail(b, ADZE_BAD_MODEL, "tensor %s: %lld rows, expected at least %lld",
                               t->name, (long long)t->rows, (long long)(first + count));
    char part[160];
    snprintf(part, sizeof part, "%s[%lld:%lld]", t->name, (long long)first,
             (long long)(first + count));
    const char *bytes = whole->constant->data;
    adze_value *weight = constant(b, part, t->dtype, 2, (int64_t[]){count, t->dims[1]},
                                  bytes + (size_t)first * t->row_bytes);
    adze_value *bias = adze_build_vector(b, name, "bias", layer);
    if (bias && bias->constant->dims[0] < first + count)
        return adze_build_fail(b, ADZE_BAD_MODEL, "tensor %s is too short", bias->name);
    if (bias) {
        snprintf(part, sizeof part, "%s[%lld:%lld]", bias->name, (long long)first,
                 (long long)(first + count));
        bias = constant(b, part, ADZE_F32, 1, (int64_t[]){count},
                        (const float *)bias->constant->data + first);
    }
    return linear(b, x, weight, bias);
}
