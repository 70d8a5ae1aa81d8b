/* Operators over strings. Results that are parts of their inputs point into them; new bytes are memory of
 * the output, which lives until it is written again (docs/runtime.md, Strings). */
#include <string.h>

#include "ops/helpers.h"
#include "ops/letter_case.h"

static adze_status need_strings(adze_infer *infer, int count, adze_error *err)
{
    for (int i = 0; i < count; i++) {
        const adze_type *x = adze_infer_input(infer, i);
        if (x && x->dtype != ADZE_STRING && x->dtype != ADZE_UNDEFINED)
            return adze_ops_bad(adze_infer_node(infer), err, "inputs must be strings");
    }
    return ADZE_OK;
}

static adze_status no_memory(const adze_run *run, adze_error *err)
{
    return adze_fail(err, ADZE_NO_MEMORY, "%s '%s'", adze_node_op(run->node),
                     adze_node_name(run->node));
}

static bool same_string(const adze_string *a, const adze_string *b)
{
    return a->length == b->length && (a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

/* ---- StringConcat ---- */

static adze_status concat_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(need_strings(infer, 2, err));
    return adze_ops_infer_broadcast(infer, err);
}

typedef struct concat_job {
    adze_broadcast b;
    const adze_string *x[2];
    adze_string *y;
    char *bytes; /* NULL: lengths only */
    size_t used;
    bool too_large;
} concat_job;

static void concat_row(void *user, int64_t n, const int64_t *from, int64_t to)
{
    concat_job *job = user;
    const adze_string *a = job->x[0] + from[0], *b = job->x[1] + from[1];
    for (int64_t i = 0; i < n; i++) {
        adze_string *y = &job->y[to + i];
        y->length = a->length + b->length;
        if (job->bytes) {
            y->data = job->bytes + job->used;
            memcpy(job->bytes + job->used, a->length ? a->data : "", a->length);
            memcpy(job->bytes + job->used + a->length, b->length ? b->data : "", b->length);
        }
        job->too_large |= !adze_add_size(&job->used, job->used, y->length);
        a += adze_ops_step(&job->b, 0);
        b += adze_ops_step(&job->b, 1);
    }
}

static adze_status concat_run(adze_run *run, adze_error *err)
{
    adze_tensor *y = run->outputs[0];
    concat_job job = {.x = {run->inputs[0]->data, run->inputs[1]->data}, .y = y->data};
    ADZE_TRY(adze_ops_broadcast(&job.b, run, y, 2, run->inputs, err));
    adze_ops_broadcast_range(&job.b, 0, job.b.total, concat_row, &job);
    char *bytes = job.too_large ? NULL : adze_run_alloc(run, 0, job.used + 1);
    if (!bytes)
        return no_memory(run, err);
    job.bytes = bytes;
    job.used = 0;
    adze_ops_broadcast_range(&job.b, 0, job.b.total, concat_row, &job);
    return ADZE_OK;
}

/* ---- StringSplit ---- */

static adze_status split_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(need_strings(infer, 1, err));
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (!x)
        return ADZE_OK;
    if (x->rank == ADZE_MAX_RANK)
        return adze_ops_bad(adze_infer_node(infer), err, "the input has too many axes");
    adze_dim dims[ADZE_MAX_RANK];
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank] = adze_infer_unknown(infer, INT32_MAX);
    adze_infer_set_tensor(infer, 0, ADZE_STRING, x->rank + 1, dims);
    if (adze_infer_output_count(infer) > 1)
        adze_infer_set_tensor(infer, 1, ADZE_I64, x->rank, x->dims);
    return ADZE_OK;
}

typedef struct splitter {
    const char *delimiter;
    size_t length; /* 0: white space */
    int64_t most;  /* pieces; 0: any number */
} splitter;

static size_t find(const adze_string *s, size_t from, const splitter *how)
{
    for (size_t i = from; i + how->length <= s->length; i++)
        if (memcmp(s->data + i, how->delimiter, how->length) == 0)
            return i;
    return s->length;
}

static size_t skip_space(const adze_string *s, size_t at)
{
    for (size_t n; (n = adze_utf8_space(s->data + at, s->length - at)) > 0; at += n)
        ;
    return at;
}

static size_t skip_word(const adze_string *s, size_t at)
{
    while (at < s->length && adze_utf8_space(s->data + at, s->length - at) == 0)
        at++;
    return at;
}

/* Pieces of a string as Python's str.split cuts them; to out unless it is NULL. */
static int64_t split(const adze_string *s, const splitter *how, adze_string *out)
{
    int64_t count = 0;
    size_t at = how->length ? 0 : skip_space(s, 0);
    while (how->length || at < s->length) {
        bool rest = how->most && count == how->most - 1;
        size_t end = rest ? s->length : how->length ? find(s, at, how) : skip_word(s, at);
        if (out)
            out[count] = (adze_string){s->length ? s->data + at : "", end - at};
        count++;
        if (end == s->length)
            break;
        at = how->length ? end + how->length : skip_space(s, end);
    }
    return count;
}

static adze_status split_run(adze_run *run, adze_error *err)
{
    const adze_tensor *x = run->inputs[0];
    const adze_string *s = x->data;
    const char *delimiter = adze_node_string(run->node, "delimiter", "");
    int64_t cuts = adze_node_int(run->node, "maxsplit", -1);
    splitter how = {delimiter, strlen(delimiter), cuts < 0 || cuts == INT64_MAX ? 0 : cuts + 1};
    int64_t n = adze_tensor_elements(x), most = 0, dims[ADZE_MAX_RANK];
    adze_tensor *counts = adze_ops_output(run, 1);
    for (int64_t i = 0; i < n; i++) {
        int64_t count = split(&s[i], &how, NULL);
        most = ADZE_MAX(most, count);
        if (counts)
            ((int64_t *)counts->data)[i] = count;
    }
    memcpy(dims, x->dims, sizeof dims);
    dims[x->rank] = most;
    ADZE_TRY(adze_run_resize(run, 0, ADZE_STRING, x->rank + 1, dims, err));
    adze_string *y = run->outputs[0]->data;
    for (int64_t i = 0; i < n; i++, y += most)
        for (int64_t k = split(&s[i], &how, y); k < most; k++)
            y[k] = (adze_string){"", 0};
    return ADZE_OK;
}

/* ---- StringNormalizer ---- */

static adze_status normalizer_infer(adze_infer *infer, adze_error *err)
{
    ADZE_TRY(need_strings(infer, 1, err));
    const adze_type *x = adze_ops_ranked(infer, 0);
    if (!x)
        return ADZE_OK;
    bool ok = x->rank == 1 || (x->rank == 2 && (x->dims[0] < 0 || x->dims[0] == 1));
    if (!ok)
        return adze_ops_bad(adze_infer_node(infer), err, "the input must be [C] or [1, C]");
    adze_dim dims[2] = {1, 1};
    dims[x->rank - 1] = adze_infer_unknown(infer, INT32_MAX);
    adze_infer_set_tensor(infer, 0, ADZE_STRING, x->rank, dims);
    return ADZE_OK;
}

static const char *const case_actions[] = {"NONE", "LOWER", "UPPER", NULL};

static adze_status normalizer_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    if (adze_ops_choice(case_actions, adze_node_string(node, "case_change_action", "NONE")) < 0)
        return adze_ops_bad(node, err, "case_change_action must be NONE, LOWER or UPPER");
    return ADZE_OK;
}

/* The strings in another case, in memory of output 0; NULL: there is none. */
static const adze_string *change_case(adze_run *run, const adze_string *s, int64_t n, bool upper)
{
    size_t total = 0;
    for (int64_t i = 0; i < n; i++)
        if (s[i].length > SIZE_MAX / 8 || !adze_add_size(&total, total, s[i].length))
            return NULL;
    adze_string *out = adze_run_alloc(run, 0, ((size_t)n + 1) * sizeof *out);
    char *bytes = adze_run_alloc(run, 0, total * ADZE_LETTER_GROWTH + 1);
    if (!out || !bytes)
        return NULL;
    for (int64_t i = 0; i < n; i++) {
        out[i] = (adze_string){bytes, adze_letter_case(s[i].data, s[i].length, upper, bytes)};
        bytes += out[i].length;
    }
    return out;
}

static bool is_listed(const adze_string *s, const adze_string *list, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (same_string(s, &list[i]))
            return true;
    return false;
}

static adze_status normalizer_run(adze_run *run, adze_error *err)
{
    const adze_node *node = run->node;
    const adze_tensor *x = run->inputs[0];
    int action =
        adze_ops_choice(case_actions, adze_node_string(node, "case_change_action", "NONE"));
    const adze_attr *attr = adze_node_attr(node, "stopwords");
    const adze_string *s = x->data, *compared = s, *changed = s, *stop = NULL;
    int64_t n = adze_tensor_elements(x), stops = 0, kept = 0;
    if (x->rank == 2 && x->dims[0] != 1)
        return adze_ops_bad(node, err, "the input must be [C] or [1, C]");
    if (attr && attr->type == ADZE_ATTR_STRINGS) {
        stop = attr->as.strings;
        stops = attr->count;
    }
    if (stops > 0 && !adze_node_int(node, "is_case_sensitive", 0)) {
        compared = change_case(run, s, n, false);
        stop = change_case(run, stop, stops, false);
    }
    if (action > 0)
        changed = change_case(run, s, n, action == 2);
    if (!compared || !changed || (stops && !stop))
        return no_memory(run, err);
    for (int64_t i = 0; i < n; i++)
        kept += !is_listed(&compared[i], stop, stops);
    int64_t dims[2] = {1, 1};
    dims[x->rank - 1] = ADZE_MAX(kept, 1);
    ADZE_TRY(adze_run_resize(run, 0, ADZE_STRING, x->rank, dims, err));
    adze_string *y = run->outputs[0]->data;
    *y = (adze_string){"", 0}; /* what nothing becomes */
    for (int64_t i = 0; i < n; i++)
        if (!is_listed(&compared[i], stop, stops))
            *y++ = changed[i];
    return ADZE_OK;
}

const adze_op adze_ops_strings[] = {
    {.name = "StringConcat",
     .domain = "",
     .since = 20,
     .min_inputs = 2,
     .max_inputs = 2,
     .min_outputs = 1,
     .max_outputs = 1,
     .attrs = "",
     .infer = concat_infer,
     .cost = adze_ops_cost_move,
     .run = concat_run},
    {.name = "StringSplit",
     .domain = "",
     .since = 20,
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = 2,
     .flags = ADZE_OP_DATA_SIZED,
     .attrs = "delimiter maxsplit",
     .infer = split_infer,
     .cost = adze_ops_cost_move,
     .run = split_run},
    {.name = "StringNormalizer",
     .domain = "",
     .since = 10,
     .min_inputs = 1,
     .max_inputs = 1,
     .min_outputs = 1,
     .max_outputs = 1,
     .flags = ADZE_OP_DATA_SIZED,
     .attrs = "case_change_action is_case_sensitive locale stopwords",
     .infer = normalizer_infer,
     .cost = adze_ops_cost_move,
     .prepare = normalizer_prepare,
     .run = normalizer_run},
    {.name = NULL},
};
