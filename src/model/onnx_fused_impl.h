/* Pieces of graphs for expanding fused operators (onnx_fused.c, onnx_fused_attention.c). A NULL operand or
 * result means: out of memory; `become` says so in the end. */
#ifndef ADZE_MODEL_ONNX_FUSED_IMPL_H
#define ADZE_MODEL_ONNX_FUSED_IMPL_H
#include "model/onnx_import.h"

typedef adze_value *adze_piece;

adze_status adze_fused_no_memory(adze_error *err);
adze_status adze_fused_unsupported(const adze_node *node, const char *what, adze_error *err);
adze_piece adze_fused_in(const adze_node *node, int i);  /* NULL: absent */
adze_piece adze_fused_out(const adze_node *node, int i); /* NULL: absent */
/* A node before this one. */
adze_node *adze_fused_emit(const adze_node *node, const char *op, int inputs,
                           const adze_piece *operands, int outputs);
adze_piece adze_fused_emit1(const adze_node *node, const char *op, adze_piece a);
adze_piece adze_fused_emit2(const adze_node *node, const char *op, adze_piece a, adze_piece b);
/* Infers the node again that gives x, after it got attributes. */
adze_piece adze_fused_again(adze_piece x);
/* x as another element type; x itself when it is of that type. */
adze_piece adze_fused_cast(const adze_node *node, adze_piece x, adze_dtype to);
/* What made `from` makes output i of the node, which is taken apart, instead. */
adze_piece adze_fused_deliver(adze_node *node, int i, adze_piece from);
adze_piece adze_fused_ints(const adze_node *node, int n, const int64_t *values);
adze_piece adze_fused_int(const adze_node *node, int64_t v);
/* A number of the type of `like`. */
adze_piece adze_fused_scalar(const adze_node *node, const adze_value *like, float v);
/* The node becomes a plain one over these operands (NULL at the end: fewer); attributes that `keep` does
 * not name go. */
adze_status adze_fused_become(adze_node *node, const char *op, int outputs, adze_piece a,
                              adze_piece b, adze_piece c, const char *keep,
                              adze_error *err) ADZE_MUST_CHECK;

adze_status adze_fused_multi_head(adze_node *node, adze_error *err) ADZE_MUST_CHECK;
adze_status adze_fused_attention(adze_node *node, adze_error *err) ADZE_MUST_CHECK;
/* The rest of an Attention whose queries, keys and values lie side by side in x. */
adze_status adze_fused_attention_of(adze_node *node, adze_piece x, adze_piece mask, adze_piece past,
                                    adze_piece scores, adze_error *err) ADZE_MUST_CHECK;

#endif
