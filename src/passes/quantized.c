/* QuantizeLinear and DequantizeLinear, read once for all passes. */
#include "passes/quantized_impl.h"

bool adze_qparams_read(adze_qparams *out, const adze_node *node)
{
    bool quantize = adze_rw_is(node, "QuantizeLinear");
    if ((!quantize && !adze_rw_is(node, "DequantizeLinear")) || node->input_count < 2 ||
        adze_node_int(node, "block_size", 0) != 0)
        return false;
    const adze_value *zero = adze_rw_input(node, 2);
    const adze_value *stored = quantize ? node->outputs[0] : node->inputs[0];
    *out = (adze_qparams){.dtype = stored->type.dtype,
                          .scale = adze_rw_constant(node->inputs[1]),
                          .zero_point = adze_rw_constant(zero)};
    if (!out->scale || out->scale->dtype != ADZE_F32 || (zero && !out->zero_point))
        return false;
    out->count = adze_tensor_elements(out->scale);
    int64_t axis = adze_node_int(node, "axis", 1);
    if (axis < 0)
        axis += stored->type.rank;
    out->axis = out->count == 1 ? -1 : (int)axis;
    return out->count > 0 && axis >= -1 &&
           (!out->zero_point || adze_tensor_elements(out->zero_point) == out->count);
}

float adze_qparams_scale(const adze_qparams *p, int64_t i)
{
    return ((const float *)p->scale->data)[p->count == 1 ? 0 : i];
}

int32_t adze_qparams_zero(const adze_qparams *p, int64_t i)
{
    return p->zero_point ? (int32_t)adze_tensor_get_i64(p->zero_point, p->count == 1 ? 0 : i) : 0;
}

bool adze_qparams_equal(const adze_qparams *a, const adze_qparams *b)
{
    if (a->dtype != b->dtype || a->axis != b->axis || a->count != b->count)
        return false;
    for (int64_t i = 0; i < a->count; i++)
        if (adze_qparams_scale(a, i) != adze_qparams_scale(b, i) ||
            adze_qparams_zero(a, i) != adze_qparams_zero(b, i))
            return false;
    return true;
}

bool adze_qparams_is_activation(const adze_qparams *p)
{
    return (p->dtype == ADZE_U8 || p->dtype == ADZE_I8) && p->count == 1 &&
           adze_qparams_scale(p, 0) > 0;
}

const adze_quant *adze_qparams_quant(adze_rewriter *rw, const adze_qparams *p)
{
    adze_arena scratch = {0};
    int32_t *zero = ADZE_ARENA_ARRAY(&scratch, int32_t, (size_t)p->count);
    for (int64_t i = 0; zero && i < p->count; i++)
        zero[i] = adze_qparams_zero(p, i);
    const adze_quant *quant =
        zero ? adze_graph_new_quant(rw->graph, p->axis, 0, p->count, p->scale->data, zero) : NULL;
    adze_arena_free(&scratch);
    adze_rw_check(rw, quant);
    return quant;
}

adze_node *adze_rw_dequantizer(const adze_value *value, adze_qparams *out)
{
    adze_node *node = adze_rw_producer(value, "DequantizeLinear");
    return node && node->outputs[0]->type.dtype == ADZE_F32 && adze_qparams_read(out, node) ? node
                                                                                            : NULL;
}

adze_node *adze_rw_quantizer(adze_rewriter *rw, const adze_value *value, adze_qparams *out)
{
    adze_node *node = adze_rw_sole_user(rw, value);
    bool found = adze_rw_is(node, "QuantizeLinear") && node->inputs[0] == value &&
                 adze_qparams_read(out, node) && adze_qparams_is_activation(out);
    return found ? node : NULL;
}

static bool quant_equals(const adze_quant *quant, const adze_qparams *p)
{
    if (quant->axis != p->axis || quant->block != 0 || quant->count != p->count)
        return false;
    for (int64_t i = 0; i < p->count; i++)
        if (quant->scale[i] != adze_qparams_scale(p, i) ||
            (quant->zero_point ? quant->zero_point[i] : 0) != adze_qparams_zero(p, i))
            return false;
    return true;
}

static int32_t zero_of(const adze_quant *quant)
{
    return quant->zero_point ? quant->zero_point[0] : 0;
}

static bool same_quant(const adze_quant *a, const adze_quant *b)
{
    return a == b || (a && b && a->count == 1 && b->count == 1 && a->block == 0 && b->block == 0 &&
                      a->scale[0] == b->scale[0] && zero_of(a) == zero_of(b));
}

enum { DEEPEST = 8 }; /* nodes in a row that only move */

/* All that the node does is to put the elements of its first input elsewhere. */
static bool only_moves(const adze_node *node)
{
    return node && node->input_count > 0 && node->inputs[0] && node->output_count == 1 &&
           node->outputs[0] &&
           (adze_rw_is(node, "Transpose") || (node->op && (node->op->flags & ADZE_OP_VIEW)));
}

/* Users read the value's bytes as this says, or move them to where they are read so. */
static bool users_read(adze_rewriter *rw, const adze_value *value, const adze_qparams *p, int depth)
{
    adze_qparams other;
    for (int i = 0; i < adze_rw_use_count(rw, value); i++) {
        const adze_node *user = adze_rw_user(rw, value, i);
        if (!user)
            continue;
        const bool dequantizes = adze_rw_is(user, "DequantizeLinear") && user->inputs[0] == value;
        if (dequantizes
                ? adze_qparams_read(&other, user) && adze_qparams_equal(p, &other)
                : p->axis < 0 && only_moves(user) && user->inputs[0] == value && depth < DEEPEST &&
                      (user->outputs[0]->type.quant
                           ? quant_equals(user->outputs[0]->type.quant, p)
                           : users_read(rw, user->outputs[0], p, depth + 1)))
            continue;
        return false;
    }
    return true;
}

bool adze_rw_can_set_quant(adze_rewriter *rw, const adze_value *value, const adze_qparams *p)
{
    if (value->type.quant)
        return quant_equals(value->type.quant, p);
    return value->type.dtype == p->dtype && users_read(rw, value, p, 0);
}

/* What is moved from the value, and what was moved to give it, holds the same numbers. */
static void tell_movers(adze_rewriter *rw, adze_value *value, const adze_qparams *p, int depth)
{
    for (int i = 0; p->axis < 0 && depth < DEEPEST && i < adze_rw_use_count(rw, value); i++) {
        const adze_node *user = adze_rw_user(rw, value, i);
        if (only_moves(user) && user->inputs[0] == value && !user->outputs[0]->type.quant) {
            user->outputs[0]->type.quant = value->type.quant;
            tell_movers(rw, user->outputs[0], p, depth + 1);
        }
    }
    const adze_node *maker = value->producer;
    if (p->axis < 0 && depth < DEEPEST && only_moves(maker) && !maker->inputs[0]->type.quant &&
        adze_rw_can_set_quant(rw, maker->inputs[0], p)) {
        maker->inputs[0]->type.quant = value->type.quant;
        tell_movers(rw, maker->inputs[0], p, depth + 1);
    }
}

bool adze_rw_set_quant(adze_rewriter *rw, adze_value *value, const adze_qparams *p)
{
    if (!adze_rw_can_set_quant(rw, value, p))
        return false;
    if (!value->type.quant) {
        value->type.quant = adze_qparams_quant(rw, p);
        if (value->type.quant)
            tell_movers(rw, value, p, 0);
    }
    return value->type.quant;
}

bool adze_rw_adopt_quant(adze_rewriter *rw, const adze_value *from, adze_value *to)
{
    const adze_quant *quant = from->type.quant;
    if (!quant || same_quant(quant, to->type.quant))
        return true;
    if (to->type.quant || quant->count != 1 || to->type.dtype != from->type.dtype)
        return false;
    for (int i = 0; i < adze_rw_use_count(rw, to); i++) {
        const adze_node *user = adze_rw_user(rw, to, i);
        adze_qparams p;
        const bool dequantizes = adze_rw_is(user, "DequantizeLinear") && user->inputs[0] == to &&
                                 adze_qparams_read(&p, user) && quant_equals(quant, &p);
        if (user && user != from->producer && !dequantizes)
            return false;
    }
    to->type.quant = quant;
    return true;
}
