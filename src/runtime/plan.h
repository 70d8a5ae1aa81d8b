/* The inside of a plan. */
#ifndef ADZE_RUNTIME_PLAN_H
#define ADZE_RUNTIME_PLAN_H
#include "adze/session.h"
#include "ops/execute.h"

/* The plan of a graph in an attribute of a node. */
typedef struct adze_child_plan {
    const adze_graph *graph;
    struct adze_plan *plan; /* NULL: it cannot run, as */
    const char *error;      /* this says */
} adze_child_plan;

typedef struct adze_step {
    adze_node *node;
    const void *prepared;
    bool dynamic; /* shapes of its outputs are found when it runs, from its inputs' contents */
    bool late;    /* some input's shape is known only then too: scratch is sized when it runs */
    bool view;    /* output 0 has the bytes of input 0: nothing to execute */
    bool raw;     /* types of inputs are known only when it runs: prepared then */
    const adze_value *state; /* output 0 is written into this state's memory; or NULL */
    int child_count, shelf_count;
    adze_child_plan *children;
} adze_step;

/* Where a value's bytes are. */
typedef enum adze_place {
    ADZE_PLACE_NONE,  /* never used */
    ADZE_PLACE_ARENA, /* at an offset of the session's arena, shared by lifetimes */
    ADZE_PLACE_POOL,  /* a buffer of its own that grows: size decided by data, sequences, strings */
    ADZE_PLACE_INPUT, /* the caller's */
    ADZE_PLACE_CONSTANT, /* the graph's */
    ADZE_PLACE_STATE,    /* a buffer of its own that persists */
    ADZE_PLACE_ALIAS     /* same bytes as `root` (views, results written in place) */
} adze_place;

typedef struct adze_slot {
    adze_place place;
    int root;        /* value id whose bytes these are; itself unless an alias */
    int first, last; /* steps between which the root's bytes must stay */
} adze_slot;

struct adze_plan {
    adze_graph *graph; /* after the passes; own, unless a node's */
    bool is_child;
    adze_context *context;
    adze_arena arena;
    adze_plan_options options;
    int step_count;
    adze_step *steps;
    adze_slot *slots; /* [graph->value_count] */
    bool all_static;  /* no symbols, no dynamic steps: shapes never change */
};

/* Fills plan->slots: places, aliases, lifetimes. */
adze_status adze_plan_place_values(adze_plan *plan, adze_arena *scratch, adze_error *err);

/* Offsets for values of the given byte sizes (by id; only PLACE_ARENA roots count): big first, lowest
 * fit among those alive at the same time. Returns the bytes of the arena. scratch: two ints a value. */
size_t adze_plan_pack(const adze_plan *plan, const size_t *sizes, size_t *offsets, int *scratch);

/* Plans of the graphs that this step's node carries. */
adze_status adze_plan_children(adze_plan *plan, adze_step *step, adze_error *err);
void adze_plan_free_children(adze_plan *plan);
adze_status adze_plan_create_child(adze_plan **out, const adze_plan *parent, adze_graph *graph,
                                   adze_error *err);
/* Its shape is an expression over the symbols of the inputs. */
bool adze_plan_is_symbolic(const adze_graph *graph, const adze_value *value);

#endif
