/* External data files. A model may only point at regular files that really (symbolic links followed)
 * lie in the model's folder, or beside the file that a linked model really is, as in a download cache
 * whose snapshots are links into one folder of blobs. */
#include "formats/onnx_impl.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool add_root(onnx_reader *r, const char *path, bool parent)
{
    char real[PATH_MAX];
    if (!realpath(path, real))
        return true; /* a folder that is not there holds no files */
    char *slash = strrchr(real, '/');
    if (parent && slash)
        slash[slash == real] = '\0';
    r->files.roots[r->files.root_count] = adze_arena_strdup(r->arena, real);
    return r->files.roots[r->files.root_count++] != NULL;
}

adze_status adze_onnx_files_init(onnx_reader *r, const char *folder, const char *model_path)
{
    r->files.opened = adze_map_in(r->arena);
    if (!folder)
        return ADZE_OK;
    r->files.folder = adze_arena_strdup(r->arena, folder[0] ? folder : ".");
    if (!r->files.folder || !add_root(r, r->files.folder, false) ||
        (model_path && !add_root(r, model_path, true)))
        return adze_onnx_no_memory(r);
    return ADZE_OK;
}

adze_status adze_onnx_files_adopt(onnx_reader *r, adze_mapping *mapping)
{
    onnx_files *files = &r->files;
    if (!adze_arena_grow(r->arena, &files->mappings, &files->capacity, files->count,
                         sizeof mapping)) {
        adze_mapping_release(&mapping);
        return adze_onnx_no_memory(r);
    }
    files->mappings[files->count++] = mapping;
    return ADZE_OK;
}

static bool has_parent_step(const char *location)
{
    for (const char *at = location; at; at = strchr(at, '/')) {
        at += *at == '/';
        if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || at[2] == '\0'))
            return true;
    }
    return false;
}

static bool lies_in_roots(const onnx_files *files, const char *real)
{
    for (int i = 0; i < files->root_count; i++) {
        size_t length = strlen(files->roots[i]);
        length -= length > 0 && files->roots[i][length - 1] == '/';
        if (strncmp(real, files->roots[i], length) == 0 && real[length] == '/')
            return true;
    }
    return false;
}

static adze_status refuse(const onnx_reader *r, adze_status status, const char *tensor,
                          const char *location, const char *why)
{
    return adze_fail(r->err, status, "%s: tensor '%.200s': external data '%.200s': %s", r->file,
                     tensor, location, why);
}

static adze_status open_file(onnx_reader *r, adze_mapping **out, const char *location,
                             const char *tensor)
{
    char real[PATH_MAX];
    struct stat info;
    onnx_files *files = &r->files;
    char *path = adze_path_join(r->arena, files->folder, location);
    if (!path)
        return adze_onnx_no_memory(r);
    if (!realpath(path, real) || stat(real, &info) != 0)
        return refuse(r, ADZE_NOT_FOUND, tensor, location,
                      "expected this file in the model's folder, found none");
    if (!lies_in_roots(files, real))
        return refuse(r, ADZE_BAD_FILE, tensor, location,
                      "expected a file in the model's folder, found a link that leaves it");
    if (!S_ISREG(info.st_mode))
        return refuse(r, ADZE_BAD_FILE, tensor, location, "expected a regular file");
    adze_status status = adze_mapping_open(out, real, r->err);
    if (status != ADZE_OK)
        return adze_wrap(r->err, status, "%s: tensor '%.200s'", r->file, tensor);
    ADZE_TRY(adze_onnx_files_adopt(r, *out));
    return adze_map_set(&files->opened, location, *out) ? ADZE_OK : adze_onnx_no_memory(r);
}

adze_status adze_onnx_files_open(onnx_reader *r, adze_mapping **out, const char *location,
                                 const char *tensor)
{
    if (!r->files.folder)
        return refuse(r, ADZE_BAD_FILE, tensor, location,
                      "expected no other file here, where the model is not read from a folder");
    if (location[0] == '/' || location[0] == '\0' || has_parent_step(location))
        return refuse(r, ADZE_BAD_FILE, tensor, location,
                      "expected a path inside the model's folder, without '..' and not absolute");
    *out = adze_map_get(&r->files.opened, location);
    return *out ? ADZE_OK : open_file(r, out, location, tensor);
}

void adze_onnx_files_close(onnx_files *files)
{
    for (int i = 0; i < files->count; i++)
        adze_mapping_release(&files->mappings[i]);
    files->count = 0;
}
