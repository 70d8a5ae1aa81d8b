/* The plan of a quantization: which type every tensor gets, what its file looks like, whether all of it can be
 * done, and how the work is cut up to stay within the memory. */
#include <stdlib.h>
#include <string.h>

#include "compress/llm_stream_impl.h"

enum { PIECE_ELEMENTS = 1 << 16, SLAB_BYTES = 16 << 20, DEFAULT_RAM = 250000000 };

adze_llm_quantize_options adze_llm_quantize_options_default(void)
{
    return (adze_llm_quantize_options){.max_ram = 0};
}

/* ---- types ---- */

static adze_status type_of(adze_dtype *out, const char *what, const char *name, adze_error *err)
{
    *out = name ? adze_llm_type_find(name) : ADZE_UNDEFINED;
    if (name && *out == ADZE_UNDEFINED)
        return adze_fail(err, ADZE_BAD_ARGUMENT,
                         "%s: no type is called '%s'; expected one as q4_K, q8_0, f16", what, name);
    return ADZE_OK;
}

static adze_status file_of(adze_llm_quantization *q, adze_error *err)
{
    char known[512] = "";
    const char *name = q->options.type ? q->options.type : "";
    q->file = adze_llm_file_find(name);
    if (q->file < ADZE_LLM_FILE_COUNT || strcmp(name, "COPY") == 0)
        return ADZE_OK;
    for (int i = 0; i < ADZE_LLM_FILE_COUNT; i++) {
        strncat(known, " ", sizeof known - strlen(known) - 1);
        strncat(known, adze_llm_files[i].name, sizeof known - strlen(known) - 1);
    }
    return adze_fail(err, ADZE_BAD_ARGUMENT, "type: no mix is called '%s'; there are%s COPY", name,
                     known);
}

/* "<architecture>.<name>", the first element where layers differ. */
static int64_t hyper(const adze_gguf_meta *meta, const char *architecture, const char *name,
                     int64_t otherwise)
{
    adze_arena arena = {0};
    const char *key = adze_arena_printf(&arena, "%s.%s", architecture, name);
    const adze_gguf_entry *entry = key ? adze_gguf_find(meta, key) : NULL;
    bool numbers = entry && entry->type == ADZE_GGUF_ARRAY && entry->count > 0 &&
                   entry->element != ADZE_GGUF_STRING && entry->element != ADZE_GGUF_ARRAY;
    int64_t value = numbers ? adze_gguf_int_at(entry, 0)
                    : key   ? adze_gguf_int(meta, key, otherwise)
                            : otherwise;
    adze_arena_free(&arena);
    return value;
}

static adze_status describe_mix(adze_llm_mix *mix, const adze_llm_quantization *q, adze_error *err)
{
    const adze_gguf_meta *meta = adze_checkpoint_meta(q->checkpoint);
    const char *architecture = adze_gguf_string(meta, "general.architecture", "");
    int64_t heads = hyper(meta, architecture, "attention.head_count", 0);
    *mix = (adze_llm_mix){
        .file = q->file < ADZE_LLM_FILE_COUNT ? q->file : ADZE_LLM_FILE_F32,
        .copy = q->file == ADZE_LLM_FILE_COUNT,
        .overrides = q->options.tensor_types,
        .override_count = q->options.tensor_type_count,
        .pure = q->options.pure,
        .leave_output = q->options.leave_output,
        .matrix = q->imatrix != NULL,
        .architecture = architecture,
        .layers = hyper(meta, architecture, "block_count", 0),
        .heads = heads,
        .kv_heads = hyper(meta, architecture, "attention.head_count_kv", heads),
        .experts = hyper(meta, architecture, "expert_count", 0),
    };
    ADZE_TRY(type_of(&mix->output, "output type", q->options.output_type, err));
    return type_of(&mix->embedding, "embedding type", q->options.embedding_type, err);
}

static adze_status choose_types(adze_llm_quantization *q, adze_error *err)
{
    adze_arena arena = {0};
    adze_llm_mix mix;
    ADZE_TRY(describe_mix(&mix, q, err));
    adze_llm_mix_tensor *tensors =
        ADZE_ARENA_ARRAY(&arena, adze_llm_mix_tensor, (size_t)q->count + 1);
    for (int i = 0; tensors && i < q->count; i++) {
        const adze_checkpoint_tensor *t = q->work[i].source;
        tensors[i] = (adze_llm_mix_tensor){
            .name = t->name, .rank = t->rank, .dims = t->dims, .from = t->dtype};
    }
    adze_status status = tensors ? adze_llm_mix_choose(tensors, q->count, &mix, err)
                                 : adze_fail(err, ADZE_NO_MEMORY, "no memory to choose types");
    for (int i = 0; i < q->count && status == ADZE_OK; i++) {
        adze_llm_tensor_report *report = &q->work[i].report;
        report->to = tensors[i].to;
        report->fallback = tensors[i].fallback;
        report->needs_matrix = tensors[i].needs_matrix;
    }
    adze_arena_free(&arena);
    return status;
}

/* ---- tensors ---- */

static int by_order(const void *a, const void *b)
{
    return adze_llm_order(((const llm_work *)a)->report.name, ((const llm_work *)b)->report.name);
}

/* In the order in which llama-quantize writes them, so that files can be compared. */
static adze_status list_tensors(adze_llm_quantization *q, adze_error *err)
{
    q->count = adze_checkpoint_count(q->checkpoint);
    q->work = ADZE_ARENA_ARRAY(&q->arena, llm_work, (size_t)q->count + 1);
    if (!q->work)
        return adze_fail(err, ADZE_NO_MEMORY, "no memory for %d tensors", q->count);
    for (int i = 0; i < q->count; i++) {
        const adze_checkpoint_tensor *t = adze_checkpoint_tensor_at(q->checkpoint, i);
        llm_work *work = &q->work[i];
        work->source = t;
        work->width = t->rank > 0 ? ADZE_MAX(t->dims[t->rank - 1], (int64_t)1) : 1;
        work->slice_rows = t->rank > 1 ? ADZE_MAX(t->dims[t->rank - 2], (int64_t)1) : 1;
        work->report = (adze_llm_tensor_report){
            .name = t->name, .from = t->dtype, .rank = t->rank, .error = -1};
        memcpy(work->report.dims, t->dims, sizeof work->report.dims);
        work->report.bytes_before = (uint64_t)t->rows * t->row_bytes;
        q->bytes_before += work->report.bytes_before;
    }
    qsort(q->work, (size_t)q->count, sizeof *q->work, by_order);
    return ADZE_OK;
}

/* Tied and other embeddings often have an entry of another size, which llama.cpp passes over too. */
static adze_status match_matrix(const adze_llm_quantization *q, llm_work *work, adze_error *err)
{
    const char *name = work->report.name;
    const adze_imatrix_entry *entry = q->imatrix ? adze_imatrix_find(q->imatrix, name) : NULL;
    int64_t slices = ADZE_MAX(work->source->rows / work->slice_rows, (int64_t)1);
    if (!entry || work->report.to == work->report.from)
        return ADZE_OK;
    if (entry->width * entry->experts == work->width * slices)
        work->matrix = entry;
    else if (strcmp(name, "token_embd.weight") != 0 &&
             strcmp(name, "per_layer_token_embd.weight") != 0)
        return adze_fail(
            err, ADZE_BAD_DATA,
            "%s: the importance matrix has %lld columns for %s, the tensor %lld; it is "
            "of another model",
            q->options.imatrix, (long long)(entry->width * entry->experts), name,
            (long long)(work->width * slices));
    work->report.has_matrix = work->matrix != NULL;
    return ADZE_OK;
}

/* All that cannot be done, at once. */
static adze_status check_types(const adze_llm_quantization *q, adze_error *err)
{
    const adze_block_codec *codecs = q->context->kernels->blocks.codec;
    const llm_work *again = NULL;
    int repeated = 0;
    for (int i = 0; i < q->count; i++) {
        const llm_work *work = &q->work[i];
        adze_dtype from = work->report.from, to = work->report.to;
        if (from == to)
            continue;
        if (!codecs[from].decode || !codecs[to].encode)
            return adze_fail(err, ADZE_UNSUPPORTED, "%s: %s cannot be %s; choose another type",
                             work->report.name, adze_llm_type_name(codecs[from].decode ? to : from),
                             codecs[from].decode ? "encoded" : "decoded");
        if (adze_dtype_describe(from)->kind == ADZE_KIND_BLOCK && repeated++ == 0)
            again = work;
    }
    if (repeated == 0 || q->options.allow_requantize)
        return ADZE_OK;
    return adze_fail(err, ADZE_BAD_ARGUMENT,
                     "%s: %s and %d more tensors are quantized already (%s): quantizing again "
                     "adds to their error; take the original in 16 bits, or --allow-requantize",
                     adze_checkpoint_path(q->checkpoint), again->report.name, repeated - 1,
                     adze_llm_type_name(again->report.from));
}

static adze_status prepare_tensors(adze_llm_quantization *q, adze_error *err)
{
    const adze_block_codec *codecs = q->context->kernels->blocks.codec;
    ADZE_TRY(choose_types(q, err));
    ADZE_TRY(check_types(q, err));
    for (int i = 0; i < q->count; i++) {
        llm_work *work = &q->work[i];
        ADZE_TRY(match_matrix(q, work, err));
        work->report.needs_matrix |=
            work->report.to != work->report.from && codecs[work->report.to].needs_importance;
        work->row_bytes = adze_dtype_bytes(work->report.to, work->width);
        work->report.bytes = (uint64_t)work->source->rows * work->row_bytes;
    }
    return ADZE_OK;
}

/* ---- the file ---- */

/* The keys that llama-quantize writes. */
static bool note_matrix(adze_gguf_meta *meta, const adze_llm_quantization *q)
{
    const adze_imatrix *m = q->imatrix;
    const char *path = q->options.imatrix;
    int64_t chunks = m ? adze_imatrix_chunks(m) : 0;
    if (!m)
        return true;
    return adze_gguf_set_string(meta, "quantize.imatrix.file", path, strlen(path)) &&
           (m->dataset_count == 0 ||
            adze_gguf_set_string(meta, "quantize.imatrix.dataset", m->datasets[0].data,
                                 m->datasets[0].length)) &&
           adze_gguf_set_int(meta, "quantize.imatrix.entries_count", ADZE_GGUF_U32, m->count) &&
           (chunks == 0 ||
            adze_gguf_set_int(meta, "quantize.imatrix.chunks_count", ADZE_GGUF_U32, chunks));
}

static bool fill_meta(adze_gguf_meta *meta, const adze_llm_quantization *q)
{
    const adze_gguf_meta *from = adze_checkpoint_meta(q->checkpoint);
    for (int i = 0; i < from->count; i++)
        if (!adze_gguf_copy_entry(meta, &from->entries[i]))
            return false;
    if (q->file == ADZE_LLM_FILE_COUNT)
        return true;
    adze_gguf_remove(meta, "general.quantization_version");
    adze_gguf_remove(meta, "general.file_type");
    return adze_gguf_set_int(meta, "general.quantization_version", ADZE_GGUF_U32, 2) &&
           adze_gguf_set_int(meta, "general.file_type", ADZE_GGUF_U32,
                             adze_llm_files[q->file].number) &&
           note_matrix(meta, q);
}

static adze_status lay_out(adze_llm_quantization *q, adze_arena *arena, adze_error *err)
{
    adze_gguf_meta meta;
    adze_gguf_meta_init(&meta, arena);
    adze_gguf_plan *plans = ADZE_ARENA_ARRAY(arena, adze_gguf_plan, (size_t)q->count + 1);
    if (!plans || !fill_meta(&meta, q))
        return adze_fail(err, ADZE_NO_MEMORY, "no memory for the metadata");
    for (int i = 0; i < q->count; i++) {
        const adze_llm_tensor_report *t = &q->work[i].report;
        plans[i] = (adze_gguf_plan){.name = t->name, .dtype = t->to, .rank = t->rank};
        memcpy(plans[i].dims, t->dims, sizeof plans[i].dims);
    }
    ADZE_TRY(adze_gguf_layout(&q->header, &q->header_size, &q->bytes, &meta, plans, q->count, err));
    for (int i = 0; i < q->count; i++)
        q->work[i].offset = q->header_size + plans[i].offset;
    return ADZE_OK;
}

/* ---- memory ---- */

static size_t tables_size(const adze_llm_quantization *q)
{
    bool seen[ADZE_DTYPE_COUNT] = {0};
    size_t size = 0;
    for (int i = 0; i < q->count; i++) {
        adze_dtype to = q->work[i].report.to;
        if (to != q->work[i].report.from && !seen[to])
            size += q->context->kernels->blocks.codec[to].tables_size;
        seen[to] |= to != q->work[i].report.from;
    }
    return size;
}

/* Buffers that hold a piece of any tensor. */
static void size_buffers(llm_cut *cut, const adze_llm_quantization *q)
{
    cut->in_size = cut->float_size = cut->out_size = 0;
    for (int i = 0; i < q->count; i++) {
        const llm_work *work = &q->work[i];
        int64_t rows = ADZE_MIN(llm_piece_rows(cut, work), ADZE_MAX(work->source->rows, 1));
        size_t in = work->source->mapped ? 0 : (size_t)rows * work->source->row_bytes;
        size_t floats = (size_t)(rows + 1) * (size_t)work->width * sizeof(float);
        cut->in_size = ADZE_MAX(cut->in_size, in);
        cut->float_size = ADZE_MAX(cut->float_size, floats);
        cut->out_size = ADZE_MAX(cut->out_size, (size_t)rows * work->row_bytes);
    }
}

/* Bytes of the largest slab: what is mapped stays until it is done. */
static uint64_t slab_memory(const llm_cut *cut, const adze_llm_quantization *q)
{
    uint64_t most = 0;
    for (int i = 0; i < q->count; i++) {
        const llm_work *work = &q->work[i];
        uint64_t piece = (uint64_t)llm_piece_rows(cut, work) * work->source->row_bytes;
        uint64_t slab = ADZE_MAX((uint64_t)cut->slab_bytes, piece * (uint64_t)cut->workers);
        most = ADZE_MAX(most, ADZE_MIN(slab, work->report.bytes_before));
    }
    return most;
}

static uint64_t memory_of(llm_cut *cut, const adze_llm_quantization *q, uint64_t base)
{
    size_buffers(cut, q);
    uint64_t buffers = cut->in_size + cut->float_size + cut->out_size;
    return base + (uint64_t)cut->workers * buffers + slab_memory(cut, q);
}

/* From generous to frugal: smaller slabs, smaller pieces, one worker. */
static adze_status cut_up(adze_llm_quantization *q, adze_error *err)
{
    enum { SLACK = 4 << 20 }; /* stacks, the C library, page tables */
    char limit[32], needed[32];
    uint64_t most = q->options.max_ram ? q->options.max_ram : DEFAULT_RAM;
    int threads = adze_context_threads(q->context);
    uint64_t matrix = 0;
    for (int i = 0; i < q->count; i++)
        if (q->work[i].matrix)
            matrix = ADZE_MAX(matrix, (uint64_t)q->work[i].matrix->width *
                                          (uint64_t)q->work[i].matrix->experts * sizeof(float));
    llm_drop_all(q);
    uint64_t base = adze_current_rss() + tables_size(q) + matrix + SLACK;
    q->cut =
        (llm_cut){.workers = threads, .piece_elements = PIECE_ELEMENTS, .slab_bytes = SLAB_BYTES};
    for (;;) {
        q->cut.memory = ADZE_MAX(memory_of(&q->cut, q, base), adze_peak_rss());
        if (q->cut.memory <= most)
            return ADZE_OK;
        if (q->cut.slab_bytes > 1 << 20)
            q->cut.slab_bytes /= 2;
        else if (q->cut.piece_elements > 1)
            q->cut.piece_elements /= 2;
        else if (q->cut.workers > 1)
            q->cut.workers = 1;
        else
            break;
    }
    return adze_fail(
        err, ADZE_LIMIT, "%s: at least %s of memory are needed, %s are allowed; raise --max-ram",
        adze_checkpoint_path(q->checkpoint), adze_format_bytes(needed, (double)q->cut.memory),
        adze_format_bytes(limit, (double)most));
}

/* ---- open and close ---- */

static bool copy_string(adze_arena *arena, const char **text)
{
    return !*text || (*text = adze_arena_strdup(arena, *text)) != NULL;
}

/* The options' strings may be gone when it runs. */
static adze_status copy_options(adze_llm_quantization *q, const adze_llm_quantize_options *options,
                                adze_error *err)
{
    adze_llm_quantize_options *own = &q->options;
    *own = *options;
    const char **texts[] = {&own->type, &own->imatrix, &own->output_type, &own->embedding_type};
    const char **types =
        ADZE_ARENA_ARRAY(&q->arena, const char *, (size_t)own->tensor_type_count + 1);
    bool fine = types != NULL;
    for (size_t i = 0; i < ADZE_COUNT_OF(texts) && fine; i++)
        fine = copy_string(&q->arena, texts[i]);
    for (int i = 0; i < own->tensor_type_count && fine; i++) {
        types[i] = options->tensor_types[i];
        fine = copy_string(&q->arena, &types[i]);
    }
    own->tensor_types = types;
    return fine ? ADZE_OK : adze_fail(err, ADZE_NO_MEMORY, "no memory for the options");
}

static adze_status plan(adze_llm_quantization *q, const char *path,
                        const adze_llm_quantize_options *options, adze_error *err)
{
    adze_arena arena = {0};
    ADZE_TRY(copy_options(q, options, err));
    ADZE_TRY(file_of(q, err));
    if (q->options.imatrix)
        ADZE_TRY(adze_imatrix_open(&q->imatrix, q->options.imatrix, err));
    ADZE_TRY(adze_checkpoint_open(&q->checkpoint, path, err));
    const char *kind = adze_gguf_string(adze_checkpoint_meta(q->checkpoint), "general.type", "");
    if (strcmp(kind, "imatrix") == 0)
        return adze_fail(err, ADZE_BAD_MODEL, "%s: expected a model, found an importance matrix",
                         path);
    ADZE_TRY(adze_checkpoint_add_tokenizer(q->checkpoint, err));
    ADZE_TRY(list_tensors(q, err));
    ADZE_TRY(prepare_tensors(q, err));
    adze_status status = lay_out(q, &arena, err);
    adze_arena_free(&arena);
    return status == ADZE_OK ? cut_up(q, err) : status;
}

adze_status adze_llm_quantization_open(adze_llm_quantization **out, adze_context *context,
                                       const char *path, const adze_llm_quantize_options *options,
                                       adze_error *err)
{
    adze_llm_quantization *q = adze_alloc(1, sizeof *q);
    if (!q)
        return adze_fail(err, ADZE_NO_MEMORY, "%s: no memory to quantize it", path);
    q->context = context;
    adze_status status = plan(q, path, options, err);
    if (status == ADZE_OK)
        *out = q;
    else
        adze_llm_quantization_close(&q);
    return status;
}

void adze_llm_quantization_close(adze_llm_quantization **quantization)
{
    adze_llm_quantization *gone = *quantization;
    *quantization = NULL;
    if (!gone)
        return;
    adze_free(gone->header);
    adze_checkpoint_close(&gone->checkpoint);
    adze_imatrix_close(&gone->imatrix);
    adze_arena_free(&gone->arena);
    adze_free(gone);
}

/* ---- what it says ---- */

int adze_llm_quantization_count(const adze_llm_quantization *q)
{
    return q->count;
}

const adze_llm_tensor_report *adze_llm_quantization_tensor(const adze_llm_quantization *q, int i)
{
    return &q->work[i].report;
}

uint64_t adze_llm_quantization_bytes(const adze_llm_quantization *q)
{
    return q->bytes;
}

uint64_t adze_llm_quantization_bytes_before(const adze_llm_quantization *q)
{
    return q->bytes_before;
}

uint64_t adze_llm_quantization_memory(const adze_llm_quantization *q)
{
    return q->cut.memory;
}

double adze_llm_quantization_resumed(const adze_llm_quantization *q)
{
    return q->resumed;
}
