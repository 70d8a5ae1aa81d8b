/* What each scheme does to the base graph. */
#ifndef ADZE_COMPRESS_SCHEMES_H
#define ADZE_COMPRESS_SCHEMES_H
#include "compress/static_plan.h"

#endif
