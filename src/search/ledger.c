/* The ledger of trials in SQLite. */
#include "search/ledger.h"

#include <stdlib.h>

#include "base/memory.h"

#ifdef ADZE_HAVE_SQLITE
#include <sqlite3.h>

struct adze_ledger {
    sqlite3 *db;
    const char *path;
    adze_arena arena;
};

static adze_status failed(const adze_ledger *l, adze_error *err)
{
    int code = sqlite3_errcode(l->db);
    return adze_fail(err, code == SQLITE_NOTADB || code == SQLITE_CORRUPT ? ADZE_BAD_FILE : ADZE_IO,
                     "%s: %s (remove the file to start afresh)", l->path, sqlite3_errmsg(l->db));
}

static adze_status start(adze_ledger *l, const char *path, adze_error *err)
{
    static const char schema[] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                                 "CREATE TABLE IF NOT EXISTS trials ("
                                 " key TEXT PRIMARY KEY, record TEXT NOT NULL,"
                                 " time TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP);";
    l->path = adze_arena_strdup(&l->arena, path);
    if (!l->path)
        return adze_fail(err, ADZE_NO_MEMORY, "%s", path);
    if (sqlite3_open(path, &l->db) != SQLITE_OK || sqlite3_busy_timeout(l->db, 5000) != SQLITE_OK ||
        sqlite3_exec(l->db, schema, NULL, NULL, NULL) != SQLITE_OK)
        return failed(l, err);
    return ADZE_OK;
}

adze_status adze_ledger_open(adze_ledger **out, const char *path, adze_error *err)
{
    adze_ledger *l = adze_alloc(1, sizeof *l);
    if (!l)
        return adze_fail(err, ADZE_NO_MEMORY, "%s", path);
    adze_status status = start(l, path, err);
    if (status != ADZE_OK)
        adze_ledger_close(&l);
    else
        *out = l;
    return status;
}

void adze_ledger_close(adze_ledger **ledger)
{
    if (!ledger || !*ledger)
        return;
    sqlite3_close((*ledger)->db);
    adze_arena_free(&(*ledger)->arena);
    adze_free(*ledger);
    *ledger = NULL;
}

adze_status adze_ledger_get(json_t **record, adze_ledger *l, const char *key, adze_error *err)
{
    sqlite3_stmt *query = NULL;
    *record = NULL;
    int ok = sqlite3_prepare_v2(l->db, "SELECT record FROM trials WHERE key = ?", -1, &query, NULL);
    if (ok == SQLITE_OK)
        ok = sqlite3_bind_text(query, 1, key, -1, SQLITE_STATIC);
    if (ok == SQLITE_OK)
        ok = sqlite3_step(query);
    if (ok == SQLITE_ROW)
        *record = json_loads((const char *)sqlite3_column_text(query, 0), 0, NULL);
    adze_status status = ok == SQLITE_ROW || ok == SQLITE_DONE ? ADZE_OK : failed(l, err);
    sqlite3_finalize(query);
    return status;
}

adze_status adze_ledger_put(adze_ledger *l, const char *key, const json_t *record, adze_error *err)
{
    sqlite3_stmt *query = NULL;
    char *text = json_dumps(record, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text)
        return adze_fail(err, ADZE_NO_MEMORY, "%s", l->path);
    int ok = sqlite3_prepare_v2(l->db, "INSERT OR REPLACE INTO trials (key, record) VALUES (?, ?)",
                                -1, &query, NULL);
    if (ok == SQLITE_OK)
        ok = sqlite3_bind_text(query, 1, key, -1, SQLITE_STATIC);
    if (ok == SQLITE_OK)
        ok = sqlite3_bind_text(query, 2, text, -1, SQLITE_STATIC);
    if (ok == SQLITE_OK)
        ok = sqlite3_step(query);
    adze_status status = ok == SQLITE_DONE ? ADZE_OK : failed(l, err);
    sqlite3_finalize(query);
    free(text);
    return status;
}

int adze_ledger_count(adze_ledger *l)
{
    sqlite3_stmt *query = NULL;
    int count = -1;
    if (sqlite3_prepare_v2(l->db, "SELECT count(*) FROM trials", -1, &query, NULL) == SQLITE_OK &&
        sqlite3_step(query) == SQLITE_ROW)
        count = sqlite3_column_int(query, 0);
    sqlite3_finalize(query);
    return count;
}

#else

adze_status adze_ledger_open(adze_ledger **out, const char *path, adze_error *err)
{
    ADZE_UNUSED(out);
    return adze_fail(err, ADZE_UNSUPPORTED,
                     "%s: this adze was built without SQLite, which keeps the ledger of trials",
                     path);
}

void adze_ledger_close(adze_ledger **ledger)
{
    ADZE_UNUSED(ledger);
}

adze_status adze_ledger_get(json_t **record, adze_ledger *l, const char *key, adze_error *err)
{
    ADZE_UNUSED(l);
    ADZE_UNUSED(key);
    *record = NULL;
    return adze_fail(err, ADZE_UNSUPPORTED, "no ledger");
}

adze_status adze_ledger_put(adze_ledger *l, const char *key, const json_t *record, adze_error *err)
{
    ADZE_UNUSED(l);
    ADZE_UNUSED(key);
    ADZE_UNUSED(record);
    return adze_fail(err, ADZE_UNSUPPORTED, "no ledger");
}

int adze_ledger_count(adze_ledger *l)
{
    ADZE_UNUSED(l);
    return 0;
}

#endif
