/* Sentences about a model: where its work and weights are, what can become integer, what is delicate. */
#include "search/assess.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/text.h"
#include "ops/registry.h"

typedef struct survey {
    int weighted, depthwise, integer_nodes, float_nodes;
    double weighted_elements; /* constants that are weights of Conv, Gemm, MatMul */
    double weighted_bytes, all_bytes;
    double widest_ratio; /* largest against smallest channel range of one weight */
    const char *widest;
    bool attention, recurrent, dynamic;
} survey;

/* Ratio of the largest to the smallest range among output channels (axis 0 of float weights). */
static double channel_ratio(const adze_tensor *w)
{
    if (w->dtype != ADZE_F32 || w->rank < 2 || w->dims[0] < 2)
        return 1;
    int64_t per = adze_tensor_elements(w) / w->dims[0];
    double least = INFINITY, most = 0;
    for (int64_t c = 0; c < w->dims[0]; c++) {
        double range = 0;
        for (int64_t i = 0; i < per; i++) {
            double v = (double)((const float *)w->data)[c * per + i];
            range = v > range ? v : -v > range ? -v : range;
        }
        least = range > 0 && range < least ? range : least;
        most = range > most ? range : most;
    }
    return least < INFINITY && least > 0 ? most / least : 1;
}

static void survey_weighted(survey *s, const adze_node *node)
{
    const adze_value *w = node->input_count > 1 ? node->inputs[1] : NULL;
    s->weighted++;
    if (!w || w->role != ADZE_ROLE_CONSTANT)
        return;
    s->weighted_elements += (double)adze_tensor_elements(w->constant);
    s->weighted_bytes += (double)w->constant->size;
    if (strcmp(node->op_type, "Conv") != 0)
        return;
    if (adze_node_int(node, "group", 1) > 1 && w->constant->dims[1] == 1)
        s->depthwise++;
    double ratio = channel_ratio(w->constant);
    if (ratio > s->widest_ratio) {
        s->widest_ratio = ratio;
        s->widest = node->name;
    }
}

static survey look(const adze_graph *g)
{
    survey s = {.widest_ratio = 1, .widest = ""};
    for (int i = 0; i < g->node_count; i++) {
        const adze_node *node = g->nodes[i];
        adze_quant_rule rule = node->op ? node->op->quant : ADZE_QUANT_NEVER;
        if (rule == ADZE_QUANT_WEIGHTED)
            survey_weighted(&s, node);
        if (rule == ADZE_QUANT_NEVER)
            s.float_nodes++;
        else
            s.integer_nodes++;
        s.attention |=
            strstr(node->op_type, "Attention") != NULL || strcmp(node->op_type, "Softmax") == 0;
        s.recurrent |= strcmp(node->op_type, "LSTM") == 0 || strcmp(node->op_type, "GRU") == 0;
    }
    for (int i = 0; i < g->value_count; i++)
        if (g->values[i]->role == ADZE_ROLE_CONSTANT)
            s.all_bytes += (double)g->values[i]->constant->size;
    for (int i = 0; i < g->dims->count; i++)
        s.dynamic |= g->dims->defs[i].kind == ADZE_DIM_SYMBOL;
    return s;
}

static void say(json_t *list, const char *format, ...) ADZE_PRINTF(2, 3);

static void say(json_t *list, const char *format, ...)
{
    adze_text text = {0};
    va_list args;
    va_start(args, format);
    adze_text_vprintf(&text, format, args);
    va_end(args);
    json_array_append_new(list, json_string(adze_text_get(&text)));
    adze_text_free(&text);
}

static void describe_work(json_t *list, const adze_model *model, const survey *s, double ops)
{
    char a[32], b[32], c[32];
    const adze_graph *g = adze_model_graph(model);
    double balance = s->all_bytes > 0 ? ops / s->all_bytes : 0;
    say(list,
        "%d nodes do %s operations a run over %s of constants; %d of them (Conv, Gemm, MatMul) "
        "hold %s of weights.",
        g->node_count, adze_format_count(a, ops), adze_format_bytes(b, s->all_bytes), s->weighted,
        adze_format_bytes(c, s->weighted_bytes));
    if (balance > 8)
        say(list,
            "Each byte of weights is used for %.0f operations: the time goes into arithmetic, so "
            "integer arithmetic pays, and compressed weights alone save space rather than time.",
            balance);
    else
        say(list,
            "Each byte of weights is used for only %.1f operations: the time goes into reading "
            "weights, so smaller weights pay even when the arithmetic stays float.",
            balance);
}

adze_status adze_assess(json_t **sentences, const adze_model *model, adze_error *err)
{
    const adze_graph *g = adze_model_graph(model);
    survey s = look(g);
    double ops, bytes;
    ADZE_TRY(adze_model_cost(model, &ops, &bytes, err));
    json_t *list = json_array();
    if (!list)
        return adze_fail(err, ADZE_NO_MEMORY, "assessment");
    describe_work(list, model, &s, ops);
    say(list, "%d of %d nodes have integer forms; %d stay float in any case.", s.integer_nodes,
        g->node_count, s.float_nodes);
    if (s.depthwise > 0)
        say(list,
            "%d depthwise convolutions: their channels differ much in range, so weights per "
            "channel "
            "should beat weights per tensor, and equalisation may help.",
            s.depthwise);
    if (s.widest_ratio > 20)
        say(list,
            "The output channels of '%s' differ by a factor of %.0f in range: with one scale for "
            "all, "
            "the small ones would vanish.",
            s.widest, s.widest_ratio);
    if (s.attention)
        say(list,
            "It has softmax or attention: activations often have outliers there, so clipped ranges "
            "(percentile, mean squared error) are tried beside min-max.");
    if (s.recurrent)
        say(list, "Recurrent layers have no static integer form here: dynamic and weight-only "
                  "schemes suit "
                  "them.");
    if (s.dynamic)
        say(list, "Some dimensions are free; latency is measured with each at 1 unless --shape "
                  "fixes it.");
    *sentences = list;
    return ADZE_OK;
}
