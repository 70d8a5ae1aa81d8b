/* Strings through operators, beyond what the cases of ONNX show: odd attributes, text that is not ASCII, what must
 * fail. */
#include <string.h>

#include "adze/ops_extra.h"
#include "op_case.h"
#include "ops/letter_case.h"

#define TEXT(s)                                                                                    \
    {                                                                                              \
        s, sizeof(s) - 1                                                                           \
    }

static bool is_text(const op_case *c, int output, int64_t i, const char *expected)
{
    const adze_string *s = (const adze_string *)c->output[output].data + i;
    return s->length == strlen(expected) && memcmp(s->data, expected, s->length) == 0;
}

static void open_strings(op_case *c, int64_t n, const adze_string *texts)
{
    op_case_open(c, "ref");
    op_case_input(c, ADZE_STRING, 1, &n, texts, NULL);
}

TEST(strings_letter_case)
{
    char out[64];
    size_t n =
        adze_letter_case("Straße ÉÀ Жж Ωσ ǅ \xff", strlen("Straße ÉÀ Жж Ωσ ǅ \xff"), false, out);
    CHECK(n == strlen("straße éà жж ωσ ǆ \xff") && memcmp(out, "straße éà жж ωσ ǆ \xff", n) == 0);
    n = adze_letter_case("ÿµı", strlen("ÿµı"), true, out);
    CHECK(n == strlen("ŸΜI") && memcmp(out, "ŸΜI", n) == 0);
}

TEST(strings_split_as_python)
{
    static const adze_string texts[] = {TEXT("  a b  c "), TEXT(""), TEXT("\u3000x")};
    op_case c;
    open_strings(&c, 3, texts);
    adze_node *node = op_case_node(&c, "StringSplit", 2);
    CHECK(adze_node_set_int(node, "maxsplit", 1));
    op_case_run(&c);
    CHECK_EQ(c.output[0].dims[1], 2);
    CHECK(is_text(&c, 0, 0, "a") && is_text(&c, 0, 1, "b  c "));
    CHECK(is_text(&c, 0, 2, "") && is_text(&c, 0, 4, "x"));
    const int64_t *counts = c.output[1].data;
    CHECK(counts[0] == 2 && counts[1] == 0 && counts[2] == 1);
    op_case_close(&c);
}

TEST(strings_split_by_delimiter)
{
    static const adze_string texts[] = {TEXT("a--b----c"), TEXT("")};
    op_case c;
    open_strings(&c, 2, texts);
    CHECK(adze_node_set_string(op_case_node(&c, "StringSplit", 2), "delimiter", "--"));
    op_case_run(&c);
    CHECK_EQ(c.output[0].dims[1], 4);
    CHECK(is_text(&c, 0, 1, "b") && is_text(&c, 0, 2, "") && is_text(&c, 0, 3, "c"));
    CHECK_EQ(((const int64_t *)c.output[1].data)[1], 1);
    op_case_close(&c);
}

TEST(strings_normalizer_of_all_stopwords)
{
    static const adze_string texts[] = {TEXT("É"), TEXT("é")};
    static const adze_string stop[] = {TEXT("é")};
    op_case c;
    open_strings(&c, 2, texts);
    adze_node *node = op_case_node(&c, "StringNormalizer", 1);
    adze_attr attr = {.name = "stopwords", .type = ADZE_ATTR_STRINGS, .count = 1};
    attr.as.strings = stop;
    CHECK(adze_node_set_attr(node, &attr));
    op_case_run(&c);
    CHECK_EQ(c.output[0].dims[0], 1);
    CHECK(is_text(&c, 0, 0, ""));
    op_case_close(&c);
}

static adze_status match(const char *pattern, const char *text, bool *matched, adze_error *why)
{
    adze_string s = {text, strlen(text)};
    op_case c;
    op_case_open(&c, "ref");
    CHECK_OK(adze_ops_extra_register(c.context, NULL), NULL);
    int64_t one = 1;
    op_case_input(&c, ADZE_STRING, 1, &one, &s, NULL);
    CHECK(adze_node_set_string(op_case_node(&c, "RegexFullMatch", 1), "pattern", pattern));
    adze_status status = op_case_try(&c);
    if (status == ADZE_OK)
        *matched = *(const bool *)c.output[0].data;
    *why = c.error;
    op_case_close(&c);
    return status;
}

TEST(strings_regex_is_that_of_re2)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"a|ab", "ab", true},
        {"foo$", "foo\n", false},
        {"\\s", "\v", false},
        {"\\v", "\v", true},
        {"[^\\S]+", " \t", true},
        {"(?P<x>é)+", "éé", true},
        {"(?i)STRASSE", "strasse", true},
        {".", "\xff", false},
        {"\\Qa.b\\E", "axb", false},
        {"(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false},
    };
    adze_error why;
    for (size_t i = 0; i < ADZE_COUNT_OF(cases); i++) {
        bool matched = !cases[i].matches;
        CHECK_OK(match(cases[i].pattern, cases[i].text, &matched, &why), &why);
        CHECK_EQ(matched, cases[i].matches);
    }
}

TEST(strings_regex_refuses_what_re2_refuses)
{
    static const char *const patterns[] = {"(a)\\1",  "(?=a)a", "(?<!a)b", "a++",
                                           "(*FAIL)", "(?>a)",  "\\Ga",    "\\Z",
                                           "a**",     "(?R)",   "(",       "\\"};
    adze_error why;
    bool matched;
    for (size_t i = 0; i < ADZE_COUNT_OF(patterns); i++)
        CHECK_EQ(match(patterns[i], "a", &matched, &why), ADZE_BAD_MODEL);
}

TEST(strings_picture_that_cannot_be_read_is_empty)
{
    static const uint8_t bytes[40] = "BM\x28";
    int64_t n = sizeof bytes;
    op_case c;
    op_case_open(&c, "ref");
    CHECK_OK(adze_ops_extra_register(c.context, NULL), NULL);
    op_case_input(&c, ADZE_U8, 1, &n, bytes, NULL);
    op_case_node(&c, "ImageDecoder", 1);
    op_case_run(&c);
    CHECK(c.output[0].dims[0] == 0 && c.output[0].dims[1] == 0 && c.output[0].dims[2] == 3);
    op_case_close(&c);
}

TEST(strings_cast_to_numbers)
{
    /* no NUL behind them: what follows is not theirs */
    static const char bytes[] = "922337203685477580712";
    const adze_string texts[] = {{bytes, 19}, {bytes + 19, 1}, {"-7.9 x", 4}};
    op_case c;
    open_strings(&c, 3, texts);
    CHECK(adze_node_set_int(op_case_node(&c, "Cast", 1), "to", 7));
    op_case_run(&c);
    const int64_t *y = c.output[0].data;
    CHECK(y[0] == INT64_MAX && y[1] == 1 && y[2] == -7);
    op_case_close(&c);
}

TEST(strings_cast_of_no_number)
{
    static const adze_string wrong[] = {TEXT("1\0002"), TEXT(""), TEXT("one"), TEXT("1 2")};
    for (size_t i = 0; i < ADZE_COUNT_OF(wrong); i++) {
        op_case c;
        open_strings(&c, 1, &wrong[i]);
        CHECK(adze_node_set_int(op_case_node(&c, "Cast", 1), "to", 1));
        CHECK_EQ(op_case_try(&c), ADZE_BAD_DATA);
        op_case_close(&c);
    }
}
