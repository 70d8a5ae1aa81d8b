/* The report of a search, from its JSON: one HTML file without network or scripts, and a table for the
 * terminal. The JSON is the truth (docs/report.md has the schema); both only show it. */
#ifndef ADZE_SEARCH_REPORT_H
#define ADZE_SEARCH_REPORT_H
#include <jansson.h>

#include "base/text.h"

void adze_report_html(adze_text *out, const json_t *report);
void adze_report_text(adze_text *out, const json_t *report);

/* "93.4 %" for metrics that are shares, plain otherwise. */
const char *adze_report_metric(char buf[48], const char *name, double value);

#endif
