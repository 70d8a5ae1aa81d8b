/* Loading another runtime: what is said when there is none. The comparison itself: tests/e2e/pip/against.sh. */
#include <stdlib.h>
#include <string.h>

#include "adze/peers.h"
#include "test.h"

TEST(peers_names_a_library_that_is_not_there)
{
    adze_error err = {0};
    adze_peer *peer = NULL;
    CHECK_FAILS(adze_peer_open(&peer, "/nonexistent/libonnxruntime.so", &err), ADZE_NOT_FOUND,
                &err);
    CHECK(strstr(err.message,
                 "/nonexistent/libonnxruntime.so: not a shared library that can be loaded"));
    CHECK(peer == NULL);
}

TEST(peers_says_how_to_get_one)
{
    adze_error err = {0};
    adze_peer *peer = NULL;
    unsetenv("ADZE_ONNXRUNTIME");
    setenv("VIRTUAL_ENV", "/nonexistent", 1);
    adze_status status = adze_peer_open(&peer, NULL, &err);
    if (status == ADZE_OK) /* the system has one */
        CHECK(adze_peer_version(peer)[0] != 0);
    else
        CHECK(strstr(err.message, "'pip install onnxruntime' brings one"));
    adze_peer_close(&peer);
}
