/* The parts of a search: candidates, the ledger, the report. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "search/candidates.h"
#include "search/ledger.h"
#include "search/report.h"
#include "test.h"

TEST(search_candidates_are_distinct)
{
    adze_candidates list = {0};
    adze_candidates_coarse(&list);
    adze_candidates_grid(&list);
    CHECK(!list.failed);
    CHECK(list.count >= 20);
    for (int i = 0; i < list.count; i++)
        for (int k = 0; k < i; k++) {
            CHECK(strcmp(list.items[i].name, list.items[k].name) != 0);
            CHECK(!json_equal(list.items[i].recipe, list.items[k].recipe));
        }
    adze_candidates_free(&list);
}

TEST(search_refines_and_leaves_layers_in_float)
{
    adze_candidates list = {0};
    adze_candidates_grid(&list);
    int before = list.count;
    adze_candidate around = list.items[0];
    const char *nodes[] = {"first", "second"};
    adze_candidates_refine(&list, &around);
    CHECK_EQ(list.count, before + 3);
    adze_candidates_leave_float(&list, &around, "2 most sensitive layers", nodes, 2);
    CHECK_EQ(list.count, before + 4);
    const json_t *kept = json_object_get(list.items[before + 3].recipe, "float_nodes");
    CHECK_EQ((int)json_array_size(kept), 2);
    adze_candidates_leave_float(&list, &around, "2 most sensitive layers", nodes, 2);
    CHECK_EQ(list.count, before + 4); /* a name counts once */
    adze_candidates_free(&list);
}

#ifdef ADZE_HAVE_SQLITE
TEST(search_ledger_survives_reopening)
{
    adze_error err = {0};
    adze_ledger *ledger = NULL;
    json_t *record = NULL, *put = json_pack("{s:s, s:f}", "state", "measured", "x", 0.1);
    char path[4096];
    snprintf(path, sizeof path, "%s/ledger.sqlite", test_tmpdir());
    CHECK_OK(adze_ledger_open(&ledger, path, &err), &err);
    CHECK_OK(adze_ledger_get(&record, ledger, "key", &err), &err);
    CHECK(record == NULL);
    CHECK_OK(adze_ledger_put(ledger, "key", put, &err), &err);
    adze_ledger_close(&ledger);
    CHECK_OK(adze_ledger_open(&ledger, path, &err), &err);
    CHECK_EQ(adze_ledger_count(ledger), 1);
    CHECK_OK(adze_ledger_get(&record, ledger, "key", &err), &err);
    CHECK(json_equal(record, put));
    json_decref(record);
    json_decref(put);
    adze_ledger_close(&ledger);
}

TEST(search_ledger_refuses_other_files)
{
    adze_error err = {0};
    adze_ledger *ledger = NULL;
    char path[4096], junk[8192];
    memset(junk, 'x', sizeof junk);
    snprintf(path, sizeof path, "%s/junk.sqlite", test_tmpdir());
    CHECK_OK(adze_file_write(path, junk, sizeof junk, &err), &err);
    CHECK_EQ(adze_ledger_open(&ledger, path, &err), ADZE_BAD_FILE);
    CHECK(strstr(err.message, path) != NULL);
    CHECK(ledger == NULL);
}
#endif

TEST(search_report_escapes_names)
{
    adze_text html = {0}, table = {0};
    json_t *trial =
        json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:{s:f, s:f, s:f}}", "name", "<script>&\"",
                  "scheme", "s", "status", "front", "reason", "", "size", 1000.0, "latency_ms", 1.5,
                  "metric", "value", 0.9, "low", 0.8, "high", 0.95);
    json_t *report = json_pack("{s:s, s:s, s:b, s:s, s:[o]}", "title", "m<1>", "verdict", "done",
                               "passed", 1, "metric", "top1", "trials", trial);
    adze_report_html(&html, report);
    adze_report_text(&table, report);
    CHECK(strstr(html.data, "<script>") == NULL);
    CHECK(strstr(html.data, "&lt;script&gt;&amp;&quot;") != NULL);
    CHECK(strstr(html.data, "m&lt;1&gt;") != NULL);
    CHECK(strstr(html.data, "http") == NULL); /* no network */
    CHECK(strstr(table.data, "<script>") != NULL);
    adze_text_free(&html);
    adze_text_free(&table);
    json_decref(report);
}
