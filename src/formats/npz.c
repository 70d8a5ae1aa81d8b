/* NumPy archives: every entry NAME.npy of a ZIP archive is the array NAME. */
#include <string.h>

#include "formats/npy.h"
#include "formats/npy_impl.h"
#include "formats/zip.h"

struct adze_npz {
    adze_zip zip;
    adze_mapping *file; /* NULL: over someone's bytes */
    const char **names;
};

static bool name_arrays(adze_npz *npz)
{
    npz->names = ADZE_ARENA_ARRAY(&npz->zip.arena, const char *, (size_t)npz->zip.count);
    for (int i = 0; npz->names && i < npz->zip.count; i++) {
        const char *name = npz->zip.entries[i].name;
        size_t length = strlen(name) - (adze_ends_with(name, ".npy") ? 4 : 0);
        npz->names[i] = adze_arena_strndup(&npz->zip.arena, name, length);
        if (!npz->names[i])
            return false;
    }
    return npz->names != NULL;
}

adze_status adze_npz_parse(adze_npz **out, const uint8_t *bytes, size_t size, const char *where,
                           adze_error *err)
{
    adze_npz *npz = adze_alloc(1, sizeof *npz);
    if (!npz)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to open it", where);
    adze_status status = adze_zip_parse(&npz->zip, bytes, size, where, err);
    if (status == ADZE_OK && !name_arrays(npz))
        status = adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to open it", where);
    if (status == ADZE_OK)
        *out = npz;
    else
        adze_npz_close(&npz);
    return status;
}

adze_status adze_npz_open(adze_npz **out, const char *path, adze_error *err)
{
    adze_mapping *file;
    ADZE_TRY(adze_mapping_open(&file, path, err));
    adze_status status =
        adze_npz_parse(out, adze_mapping_bytes(file), adze_mapping_size(file), path, err);
    if (status == ADZE_OK)
        (*out)->file = file;
    else
        adze_mapping_release(&file);
    return status;
}

void adze_npz_close(adze_npz **npz)
{
    if (!*npz)
        return;
    adze_zip_free(&(*npz)->zip);
    adze_mapping_release(&(*npz)->file);
    adze_free(*npz);
    *npz = NULL;
}

int adze_npz_count(const adze_npz *npz)
{
    return npz->zip.count;
}

const char *adze_npz_name(const adze_npz *npz, int index)
{
    return npz->names[index];
}

int adze_npz_find(const adze_npz *npz, const char *name)
{
    for (int i = 0; i < npz->zip.count; i++)
        if (strcmp(npz->names[i], name) == 0)
            return i;
    return -1;
}

/* Extracted bytes become the tensor's own: the elements move to their start. */
static adze_status own_extracted(adze_tensor *out, uint8_t *bytes, size_t size, const char *where,
                                 adze_error *err)
{
    adze_tensor tensor;
    ADZE_TRY(adze_npy_parse(&tensor, bytes, size, where, err));
    if (tensor.owner == ADZE_OWNED) {
        adze_free(bytes);
    } else {
        memmove(bytes, tensor.data, tensor.size);
        tensor.data = bytes;
        tensor.owner = ADZE_OWNED;
    }
    *out = tensor;
    return ADZE_OK;
}

adze_status adze_npz_read(adze_tensor *out, const adze_npz *npz, int index, adze_error *err)
{
    const adze_zip_entry *entry = &npz->zip.entries[index];
    adze_text where = {0};
    adze_text_printf(&where, "%s: %s", npz->zip.where, npz->names[index]);
    const char *place = adze_text_get(&where);
    uint8_t *bytes = NULL;
    adze_status status;
    if (entry->deflated) {
        status = adze_zip_extract(&bytes, &npz->zip, entry, err);
        if (status == ADZE_OK)
            status = own_extracted(out, bytes, (size_t)entry->size, place, err);
        if (status != ADZE_OK)
            adze_free(bytes);
    } else {
        status = adze_zip_check(&npz->zip, entry, err);
        if (status == ADZE_OK)
            status = adze_npy_parse(out, entry->bytes, (size_t)entry->size, place, err);
    }
    adze_text_free(&where);
    return status;
}

static adze_status add_array(adze_zip_writer *writer, const char *name, const adze_tensor *tensor,
                             bool compress, adze_error *err)
{
    adze_tensor array = {0};
    ADZE_TRY(adze_npy_convert(&array, tensor, err));
    char header[ADZE_NPY_HEADER];
    adze_zip_part parts[2] = {{header, adze_npy_make_header(header, &array)},
                              {array.data, array.size}};
    adze_text entry = {0};
    adze_text_printf(&entry, "%s.npy", name);
    adze_status status =
        entry.failed ? adze_fail(err, ADZE_NO_MEMORY, "no memory for the name of an array")
                     : adze_zip_writer_add(writer, adze_text_get(&entry), parts, 2, compress, err);
    adze_text_free(&entry);
    adze_tensor_free(&array);
    return status;
}

adze_status adze_npz_save(const char *path, const char *const *names, const adze_tensor *tensors,
                          int count, bool compress, adze_error *err)
{
    adze_zip_writer writer;
    ADZE_TRY(adze_zip_writer_open(&writer, path, err));
    for (int i = 0; i < count; i++) {
        adze_status status = add_array(&writer, names[i], &tensors[i], compress, err);
        if (status != ADZE_OK) {
            adze_zip_writer_abort(&writer);
            return adze_wrap(err, status, "%s: array %s", path, names[i]);
        }
    }
    return adze_zip_writer_finish(&writer, err);
}
