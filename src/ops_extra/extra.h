/* The operators of the optional module. */
#ifndef ADZE_OPS_EXTRA_EXTRA_H
#define ADZE_OPS_EXTRA_EXTRA_H
#include "adze/ops_extra.h"

extern const adze_op adze_op_regex_full_match, adze_op_image_decoder;

#endif
