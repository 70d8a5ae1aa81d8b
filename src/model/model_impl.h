/* The inside of a model. */
#ifndef ADZE_MODEL_MODEL_IMPL_H
#define ADZE_MODEL_MODEL_IMPL_H
#include "adze/model.h"
#include "base/memory.h"
#include "formats/onnx.h"
#include "graph/ir.h"

struct adze_model {
    adze_arena
        arena; /* what the graph borrows beside mappings: parsed structs, converted tensors */
    adze_graph *graph;
    const char *path, *producer;
    int64_t opset, ir_version, file_size;
    int domain_count;
    adze_onnx_opset
        *domains; /* the newest version of each that the file, or a function in it, asks for */
    int meta_count;
    adze_onnx_meta *meta;
    int issue_count, issue_capacity;
    adze_issue *issues;
};

/* Lists what cannot run: unknown operators and attributes, with their share of the operations. */
adze_status adze_model_find_issues(adze_model *model, adze_error *err) ADZE_MUST_CHECK;

/* Operations of a node and whether they are known; dims without a bound count as 1. */
double adze_node_operations(const adze_graph *graph, const adze_node *node);

/* Writes graph as ONNX. */
adze_status adze_onnx_save(const adze_model *model, const char *path,
                           const adze_save_options *options, adze_error *err) ADZE_MUST_CHECK;

#endif
