/* libFuzzer of LLVM 14 keeps every input that reaches something new. Compiled without instrumentation, whose counters
 * these are: it would take the linker's names for its own. */
#include <string.h>

#include "fuzz.h"

extern uint8_t __start___sancov_cntrs[], __stop___sancov_cntrs[];

void fuzz_forget(void)
{
    memset(__start___sancov_cntrs, 0, (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs));
}
