/* Writing GGUF 3: the header in memory first, so that every offset and the size of the whole are known
 * before a byte of data is written. What is written depends on metadata and plans alone. */
#include <string.h>

#include "formats/gguf_impl.h"

enum { LARGEST_ALIGNMENT = 1 << 20 };

static void put(adze_text *text, uint64_t value, size_t size)
{
    char bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(value >> (8 * i));
    adze_text_add(text, bytes, size);
}

static void put_string(adze_text *text, const char *data, size_t length)
{
    put(text, length, 8);
    adze_text_add(text, data, length);
}

static void put_zeros(adze_text *text, uint64_t count)
{
    static const char zeros[64];
    for (; count; count -= ADZE_MIN(count, sizeof zeros))
        adze_text_add(text, zeros, (size_t)ADZE_MIN(count, sizeof zeros));
}

/* ---- metadata ---- */

static void put_array(adze_text *text, const adze_gguf_entry *entry)
{
    put(text, entry->element, 4);
    put(text, (uint64_t)entry->count, 8);
    if (entry->element == ADZE_GGUF_STRING)
        for (int64_t i = 0; i < entry->count; i++)
            put_string(text, entry->as.strings[i].data, entry->as.strings[i].length);
    else
        adze_text_add(text, entry->as.bytes, entry->byte_count);
}

static void put_entry(adze_text *text, const adze_gguf_entry *entry)
{
    put_string(text, entry->key, strlen(entry->key));
    put(text, entry->type, 4);
    uint32_t single;
    uint64_t bits = entry->as.u;
    float f;
    switch (entry->type) {
    case ADZE_GGUF_STRING: put_string(text, entry->as.s.data, entry->as.s.length); break;
    case ADZE_GGUF_ARRAY: put_array(text, entry); break;
    case ADZE_GGUF_F32:
        f = (float)entry->as.f;
        memcpy(&single, &f, sizeof single);
        put(text, single, 4);
        break;
    case ADZE_GGUF_F64:
        memcpy(&bits, &entry->as.f, sizeof bits);
        put(text, bits, 8);
        break;
    case ADZE_GGUF_BOOL: put(text, entry->as.i != 0, 1); break;
    default: put(text, bits, adze_gguf_type_size(entry->type));
    }
}

/* ---- tensors ---- */

static adze_status check_plan(const adze_gguf_plan *plan, adze_map *names, adze_error *err)
{
    const adze_dtype_info *info = adze_dtype_describe(plan->dtype);
    size_t length = strlen(plan->name);
    if (length > ADZE_GGUF_LONGEST_NAME)
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "tensor '%.80s': GGUF allows names of at most %d bytes, found %zu",
                         plan->name, ADZE_GGUF_LONGEST_NAME, length);
    if (info->ggml < 0)
        return adze_fail(err, ADZE_UNSUPPORTED, "tensor '%s': GGUF has no type %s", plan->name,
                         info->name);
    if (plan->rank < 0 || plan->rank > 4)
        return adze_fail(err, ADZE_UNSUPPORTED, "tensor '%s': GGUF allows 4 axes, found %d",
                         plan->name, plan->rank);
    if (adze_map_has(names, plan->name))
        return adze_fail(err, ADZE_BAD_ARGUMENT, "tensor '%s' is to be written twice", plan->name);
    if (!adze_map_set(names, plan->name, names))
        return adze_fail(err, ADZE_NO_MEMORY, "no memory for the names of tensors");
    return ADZE_OK;
}

static adze_status lay_out(adze_gguf_plan *plans, int count, uint64_t mask, uint64_t *data_size,
                           adze_error *err)
{
    uint64_t at = 0;
    for (int i = 0; i < count; i++) {
        adze_gguf_plan *p = &plans[i];
        int64_t one = 1;
        const int64_t *dims = p->rank ? p->dims : &one;
        bool possible = adze_gguf_tensor_size(&p->size, p->dtype, p->rank ? p->rank : 1, dims);
        if (!possible || p->size > INT64_MAX - mask || at > INT64_MAX - mask - p->size)
            return adze_fail(
                err, ADZE_BAD_ARGUMENT,
                "tensor '%s': rows of %lld elements as %s are not whole blocks, or it is too "
                "large",
                p->name, (long long)dims[p->rank ? p->rank - 1 : 0],
                adze_dtype_describe(p->dtype)->name);
        p->offset = at;
        at += (p->size + mask) & ~mask;
    }
    *data_size = at;
    return ADZE_OK;
}

static void put_plan(adze_text *text, const adze_gguf_plan *plan)
{
    put_string(text, plan->name, strlen(plan->name));
    put(text, (uint64_t)plan->rank, 4);
    for (int i = plan->rank - 1; i >= 0; i--)
        put(text, (uint64_t)plan->dims[i], 8);
    put(text, (uint64_t)adze_dtype_describe(plan->dtype)->ggml, 4);
    put(text, plan->offset, 8);
}

static adze_status check_plans(const adze_gguf_plan *plans, int count, adze_error *err)
{
    adze_arena arena = {0};
    adze_map names = adze_map_in(&arena);
    adze_status status = ADZE_OK;
    for (int i = 0; i < count && status == ADZE_OK; i++)
        status = check_plan(&plans[i], &names, err);
    adze_arena_free(&arena);
    return status;
}

adze_status adze_gguf_layout(char **header, size_t *header_size, uint64_t *total,
                             const adze_gguf_meta *meta, adze_gguf_plan *plans, int count,
                             adze_error *err)
{
    uint32_t alignment = adze_gguf_meta_alignment(meta);
    uint64_t data_size = 0;
    if (!alignment || alignment > LARGEST_ALIGNMENT)
        return adze_fail(
            err, ADZE_BAD_ARGUMENT,
            "general.alignment: expected a power of two as uint32, at most %d, found %lld",
            LARGEST_ALIGNMENT, (long long)adze_gguf_int(meta, "general.alignment", 0));
    ADZE_TRY(check_plans(plans, count, err));
    ADZE_TRY(lay_out(plans, count, alignment - 1, &data_size, err));
    adze_text text = {0};
    adze_text_add(&text, "GGUF", 4);
    put(&text, ADZE_GGUF_VERSION, 4);
    put(&text, (uint64_t)count, 8);
    put(&text, (uint64_t)meta->count, 8);
    for (int i = 0; i < meta->count; i++)
        put_entry(&text, &meta->entries[i]);
    for (int i = 0; i < count; i++)
        put_plan(&text, &plans[i]);
    put_zeros(&text, -(uint64_t)text.length & (alignment - 1));
    if (text.failed) {
        adze_text_free(&text);
        return adze_fail(err, ADZE_NO_MEMORY, "no memory for the header of a GGUF file");
    }
    *header = text.data;
    *header_size = text.length;
    *total = text.length + data_size;
    return ADZE_OK;
}

static void write_padding(adze_output *output, uint64_t alignment)
{
    static const char zeros[64];
    uint64_t left = -adze_output_size(output) & (alignment - 1);
    for (; left; left -= ADZE_MIN(left, sizeof zeros))
        adze_output_write(output, zeros, (size_t)ADZE_MIN(left, sizeof zeros));
}

adze_status adze_gguf_write(const char *path, const adze_gguf_meta *meta, adze_gguf_plan *plans,
                            const void *const *data, int count, adze_error *err)
{
    char *header;
    size_t header_size;
    uint64_t total;
    adze_output *output = NULL;
    adze_status status = adze_gguf_layout(&header, &header_size, &total, meta, plans, count, err);
    if (status != ADZE_OK)
        return adze_wrap(err, status, "%s", path);
    status = adze_output_open(&output, path, err);
    if (status == ADZE_OK) {
        adze_output_write(output, header, header_size);
        for (int i = 0; i < count; i++) {
            adze_output_write(output, data[i], (size_t)plans[i].size);
            write_padding(output, adze_gguf_meta_alignment(meta));
        }
        status = adze_output_finish(&output, err);
    }
    adze_free(header);
    return status;
}
