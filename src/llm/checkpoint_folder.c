/* Hugging Face folders. */
#include "llm/checkpoint_impl.h"

adze_status adze_checkpoint_open_folder(adze_checkpoint *c, adze_error *err)
{
    return adze_fail(err, ADZE_UNSUPPORTED, "%s: folders cannot be read by this build", c->path);
}
