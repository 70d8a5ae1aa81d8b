/* Resampling of pictures. */
#include "ops/helpers.h"

const adze_op adze_ops_resize[] = {
    {.name = NULL},
};
