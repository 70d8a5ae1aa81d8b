/* Registration of the optional operators. */
#include "ops_extra/extra.h"

#include "base/error.h"

adze_status adze_ops_extra_register(adze_context *context, adze_error *err)
{
    ADZE_TRY(adze_op_register(context, &adze_op_regex_full_match, err));
    return adze_op_register(context, &adze_op_image_decoder, err);
}
