/* ONNX Runtime through its C interface (onnxruntime_c_api.h: OrtGetApiBase, OrtApi version 11), loaded at run time. The
 * interface is a table of functions whose order never changes; here stand the ones used, with their places. */
#include <dlfcn.h>
#include <glob.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "formats/onnx.h"
#include "graph/ir.h"
#include "peers/peers_impl.h"

enum { API_VERSION = 11, LOG_FATAL = 4, NO_OPTIMISATION = 0, IS_TENSOR = 1 };

typedef void (*unused)(void);
typedef struct ort_status ort_status; /* NULL: all is well */
#define STATUS(name) ort_status *(*name)
#define RELEASE(name) void (*name)(void *)

typedef struct ort_api {
    unused to_2[2];
    const char *(*error_message)(const ort_status *);
    STATUS(create_env)(int level, const char *name, void **env);
    unused to_8[4];
    STATUS(create_session)
    (void *env, const void *bytes, size_t size, void *options, void **session);
    STATUS(run)
    (void *session, void *options, const char *const *input_names, void *const *inputs,
     size_t input_count, const char *const *output_names, size_t output_count, void **outputs);
    STATUS(create_options)(void **options);
    unused to_22[11];
    STATUS(set_log_level)(void *options, int level);
    STATUS(set_optimisation)(void *options, int level);
    STATUS(set_threads)(void *options, int threads);
    unused to_48[23];
    STATUS(create_tensor)
    (void *allocator, const int64_t *dims, size_t rank, int type, void **value);
    STATUS(create_tensor_over)
    (const void *memory, void *data, size_t size, const int64_t *dims, size_t rank, int type,
     void **value);
    unused to_51[1];
    STATUS(data)(void *value, void **data);
    STATUS(fill_strings)(void *value, const char *const *strings, size_t count);
    STATUS(strings_length)(const void *value, size_t *length);
    STATUS(strings)(const void *value, void *text, size_t length, size_t *offsets, size_t count);
    unused to_60[5];
    STATUS(element_type)(const void *info, int *type);
    STATUS(rank)(const void *info, size_t *rank);
    STATUS(dims)(const void *info, int64_t *dims, size_t rank);
    unused to_65[2];
    STATUS(type_and_shape)(const void *value, void **info);
    unused to_67[1];
    STATUS(kind)(const void *value, int *kind);
    unused to_69[1];
    STATUS(cpu_memory)(int allocator, int type, void **memory);
    unused to_78[8];
    STATUS(allocator)(void **allocator);
    unused to_92[13];
    RELEASE(release_env);
    RELEASE(release_status);
    RELEASE(release_memory);
    RELEASE(release_session);
    RELEASE(release_value);
    unused to_99[2];
    RELEASE(release_info);
    RELEASE(release_options);
    unused to_130[29];
    STATUS(add_config)(void *options, const char *key, const char *value);
} ort_api;

#define PLACE(member) (offsetof(ort_api, member) / sizeof(unused))
_Static_assert(PLACE(create_session) == 8 && PLACE(set_log_level) == 22 &&
                   PLACE(create_tensor) == 48 && PLACE(element_type) == 60 && PLACE(kind) == 67 &&
                   PLACE(allocator) == 78 && PLACE(release_env) == 92 &&
                   PLACE(release_options) == 100 && PLACE(add_config) == 130,
               "the places of onnxruntime_c_api.h");

typedef struct ort_base {
    const ort_api *(*api)(uint32_t version); /* NULL: too old for it */
    const char *(*version)(void);
} ort_base;

struct adze_peer {
    const ort_api *api;
    const char *version;
    void *env, *memory;
};

/* In ONNX Runtime's words. */
static adze_status check(const adze_peer *peer, ort_status *status, const char *what,
                         adze_error *err)
{
    if (!status)
        return ADZE_OK;
    adze_fail(err, ADZE_UNSUPPORTED, "ONNX Runtime %s: %s: %s", peer->version, what,
              peer->api->error_message(status));
    peer->api->release_status(status);
    return ADZE_UNSUPPORTED;
}

/* ---- loading ---- */

static void *load_from_python(void)
{
    const char *root = getenv("VIRTUAL_ENV");
    char pattern[4096];
    void *library = NULL;
    glob_t found;
    if (!root || snprintf(pattern, sizeof pattern,
                          "%s/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so*",
                          root) >= (int)sizeof pattern)
        return NULL;
    if (glob(pattern, 0, NULL, &found) != 0)
        return NULL;
    for (size_t i = 0; i < found.gl_pathc && !library; i++)
        library = dlopen(found.gl_pathv[i], RTLD_NOW | RTLD_LOCAL);
    globfree(&found);
    return library;
}

static adze_status load(void **out, const char *path, adze_error *err)
{
    static const char *const names[] = {"libonnxruntime.so.1", "libonnxruntime.so",
                                        "libonnxruntime.dylib"};
    if (!path)
        path = getenv("ADZE_ONNXRUNTIME");
    void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
    if (path && !library)
        return adze_fail(err, ADZE_NOT_FOUND, "%s: not a shared library that can be loaded (%s)",
                         path, dlerror());
    for (size_t i = 0; i < ADZE_COUNT_OF(names) && !library; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library && !(library = load_from_python()))
        return adze_fail(
            err, ADZE_NOT_FOUND,
            "no ONNX Runtime: neither the system nor VIRTUAL_ENV has libonnxruntime.so; 'pip "
            "install "
            "onnxruntime' brings one (onnxruntime/capi/libonnxruntime.so.*): give its path, or set "
            "ADZE_ONNXRUNTIME to it");
    *out = library;
    return ADZE_OK;
}

static adze_status start(adze_peer *peer, const char *path, adze_error *err)
{
    void *library = NULL;
    const ort_base *(*get_base)(void);
    ADZE_TRY(load(&library, path, err));
    void *symbol = dlsym(library, "OrtGetApiBase");
    if (!symbol)
        return adze_fail(err, ADZE_UNSUPPORTED, "%s: not ONNX Runtime: it has no OrtGetApiBase",
                         path ? path : "libonnxruntime");
    memcpy(&get_base, &symbol, sizeof get_base);
    const ort_base *base = get_base();
    peer->version = base->version();
    if (!(peer->api = base->api(API_VERSION)))
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "ONNX Runtime %s has not version %d of its interface", peer->version,
                         API_VERSION);
    ADZE_TRY(check(peer, peer->api->create_env(LOG_FATAL, "adze", &peer->env), "environment", err));
    return check(peer, peer->api->cpu_memory(0, 0, &peer->memory), "memory", err);
}

adze_status adze_peer_open(adze_peer **out, const char *path, adze_error *err)
{
    adze_peer *peer = adze_alloc(1, sizeof *peer);
    if (!peer)
        return adze_fail(err, ADZE_NO_MEMORY, "ONNX Runtime");
    adze_status status = start(peer, path, err);
    if (status != ADZE_OK)
        adze_peer_close(&peer);
    else
        *out = peer;
    return status;
}

void adze_peer_close(adze_peer **peer)
{
    if (!peer || !*peer)
        return;
    if ((*peer)->memory)
        (*peer)->api->release_memory((*peer)->memory);
    if ((*peer)->env)
        (*peer)->api->release_env((*peer)->env);
    adze_free(*peer);
    *peer = NULL;
}

const char *adze_peer_version(const adze_peer *peer)
{
    return peer->version;
}

/* ---- a model that hands out every value ---- */

static size_t put_varint(uint8_t *to, size_t value)
{
    size_t n = 0;
    for (; value >= 128; value >>= 7)
        to[n++] = (uint8_t)(value | 128);
    to[n++] = (uint8_t)value;
    return n;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* What nodes of the outermost graph make, sorted, each once. */
static adze_status list_names(adze_peer_values *v, const adze_onnx_graph *g, adze_error *err)
{
    size_t most = 1, n = 0;
    for (int i = 0; i < g->node_count; i++)
        most += (size_t)g->nodes[i].output_count;
    const char **names = ADZE_ARENA_ARRAY(&v->arena, const char *, most);
    v->tensors = ADZE_ARENA_ARRAY(&v->arena, adze_tensor, most);
    v->handles = ADZE_ARENA_ARRAY(&v->arena, void *, most);
    if (!names || !v->tensors || !v->handles)
        return adze_fail(err, ADZE_NO_MEMORY, "names of values");
    for (int i = 0; i < g->node_count; i++)
        for (int k = 0; k < g->nodes[i].output_count; k++)
            if (g->nodes[i].outputs[k][0])
                names[n++] = g->nodes[i].outputs[k];
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
            names[v->count++] = names[i];
    v->names = names;
    return ADZE_OK;
}

static bool is_output(const adze_onnx_graph *g, const char *name)
{
    for (int i = 0; i < g->output_count; i++)
        if (strcmp(g->outputs[i].name, name) == 0)
            return true;
    return false;
}

/* The bytes of the file, and behind them a ModelProto of which only graph.output is set: protobuf merges the two. */
static adze_status with_all_outputs(uint8_t **out, size_t *size, const adze_peer_values *v,
                                    const adze_onnx_model *onnx, adze_error *err)
{
    enum { FRAME = 24, GRAPH = 0x3a, OUTPUT = 0x62, NAME = 0x0a }; /* fields 7, 12, 1, of bytes */
    size_t file = adze_mapping_size(onnx->mappings[0]), inside = 0, names = 0;
    for (int i = 0; i < v->count; i++)
        names += strlen(v->names[i]) + FRAME;
    uint8_t *bytes = adze_alloc(file + names + FRAME, 1), *list = adze_alloc(names + 1, 1);
    if (bytes && list) {
        for (int i = 0; i < v->count; i++) {
            size_t length = strlen(v->names[i]);
            uint8_t head[FRAME];
            if (is_output(&onnx->graph, v->names[i]))
                continue;
            head[0] = NAME;
            size_t n = 1 + put_varint(head + 1, length);
            list[inside++] = OUTPUT;
            inside += put_varint(list + inside, n + length);
            memcpy(list + inside, head, n);
            memcpy(list + inside + n, v->names[i], length);
            inside += n + length;
        }
        memcpy(bytes, adze_mapping_bytes(onnx->mappings[0]), file);
        bytes[file++] = GRAPH;
        file += put_varint(bytes + file, inside);
        memcpy(bytes + file, list, inside);
    }
    bool made = bytes && list;
    adze_free(list);
    *out = bytes;
    *size = file + inside;
    return made ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "a copy of the model");
}

/* ---- values ---- */

/* ONNXTensorElementDataType is TensorProto.DataType but for the types of 2 bits, one less: it has no float8e8m0 (24).
 * -1: a type that it does not have. */
static int type_for(adze_dtype dtype)
{
    int type = adze_dtype_describe(dtype)->onnx;
    return type < 24 ? type : type == 24 ? -1 : type - 1;
}

static adze_dtype type_from(int type)
{
    return adze_dtype_from_onnx(type < 24 ? type : type + 1);
}

static adze_status give_strings(const adze_peer *peer, void **out, const adze_tensor *t,
                                adze_arena *arena, adze_error *err)
{
    int64_t n = adze_tensor_elements(t);
    const adze_string *strings = t->data;
    const char **texts = ADZE_ARENA_ARRAY(arena, const char *, (size_t)n + 1);
    void *allocator;
    for (int64_t i = 0; texts && i < n; i++)
        if (!(texts[i] = adze_arena_strndup(arena, strings[i].data, strings[i].length)))
            texts = NULL;
    if (!texts)
        return adze_fail(err, ADZE_NO_MEMORY, "strings");
    ADZE_TRY(check(peer, peer->api->allocator(&allocator), "allocator", err));
    ADZE_TRY(check(
        peer,
        peer->api->create_tensor(allocator, t->dims, (size_t)t->rank, type_for(ADZE_STRING), out),
        "input", err));
    return check(peer, peer->api->fill_strings(*out, texts, (size_t)n), "strings", err);
}

static adze_status give(const adze_peer *peer, void **out, const adze_tensor *t, adze_arena *arena,
                        adze_error *err)
{
    static uint8_t nothing;
    if (type_for(t->dtype) < 0)
        return adze_fail(err, ADZE_UNSUPPORTED, "ONNX Runtime has no values of type %s",
                         adze_dtype_describe(t->dtype)->name);
    if (t->dtype == ADZE_STRING)
        return give_strings(peer, out, t, arena, err);
    return check(peer,
                 peer->api->create_tensor_over(peer->memory, t->data ? t->data : &nothing, t->size,
                                               t->dims, (size_t)t->rank, type_for(t->dtype), out),
                 "input", err);
}

static adze_status take_strings(adze_peer_values *v, int i, adze_error *err)
{
    const ort_api *api = v->peer->api;
    adze_tensor *t = &v->tensors[i];
    size_t n = (size_t)adze_tensor_elements(t), length = 0;
    ADZE_TRY(check(v->peer, api->strings_length(v->handles[i], &length), v->names[i], err));
    char *text = adze_arena_alloc(&v->arena, length + 1, 1);
    size_t *offsets = ADZE_ARENA_ARRAY(&v->arena, size_t, n + 1);
    adze_string *strings = ADZE_ARENA_ARRAY(&v->arena, adze_string, n + 1);
    if (!text || !offsets || !strings)
        return adze_fail(err, ADZE_NO_MEMORY, "strings");
    if (n > 0)
        ADZE_TRY(check(v->peer, api->strings(v->handles[i], text, length, offsets, n), v->names[i],
                       err));
    offsets[n] = length;
    for (size_t k = 0; k < n; k++)
        strings[k] = (adze_string){text + offsets[k], offsets[k + 1] - offsets[k]};
    t->data = strings;
    t->size = n * sizeof *strings;
    return ADZE_OK;
}

/* Leaves what is not a tensor, or of no type known here, undefined. */
static adze_status take_shape(adze_peer_values *v, int i, const void *info, adze_error *err)
{
    const ort_api *api = v->peer->api;
    int64_t dims[ADZE_MAX_RANK];
    size_t rank = 0;
    int type = 0;
    ADZE_TRY(check(v->peer, api->element_type(info, &type), v->names[i], err));
    ADZE_TRY(check(v->peer, api->rank(info, &rank), v->names[i], err));
    if (rank > ADZE_MAX_RANK || type_from(type) == ADZE_UNDEFINED)
        return ADZE_OK;
    ADZE_TRY(check(v->peer, api->dims(info, dims, rank), v->names[i], err));
    v->tensors[i] = adze_tensor_view(type_from(type), (int)rank, dims, NULL);
    return ADZE_OK;
}

static adze_status take(adze_peer_values *v, int i, adze_error *err)
{
    const ort_api *api = v->peer->api;
    int kind = 0;
    void *info;
    if (!v->handles[i])
        return ADZE_OK;
    ADZE_TRY(check(v->peer, api->kind(v->handles[i], &kind), v->names[i], err));
    if (kind != IS_TENSOR)
        return ADZE_OK;
    ADZE_TRY(check(v->peer, api->type_and_shape(v->handles[i], &info), v->names[i], err));
    adze_status status = take_shape(v, i, info, err);
    api->release_info(info);
    if (status != ADZE_OK || v->tensors[i].dtype == ADZE_UNDEFINED)
        return status;
    if (v->tensors[i].dtype == ADZE_STRING)
        return take_strings(v, i, err);
    return check(v->peer, api->data(v->handles[i], &v->tensors[i].data), v->names[i], err);
}

/* ---- running ---- */

static adze_status set_up(const adze_peer *peer, void *options, const char *folder, int threads,
                          adze_error *err)
{
    const ort_api *api = peer->api;
    ADZE_TRY(check(peer, api->set_log_level(options, LOG_FATAL), "options", err));
    ADZE_TRY(check(peer, api->set_optimisation(options, NO_OPTIMISATION), "options", err));
    ADZE_TRY(check(peer, api->set_threads(options, threads), "options", err));
    return check(
        peer,
        api->add_config(options, "session.model_external_initializers_file_folder_path", folder),
        "options", err);
}

static adze_status open_session(void **session, adze_peer_values *v, const adze_onnx_model *onnx,
                                const char *path, int threads, adze_error *err)
{
    const ort_api *api = v->peer->api;
    void *options = NULL;
    uint8_t *bytes = NULL;
    size_t size;
    const char *folder = adze_path_beside(&v->arena, path, ".");
    if (!folder)
        return adze_fail(err, ADZE_NO_MEMORY, "path");
    /* Its DynamicQuantizeLSTM shares a batch among threads, each with a scale for its own rows. */
    for (int i = 0; i < onnx->graph.node_count; i++)
        threads = strcmp(onnx->graph.nodes[i].op_type, "DynamicQuantizeLSTM") == 0 ? 1 : threads;
    adze_status status = check(v->peer, api->create_options(&options), "options", err);
    if (status == ADZE_OK)
        status = set_up(v->peer, options, folder, threads, err);
    if (status == ADZE_OK)
        status = with_all_outputs(&bytes, &size, v, onnx, err);
    if (status == ADZE_OK)
        status = check(v->peer, api->create_session(v->peer->env, bytes, size, options, session),
                       path, err);
    adze_free(bytes);
    if (options)
        api->release_options(options);
    return status;
}

static adze_status run_session(adze_peer_values *v, void *session, const adze_graph *g,
                               const adze_tensor *inputs, void **handles, adze_error *err)
{
    const char **names = ADZE_ARENA_ARRAY(&v->arena, const char *, (size_t)g->input_count + 1);
    if (!names)
        return adze_fail(err, ADZE_NO_MEMORY, "names of inputs");
    for (int i = 0; i < g->input_count; i++) {
        names[i] = g->inputs[i]->name;
        ADZE_TRY(give(v->peer, &handles[i], &inputs[i], &v->arena, err));
    }
    ADZE_TRY(check(v->peer,
                   v->peer->api->run(session, NULL, names, handles, (size_t)g->input_count,
                                     v->names, (size_t)v->count, v->handles),
                   "run", err));
    for (int i = 0; i < v->count; i++)
        ADZE_TRY(take(v, i, err));
    return ADZE_OK;
}

static adze_status run_model(adze_peer_values *v, const adze_model *model,
                             const adze_onnx_model *onnx, const adze_tensor *inputs, int threads,
                             adze_error *err)
{
    const adze_graph *g = adze_model_graph(model);
    const ort_api *api = v->peer->api;
    void *session = NULL;
    ADZE_TRY(list_names(v, &onnx->graph, err));
    void **handles = ADZE_ARENA_ARRAY(&v->arena, void *, (size_t)g->input_count + 1);
    if (!handles)
        return adze_fail(err, ADZE_NO_MEMORY, "inputs");
    adze_status status = open_session(&session, v, onnx, adze_model_path(model), threads, err);
    if (status == ADZE_OK)
        status = run_session(v, session, g, inputs, handles, err);
    for (int i = 0; i < g->input_count; i++)
        if (handles[i])
            api->release_value(handles[i]);
    if (session)
        api->release_session(session);
    return status;
}

adze_status adze_peer_run(adze_peer_values **out, adze_peer *peer, const adze_model *model,
                          const adze_tensor *inputs, int threads, adze_error *err)
{
    adze_onnx_model *onnx = NULL;
    if (!adze_model_path(model)[0] || strcmp(adze_model_format(model), "ONNX") != 0)
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "only a model from an ONNX file can be run by ONNX Runtime");
    adze_peer_values *v = adze_alloc(1, sizeof *v);
    if (!v)
        return adze_fail(err, ADZE_NO_MEMORY, "values");
    v->peer = peer;
    adze_status status = adze_onnx_read(&onnx, adze_model_path(model), &v->arena, err);
    if (status == ADZE_OK)
        status = run_model(v, model, onnx, inputs, threads, err);
    if (onnx)
        adze_onnx_close(onnx);
    if (status != ADZE_OK)
        adze_peer_values_free(&v);
    else
        *out = v;
    return status;
}

void adze_peer_values_free(adze_peer_values **values)
{
    if (!values || !*values)
        return;
    adze_peer_values *v = *values;
    for (int i = 0; v->handles && i < v->count; i++)
        if (v->handles[i])
            v->peer->api->release_value(v->handles[i]);
    adze_arena_free(&v->arena);
    adze_free(v);
    *values = NULL;
}

const adze_tensor *adze_peer_value(const adze_peer_values *values, const char *name)
{
    const char **found = values->count > 0 ? bsearch(&name, values->names, (size_t)values->count,
                                                     sizeof *values->names, by_name)
                                           : NULL;
    const adze_tensor *t = found ? &values->tensors[found - values->names] : NULL;
    return t && t->dtype != ADZE_UNDEFINED ? t : NULL;
}
