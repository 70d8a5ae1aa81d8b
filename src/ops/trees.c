/* Tree ensembles of ai.onnx.ml. The three forms of files (TreeEnsembleClassifier, TreeEnsembleRegressor with
 * tables of nodes by tree and number, TreeEnsemble 5 by position) become one: nodes with two children,
 * leaves with votes for targets. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/classic.h"

enum { LEQ, LT, GTE, GT, EQ, NEQ, MEMBER, LEAF };

typedef struct tree_node {
    double split;
    int64_t feature;
    int32_t child[2];     /* true, false: positions of nodes */
    int32_t first, count; /* leaves: votes; MEMBER: values */
    uint8_t mode;
    bool missing_true; /* NaN goes where true goes */
} tree_node;

typedef struct vote {
    int64_t target;
    double weight;
} vote;

enum { AVERAGE, SUM, MIN, MAX };

typedef struct ensemble {
    int64_t node_count, root_count, vote_count, member_count, targets, features;
    tree_node *nodes;
    int32_t *roots;
    vote *votes;
    const double *members;
    const double *base; /* [base_count] */
    int64_t base_count;
    int aggregate;
    adze_post post;
    bool plain;                      /* all nodes are LEQ, and NaN goes where false goes */
    bool single_class, all_positive; /* of a classifier: votes for one class only, none negative */
} ensemble;

static adze_status no_memory(adze_error *err)
{
    return adze_fail(err, ADZE_NO_MEMORY, "tree ensemble");
}

static const int64_t *ints(const adze_node *node, const char *name, int64_t *count)
{
    int n;
    const int64_t *list = adze_node_ints(node, name, &n);
    *count = n;
    return list;
}

/* ---- tables by tree and node number ---- */

typedef struct key {
    int64_t tree, node, place;
} key;

static int compare_keys(const void *left, const void *right)
{
    const key *a = left, *b = right;
    if (a->tree != b->tree)
        return a->tree < b->tree ? -1 : 1;
    return (a->node > b->node) - (a->node < b->node);
}

static int by_key_and_place(const void *left, const void *right)
{
    int order = compare_keys(left, right);
    int64_t a = ((const key *)left)->place, b = ((const key *)right)->place;
    return order ? order : (a > b) - (a < b);
}

static int64_t find_node(const key *keys, int64_t n, int64_t tree, int64_t node)
{
    key wanted = {tree, node, 0};
    const key *found = bsearch(&wanted, keys, (size_t)n, sizeof wanted, compare_keys);
    return found ? found->place : -1;
}

static int mode_of(const adze_string *s)
{
    static const char *const names[] = {"BRANCH_LEQ",    "BRANCH_LT", "BRANCH_GTE",
                                        "BRANCH_GT",     "BRANCH_EQ", "BRANCH_NEQ",
                                        "BRANCH_MEMBER", "LEAF",      NULL};
    for (int i = 0; names[i]; i++)
        if (s->length == strlen(names[i]) && memcmp(s->data, names[i], s->length) == 0)
            return i == MEMBER ? -1 : i;
    return -1;
}

typedef struct tables {
    int64_t n;
    const int64_t *trees, *numbers, *features, *yes, *no, *missing;
    const double *splits;
    adze_tensor modes;
    key *keys;
} tables;

static adze_status read_tables(adze_prepare *prepare, tables *t, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    int64_t counts[6], splits;
    t->trees = ints(node, "nodes_treeids", &t->n);
    t->numbers = ints(node, "nodes_nodeids", &counts[0]);
    t->features = ints(node, "nodes_featureids", &counts[1]);
    t->yes = ints(node, "nodes_truenodeids", &counts[2]);
    t->no = ints(node, "nodes_falsenodeids", &counts[3]);
    t->missing = ints(node, "nodes_missing_value_tracks_true", &counts[5]);
    t->splits = adze_classic_numbers(prepare, "nodes_values", &splits);
    bool strings =
        adze_classic_list(node, "nodes_modes", &t->modes) && t->modes.dtype == ADZE_STRING;
    counts[4] = strings ? t->modes.dims[0] : 0;
    bool ok = t->n > 0 && t->n < INT32_MAX && splits == t->n && (!counts[5] || counts[5] == t->n);
    for (int i = 0; i < 5; i++)
        ok &= counts[i] == t->n;
    if (!ok)
        return adze_ops_bad(node, err, "the lists nodes_... are empty or of different lengths");
    t->keys = adze_prepare_alloc(prepare, (size_t)t->n * sizeof *t->keys);
    if (!t->keys)
        return no_memory(err);
    for (int64_t i = 0; i < t->n; i++)
        t->keys[i] = (key){t->trees[i], t->numbers[i], i};
    qsort(t->keys, (size_t)t->n, sizeof *t->keys, by_key_and_place);
    for (int64_t i = 1; i < t->n; i++)
        if (compare_keys(&t->keys[i - 1], &t->keys[i]) == 0)
            return adze_ops_bad(node, err, "a node's number appears twice in its tree");
    return ADZE_OK;
}

/* Nodes, and as roots those that are nobody's child. */
static adze_status link_tables(adze_prepare *prepare, ensemble *e, const tables *t, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    e->node_count = t->n;
    e->nodes = adze_prepare_alloc(prepare, (size_t)t->n * sizeof *e->nodes);
    e->roots = adze_prepare_alloc(prepare, (size_t)t->n * sizeof *e->roots);
    bool *is_child = adze_prepare_alloc(prepare, (size_t)t->n);
    if (!e->nodes || !e->roots || !is_child)
        return no_memory(err);
    for (int64_t i = 0; i < t->n; i++) {
        int mode = mode_of((const adze_string *)t->modes.data + i);
        if (mode < 0)
            return adze_ops_bad(node, err, "an unknown mode of a node");
        tree_node *to = &e->nodes[i];
        *to = (tree_node){.split = t->splits[i],
                          .feature = mode == LEAF ? 0 : t->features[i],
                          .mode = (uint8_t)mode,
                          .missing_true = t->missing && t->missing[i]};
        if (mode == LEAF)
            continue;
        for (int c = 0; c < 2; c++) {
            int64_t at = find_node(t->keys, t->n, t->trees[i], (c ? t->no : t->yes)[i]);
            if (at < 0 || at == i)
                return adze_ops_bad(node, err, "a node's child is not in its tree");
            to->child[c] = (int32_t)at;
            is_child[at] = true;
        }
    }
    for (int64_t i = 0; i < t->n; i++)
        if (!is_child[i])
            e->roots[e->root_count++] = (int32_t)i;
    return ADZE_OK;
}

/* Votes in the order of their nodes. prefix: "class" or "target". */
static adze_status read_votes(adze_prepare *prepare, ensemble *e, const tables *t, bool classes,
                              adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    int64_t n, numbers, targets, weights;
    const int64_t *tree = ints(node, classes ? "class_treeids" : "target_treeids", &n);
    const int64_t *number = ints(node, classes ? "class_nodeids" : "target_nodeids", &numbers);
    const int64_t *target = ints(node, classes ? "class_ids" : "target_ids", &targets);
    const double *weight =
        adze_classic_numbers(prepare, classes ? "class_weights" : "target_weights", &weights);
    if (n != numbers || n != targets || n != weights || n >= INT32_MAX)
        return adze_ops_bad(node, err, "the lists of votes are of different lengths");
    key *order = adze_prepare_alloc(prepare, ((size_t)n + 1) * sizeof *order);
    e->votes = adze_prepare_alloc(prepare, ((size_t)n + 1) * sizeof *e->votes);
    if (!order || !e->votes)
        return no_memory(err);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = find_node(t->keys, t->n, tree[i], number[i]);
        if (at < 0 || target[i] < 0 || target[i] >= e->targets)
            return adze_ops_bad(node, err, "a vote of no node, or for no target");
        order[i] = (key){at, 0, i};
    }
    qsort(order, (size_t)n, sizeof *order, by_key_and_place);
    e->single_class = n > 0;
    e->all_positive = true;
    for (int64_t i = 0; i < n; i++) {
        tree_node *leaf = &e->nodes[order[i].tree];
        leaf->first = leaf->count ? leaf->first : (int32_t)i;
        leaf->count++;
        e->votes[i] = (vote){target[order[i].place], weight[order[i].place]};
        e->single_class &= e->votes[i].target == e->votes[0].target;
        e->all_positive &= e->votes[i].weight >= 0;
    }
    e->vote_count = n;
    return ADZE_OK;
}

static adze_status from_tables(adze_prepare *prepare, ensemble *e, bool classes, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    static const char *const aggregates[] = {"AVERAGE", "SUM", "MIN", "MAX", NULL};
    tables t = {0};
    int post = adze_classic_post(node);
    e->aggregate = adze_ops_choice(aggregates, adze_node_string(node, "aggregate_function", "SUM"));
    if (post < 0 || e->aggregate < 0)
        return adze_ops_bad(node, err, "unknown post_transform or aggregate_function");
    e->post = (adze_post)post;
    ADZE_TRY(read_tables(prepare, &t, err));
    ADZE_TRY(link_tables(prepare, e, &t, err));
    ADZE_TRY(read_votes(prepare, e, &t, classes, err));
    e->base = adze_classic_numbers(prepare, "base_values", &e->base_count);
    if (e->base_count > e->targets || (e->base_count > 1 && e->base_count != e->targets))
        return adze_ops_bad(node, err, "base_values has another length than the targets");
    return ADZE_OK;
}

/* ---- by position ---- */

static adze_status read_leaves(adze_prepare *prepare, ensemble *e, int64_t *leaves, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    const int64_t *targets = ints(node, "leaf_targetids", leaves);
    const double *weights = adze_classic_numbers(prepare, "leaf_weights", &e->vote_count);
    if (*leaves < 1 || *leaves != e->vote_count || *leaves >= INT32_MAX)
        return adze_ops_bad(node, err, "leaf_targetids and leaf_weights differ in length");
    e->votes = adze_prepare_alloc(prepare, (size_t)*leaves * sizeof *e->votes);
    if (!e->votes)
        return no_memory(err);
    for (int64_t i = 0; i < *leaves; i++) {
        if (targets[i] < 0 || targets[i] >= e->targets)
            return adze_ops_bad(node, err, "a leaf of no target");
        e->votes[i] = (vote){targets[i], weights[i]};
    }
    return ADZE_OK;
}

/* The values of the next MEMBER node: up to the next NaN. */
static void take_members(const ensemble *e, tree_node *to, int64_t *at)
{
    to->first = (int32_t)*at;
    while (*at < e->member_count && !isnan(e->members[*at]))
        ++*at;
    to->count = (int32_t)(*at - to->first);
    ++*at;
}

static bool link_positions(const adze_node *node, ensemble *e, const double *modes,
                           const double *splits, int64_t interior, int64_t leaves)
{
    int64_t n[6], members = 0;
    const int64_t *features = ints(node, "nodes_featureids", &n[0]);
    const int64_t *to[2] = {ints(node, "nodes_truenodeids", &n[1]),
                            ints(node, "nodes_falsenodeids", &n[2])};
    const int64_t *is_leaf[2] = {ints(node, "nodes_trueleafs", &n[3]),
                                 ints(node, "nodes_falseleafs", &n[4])};
    const int64_t *missing = ints(node, "nodes_missing_value_tracks_true", &n[5]);
    for (int i = 0; i < 5; i++)
        if (n[i] != interior)
            return false;
    if (missing && n[5] != interior)
        return false;
    for (int64_t i = 0; i < interior; i++) {
        tree_node *out = &e->nodes[i];
        if (!(modes[i] >= LEQ && modes[i] <= MEMBER))
            return false;
        *out = (tree_node){.split = splits[i],
                           .feature = features[i],
                           .mode = (uint8_t)modes[i],
                           .missing_true = missing && missing[i]};
        if (out->mode == MEMBER)
            take_members(e, out, &members);
        for (int c = 0; c < 2; c++) {
            if (to[c][i] < 0 || to[c][i] >= (is_leaf[c][i] ? leaves : interior))
                return false;
            out->child[c] = (int32_t)(to[c][i] + (is_leaf[c][i] ? interior : 0));
        }
    }
    for (int64_t i = 0; i < leaves; i++)
        e->nodes[interior + i] = (tree_node){.mode = LEAF, .first = (int32_t)i, .count = 1};
    return true;
}

static adze_status from_positions(adze_prepare *prepare, ensemble *e, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    int64_t leaves, interior, splits_count, post = adze_node_int(node, "post_transform", 0);
    const double *modes = adze_classic_numbers(prepare, "nodes_modes", &interior);
    const double *splits = adze_classic_numbers(prepare, "nodes_splits", &splits_count);
    const int64_t *roots = ints(node, "tree_roots", &e->root_count);
    e->members = adze_classic_numbers(prepare, "membership_values", &e->member_count);
    e->aggregate = (int)adze_node_int(node, "aggregate_function", SUM);
    if (post < 0 || post > ADZE_POST_PROBIT || e->aggregate < AVERAGE || e->aggregate > MAX)
        return adze_ops_bad(node, err, "unknown post_transform or aggregate_function");
    e->post = (adze_post)post;
    ADZE_TRY(read_leaves(prepare, e, &leaves, err));
    if (interior < 1 || splits_count != interior || interior >= INT32_MAX / 2 ||
        leaves >= INT32_MAX / 2 || e->member_count >= INT32_MAX)
        return adze_ops_bad(node, err, "nodes_modes and nodes_splits differ in length");
    e->node_count = interior + leaves;
    e->nodes = adze_prepare_alloc(prepare, (size_t)e->node_count * sizeof *e->nodes);
    e->roots = adze_prepare_alloc(prepare, ((size_t)e->root_count + 1) * sizeof *e->roots);
    if (!e->nodes || !e->roots)
        return no_memory(err);
    if (!link_positions(node, e, modes, splits, interior, leaves))
        return adze_ops_bad(node, err, "the lists nodes_... do not make trees");
    for (int64_t i = 0; i < e->root_count; i++) {
        if (roots[i] < 0 || roots[i] >= interior)
            return adze_ops_bad(node, err, "a root that is no node");
        e->roots[i] = (int32_t)roots[i];
    }
    return ADZE_OK;
}

/* ---- inference and preparation ---- */

enum form { CLASSIFIER, REGRESSOR, POSITIONS };

static enum form form_of(const adze_node *node)
{
    const char *op = adze_node_op(node);
    return strcmp(op, "TreeEnsemble") == 0            ? POSITIONS
           : strcmp(op, "TreeEnsembleRegressor") == 0 ? REGRESSOR
                                                      : CLASSIFIER;
}

static int64_t targets_of(const adze_node *node)
{
    if (form_of(node) == CLASSIFIER)
        return adze_classic_labels(node).count;
    int64_t n = adze_node_int(node, "n_targets", 1);
    return n < 1 || n > INT32_MAX ? -1 : n;
}

static adze_status trees_infer(adze_infer *infer, adze_error *err)
{
    const adze_node *node = adze_infer_node(infer);
    const adze_type *x = adze_ops_ranked(infer, 0);
    int64_t targets = targets_of(node);
    if (form_of(node) == CLASSIFIER)
        return adze_classic_infer(infer, targets, err);
    if (targets < 0)
        return adze_ops_bad(node, err, "n_targets is not a count");
    if (!x)
        return ADZE_OK;
    if (x->rank != 1 && x->rank != 2)
        return adze_ops_bad(node, err, "the input must be [N, F] or [F]");
    adze_dim dims[2] = {x->rank == 2 ? x->dims[0] : 1, targets};
    adze_infer_set_tensor(infer, 0, form_of(node) == POSITIONS ? x->dtype : ADZE_F32, 2, dims);
    return ADZE_OK;
}

static adze_status trees_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    ensemble *e = adze_prepare_alloc(prepare, sizeof *e);
    if (!e)
        return no_memory(err);
    ADZE_TRY(adze_classic_prepare_input(prepare, err));
    if (form_of(node) == POSITIONS && !adze_ops_is_float(adze_prepare_input(prepare, 0)->dtype))
        return adze_ops_unsupported(node, adze_prepare_input(prepare, 0)->dtype, err);
    e->targets = targets_of(node);
    if (form_of(node) == POSITIONS)
        ADZE_TRY(from_positions(prepare, e, err));
    else
        ADZE_TRY(from_tables(prepare, e, form_of(node) == CLASSIFIER, err));
    e->plain = true;
    for (int64_t i = 0; i < e->node_count; i++) {
        e->plain &=
            e->nodes[i].mode == LEAF || (e->nodes[i].mode == LEQ && !e->nodes[i].missing_true);
        if (e->nodes[i].feature < 0)
            return adze_ops_bad(node, err, "a feature below zero");
        e->features = ADZE_MAX(e->features, e->nodes[i].mode == LEAF ? 0 : e->nodes[i].feature + 1);
    }
    adze_prepare_set(prepare, e);
    return ADZE_OK;
}

/* ---- running ---- */

typedef struct score {
    double value;
    int64_t votes;
} score;

static bool goes_true(const ensemble *e, const tree_node *n, double v)
{
    if (n->missing_true && isnan(v))
        return true;
    switch (n->mode) {
    case LEQ: return v <= n->split;
    case LT: return v < n->split;
    case GTE: return v >= n->split;
    case GT: return v > n->split;
    case EQ: return v == n->split;
    case NEQ: return v != n->split;
    default: break;
    }
    for (int32_t i = 0; i < n->count; i++)
        if (e->members[n->first + i] == v)
            return true;
    return false;
}

/* NULL: the nodes go round in a circle. */
static const tree_node *find_leaf(const ensemble *e, int32_t root, const adze_tensor *x,
                                  int64_t row)
{
    const tree_node *n = &e->nodes[root];
    if (e->plain && x->dtype == ADZE_F32) {
        const float *v = (const float *)x->data + row;
        int64_t steps = 0;
        for (; n->mode != LEAF && steps <= e->node_count; steps++)
            n = &e->nodes[n->child[!((double)v[n->feature] <= n->split)]];
        return steps > e->node_count ? NULL : n;
    }
    for (int64_t steps = 0; n->mode != LEAF; steps++) {
        if (steps > e->node_count)
            return NULL;
        n = &e->nodes[n->child[goes_true(e, n, adze_classic_at(x, row + n->feature)) ? 0 : 1]];
    }
    return n;
}

static void add_vote(const ensemble *e, score *to, double weight)
{
    if (e->aggregate == MIN)
        to->value = to->votes ? fmin(to->value, weight) : weight;
    else if (e->aggregate == MAX)
        to->value = to->votes ? fmax(to->value, weight) : weight;
    else
        to->value += weight;
    to->votes++;
}

/* Scores of some rows, tree by tree: a tree stays in the cache, and rows do not wait for each other. */
enum { ROWS = 32 };

static bool score_rows(const ensemble *e, const adze_tensor *x, int64_t first, int64_t rows,
                       score *scores)
{
    int64_t columns = adze_classic_columns(x);
    memset(scores, 0, (size_t)(rows * e->targets) * sizeof *scores);
    for (int64_t r = 0; r < e->root_count; r++)
        for (int64_t row = 0; row < rows; row++) {
            const tree_node *leaf = find_leaf(e, e->roots[r], x, (first + row) * columns);
            if (!leaf)
                return false;
            for (int32_t i = leaf->first; i < leaf->first + leaf->count; i++)
                add_vote(e, &scores[row * e->targets + e->votes[i].target], e->votes[i].weight);
        }
    for (int64_t row = 0; row < rows; row++, scores += e->targets)
        for (int64_t t = 0; t < e->targets; t++) {
            if (e->aggregate == AVERAGE)
                scores[t].value /= (double)e->root_count;
            if (e->base_count > t || (e->base_count == 1 && !e->single_class))
                scores[t].value += e->base[e->base_count > t ? t : 0];
        }
    return true;
}

typedef struct trees_job {
    const ensemble *e;
    const adze_tensor *x;
    adze_tensor *labels, *scores;
    adze_labels names;
    bool classify;
    size_t stride; /* bytes of scratch for a worker */
    char *scratch;
    bool *circle; /* [workers] */
} trees_job;

/* Label of a row, and its scores transformed into out. */
static void classify_row(const trees_job *job, const score *scores, double *out, int64_t row)
{
    const ensemble *e = job->e;
    int64_t best = -1;
    for (int64_t t = 0; t < e->targets; t++) {
        out[t] = scores[t].value;
        if (scores[t].votes && (best < 0 || out[t] > out[best]))
            best = t;
    }
    if (e->targets == 1) {
        adze_classic_put_single(&job->names, job->labels, row, out[0] > 0);
        if (e->post == ADZE_POST_PROBIT)
            adze_classic_transform(e->post, 1, out);
        return;
    }
    if (e->targets == 2 && e->single_class) {
        int64_t only = e->votes[0].target;
        best = out[only] > (e->all_positive ? 0.5 : 0.0);
        if (only == 0)
            adze_classic_pair(e->post, e->all_positive, out[0], out);
        else
            adze_classic_transform(e->post, 2, out);
    } else {
        adze_classic_transform(e->post, e->targets, out);
    }
    adze_classic_put_label(&job->names, job->labels, row, ADZE_MAX(best, 0));
}

static void finish_row(const trees_job *job, const score *scores, double *out, int64_t row)
{
    const ensemble *e = job->e;
    adze_tensor *y = job->scores;
    for (int64_t t = 0; t < e->targets; t++)
        out[t] = scores[t].value;
    if (job->classify)
        classify_row(job, scores, out, row);
    else if (e->targets > 1 || e->post == ADZE_POST_PROBIT)
        adze_classic_transform(e->post, e->targets, out);
    for (int64_t t = 0; y && t < e->targets; t++)
        adze_ops_put(y, row * e->targets + t, out[t]);
}

static void trees_range(void *user, int64_t begin, int64_t end, int worker)
{
    const trees_job *job = user;
    const ensemble *e = job->e;
    score *scores = (score *)(void *)(job->scratch + (size_t)worker * job->stride);
    double *out = (double *)(void *)(scores + ROWS * e->targets);
    for (int64_t row = begin, n; row < end; row += n) {
        n = ADZE_MIN(ROWS, end - row);
        if (!score_rows(e, job->x, row, n, scores)) {
            job->circle[worker] = true;
            return;
        }
        for (int64_t r = 0; r < n; r++)
            finish_row(job, scores + r * e->targets, out, row + r);
    }
}

static size_t row_scratch(int64_t targets)
{
    return ((size_t)targets * (ROWS * sizeof(score) + sizeof(double)) + 63) / 64 * 64;
}

static size_t trees_scratch(const adze_run *run)
{
    size_t workers = (size_t)adze_run_threads(run);
    return workers * (row_scratch(ADZE_MAX(targets_of(run->node), 1)) + 1);
}

static adze_status trees_run(adze_run *run, adze_error *err)
{
    const ensemble *e = run->prepared;
    const adze_tensor *x = run->inputs[0];
    int workers = adze_run_threads(run);
    bool classify = form_of(run->node) == CLASSIFIER, circle = false;
    if (e->features > adze_classic_columns(x))
        return adze_fail(err, ADZE_BAD_DATA, "%s '%s': %lld features, the trees ask for %lld",
                         adze_node_op(run->node), adze_node_name(run->node),
                         (long long)adze_classic_columns(x), (long long)e->features);
    trees_job job = {.e = e,
                     .x = x,
                     .labels = classify ? run->outputs[0] : NULL,
                     .scores = adze_ops_output(run, classify),
                     .names = adze_classic_labels(run->node),
                     .classify = classify,
                     .stride = row_scratch(e->targets),
                     .scratch = run->scratch};
    job.circle = (bool *)(job.scratch + (size_t)workers * job.stride);
    memset(job.circle, 0, (size_t)workers);
    int64_t grain = ADZE_MAX(1, 32768 / ADZE_MAX(1, e->root_count * 8));
    adze_ops_parallel(run, adze_classic_rows(x), grain, trees_range, &job);
    for (int i = 0; i < workers; i++)
        circle |= job.circle[i];
    return circle ? adze_ops_bad(run->node, err, "nodes of a tree go round in a circle") : ADZE_OK;
}

static void trees_cost(adze_cost *cost, const adze_node *node, const adze_tensor *const *inputs,
                       const adze_tensor *const *outputs)
{
    int n;
    ADZE_UNUSED(outputs);
    const int64_t *trees = adze_node_ints(node, "nodes_treeids", &n);
    int64_t count = 1;
    for (int i = 1; i < n; i++)
        count += trees[i] != trees[i - 1];
    if (form_of(node) == POSITIONS)
        adze_node_ints(node, "tree_roots", &n), count = n;
    cost->operations = (double)adze_classic_rows(inputs[0]) * (double)count * 8;
}

#define NODES_ATTRS                                                                                \
    "base_values base_values_as_tensor nodes_falsenodeids nodes_featureids nodes_hitrates "        \
    "nodes_hitrates_as_tensor nodes_missing_value_tracks_true nodes_modes nodes_nodeids "          \
    "nodes_treeids nodes_truenodeids nodes_values nodes_values_as_tensor post_transform "
#define TREES_ROW(op, v, outputs, list)                                                            \
    {                                                                                              \
        .domain = "ai.onnx.ml", .name = op, .since = v, .min_inputs = 1, .max_inputs = 1,          \
        .min_outputs = 1, .max_outputs = outputs, .attrs = list, .infer = trees_infer,             \
        .cost = trees_cost, .prepare = trees_prepare, .scratch = trees_scratch, .run = trees_run   \
    }

const adze_op adze_ops_trees[] = {
    TREES_ROW("TreeEnsembleClassifier", 1, 2,
              NODES_ATTRS "class_ids class_nodeids class_treeids class_weights "
                          "class_weights_as_tensor classlabels_int64s classlabels_strings"),
    TREES_ROW("TreeEnsembleRegressor", 1, 1,
              NODES_ATTRS "aggregate_function n_targets target_ids target_nodeids target_treeids "
                          "target_weights target_weights_as_tensor"),
    TREES_ROW("TreeEnsemble", 5, 1,
              "aggregate_function leaf_targetids leaf_weights membership_values n_targets "
              "nodes_falseleafs nodes_falsenodeids nodes_featureids nodes_hitrates "
              "nodes_missing_value_tracks_true nodes_modes nodes_splits nodes_trueleafs "
              "nodes_truenodeids post_transform tree_roots"),
    {.name = NULL},
};
