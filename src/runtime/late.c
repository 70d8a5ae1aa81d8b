/* Steps whose input types are known only when they run (elements of sequences, results of branches that
 * differ): they are prepared for the types at hand, and again only when these change. */
#include <string.h>

#include "runtime/session_impl.h"

bool adze_session_make_late(adze_session *s)
{
    for (int i = 0; i < s->plan->step_count; i++) {
        const adze_step *step = &s->plan->steps[i];
        size_t n = (size_t)(step->node->input_count + step->node->output_count) + 1;
        if (!step->raw)
            continue;
        s->late[i].tensors = ADZE_ARENA_ARRAY(&s->memory, adze_tensor, n);
        s->late[i].pointers = ADZE_ARENA_ARRAY(&s->memory, const adze_tensor *, n);
        if (!s->late[i].tensors || !s->late[i].pointers)
            return false;
    }
    return true;
}

void adze_session_free_late(adze_session *s)
{
    for (int i = 0; s->late && i < s->plan->step_count; i++)
        adze_arena_free(&s->late[i].arena);
}

/* Types of this run, content of constants only. True: as they were. */
static bool gather(adze_session *s, int step)
{
    const adze_node *node = s->plan->steps[step].node;
    adze_late *late = &s->late[step];
    bool same = late->ready;
    for (int i = 0; i < node->input_count + node->output_count; i++) {
        const adze_value *v =
            i < node->input_count ? node->inputs[i] : node->outputs[i - node->input_count];
        if (!v)
            continue;
        adze_tensor t = s->items[v->id].tensor;
        if (v->role != ADZE_ROLE_CONSTANT)
            t.data = NULL;
        same = same && t.quant == late->tensors[i].quant &&
               adze_tensor_same_type(&t, &late->tensors[i]);
        late->tensors[i] = t;
        late->pointers[i] = &late->tensors[i];
    }
    return same;
}

adze_status adze_session_prepare_late(adze_session *s, int step, adze_error *err)
{
    const adze_node *node = s->plan->steps[step].node;
    adze_late *late = &s->late[step];
    if (gather(s, step))
        return ADZE_OK;
    late->ready = false;
    s->budget->used -= ADZE_MIN(late->arena.used, s->budget->used);
    adze_arena_free(&late->arena);
    adze_prepare prepare = {.node = node,
                            .inputs = late->pointers,
                            .outputs = late->pointers + node->input_count,
                            .kernels = s->plan->context->kernels,
                            .arena = &late->arena};
    ADZE_TRY(node->op->prepare(&prepare, err));
    ADZE_TRY(adze_session_take(s, 0, late->arena.used, err));
    s->runs[step].prepared = prepare.prepared;
    late->ready = true;
    return ADZE_OK;
}
