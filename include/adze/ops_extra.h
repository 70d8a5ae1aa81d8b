/** @file
 * Operators of ONNX that need libraries of others: ImageDecoder (libpng, libjpeg, and where they are there libwebp,
 * openjpeg, libtiff), RegexFullMatch (PCRE2). Not part of the core; a program that wants them asks. */
#ifndef ADZE_OPS_EXTRA_H
#define ADZE_OPS_EXTRA_H
#include "adze/op.h"

ADZE_BEGIN_C

/** Registers them as a program's own operators are, before models are opened. Fails with ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_ops_extra_register(adze_context *context,
                                                             adze_error *err);

ADZE_END_C
#endif
