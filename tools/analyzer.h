/* Put in front of every file that tools/lint analyses: tells the analyser, which sees one file at a
 * time, that adze_fail and adze_wrap return the status that they are given. Without it, it follows
 * failures into code that only runs on success. */
#include "../src/base/error.h"
#define adze_fail(err, status, ...) ((void)(adze_fail)(err, status, __VA_ARGS__), (status))
#define adze_wrap(err, status, ...) ((void)(adze_wrap)(err, status, __VA_ARGS__), (status))
