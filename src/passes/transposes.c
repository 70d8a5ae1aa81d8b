/* Transpose nodes: made, merged, removed, turned into Reshape. */
#include "passes/transposes_impl.h"

#include <string.h>

const adze_perm adze_perm_to_last = {4, {0, 2, 3, 1}};
const adze_perm adze_perm_to_first = {4, {0, 3, 1, 2}};

/* ---- permutations ---- */

bool adze_perm_read(adze_perm *out, const adze_node *node)
{
    int n;
    if (!adze_rw_is(node, "Transpose") || node->inputs[0]->type.rank < 1 ||
        (!node->inputs[0]->type.quant && node->outputs[0]->type.quant))
        return false; /* the last: bytes that only mean something from here on */
    const int64_t *perm = adze_node_ints(node, "perm", &n);
    *out = (adze_perm){.rank = node->inputs[0]->type.rank};
    if (perm && n != out->rank)
        return false;
    for (int i = 0; i < out->rank; i++) {
        out->axes[i] = perm ? perm[i] : out->rank - 1 - i;
        if (out->axes[i] < 0 || out->axes[i] >= out->rank)
            return false;
    }
    return true;
}

bool adze_perm_equal(const adze_perm *a, const adze_perm *b)
{
    return a->rank == b->rank && memcmp(a->axes, b->axes, (size_t)a->rank * sizeof *a->axes) == 0;
}

adze_perm adze_perm_inverse(const adze_perm *p)
{
    adze_perm inverse = {.rank = p->rank};
    for (int i = 0; i < p->rank; i++)
        inverse.axes[p->axes[i]] = i;
    return inverse;
}

static bool is_identity(const adze_perm *p)
{
    for (int i = 0; i < p->rank; i++)
        if (p->axes[i] != i)
            return false;
    return true;
}

adze_type adze_perm_type(const adze_type *type, const adze_perm *p)
{
    adze_type result = *type;
    for (int i = 0; i < p->rank; i++)
        result.dims[i] = type->dims[p->axes[i]];
    return result;
}

bool adze_perm_is_free(const adze_type *from, const adze_perm *p)
{
    int64_t last = -1; /* axes of size over 1 keep their order */
    for (int i = 0; i < p->rank; i++) {
        if (from->dims[p->axes[i]] == 1)
            continue;
        if (p->axes[i] < last)
            return false;
        last = p->axes[i];
    }
    return true;
}

/* ---- making ---- */

adze_value *adze_rw_transpose(adze_rewriter *rw, adze_value *value, const adze_perm *p)
{
    adze_node *node = adze_rw_new_node(rw, "Transpose", NULL, 1, 1);
    if (!node || !adze_rw_check(rw, adze_node_set_ints(node, "perm", p->rank, p->axes)))
        return NULL;
    node->inputs[0] = value;
    node->outputs[0]->type = adze_perm_type(&value->type, p);
    return node->outputs[0];
}

static void permute_bytes(const adze_tensor *from, adze_tensor *to, const adze_perm *p,
                          size_t element)
{
    int64_t stride[ADZE_MAX_RANK], index[ADZE_MAX_RANK] = {0};
    int64_t step = (int64_t)element, total = adze_tensor_elements(from), at = 0;
    for (int i = p->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= from->dims[i];
    }
    char *out = to->data;
    for (int64_t k = 0; k < total; k++, out += element) {
        memcpy(out, (const char *)from->data + at, element);
        for (int i = p->rank - 1; i >= 0; i--) {
            at += stride[p->axes[i]];
            if (++index[i] < to->dims[i])
                break;
            at -= stride[p->axes[i]] * index[i];
            index[i] = 0;
        }
    }
}

adze_value *adze_rw_transpose_constant(adze_rewriter *rw, adze_value *value, const adze_perm *p)
{
    adze_tensor from = *value->constant, to;
    int bits = adze_dtype_describe(from.dtype)->bits, missing = p->rank - from.rank;
    if (adze_tensor_elements(&from) == 1 && missing >= 0)
        return value;
    if (missing < 0 || bits % 8 != 0 || bits == 0 || from.dtype == ADZE_STRING ||
        (from.quant && from.quant->count != 1))
        return NULL;
    memmove(from.dims + missing, from.dims, (size_t)from.rank * sizeof *from.dims);
    for (int i = 0; i < missing; i++)
        from.dims[i] = 1;
    from.rank = p->rank;
    to = from;
    for (int i = 0; i < p->rank; i++)
        to.dims[i] = from.dims[p->axes[i]];
    to.data = adze_arena_alloc(&rw->graph->arena, 1, from.size);
    if (!adze_rw_check(rw, to.data))
        return NULL;
    permute_bytes(&from, &to, p, (size_t)bits / 8);
    adze_value *result = adze_graph_add_constant(rw->graph, value->name, &to, false);
    rw->stale = true;
    adze_rw_check(rw, result);
    return result;
}

bool adze_rw_transpose_output(adze_rewriter *rw, adze_node *node, int i, const adze_perm *p)
{
    adze_perm inverse = adze_perm_inverse(p);
    adze_type type = adze_perm_type(&node->outputs[i]->type, &inverse);
    adze_value *made = adze_graph_new_value(rw->graph, NULL, &type);
    adze_node *transpose = adze_rw_new_node(rw, "Transpose", NULL, 1, 1);
    if (!adze_rw_check(rw, made) || !transpose ||
        !adze_rw_check(rw, adze_node_set_ints(transpose, "perm", p->rank, p->axes)))
        return false;
    adze_rw_follow(rw, node, i, made, transpose);
    return true;
}

/* ---- removing ---- */

static bool merge_with_producer(adze_rewriter *rw, adze_node *node, const adze_perm *p)
{
    adze_perm before, both = {.rank = p->rank};
    if (!adze_perm_read(&before, node->inputs[0]->producer))
        return false;
    for (int i = 0; i < p->rank; i++)
        both.axes[i] = before.axes[p->axes[i]];
    adze_rw_set_input(rw, node, 0, node->inputs[0]->producer->inputs[0]);
    return adze_rw_check(rw, adze_node_set_ints(node, "perm", both.rank, both.axes));
}

static bool merge_with_sibling(adze_rewriter *rw, adze_node *node, const adze_perm *p)
{
    adze_perm other;
    const adze_value *x = node->inputs[0];
    for (int i = 0; i < adze_rw_use_count(rw, x); i++) {
        adze_node *sibling = adze_rw_user(rw, x, i);
        if (sibling == node || !adze_perm_read(&other, sibling) || !adze_perm_equal(p, &other) ||
            !adze_rw_replace(rw, sibling->outputs[0], node->outputs[0]))
            continue;
        adze_rw_kill(rw, sibling);
        return true;
    }
    return false;
}

bool adze_rw_tidy_transpose(adze_rewriter *rw, adze_node *node)
{
    adze_perm p;
    if (!adze_perm_read(&p, node))
        return false;
    if (is_identity(&p) && adze_rw_replace(rw, node->outputs[0], node->inputs[0])) {
        adze_rw_kill(rw, node);
        return true;
    }
    return merge_with_producer(rw, node, &p) || merge_with_sibling(rw, node, &p);
}

bool adze_rw_reshape_target(const adze_type *from, const adze_type *to, int64_t *shape)
{
    int open = 0;
    for (int i = 0; i < to->rank; i++) {
        adze_dim d = to->dims[i];
        if (d == 0)
            return false;
        bool copied = i < from->rank && adze_rw_same_dim(d, from->dims[i]);
        shape[i] = adze_dim_known(d) ? d : copied ? 0 : -1;
        open += shape[i] == -1;
    }
    return open <= 1;
}

bool adze_rw_transpose_to_reshape(adze_rewriter *rw, adze_node *node)
{
    adze_perm p;
    int64_t shape[ADZE_MAX_RANK];
    if (!adze_perm_read(&p, node) || !adze_perm_is_free(&node->inputs[0]->type, &p))
        return false;
    adze_type to = adze_perm_type(&node->inputs[0]->type, &p);
    if (!adze_rw_reshape_target(&node->inputs[0]->type, &to, shape))
        return false;
    adze_value *target = adze_rw_new_ints(rw, NULL, p.rank, shape);
    adze_node *reshape = adze_rw_new_node(rw, "Reshape", NULL, 2, 1);
    if (!target || !reshape)
        return false;
    reshape->inputs[0] = node->inputs[0];
    reshape->inputs[1] = target;
    adze_rw_take_output(rw, reshape, 0, node->outputs[0]);
    return true;
}
