# The test harness itself: passed, failed, skipped, crashed, hanging and over-reading tests are told apart.
set -euo pipefail
cat >check_sample.c <<'END'
#include <unistd.h>
#include "test.h"
TEST(passes) { CHECK_EQ(1 + 1, 2); CHECK_STR(test_tmpdir() ? "a" : "b", "a"); }
TEST(integers) { CHECK_EQ(1 + 1, 3); }
TEST(strings) { CHECK_STR("this", "that"); }
TEST(floats) { float a[2] = {1, 2}, b[2] = {1, 3}; CHECK_FLOATS(a, b, 2, 0, 1e-3); }
TEST(hangs) { for (;;) sleep(1); }
TEST(skipped) { SKIP("the %s is missing", "thing"); }
TEST(overreads) { volatile char *p = test_guard_alloc(100, NULL); (void)p[99]; (void)p[100]; }
END
compiler=$(sed -n 's/^CMAKE_C_COMPILER:[A-Z]*=//p' "$ADZE_BUILD/CMakeCache.txt")
sanitize=$(sed -n 's/^ADZE_SANITIZE:STRING=\(..*\)/-fsanitize=\1/p' "$ADZE_BUILD/CMakeCache.txt")
# shellcheck disable=SC2086
"$compiler" $sanitize -std=c11 -D_GNU_SOURCE -DADZE_SOURCE_DIR='"."' -DADZE_BUILD_DIR='"."' \
    -I"$ADZE_SOURCE/include" -I"$ADZE_SOURCE/tests" check_sample.c "$ADZE_SOURCE/tests/test_main.c" \
    "$ADZE_BUILD/libadze.a" -lm -pthread -o sample

ADZE_TEST_TIMEOUT=1 ./sample >out && { cat out; echo "sample must fail"; exit 1; }
cat out
expect() { grep -qF -- "$1" out || { echo "not said: $1"; exit 1; }; }
expect "1 + 1 is 2, expected 3"
expect '"that"'
expect "a[1] of 2 is 2, expected 3"
expect "FAILED check_sample.hangs (over the limit of 1 s)"
expect "FAILED check_sample.overreads"
expect "the thing is missing"
[ "$(tail -n 1 out)" = "1 passed, 5 failed, 1 skipped" ]
[ "$(./sample -l | wc -l)" = 7 ]
[ "$(./sample -k pass | tail -n 1)" = "1 passed, 0 failed, 0 skipped" ]
[ -z "$(ls "$TMPDIR" | grep adze-tests || true)" ]
echo "told apart"
