/* Values from ONNX test data files. */
#include "formats/onnx.h"
#include "model/model_impl.h"
#include "model/onnx_import.h"

struct adze_test_value {
    adze_arena arena;
    adze_mapping *mapping;
    adze_item item;
};

static adze_status fill_tensor(adze_item *item, const adze_onnx_tensor *tensor, adze_error *err)
{
    item->kind = ADZE_VALUE_TENSOR;
    return adze_onnx_tensor_view(&item->tensor, tensor, err);
}

static adze_status fill_sequence(adze_test_value *v, adze_item *item, adze_value_kind kind,
                                 const adze_onnx_sequence *sequence, adze_error *err)
{
    item->kind = kind;
    item->count = sequence->count;
    item->items = ADZE_ARENA_ARRAY(&v->arena, adze_item, (size_t)sequence->count + 1);
    if (!item->items)
        return adze_fail(err, ADZE_NO_MEMORY, "test data");
    for (int i = 0; i < sequence->count; i++)
        ADZE_TRY(sequence->tensors ? fill_tensor(&item->items[i], &sequence->tensors[i], err)
                                   : fill_sequence(v, &item->items[i], ADZE_VALUE_SEQUENCE,
                                                   &sequence->sequences[i], err));
    return ADZE_OK;
}

static adze_status parse(adze_test_value *v, const char *path, const adze_type *type,
                         adze_error *err)
{
    ADZE_TRY(adze_mapping_open(&v->mapping, path, err));
    const void *bytes = adze_mapping_bytes(v->mapping);
    size_t size = adze_mapping_size(v->mapping);
    adze_onnx_sequence sequence;
    adze_onnx_tensor tensor;
    switch (type->kind) {
    case ADZE_VALUE_SEQUENCE:
        ADZE_TRY(adze_onnx_parse_sequence(&sequence, bytes, size, &v->arena, err));
        return fill_sequence(v, &v->item, type->kind, &sequence, err);
    case ADZE_VALUE_OPTIONAL:
        ADZE_TRY(adze_onnx_parse_optional(&sequence, bytes, size, &v->arena, err));
        return fill_sequence(v, &v->item, type->kind, &sequence, err);
    default:
        ADZE_TRY(adze_onnx_parse_tensor(&tensor, bytes, size, &v->arena, err));
        return fill_tensor(&v->item, &tensor, err);
    }
}

adze_status adze_test_value_open(adze_test_value **out, const char *path, const adze_type *type,
                                 adze_error *err)
{
    adze_test_value *v = adze_alloc(1, sizeof *v);
    if (!v)
        return adze_fail(err, ADZE_NO_MEMORY, "%s", path);
    adze_status status = parse(v, path, type, err);
    if (status != ADZE_OK) {
        adze_test_value_close(&v);
        return adze_wrap(err, status, "%s", path);
    }
    *out = v;
    return ADZE_OK;
}

const adze_item *adze_test_value_item(const adze_test_value *value)
{
    return &value->item;
}

void adze_test_value_close(adze_test_value **value)
{
    if (!value || !*value)
        return;
    adze_mapping_release(&(*value)->mapping);
    adze_arena_free(&(*value)->arena);
    adze_free(*value);
    *value = NULL;
}
