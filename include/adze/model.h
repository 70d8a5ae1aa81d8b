/** @file
 * Models: files to graphs and graphs to files, whatever the format; what a model is. */
#ifndef ADZE_MODEL_H
#define ADZE_MODEL_H
#include "adze/op.h"

ADZE_BEGIN_C

typedef struct adze_model adze_model;

/** Opens a model file (ONNX) by its content. Weights stay mapped. Operators, types and attributes that
 * adze does not know do not stop it: they are listed by adze_model_issue. Fails with ADZE_NOT_FOUND,
 * ADZE_BAD_FILE, ADZE_BAD_MODEL, ADZE_IO, ADZE_NO_MEMORY. Close with adze_model_close. */
ADZE_MUST_CHECK ADZE_API adze_status adze_model_open(adze_model **out, adze_context *context,
                                                     const char *path, adze_error *err);
/** Frees and nulls; plans made from its graph must be freed before. NULL is fine. */
ADZE_API void adze_model_close(adze_model **model);
/** A model around a graph that was built or rewritten; takes the graph (also on failure). Producer and
 * metadata are those of `like` (may be NULL). */
ADZE_MUST_CHECK ADZE_API adze_status adze_model_from_graph(adze_model **out, adze_graph **graph,
                                                           const adze_model *like, adze_error *err);

/** The model's graph, its own; changes are the caller's responsibility (infer again after them). */
ADZE_API adze_graph *adze_model_graph(const adze_model *model);
ADZE_API const char *adze_model_path(const adze_model *model);     /* "" when not from a file */
ADZE_API const char *adze_model_format(const adze_model *model);   /* "ONNX" */
ADZE_API const char *adze_model_producer(const adze_model *model); /* "" unknown */
/** What the file says under this key (character lists, class names), kept when the model is written; NULL: nothing. */
ADZE_API const char *adze_model_metadata(const adze_model *model, const char *key);
ADZE_API int64_t adze_model_opset(const adze_model *model); /* of ai.onnx, as in the file */
ADZE_API int64_t adze_model_ir_version(const adze_model *model);
/** Bytes of the file and of its external data; 0 when not from a file. */
ADZE_API int64_t adze_model_file_size(const adze_model *model);

/** Something in the file that adze cannot run as it is. */
typedef struct adze_issue {
    const char *what;    /* "operator Foo of domain com.acme is not known" */
    const char *remedy;  /* what would cure it */
    int nodes;           /* how many nodes have it */
    double operations;   /* their share of the model's operations, 0 to 1; -1 unknown */
    const char *example; /* name of the first such node */
} adze_issue;
ADZE_API int adze_model_issue_count(const adze_model *model);
ADZE_API const adze_issue *adze_model_issue(const adze_model *model, int i);
/** adze_plan_options.refused with `model` as its user: adds what the plan of the model's graph found out (types and
 * attributes without a kernel) to the issues. */
ADZE_API void adze_model_add_refused(void *model, const adze_node *node, const adze_error *why);

/** "NAME=1x3x224x224": gives a graph input these dimensions ("N" or "?" keeps one symbolic); without NAME=
 * the only input is meant. Infers again. Fails with ADZE_BAD_ARGUMENT, ADZE_BAD_MODEL. */
ADZE_MUST_CHECK ADZE_API adze_status adze_model_set_shape(adze_model *model, const char *text,
                                                          adze_error *err);
/** "N=512" or "N=1..512": bounds of a symbol. */
ADZE_MUST_CHECK ADZE_API adze_status adze_model_set_bound(adze_model *model, const char *text,
                                                          adze_error *err);

typedef struct adze_save_options {
    const char *external_data; /* see docs/formats-onnx.md; NULL: inside the file below 2 GB */
} adze_save_options;

/** Writes the model by the extension of `path` (.onnx), beside and renamed: lowest opset and IR version
 * that hold the content. The same model gives the same bytes. options NULL: defaults. */
ADZE_MUST_CHECK ADZE_API adze_status adze_model_save(const adze_model *model, const char *path,
                                                     const adze_save_options *options,
                                                     adze_error *err);

/** What the model is, as JSON (stable schema, docs/inspect.md) and for people; free both with
 * adze_string_free. Either may be NULL. */
ADZE_MUST_CHECK ADZE_API adze_status adze_model_describe(const adze_model *model, char **json,
                                                         char **text, adze_error *err);

/** Operations of all nodes and bytes of weights at the bounds (symbols without a bound: 1). */
ADZE_MUST_CHECK ADZE_API adze_status adze_model_cost(const adze_model *model, double *operations,
                                                     double *weight_bytes, adze_error *err);

/** A value from a file of ONNX test data: one serialized TensorProto, SequenceProto or OptionalProto, as
 * `type` says. Close with adze_test_value_close. Fails with ADZE_NOT_FOUND, ADZE_BAD_FILE. */
typedef struct adze_test_value adze_test_value;
ADZE_MUST_CHECK ADZE_API adze_status adze_test_value_open(adze_test_value **out, const char *path,
                                                          const adze_type *type, adze_error *err);
ADZE_API const adze_item *adze_test_value_item(const adze_test_value *value);
ADZE_API void adze_test_value_close(adze_test_value **value);

ADZE_END_C
#endif
