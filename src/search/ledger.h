/* The ledger of trials: what was measured, under a key made of everything that could change it. One
 * SQLite file; each trial is one transaction, so that a killed search loses at most the trial it was at. */
#ifndef ADZE_SEARCH_LEDGER_H
#define ADZE_SEARCH_LEDGER_H
#include <jansson.h>

#include "base/error.h"

typedef struct adze_ledger adze_ledger;

/* Opens or makes the file. Fails with ADZE_BAD_FILE (not a ledger), ADZE_IO, ADZE_UNSUPPORTED (built
 * without SQLite). */
adze_status adze_ledger_open(adze_ledger **out, const char *path, adze_error *err) ADZE_MUST_CHECK;
void adze_ledger_close(adze_ledger **ledger);
/* The record of a key as a new reference; *record NULL when there is none. */
adze_status adze_ledger_get(json_t **record, adze_ledger *ledger, const char *key,
                            adze_error *err) ADZE_MUST_CHECK;
/* Adds or replaces. */
adze_status adze_ledger_put(adze_ledger *ledger, const char *key, const json_t *record,
                            adze_error *err) ADZE_MUST_CHECK;
int adze_ledger_count(adze_ledger *ledger);

#endif
