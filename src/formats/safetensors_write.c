/* Writing safetensors: the header is made from the plans, so the data can be streamed behind it. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "formats/safetensors_impl.h"

enum { PIECE = 1 << 20, HEADER_ALIGNMENT = 8 };

static adze_status no_memory(adze_error *err, const char *path)
{
    return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to write it", path);
}

static json_t *describe(const adze_safetensor_plan *plan, uint64_t begin)
{
    json_t *shape = json_array();
    for (int i = 0; i < plan->rank; i++)
        json_array_append_new(shape, json_integer(plan->dims[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", adze_safetensors_code(plan->dtype), "shape",
                     shape, "data_offsets", (json_int_t)begin, (json_int_t)(begin + plan->size));
}

static adze_status add_plan(json_t *header, adze_safetensor_plan *plan, uint64_t *end,
                            const char *path, adze_error *err)
{
    const adze_dtype_info *info = adze_dtype_describe(plan->dtype);
    if (!adze_safetensors_code(plan->dtype))
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "%s: tensor '%.200s': safetensors has no type %s; dequantize it", path,
                         plan->name, info->name);
    int64_t elements = adze_shape_elements(plan->rank, plan->dims);
    plan->size = adze_dtype_bytes(plan->dtype, elements);
    if (plan->size == SIZE_MAX || plan->size > INT64_MAX - *end || elements % info->block_size != 0)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "%s: tensor '%.200s': not a possible shape", path,
                         plan->name);
    if (strcmp(plan->name, "__metadata__") == 0 || json_object_get(header, plan->name))
        return adze_fail(err, ADZE_BAD_ARGUMENT, "%s: tensor '%.200s' is to be written twice", path,
                         plan->name);
    if (adze_utf8_valid_prefix(plan->name, strlen(plan->name)) != strlen(plan->name))
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "%s: tensor '%.200s': safetensors allows names of valid UTF-8 only", path,
                         plan->name);
    if (json_object_set_new(header, plan->name, describe(plan, *end)) != 0)
        return no_memory(err, path);
    *end += plan->size;
    return ADZE_OK;
}

static adze_status make_header(json_t *header, adze_safetensor_plan *plans, int count,
                               const char *path, adze_error *err)
{
    uint64_t end = 0;
    if (json_object_set_new(header, "__metadata__", json_pack("{s:s}", "format", "pt")) != 0)
        return no_memory(err, path);
    for (int i = 0; i < count; i++)
        ADZE_TRY(add_plan(header, &plans[i], &end, path, err));
    return ADZE_OK;
}

/* Padded with blanks, so that the data begin at a multiple of 8. */
static void write_header(adze_output *output, const char *text)
{
    static const char blanks[HEADER_ALIGNMENT + 1] = "        ";
    size_t size = strlen(text), padding = -size & (HEADER_ALIGNMENT - 1);
    uint8_t length[8];
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)(size + padding) >> (8 * i));
    adze_output_write(output, length, sizeof length);
    adze_output_write(output, text, size);
    adze_output_write(output, blanks, padding);
}

static adze_status write_data(adze_output *output, const adze_safetensor_plan *plans, int count,
                              adze_safetensor_fill fill, void *user, adze_error *err)
{
    char *piece = adze_alloc(1, PIECE);
    if (!piece)
        return adze_fail(err, ADZE_NO_MEMORY, "no memory to write tensors");
    adze_status status = ADZE_OK;
    for (int i = 0; i < count && status == ADZE_OK; i++)
        for (uint64_t at = 0; at < plans[i].size && status == ADZE_OK; at += PIECE) {
            size_t size = (size_t)ADZE_MIN(plans[i].size - at, (uint64_t)PIECE);
            status = fill(user, i, at, piece, size, err);
            if (status == ADZE_OK)
                adze_output_write(output, piece, size);
        }
    adze_free(piece);
    return status;
}

static adze_status write_file(const char *path, const char *header,
                              const adze_safetensor_plan *plans, int count,
                              adze_safetensor_fill fill, void *user, adze_error *err)
{
    adze_output *output;
    ADZE_TRY(adze_output_open(&output, path, err));
    write_header(output, header);
    adze_status status = write_data(output, plans, count, fill, user, err);
    if (status == ADZE_OK)
        return adze_output_finish(&output, err);
    adze_output_abort(&output);
    return adze_wrap(err, status, "%s", path);
}

adze_status adze_safetensors_write(const char *path, adze_safetensor_plan *plans, int count,
                                   adze_safetensor_fill fill, void *user, adze_error *err)
{
    json_t *header = json_object();
    if (!header)
        return no_memory(err, path);
    adze_status status = make_header(header, plans, count, path, err);
    char *text = status == ADZE_OK ? json_dumps(header, JSON_COMPACT) : NULL;
    json_decref(header);
    if (status != ADZE_OK)
        return status;
    if (!text)
        return no_memory(err, path);
    status = write_file(path, text, plans, count, fill, user, err);
    free(text);
    return status;
}
