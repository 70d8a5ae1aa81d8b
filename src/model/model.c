/* Opening, closing, shaping and saving models; the format is known by content (reading) or by extension
 * (writing). */
#include <string.h>

#include "base/text.h"
#include "formats/onnx.h"
#include "model/model_impl.h"
#include "model/onnx_import.h"

static void add_domains(adze_model *model, const adze_onnx_opset *opsets, int count)
{
    for (int i = 0; i < count; i++) {
        const char *name = strcmp(opsets[i].domain, "ai.onnx") == 0 ? "" : opsets[i].domain;
        int at = 0;
        while (at < model->domain_count && strcmp(model->domains[at].domain, name) != 0)
            at++;
        if (at == model->domain_count)
            model->domains[model->domain_count++] = (adze_onnx_opset){name, 1};
        model->domains[at].version = ADZE_MAX(model->domains[at].version, opsets[i].version);
    }
}

/* Versions of the domains, those that functions ask for too. */
static bool take_domains(adze_model *model, const adze_onnx_model *onnx)
{
    size_t most = (size_t)onnx->opset_count;
    for (int i = 0; i < onnx->function_count; i++)
        most += (size_t)onnx->functions[i].opset_count;
    model->domains = ADZE_ARENA_ARRAY(&model->arena, adze_onnx_opset, most + 1);
    if (!model->domains)
        return false;
    add_domains(model, onnx->opsets, onnx->opset_count);
    for (int i = 0; i < onnx->function_count; i++)
        add_domains(model, onnx->functions[i].opsets, onnx->functions[i].opset_count);
    return true;
}

/* Takes what it needs from `onnx` and closes it. */
static adze_status take_onnx(adze_model *model, adze_context *context, adze_onnx_model *onnx,
                             adze_error *err)
{
    adze_status status = adze_graph_create(&model->graph, context, err);
    if (status == ADZE_OK)
        status = adze_onnx_to_graph(model->graph, onnx, err);
    model->ir_version = onnx->ir_version;
    model->producer = onnx->producer_name;
    model->meta = onnx->meta;
    model->meta_count = onnx->meta_count;
    for (int i = 0; i < onnx->opset_count; i++)
        if (!*onnx->opsets[i].domain || strcmp(onnx->opsets[i].domain, "ai.onnx") == 0)
            model->opset = onnx->opsets[i].version;
    bool kept = take_domains(model, onnx);
    for (int i = 0; i < onnx->mapping_count; i++)
        model->file_size += (int64_t)adze_mapping_size(onnx->mappings[i]);
    adze_onnx_close(onnx);
    return status == ADZE_OK && !kept ? adze_fail(err, ADZE_NO_MEMORY, "model") : status;
}

static adze_status finish(adze_model *model, adze_error *err)
{
    ADZE_TRY(adze_graph_infer(model->graph, err));
    return adze_model_find_issues(model, err);
}

static adze_status fill(adze_model *model, adze_context *context, const char *path, adze_error *err)
{
    if (!adze_file_exists(path))
        return adze_fail(err, ADZE_NOT_FOUND, "%s: no such file", path);
    if (adze_file_is_folder(path))
        return adze_fail(err, ADZE_BAD_FILE, "%s: a folder, expected a model file", path);
    model->path = adze_arena_strdup(&model->arena, path);
    if (!model->path)
        return adze_fail(err, ADZE_NO_MEMORY, "%s", path);
    adze_onnx_model *onnx;
    ADZE_TRY(adze_onnx_read(&onnx, path, &model->arena, err));
    ADZE_TRY(take_onnx(model, context, onnx, err));
    adze_status status = finish(model, err);
    return status == ADZE_OK ? status : adze_wrap(err, status, "%s", path);
}

adze_status adze_model_open(adze_model **out, adze_context *context, const char *path,
                            adze_error *err)
{
    adze_model *model = adze_alloc(1, sizeof *model);
    if (!model)
        return adze_fail(err, ADZE_NO_MEMORY, "%s", path);
    model->path = model->producer = "";
    adze_status status = fill(model, context, path, err);
    if (status != ADZE_OK)
        adze_model_close(&model);
    else
        *out = model;
    return status;
}

adze_status adze_model_open_bytes(adze_model **out, adze_context *context, const void *bytes,
                                  size_t size, adze_error *err)
{
    adze_model *model = adze_alloc(1, sizeof *model);
    adze_onnx_model *onnx;
    if (!model)
        return adze_fail(err, ADZE_NO_MEMORY, "model");
    model->path = model->producer = "";
    adze_status status = adze_onnx_parse(&onnx, bytes, size, NULL, &model->arena, err);
    if (status == ADZE_OK)
        status = take_onnx(model, context, onnx, err);
    if (status == ADZE_OK)
        status = finish(model, err);
    if (status != ADZE_OK)
        adze_model_close(&model);
    else
        *out = model;
    return status;
}

void adze_model_close(adze_model **model)
{
    if (!model || !*model)
        return;
    adze_graph_free(&(*model)->graph);
    adze_arena_free(&(*model)->arena);
    adze_free(*model);
    *model = NULL;
}

static bool copy_domains(adze_model *model, const adze_model *like)
{
    const size_t count = like ? (size_t)like->domain_count : 0;
    model->domains = ADZE_ARENA_ARRAY(&model->arena, adze_onnx_opset, count + 1);
    for (size_t i = 0; i < count && model->domains; i++) {
        const char *name = adze_arena_strdup(&model->arena, like->domains[i].domain);
        if (!name)
            return false;
        model->domains[model->domain_count++] = (adze_onnx_opset){name, like->domains[i].version};
    }
    return model->domains != NULL;
}

static bool copy_meta(adze_model *model, const adze_model *like)
{
    model->meta_count = like ? like->meta_count : 0;
    model->meta = ADZE_ARENA_ARRAY(&model->arena, adze_onnx_meta, (size_t)model->meta_count + 1);
    for (int i = 0; model->meta && i < model->meta_count; i++) {
        model->meta[i].key = adze_arena_strdup(&model->arena, like->meta[i].key);
        model->meta[i].value = adze_arena_strdup(&model->arena, like->meta[i].value);
        if (!model->meta[i].key || !model->meta[i].value)
            return false;
    }
    return model->meta != NULL;
}

adze_status adze_model_from_graph(adze_model **out, adze_graph **graph, const adze_model *like,
                                  adze_error *err)
{
    adze_model *model = adze_alloc(1, sizeof *model);
    if (!model) {
        adze_graph_free(graph);
        return adze_fail(err, ADZE_NO_MEMORY, "model");
    }
    model->graph = *graph;
    *graph = NULL;
    model->path = "";
    model->producer = adze_arena_strdup(&model->arena, like ? like->producer : "adze");
    model->opset = like ? like->opset : 0;
    model->ir_version = like ? like->ir_version : 0;
    adze_status status = model->producer && copy_meta(model, like) && copy_domains(model, like)
                             ? adze_graph_infer(model->graph, err)
                             : adze_fail(err, ADZE_NO_MEMORY, "model");
    if (status != ADZE_OK)
        adze_model_close(&model);
    else
        *out = model;
    return status;
}

adze_graph *adze_model_graph(const adze_model *model)
{
    return model->graph;
}

const char *adze_model_path(const adze_model *model)
{
    return model->path;
}

const char *adze_model_format(const adze_model *model)
{
    ADZE_UNUSED(model);
    return "ONNX";
}

const char *adze_model_producer(const adze_model *model)
{
    return model->producer;
}

const char *adze_model_metadata(const adze_model *model, const char *key)
{
    for (int i = 0; i < model->meta_count; i++)
        if (strcmp(model->meta[i].key, key) == 0)
            return model->meta[i].value;
    return NULL;
}

int64_t adze_model_opset(const adze_model *model)
{
    return model->opset;
}

int64_t adze_model_ir_version(const adze_model *model)
{
    return model->ir_version;
}

int64_t adze_model_file_size(const adze_model *model)
{
    return model->file_size;
}

/* ---- shapes and bounds from the command line ---- */

static adze_value *named_input(const adze_model *model, const char *name, size_t length,
                               adze_error *err)
{
    const adze_graph *g = model->graph;
    if (!name && g->input_count == 1)
        return g->inputs[0];
    for (int i = 0; name && i < g->input_count; i++)
        if (strlen(g->inputs[i]->name) == length && memcmp(g->inputs[i]->name, name, length) == 0)
            return g->inputs[i];
    adze_text names = {0};
    for (int i = 0; i < g->input_count; i++)
        adze_text_printf(&names, "%s'%s'", i ? ", " : "", g->inputs[i]->name);
    adze_fail(err, ADZE_BAD_ARGUMENT, "no input is called '%.*s'; the model has %s",
              name ? (int)length : 0, name ? name : "", adze_text_get(&names));
    adze_text_free(&names);
    return NULL;
}

static adze_status parse_dim(adze_model *model, const adze_type *type, int i, const char *word,
                             adze_dim *out, adze_error *err)
{
    int64_t number = 0;
    if (adze_parse_i64(word, &number) && number >= 0) {
        if (type->rank > i && type->dims[i] >= 0 && type->dims[i] != number)
            return adze_fail(err, ADZE_BAD_ARGUMENT,
                             "dimension %d is %lld in the model and cannot become %s", i,
                             (long long)type->dims[i], word);
        *out = number;
        return ADZE_OK;
    }
    if (number < 0)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "dimension %s; expected a number from 0 or a name",
                         word);
    if (!*word)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "empty dimension; expected 1x3x224x224");
    if (strcmp(word, "?") == 0 && type->rank > i && type->dims[i] < 0)
        *out = type->dims[i];
    else
        *out = adze_graph_symbol(model->graph, word);
    return ADZE_OK;
}

static void substitute(adze_graph *graph, adze_dim from, adze_dim to)
{
    for (int i = 0; i < graph->input_count; i++)
        for (int d = 0; d < graph->inputs[i]->type.rank; d++)
            if (graph->inputs[i]->type.dims[d] == from)
                graph->inputs[i]->type.dims[d] = to;
}

/* What was inferred (or declared) before may contradict the new shapes. */
static adze_status infer_afresh(adze_model *model, adze_error *err)
{
    const adze_graph *g = model->graph;
    for (int i = 0; i < g->value_count; i++)
        if (g->values[i]->role == ADZE_ROLE_COMPUTED && g->values[i]->producer &&
            g->values[i]->producer->op && g->values[i]->type.kind == ADZE_VALUE_TENSOR)
            g->values[i]->type.rank = -1;
    ADZE_TRY(adze_graph_infer(model->graph, err));
    return adze_model_find_issues(model, err);
}

adze_status adze_model_set_shape(adze_model *model, const char *text, adze_error *err)
{
    const char *equals = strrchr(text, '=');
    adze_value *input =
        named_input(model, equals ? text : NULL, equals ? (size_t)(equals - text) : 0, err);
    if (!input)
        return ADZE_BAD_ARGUMENT;
    const char *at = equals ? equals + 1 : text;
    int rank = 0;
    adze_dim dims[ADZE_MAX_RANK];
    while (true) {
        char word[64];
        size_t n = strcspn(at, "x,");
        if (rank == ADZE_MAX_RANK || n >= sizeof word)
            return adze_fail(err, ADZE_BAD_ARGUMENT, "shape '%s': expected NAME=1x3x224x224", text);
        memcpy(word, at, n);
        word[n] = 0;
        ADZE_TRY(parse_dim(model, &input->type, rank, word, &dims[rank], err));
        rank++;
        if (!at[n])
            break;
        at += n + 1;
    }
    if (input->type.rank >= 0 && input->type.rank != rank)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "shape '%s': input '%s' has %d dimensions", text,
                         input->name, input->type.rank);
    for (int i = 0; i < rank; i++)
        if (input->type.rank == rank && input->type.dims[i] < 0)
            substitute(model->graph, input->type.dims[i], dims[i]);
    input->type.rank = rank;
    memcpy(input->type.dims, dims, sizeof dims[0] * (size_t)rank);
    return infer_afresh(model, err);
}

adze_status adze_model_set_bound(adze_model *model, const char *text, adze_error *err)
{
    char name[128], first[32], *dots;
    const char *equals = strrchr(text, '=');
    int64_t lower = 1, upper;
    if (!equals || (size_t)(equals - text) >= sizeof name || strlen(equals + 1) >= sizeof first)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "bound '%s': expected N=512 or N=1..512", text);
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = 0;
    memcpy(first, equals + 1, strlen(equals + 1) + 1);
    dots = strstr(first, "..");
    if (dots)
        *dots = 0;
    bool ok = dots ? adze_parse_i64(first, &lower) && adze_parse_i64(dots + 2, &upper)
                   : adze_parse_i64(first, &upper);
    if (!ok || lower < 0 || upper < lower)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "bound '%s': expected N=512 or N=1..512", text);
    return adze_graph_bound(model->graph, name, lower, upper, err);
}

/* ---- saving ---- */

adze_status adze_model_save(const adze_model *model, const char *path,
                            const adze_save_options *options, adze_error *err)
{
    adze_save_options defaults = {0};
    if (!adze_ends_with(path, ".onnx"))
        return adze_fail(err, ADZE_UNSUPPORTED,
                         "%s: unknown extension; models are written as .onnx", path);
    return adze_onnx_save(model, path, options ? options : &defaults, err);
}
