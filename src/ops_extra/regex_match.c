/* RegexFullMatch: RE2's syntax, matched by PCRE2's automaton, which like RE2 never goes back. The pattern is
 * rewritten where the two spell things differently, and refused where RE2 would refuse it. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "base/memory.h"
#include "base/text.h"
#include "ops/helpers.h"
#include "ops_extra/extra.h"

enum { WORKSPACE = 8192, LONGEST_PATTERN = 1 << 16 };

/* ---- from RE2's spelling to PCRE2's ---- */

typedef struct translation {
    const char *pattern;
    size_t at, length;
    adze_text *out;
    bool in_class;
    const char *wrong; /* what RE2 does not have */
} translation;

static void copy(translation *t, size_t n)
{
    n = ADZE_MIN(n, t->length - t->at);
    adze_text_add(t->out, t->pattern + t->at, n);
    t->at += n;
}

static char peek(const translation *t, size_t ahead)
{
    return t->at + ahead < t->length ? t->pattern[t->at + ahead] : '\0';
}

static bool octal(char c)
{
    return c >= '0' && c <= '7';
}

static void translate_octal(translation *t)
{
    size_t n = 1;
    if (peek(t, 1) != '0' && !octal(peek(t, 2))) {
        t->wrong = "a reference to a group";
        return;
    }
    while (n < 3 && octal(peek(t, 1 + n)))
        n++;
    adze_text_printf(t->out, "\\o{%.*s}", (int)n, t->pattern + t->at + 1);
    t->at += 1 + n;
}

static void translate_escape(translation *t)
{
    static const char known[] = "aftnrdDwWpPxbBAz";
    char c = peek(t, 1);
    if (c == 'Q') {
        const char *end = t->length - t->at > 2
                              ? memmem(t->pattern + t->at + 2, t->length - t->at - 2, "\\E", 2)
                              : NULL;
        copy(t, end ? (size_t)(end - t->pattern) + 2 - t->at : t->length - t->at);
        return;
    }
    if (c >= '0' && c <= '7') {
        translate_octal(t);
        return;
    }
    const char *other = c == 's'   ? (t->in_class ? "\\t\\n\\f\\r " : "[\\t\\n\\f\\r ]")
                        : c == 'v' ? "\\x0b"
                        : c == 'S' && !t->in_class ? "[^\\t\\n\\f\\r ]"
                                                   : NULL;
    if (other) {
        adze_text_printf(t->out, "%s", other);
        t->at += 2;
        return;
    }
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (c == '\0' && t->at + 1 >= t->length)
        t->wrong = "a backslash at the end";
    else if (letter && !strchr(known, c) && !(c == 'S' && t->in_class))
        t->wrong = "this escape";
    else
        copy(t, 2);
}

/* After "(": groups that RE2 has. */
static void translate_group(translation *t)
{
    size_t n = 2;
    if (peek(t, 1) == '*') {
        t->wrong = "(*";
        return;
    }
    if (peek(t, 1) != '?') {
        copy(t, 1);
        return;
    }
    bool named = (peek(t, 2) == 'P' && peek(t, 3) == '<') ||
                 (peek(t, 2) == '<' && peek(t, 3) != '=' && peek(t, 3) != '!');
    while (!named && peek(t, n) && strchr("imsU-", peek(t, n)))
        n++;
    if (named)
        copy(t, peek(t, 2) == 'P' ? 4 : 3);
    else if (peek(t, n) == ':' || (peek(t, n) == ')' && n > 2))
        copy(t, n + 1);
    else
        t->wrong = "this kind of group";
}

/* Bytes of a repetition at this place; 0: none. */
static size_t repetition(const translation *t)
{
    char c = peek(t, 0);
    size_t n = 1;
    if (c == '*' || c == '+' || c == '?')
        return 1;
    if (c != '{' || peek(t, 1) < '0' || peek(t, 1) > '9')
        return 0;
    while ((peek(t, n) >= '0' && peek(t, n) <= '9') || peek(t, n) == ',')
        n++;
    return peek(t, n) == '}' ? n + 1 : 0;
}

static void translate_class(translation *t)
{
    char c = peek(t, 0);
    if (c == '[' && peek(t, 1) == ':') {
        const char *end = memmem(t->pattern + t->at, t->length - t->at, ":]", 2);
        copy(t, end ? (size_t)(end - t->pattern) + 2 - t->at : 1);
    } else if (c == '[') {
        adze_text_printf(t->out, "\\[");
        t->at++;
    } else {
        t->in_class = c != ']';
        copy(t, 1);
    }
}

static void translate_one(translation *t)
{
    char c = peek(t, 0);
    size_t n;
    if (c == '\\') {
        translate_escape(t);
    } else if (t->in_class) {
        translate_class(t);
    } else if (c == '[') {
        t->in_class = true;
        copy(t, peek(t, 1) == '^' ? 2 : 1);
        if (peek(t, 0) == ']')
            copy(t, 1);
    } else if (c == '(') {
        translate_group(t);
    } else if ((n = repetition(t)) > 0) {
        copy(t, n);
        if (peek(t, 0) == '?')
            copy(t, 1);
        if (repetition(t))
            t->wrong = "a repetition of a repetition";
    } else {
        copy(t, 1);
    }
}

static adze_status translate(adze_text *out, const adze_node *node, const char *pattern,
                             adze_error *err)
{
    translation t = {.pattern = pattern, .length = strlen(pattern), .out = out};
    if (t.length > LONGEST_PATTERN)
        return adze_fail(err, ADZE_LIMIT, "RegexFullMatch '%s': the pattern has %zu bytes",
                         adze_node_name(node), t.length);
    while (t.at < t.length && !t.wrong)
        translate_one(&t);
    if (t.wrong)
        return adze_fail(err, ADZE_BAD_MODEL,
                         "RegexFullMatch '%s': pattern, byte %zu: RE2 does not have %s",
                         adze_node_name(node), t.at, t.wrong);
    return out->failed ? adze_fail(err, ADZE_NO_MEMORY, "RegexFullMatch") : ADZE_OK;
}

/* ---- the operator ---- */

static adze_status regex_infer(adze_infer *infer, adze_error *err)
{
    const adze_type *x = adze_infer_input(infer, 0);
    if (x->dtype != ADZE_STRING && x->dtype != ADZE_UNDEFINED)
        return adze_ops_bad(adze_infer_node(infer), err, "the input must be strings");
    if (x->rank >= 0)
        adze_infer_set_tensor(infer, 0, ADZE_BOOL, x->rank, x->dims);
    return ADZE_OK;
}

static void *take(size_t size, void *user)
{
    return adze_prepare_alloc(user, size); /* dies with the plan */
}

static void leave(void *bytes, void *user)
{
    ADZE_UNUSED(bytes);
    ADZE_UNUSED(user);
}

static adze_status compile(adze_prepare *prepare, const char *pattern, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    int code = 0;
    PCRE2_SIZE at = 0;
    pcre2_general_context *memory = pcre2_general_context_create(take, leave, prepare);
    pcre2_compile_context *how = memory ? pcre2_compile_context_create(memory) : NULL;
    if (!how)
        return adze_fail(err, ADZE_NO_MEMORY, "RegexFullMatch");
    pcre2_set_newline(how, PCRE2_NEWLINE_LF);
    uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C | PCRE2_ANCHORED |
                       PCRE2_ENDANCHORED;
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &code, &at, how);
    if (!compiled) {
        PCRE2_UCHAR why[160] = "";
        pcre2_get_error_message(code, why, sizeof why);
        return adze_fail(err, ADZE_BAD_MODEL, "RegexFullMatch '%s': pattern '%.200s', byte %zu: %s",
                         adze_node_name(node), pattern, (size_t)at, (const char *)why);
    }
    adze_prepare_set(prepare, compiled);
    return ADZE_OK;
}

static adze_status regex_prepare(adze_prepare *prepare, adze_error *err)
{
    const adze_node *node = adze_prepare_node(prepare);
    adze_text translated = {0};
    adze_status status = translate(&translated, node, adze_node_string(node, "pattern", ""), err);
    if (status == ADZE_OK)
        status = compile(prepare, adze_text_get(&translated), err);
    adze_text_free(&translated);
    return status;
}

static size_t regex_scratch(const adze_run *run)
{
    ADZE_UNUSED(run);
    return WORKSPACE * sizeof(int);
}

static void *take_now(size_t size, void *user)
{
    ADZE_UNUSED(user);
    return adze_alloc(1, size);
}

static void give_back(void *bytes, void *user)
{
    ADZE_UNUSED(user);
    adze_free(bytes);
}

static adze_status match_all(adze_run *run, pcre2_match_data *match, adze_error *err)
{
    const adze_string *s = run->inputs[0]->data;
    uint8_t *y = run->outputs[0]->data;
    for (int64_t i = 0; i < adze_tensor_elements(run->inputs[0]); i++) {
        PCRE2_SPTR text = (PCRE2_SPTR)(s[i].length ? s[i].data : "");
        int found = pcre2_dfa_match(run->prepared, text, s[i].length, 0, 0, match, NULL,
                                    run->scratch, WORKSPACE);
        bool known = found >= 0 || found == PCRE2_ERROR_NOMATCH ||
                     (found <= PCRE2_ERROR_UTF8_ERR1 && found >= PCRE2_ERROR_UTF8_ERR21);
        if (!known)
            return adze_fail(err, ADZE_LIMIT,
                             "RegexFullMatch '%s': the pattern is too large for element %lld (%d)",
                             adze_node_name(run->node), (long long)i, found);
        y[i] = found >= 0; /* what is not UTF-8 matches nothing */
    }
    return ADZE_OK;
}

static adze_status regex_run(adze_run *run, adze_error *err)
{
    pcre2_general_context *memory = pcre2_general_context_create(take_now, give_back, NULL);
    pcre2_match_data *match = memory ? pcre2_match_data_create(1, memory) : NULL;
    adze_status status =
        match ? match_all(run, match, err)
              : adze_fail(err, ADZE_NO_MEMORY, "RegexFullMatch '%s'", adze_node_name(run->node));
    pcre2_match_data_free(match);
    pcre2_general_context_free(memory);
    return status;
}

const adze_op adze_op_regex_full_match = {.domain = "",
                                          .name = "RegexFullMatch",
                                          .since = 20,
                                          .min_inputs = 1,
                                          .max_inputs = 1,
                                          .min_outputs = 1,
                                          .max_outputs = 1,
                                          .attrs = "pattern",
                                          .infer = regex_infer,
                                          .prepare = regex_prepare,
                                          .scratch = regex_scratch,
                                          .run = regex_run};
