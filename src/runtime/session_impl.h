/* The inside of a session. */
#ifndef ADZE_RUNTIME_SESSION_IMPL_H
#define ADZE_RUNTIME_SESSION_IMPL_H
#include "runtime/plan.h"

/* What a session and all inside it may use together. */
typedef struct adze_budget {
    size_t used, most; /* bytes; 0: no limit */
    double deadline;   /* of this run; 0: none */
    bool exceeded;     /* some memory was refused for it */
} adze_budget;

typedef struct adze_shelf {
    void *bytes;
    size_t capacity;
} adze_shelf;

/* Of a step whose node carries graphs. */
typedef struct adze_inside {
    struct adze_session **sessions; /* [child_count]; NULL: its plan failed */
    adze_shelf *shelves;            /* [shelf_count] values that outlive a turn */
} adze_inside;

/* Of a step that is prepared when it runs: the types it was prepared for. */
typedef struct adze_late {
    adze_arena arena;
    bool ready;
    adze_tensor *tensors; /* [inputs + outputs] */
    const adze_tensor **pointers;
} adze_late;

struct adze_session {
    adze_run_host host;         /* first: what operators call back through */
    const adze_session *around; /* of a graph inside a node: the session that runs it; or NULL */
    adze_budget own_budget, *budget;
    adze_pool
        *pool; /* the context's workers with this run's deadline; of `around` when there is one */
    adze_inside *inside; /* [step_count] */
    adze_late *late;     /* [step_count] */
    const adze_plan *plan;
    adze_session_options options;
    adze_arena memory;   /* everything below that never changes size */
    adze_item *items;    /* [value_count] */
    int64_t *dim_values; /* [dims count] symbols and expressions of this run, -1: unknown */
    int64_t *last_dims;  /* of the run before */
    size_t *sizes;       /* [value_count] capacity planned for values in the arena */
    size_t *offsets;     /* [value_count] */
    int *pack_scratch;   /* [value_count] */
    uint8_t *arena;
    size_t arena_size;
    void **buffers;           /* [value_count] own memory of pool and state values */
    size_t *capacities;       /* [value_count] of buffers */
    adze_arena *value_arenas; /* [value_count] strings and items of pool values */
    void **spares; /* [state_count] for the next states, where old ones are read so long; or NULL */
    void *scratch;
    size_t scratch_size;
    adze_run *runs;  /* [step_count] */
    double *seconds; /* [step_count] with options.profile */
    int64_t run_count;
    bool laid_out; /* shapes of last_dims are in place */
    bool outgrown; /* sizes have grown since the arena was packed, if only by a run that failed */
    adze_infer infer; /* for dynamic steps, arrays of the largest node */
    adze_dims infer_dims;
    adze_arena infer_memory;
    adze_dim (*infer_known)[ADZE_KNOWN_MAX]; /* of the inputs of the step that is checked */
};

/* layout of one run: binds symbols, evaluates, places; allocates only when something grew. */
adze_status adze_session_lay_out(adze_session *s, adze_error *err) ADZE_MUST_CHECK;
/* Sizes the arena at the bounds, when all symbols have one; else waits for the first run. */
adze_status adze_session_plan_bounds(adze_session *s, adze_error *err) ADZE_MUST_CHECK;
/* Infers a step whose output shapes were evaluated from symbols with the numbers of this run: fails with
 * ADZE_BAD_DATA when they do not fit each other. Contents of inputs count only when `computed`. */
adze_status adze_session_check_step(adze_session *s, int step, bool computed,
                                    adze_error *err) ADZE_MUST_CHECK;
/* Shapes (and memory, where known) of a dynamic step's outputs. */
adze_status adze_session_infer_step(adze_session *s, int step, adze_error *err) ADZE_MUST_CHECK;
/* Makes room for `size` bytes in the value's own buffer; content is lost when it moves. */
adze_status adze_session_reserve(adze_session *s, int id, size_t size,
                                 adze_error *err) ADZE_MUST_CHECK;
adze_status adze_session_reserve_scratch(adze_session *s, size_t size,
                                         adze_error *err) ADZE_MUST_CHECK;
/* Fails with ADZE_LIMIT when `to` bytes in place of `from` are more than the session may hold. */
adze_status adze_session_take(adze_session *s, size_t from, size_t to,
                              adze_error *err) ADZE_MUST_CHECK;
/* Fails with ADZE_BAD_DATA when outputs of a step that sized itself are not of the shapes that symbols
 * promised. */
adze_status adze_session_check_promises(adze_session *s, int step, adze_error *err) ADZE_MUST_CHECK;

/* ---- children.c ---- */

adze_status adze_session_open_child(adze_session **out, const adze_plan *plan,
                                    const adze_session *around, adze_error *err) ADZE_MUST_CHECK;
adze_status adze_session_open_children(adze_session *s, adze_error *err) ADZE_MUST_CHECK;
void adze_session_close_children(adze_session *s);
size_t adze_session_inside_memory(const adze_session *s);
/* What adze_run_host offers. */
adze_status adze_session_run_graph(adze_run *run, const adze_graph *graph, const adze_item *inputs,
                                   adze_item *outputs, adze_error *err) ADZE_MUST_CHECK;
bool adze_session_graph_lasts(adze_run *run, const adze_graph *graph, int output);
void *adze_session_shelf(adze_run *run, int slot, size_t size);

/* ---- late.c ---- */

/* Prepares a step whose types are known only now, unless it was for the same ones. */
adze_status adze_session_prepare_late(adze_session *s, int step, adze_error *err) ADZE_MUST_CHECK;
bool adze_session_make_late(adze_session *s); /* false: out of memory */
void adze_session_free_late(adze_session *s);

#endif
