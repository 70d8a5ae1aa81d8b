/** @file
 * Runs a graph on this machine. A plan is the graph rewritten for execution, with packed weights and
 * the order of steps; it is immutable and may serve many sessions. A session has the memory of one
 * execution: open allocates, run only computes (it allocates when a bound grows, and for values whose
 * size the data decide; what was allocated is kept).
 * Threads: a plan may be shared by threads; a session belongs to one thread at a time. */
#ifndef ADZE_SESSION_H
#define ADZE_SESSION_H
#include "adze/op.h"

ADZE_BEGIN_C

typedef struct adze_plan adze_plan;
typedef struct adze_session adze_session;

typedef struct adze_plan_options {
    bool fuse; /* rewriting passes; false: operators as the file has them */
    bool
        keep_all; /* every named value of the graph keeps its memory until the run's end (dumping) */
    /** Called for each node that cannot run, with the reason, before the plan fails; or NULL. */
    void (*refused)(void *user, const adze_node *node, const adze_error *why);
    void *refused_user;
} adze_plan_options;

ADZE_API adze_plan_options adze_plan_options_default(void);

/** Rewrites a copy of `graph`, which must outlive the plan, and prepares each node. Fails with
 * ADZE_UNSUPPORTED (all reasons at once in `err`), ADZE_BAD_MODEL, ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_plan_create(adze_plan **out, const adze_graph *graph,
                                                      const adze_plan_options *options,
                                                      adze_error *err);
/** Frees and nulls; its sessions must be closed before. NULL is fine. */
ADZE_API void adze_plan_free(adze_plan **plan);
/** The graph that is executed, after the passes. */
ADZE_API const adze_graph *adze_plan_graph(const adze_plan *plan);

/** Called after each step for each of its outputs, in the thread that runs the session; the tensor is
 * valid during the call only. The callback may point its data at other bytes, as many, that stay until the
 * run has ended: the steps after it read those. */
typedef void (*adze_observe_fn)(void *user, const adze_node *node, int output, adze_tensor *tensor);

typedef struct adze_session_options {
    adze_observe_fn observe; /* or NULL */
    void *observe_user;
    bool profile; /* measure each step */
    double
        max_seconds;  /* a run that takes longer stops, inside a node too: ADZE_TIMEOUT; 0: none */
    size_t max_bytes; /* of memory the session may hold, else ADZE_LIMIT; 0: no limit */
} adze_session_options;

ADZE_API adze_session_options adze_session_options_default(void);

/** Opens a session over `plan`, which must outlive it. options NULL: defaults. Close with
 * adze_session_close. Fails with ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_session_open(adze_session **out, const adze_plan *plan,
                                                       const adze_session_options *options,
                                                       adze_error *err);
/** Frees and nulls `*session`; NULL is fine. */
ADZE_API void adze_session_close(adze_session **session);

/** `inputs` in graph order with types and shapes as the graph says, its symbols bound by them; the caller
 * keeps them. `outputs` (as many as the graph has) become views of the session's memory, valid until its
 * next run. Fails with ADZE_BAD_DATA (an input does not fit: says which, expected and found). */
ADZE_MUST_CHECK ADZE_API adze_status adze_session_run(adze_session *session,
                                                      const adze_tensor *inputs,
                                                      adze_tensor *outputs, adze_error *err);
/** The same with items, for graphs whose inputs or outputs are sequences or optionals. */
ADZE_MUST_CHECK ADZE_API adze_status adze_session_run_items(adze_session *session,
                                                            const adze_item *inputs,
                                                            adze_item *outputs, adze_error *err);
/** Puts persistent values back to their initial content. */
ADZE_API void adze_session_reset(adze_session *session);
/** Any named value of the executed graph after a run (with keep_all, else only what still has its
 * memory): NULL when there is none. Valid until the next run. */
ADZE_API const adze_tensor *adze_session_value(const adze_session *session, const char *name);

/** Bytes of activations (arena, scratch, pool) this session holds. */
ADZE_API size_t adze_session_memory(const adze_session *session);
/** Bytes of packed weights that the plan holds beside the graph's own constants. */
ADZE_API size_t adze_plan_memory(const adze_plan *plan);

typedef struct adze_step_profile {
    const adze_node *node;
    int64_t runs;
    double seconds; /* all runs together */
    adze_cost cost; /* of one run, at the last shapes */
} adze_step_profile;

ADZE_API int adze_session_step_count(const adze_session *session);
/** Needs options.profile; fills *out for step i in order of execution. */
ADZE_API void adze_session_step(const adze_session *session, int i, adze_step_profile *out);

ADZE_END_C
#endif
