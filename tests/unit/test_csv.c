/* Tables as text. */
#include "base/file.h"
#include "formats/csv.h"
#include "test.h"

static adze_status parse(adze_csv *out, const char *text, adze_error *err)
{
    return adze_csv_parse(out, text, strlen(text), "t.csv", err);
}

TEST(header_numbers_and_names)
{
    adze_csv csv;
    adze_error err;
    CHECK_OK(parse(&csv,
                   "width, height,class\r\n1.5,2,dog\r\n-3e2,4,\"big, \"\"cat\"\"\"\n\n5,6,dog",
                   &err),
             &err);
    CHECK(csv.has_header);
    CHECK_EQ(csv.rows, 3);
    CHECK_EQ(csv.column_count, 3);
    CHECK_EQ(adze_csv_find(&csv, "height"), 1);
    CHECK_EQ(adze_csv_find(&csv, "depth"), -1);
    CHECK_EQ(csv.columns[0].values[1], -300);
    CHECK(csv.columns[0].categories == NULL);
    CHECK_EQ(csv.columns[2].category_count, 2);
    CHECK_STR(csv.columns[2].categories[0], "big, \"cat\"");
    CHECK_STR(csv.columns[2].categories[1], "dog");
    CHECK_EQ(csv.columns[2].values[0], 1);
    CHECK_EQ(csv.columns[2].values[1], 0);
    CHECK_EQ(csv.columns[2].text_line, 2);
    adze_csv_free(&csv);
}

TEST(no_header)
{
    adze_csv csv;
    adze_error err;
    CHECK_OK(parse(&csv, "1;2;setosa\n3;4;virginica", &err), &err);
    CHECK(!csv.has_header);
    CHECK_EQ(csv.rows, 2);
    CHECK_STR(csv.columns[0].name, "column 1");
    CHECK_EQ(csv.columns[2].category_count, 2);
    adze_csv_free(&csv);
    CHECK_OK(parse(&csv, "7", &err), &err);
    CHECK_EQ(csv.columns[0].values[0], 7);
    adze_csv_free(&csv);
    CHECK_OK(parse(&csv,
                   "\xef\xbb\xbf"
                   "a\tb\n1\t2\n",
                   &err),
             &err);
    CHECK_STR(csv.columns[0].name, "a");
    CHECK_EQ(csv.rows, 1);
    adze_csv_free(&csv);
}

TEST(errors_name_the_line)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "empty table"},
        {"\n\n", "empty table"},
        {"a,b\n1,2\n3\n", "t.csv:3: expected 2 cells, found 1"},
        {"a,b\n1,2,3\n", "t.csv:2: more than 2"},
        {"a,b\n1,\n", "t.csv:2: cell 2 is empty"},
        {"a,b\n,3\n", "t.csv:2: cell 1 is empty"},
        {"a,b\n\"1,2\n", "never closed"},
        {"a,b\n\"1\"x,2\n", "after a quote"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        adze_csv csv;
        adze_error err;
        adze_status status = parse(&csv, rows[i].text, &err);
        if (status != ADZE_BAD_FILE || !strstr(err.message, rows[i].says))
            FAIL("\"%s\": %s", rows[i].text, status ? err.message : "was taken");
    }
}

TEST(damage)
{
    static const char good[] = "a,b,\"c\"\n1,2,\"x\"\"y\"\n3,4,z\n";
    for (size_t cut = 0; cut < sizeof good; cut++) {
        void *base;
        char *copy = test_guard_alloc(cut, &base);
        memcpy(copy, good, cut);
        adze_csv csv;
        if (adze_csv_parse(&csv, copy, cut, "t", NULL) == ADZE_OK)
            adze_csv_free(&csv);
        test_guard_free(base);
    }
    static const char others[] = {'"', ',', '\n', '\r', 0, ' ', 'x', '9'};
    for (size_t i = 0; i + 1 < sizeof good; i++)
        for (size_t k = 0; k < sizeof others; k++) {
            char copy[sizeof good];
            memcpy(copy, good, sizeof good);
            copy[i] = others[k];
            adze_csv csv;
            if (adze_csv_parse(&csv, copy, sizeof good - 1, "t", NULL) == ADZE_OK)
                adze_csv_free(&csv);
        }
}

TEST(without_memory)
{
    for (long n = 1; n < 10; n++) {
        adze_csv csv;
        adze_error err;
        adze_alloc_fail_after(n);
        adze_status status = parse(&csv, "a,b\n1,x\n2,y\n", &err);
        adze_alloc_fail_after(0);
        CHECK(status == ADZE_OK || status == ADZE_NO_MEMORY);
        if (status == ADZE_OK)
            adze_csv_free(&csv);
    }
}
