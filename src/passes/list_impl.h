/* The entry point of each rewrite, one file each; passes.c puts them in order. */
#ifndef ADZE_PASSES_LIST_IMPL_H
#define ADZE_PASSES_LIST_IMPL_H
#include "passes/passes.h"

adze_status adze_pass_widen_half(adze_graph *graph, bool *changed, adze_error *err);
adze_status adze_pass_fold_constants(adze_graph *graph, bool *changed, adze_error *err);
adze_status adze_pass_fold_weights(adze_graph *graph, bool *changed, adze_error *err);
adze_status adze_pass_remove_dead(adze_graph *graph, bool *changed, adze_error *err);
adze_status adze_pass_remove_identities(adze_graph *graph, bool *changed, adze_error *err);
adze_status adze_pass_fuse_batch_norm(adze_graph *graph, bool *changed, adze_error *err);
adze_status adze_pass_fuse_pad(adze_graph *graph, bool *changed, adze_error *err);
adze_status adze_pass_fuse_bias(adze_graph *graph, bool *changed, adze_error *err);
adze_status adze_pass_fuse_activation(adze_graph *graph, bool *changed, adze_error *err);
adze_status adze_pass_fuse_residual(adze_graph *graph, bool *changed, adze_error *err);
adze_status adze_pass_name_hard_activations(adze_graph *graph, bool *changed, adze_error *err);
adze_status adze_pass_name_activations(adze_graph *graph, bool *changed, adze_error *err);
adze_status adze_pass_name_layer_norm(adze_graph *graph, bool *changed, adze_error *err);
adze_status adze_pass_expand_qlinear(adze_graph *graph, bool *changed, adze_error *err);
adze_status adze_pass_qdq_to_integer(adze_graph *graph, bool *changed, adze_error *err);
adze_status adze_pass_channels_last(adze_graph *graph, bool *changed, adze_error *err);
adze_status adze_pass_sink_transposes(adze_graph *graph, bool *changed, adze_error *err);
adze_status adze_pass_tidy_transposes(adze_graph *graph, bool *changed, adze_error *err);

#endif
