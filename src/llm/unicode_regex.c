/* PCRE2 behind our errors and our memory: compiled with JIT where the machine has it, bounded in steps. The
 * subject is valid UTF-8 by contract, so no match checks it again. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "llm/unicode_regex.h"

#include <pcre2.h>
#include <string.h>

#include "base/memory.h"

enum { MATCH_LIMIT = 20000000, DEPTH_LIMIT = 100000, HEAP_LIMIT_KB = 64 << 10 };
enum { JIT_STACK_LEAST = 32 << 10, JIT_STACK_MOST = 4 << 20 };

struct adze_regex {
    pcre2_code *code;
    bool compiled; /* to machine code */
};

struct adze_matcher {
    pcre2_match_data *data;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
};

static void *take(PCRE2_SIZE size, void *user)
{
    ADZE_UNUSED(user);
    return adze_realloc(NULL, size, 1);
}

static void give(void *pointer, void *user)
{
    ADZE_UNUSED(user);
    adze_free(pointer);
}

static adze_status no_memory(adze_error *err)
{
    return adze_fail(err, ADZE_NO_MEMORY, "no memory for a regular expression");
}

static pcre2_code *compile(const char *pattern, size_t length, uint32_t options, int *why,
                           size_t *where)
{
    pcre2_general_context *general = pcre2_general_context_create(take, give, NULL);
    pcre2_compile_context *how = general ? pcre2_compile_context_create(general) : NULL;
    pcre2_code *code = NULL;
    *why = PCRE2_ERROR_NOMEMORY;
    if (how) {
        pcre2_set_newline(how, PCRE2_NEWLINE_LF);
        pcre2_set_parens_nest_limit(how, 200);
        code = pcre2_compile((PCRE2_SPTR)pattern, length, options | PCRE2_UTF, why, where, how);
    }
    pcre2_compile_context_free(how);
    pcre2_general_context_free(general);
    return code;
}

static adze_status open_with(adze_regex **out, const char *pattern, size_t length, uint32_t options,
                             adze_error *err)
{
    int why;
    size_t where = 0;
    adze_regex *regex = adze_alloc(1, sizeof *regex);
    if (!regex)
        return no_memory(err);
    regex->code = compile(pattern, length, options, &why, &where);
    if (!regex->code) {
        adze_free(regex);
        if (why == PCRE2_ERROR_NOMEMORY || why == PCRE2_ERROR_HEAP_FAILED)
            return no_memory(err);
        PCRE2_UCHAR text[200] = "";
        (void)pcre2_get_error_message(why, text, sizeof text);
        return adze_fail(err, ADZE_UNSUPPORTED, "regular expression %.*s: at byte %zu: %s",
                         (int)adze_utf8_valid_prefix(pattern, ADZE_MIN(length, (size_t)500)),
                         pattern, where, (const char *)text);
    }
    regex->compiled = pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE) == 0;
    *out = regex;
    return ADZE_OK;
}

adze_status adze_regex_open(adze_regex **out, const char *pattern, size_t length, adze_error *err)
{
    adze_text text = {0};
    adze_status status = adze_regex_translate(&text, pattern, length, err);
    if (status == ADZE_OK && text.failed)
        status = no_memory(err);
    if (status == ADZE_OK)
        status = open_with(out, adze_text_get(&text), text.length,
                           PCRE2_MULTILINE | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, err);
    adze_text_free(&text);
    return status;
}

adze_status adze_regex_open_literal(adze_regex **out, const char *text, size_t length,
                                    adze_error *err)
{
    return open_with(out, text, length, PCRE2_LITERAL, err);
}

void adze_regex_close(adze_regex **regex)
{
    if (!*regex)
        return;
    pcre2_code_free((*regex)->code);
    adze_free(*regex);
    *regex = NULL;
}

adze_status adze_matcher_open(adze_matcher **out, adze_error *err)
{
    adze_matcher *m = adze_alloc(1, sizeof *m);
    pcre2_general_context *general = pcre2_general_context_create(take, give, NULL);
    if (m && general) {
        m->data = pcre2_match_data_create(1, general);
        m->context = pcre2_match_context_create(general);
        m->stack = pcre2_jit_stack_create(JIT_STACK_LEAST, JIT_STACK_MOST, general);
    }
    pcre2_general_context_free(general);
    if (!m || !m->data || !m->context) {
        adze_matcher_close(&m);
        return no_memory(err);
    }
    pcre2_set_match_limit(m->context, MATCH_LIMIT);
    pcre2_set_depth_limit(m->context, DEPTH_LIMIT);
    pcre2_set_heap_limit(m->context, HEAP_LIMIT_KB);
    if (m->stack)
        pcre2_jit_stack_assign(m->context, NULL, m->stack);
    *out = m;
    return ADZE_OK;
}

void adze_matcher_close(adze_matcher **matcher)
{
    adze_matcher *m = *matcher;
    if (!m)
        return;
    pcre2_match_data_free(m->data);
    pcre2_match_context_free(m->context);
    pcre2_jit_stack_free(m->stack);
    adze_free(m);
    *matcher = NULL;
}

adze_status adze_regex_search(const adze_regex *regex, adze_matcher *matcher, const char *text,
                              size_t length, size_t from, bool *found, size_t *start, size_t *end,
                              adze_error *err)
{
    int got = PCRE2_ERROR_JIT_STACKLIMIT;
    if (regex->compiled)
        got = pcre2_jit_match(regex->code, (PCRE2_SPTR)text, length, from, 0, matcher->data,
                              matcher->context);
    if (got == PCRE2_ERROR_JIT_STACKLIMIT)
        got = pcre2_match(regex->code, (PCRE2_SPTR)text, length, from,
                          PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, matcher->data, matcher->context);
    *found = got >= 0;
    if (got >= 0) {
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(matcher->data);
        *start = ADZE_MIN(at[0], at[1]); /* \K inside a lookahead can turn them round */
        *end = at[1];
        return ADZE_OK;
    }
    if (got == PCRE2_ERROR_NOMATCH)
        return ADZE_OK;
    if (got == PCRE2_ERROR_NOMEMORY)
        return no_memory(err);
    PCRE2_UCHAR why[200] = "";
    (void)pcre2_get_error_message(got, why, sizeof why);
    return adze_fail(err, ADZE_LIMIT, "regular expression: the search from byte %zu of %zu: %s",
                     from, length, (const char *)why);
}
