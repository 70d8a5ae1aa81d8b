/* Who is beaten, who is certified, who wins. A candidate is beaten by one that is no worse in latency,
 * size and quality, and better in at least one. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "search/search_impl.h"

enum { FINALISTS = 10 };

typedef struct figures {
    double latency; /* against the original in the same race: 1 / speed-up */
    double size, quality;
} figures;

static figures figures_of(const search *s, const json_t *facts)
{
    char path[64];
    snprintf(path, sizeof path, "metrics.%s.value", s->metric);
    return (figures){1 / search_number(facts, "latency.speedup.value"),
                     search_number(facts, "size"), search_number(facts, path)};
}

/* Latencies of two candidates come from two races against the original: they differ by noise of about 1 %. */
#define LATENCY_NOISE 0.01

static bool beats(const figures *a, const figures *b)
{
    return a->latency <= b->latency * (1 + LATENCY_NOISE) && a->size <= b->size &&
           a->quality >= b->quality &&
           (a->latency < b->latency * (1 - LATENCY_NOISE) || a->size < b->size ||
            a->quality > b->quality);
}

static const char *reasoned(search *s, const char *format, ...) ADZE_PRINTF(2, 3);

static const char *reasoned(search *s, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *kept = adze_arena_strdup(&s->arena, text);
    return kept ? kept : "";
}

static const char *state_of(const trial *t)
{
    const char *state = json_string_value(json_object_get(t->record, "state"));
    return state ? state : "failed";
}

/* Slower beyond what the original differs from a second copy of itself (1 to 3 %). */
static bool slower(const search *s, const json_t *facts)
{
    double value = search_number(facts, "latency.speedup.value");
    double high = search_number(facts, "latency.speedup.high");
    double itself = search_number(s->trials[0].record, "latency.speedup.value");
    double noise = isfinite(itself) ? 2 * fabs(1 - itself) : 0;
    noise = noise < 0.01 ? 0.01 : noise > 0.03 ? 0.03 : noise;
    return high < 1 - noise || value < 0.97;
}

static void reject_slower(search *s, trial *t, const json_t *facts)
{
    t->status = "rejected";
    t->passes = false;
    t->reason = reasoned(s, "slower than the original: speed-up %.2f [%.2f, %.2f]",
                         search_number(facts, "latency.speedup.value"),
                         search_number(facts, "latency.speedup.low"),
                         search_number(facts, "latency.speedup.high"));
}

static void mark_beaten(search *s, trial *t)
{
    figures own = figures_of(s, t->record);
    for (int i = 0; i < s->trial_count; i++) {
        const trial *other = &s->trials[i];
        if (other == t ||
            (i > 0 && (strcmp(state_of(other), "measured") != 0 || slower(s, other->record))))
            continue;
        figures figure = figures_of(s, other->record);
        if (!beats(&figure, &own))
            continue;
        t->status = "beaten";
        t->reason =
            reasoned(s, "beaten by '%s': no worse in latency, size and %s", other->name, s->metric);
        return;
    }
    t->status = "front";
}

/* Standing on the selection part: requirements first, then the goal. Smaller is better. */
typedef struct standing {
    int index, worst;
    double goal;
} standing;

static double goal_of(const search *s, const json_t *facts)
{
    const char *goal = s->options.goal ? s->options.goal : "latency";
    char path[96];
    if (strcmp(goal, "latency") == 0)
        return 1 / search_number(facts, "latency.speedup.value");
    if (strcmp(goal, "size") == 0)
        return search_number(facts, "size");
    if (strcmp(goal, "memory") == 0) {
        double peak = search_number(facts, "peak_memory");
        return isnan(peak) ? search_number(facts, "size") : peak;
    }
    snprintf(path, sizeof path, "metrics.%.60s.value", goal);
    bool less_is_better = strcmp(goal, "mse") == 0;
    double value = search_number(facts, path);
    return less_is_better ? value : -value;
}

static int by_standing(const void *a, const void *b)
{
    const standing *x = a, *y = b;
    if (x->worst != y->worst)
        return x->worst - y->worst;
    return x->goal < y->goal ? -1 : x->goal > y->goal ? 1 : x->index - y->index;
}

adze_status search_choose_finalists(search *s, adze_error *err)
{
    standing *list = ADZE_ARENA_ARRAY(&s->arena, standing, (size_t)s->trial_count + 1);
    int count = 0;
    if (!list)
        return adze_fail(err, ADZE_NO_MEMORY, "finalists");
    s->trials[0].status = "original";
    for (int i = 1; i < s->trial_count; i++) {
        trial *t = &s->trials[i];
        if (strcmp(state_of(t), "measured") != 0) {
            t->status = strcmp(state_of(t), "slow") == 0      ? "rejected"
                        : strcmp(state_of(t), "dropped") == 0 ? "dropped"
                                                              : "failed";
            continue;
        }
        if (slower(s, t->record))
            reject_slower(s, t, t->record);
        else
            mark_beaten(s, t);
        if (strcmp(t->status, "front") == 0)
            list[count++] = (standing){i, search_clearly_fails(s, t), goal_of(s, t->record)};
    }
    qsort(list, (size_t)count, sizeof *list, by_standing);
    for (int i = 0; i < count; i++) {
        trial *t = &s->trials[list[i].index];
        t->finalist = i < FINALISTS;
        if (!t->finalist) {
            t->status = "beaten";
            t->reason =
                "on the front of the selection part, but not among the ten best for the goal";
        }
    }
    return ADZE_OK;
}

int search_best_of(const search *s, const char *scheme, int rank)
{
    bool taken[512] = {false};
    int best = -1;
    for (int round = 0; round <= rank; round++) {
        best = -1;
        double quality = -INFINITY;
        for (int i = 1; i < s->trial_count && i < 512; i++) {
            const trial *t = &s->trials[i];
            bool plain = !json_object_get(t->proposed, "bias_correction") &&
                         !json_object_get(t->proposed, "equalize") &&
                         !json_object_get(t->proposed, "float_nodes");
            double q = figures_of(s, t->record).quality;
            if (taken[i] || !plain || strcmp(state_of(t), "measured") != 0 ||
                strcmp(t->scheme, scheme) != 0 || !(q > quality))
                continue;
            quality = q;
            best = i;
        }
        if (best < 0)
            return -1;
        taken[best] = true;
    }
    return best;
}

/* The first verdict that is not a pass, as a reason. */
static const char *broken_gate(search *s, const trial *t)
{
    const json_t *gate;
    size_t i;
    json_array_foreach(json_object_get(t->certified, "gates"), i, gate)
    {
        const char *verdict = json_string_value(json_object_get(gate, "verdict"));
        const char *note = json_string_value(json_object_get(gate, "note"));
        if (verdict && strcmp(verdict, "pass") != 0)
            return reasoned(s, "%s: %s%s%s", verdict,
                            json_string_value(json_object_get(gate, "requirement")),
                            note && *note ? "; " : "", note ? note : "");
    }
    return "";
}

/* By the goal; where latencies are equal within the noise, by quality. */
static bool preferred(const search *s, const trial *a, const trial *b)
{
    double goal_a = goal_of(s, a->certified), goal_b = goal_of(s, b->certified);
    figures fa = figures_of(s, a->certified), fb = figures_of(s, b->certified);
    bool latency = !s->options.goal || strcmp(s->options.goal, "latency") == 0;
    if (latency && fabs(goal_a - goal_b) <= LATENCY_NOISE * goal_b && fa.quality != fb.quality)
        return fa.quality > fb.quality;
    return goal_a < goal_b;
}

int search_choose_best(search *s)
{
    int best = -1;
    for (int i = 1; i < s->trial_count; i++) {
        trial *t = &s->trials[i];
        if (!t->finalist)
            continue;
        if (slower(s, t->certified)) {
            reject_slower(s, t, t->certified);
        } else if (!t->passes) {
            t->status = "rejected";
            t->reason = broken_gate(s, t);
        }
    }
    for (int i = 1; i < s->trial_count; i++) {
        trial *t = &s->trials[i];
        if (!t->finalist || strcmp(t->status, "rejected") == 0)
            continue;
        figures own = figures_of(s, t->certified);
        for (int k = 0; k < s->trial_count; k++) {
            const trial *other = &s->trials[k];
            if (k == i || !other->certified || strcmp(other->status, "rejected") == 0)
                continue;
            figures figure = figures_of(s, other->certified);
            if (beats(&figure, &own)) {
                t->status = "beaten";
                t->reason = reasoned(s, "beaten by '%s' when certified", other->name);
                break;
            }
        }
    }
    for (int i = 1; i < s->trial_count; i++)
        if (s->trials[i].finalist && strcmp(s->trials[i].status, "front") == 0 &&
            (best < 0 || preferred(s, &s->trials[i], &s->trials[best])))
            best = i;
    return best;
}
