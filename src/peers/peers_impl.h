/* Values of ONNX Runtime on their way to the comparison. */
#ifndef ADZE_PEERS_PEERS_IMPL_H
#define ADZE_PEERS_PEERS_IMPL_H
#include "adze/peers.h"
#include "base/memory.h"

struct adze_peer_values {
    adze_peer *peer;
    adze_arena arena;
    int count;
    const char **names;   /* sorted; in the arena */
    adze_tensor *tensors; /* ADZE_UNDEFINED: not a tensor; borrowed from `handles` */
    void **handles;       /* OrtValue */
};

/* NULL: there is none. */
const adze_tensor *adze_peer_value(const adze_peer_values *values, const char *name);

#endif
