/* Ids to text: each token goes through the decoders' steps by itself, with what little they must remember of
 * those before; so the whole and the stream are the same code, the stream holding back characters that are not
 * complete yet. */
#include <string.h>

#include "llm/tokenizer_impl.h"

struct adze_decoder {
    const adze_tokenizer *t;
    bool special;
    bool any;          /* some token was decoded */
    bool space_waits;  /* SUFFIX: a word has ended, a space follows if anything does */
    int64_t to_strip;  /* whole STRIP: so many may still go at the beginning */
    int64_t held;      /* whole STRIP: so many of its characters wait, in case they are the end */
    tok_encoder tools; /* its matcher, for replacing by expression */
    adze_text steps[2], joined, out;
};

static void decoder_init(adze_decoder *d, const adze_tokenizer *t, bool special)
{
    *d = (adze_decoder){.t = t, .special = special, .tools = {.t = t}};
    for (int i = 0; i < t->decoder_count; i++)
        if (t->decoders[i].kind == TOK_DECODE_STRIP && t->decoders[i].whole)
            d->to_strip = t->decoders[i].start;
}

static void decoder_free(adze_decoder *d)
{
    tok_encoder_free(&d->tools);
    adze_text_free(&d->steps[0]);
    adze_text_free(&d->steps[1]);
    adze_text_free(&d->joined);
    adze_text_free(&d->out);
}

/* ---- steps on one token ---- */

static bool starts(const char *text, size_t length, adze_string with)
{
    return with.length && length >= with.length && memcmp(text, with.data, with.length) == 0;
}

static void strip_token(adze_text *out, const tok_decode_step *s, const char *text, size_t length)
{
    adze_string c = s->content;
    for (int64_t i = 0; i < s->start && starts(text, length, c); i++) {
        text += c.length;
        length -= c.length;
    }
    for (int64_t i = 0; i < s->stop && length >= c.length && c.length &&
                        memcmp(text + length - c.length, c.data, c.length) == 0;
         i++)
        length -= c.length;
    adze_text_add(out, text, length);
}

/* Puts English punctuation back to its word, as BERT's cleanup does: one rule after the other. */
static void clean_up(adze_text *out, adze_text *scratch)
{
    static const char *const rules[][2] = {
        {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
        {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
        {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
    };
    for (size_t i = 0; i < ADZE_COUNT_OF(rules); i++) {
        if (!memchr(out->data, ' ', out->length))
            return;
        adze_string from = {rules[i][0], strlen(rules[i][0])};
        adze_string to = {rules[i][1], strlen(rules[i][1])};
        scratch->length = 0;
        tok_replace_literal(scratch, from, to, out->data, out->length);
        adze_text swap = *out;
        *out = *scratch;
        *scratch = swap;
    }
}

static void join_wordpiece(adze_decoder *d, adze_text *out, const tok_decode_step *s,
                           const char *text, size_t length)
{
    bool marked = starts(text, length, s->content);
    size_t skip = marked ? s->content.length : 0;
    if (d->any && (s->strip_first ? marked : !marked))
        adze_text_add(out, " ", 1);
    if (s->strip_first || d->any)
        adze_text_add(out, text + skip, length - skip);
    else
        adze_text_add(out, text, length);
    if (s->cleanup && out->length) {
        adze_text scratch = {0};
        clean_up(out, &scratch);
        out->failed |= scratch.failed;
        adze_text_free(&scratch);
    }
}

static void join_suffix(adze_decoder *d, adze_text *out, const tok_decode_step *s, const char *text,
                        size_t length)
{
    static const adze_string space = {" ", 1};
    if (d->space_waits)
        adze_text_add(out, " ", 1);
    size_t n = s->content.length;
    d->space_waits = n && length >= n && memcmp(text + length - n, s->content.data, n) == 0;
    tok_replace_literal(out, s->content, space, text, length - (d->space_waits ? n : 0));
}

static void unmark(adze_decoder *d, adze_text *out, const tok_decode_step *s, const char *text,
                   size_t length)
{
    adze_string space = {" ", s->strip_first && !d->any ? 0 : 1};
    tok_replace_literal(out, s->pattern, space, text, length);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

static adze_status apply(adze_decoder *d, adze_text *out, const tok_decode_step *s, int32_t id,
                         const char *text, size_t length)
{
    switch (s->kind) {
    case TOK_DECODE_BYTES:
        if (!tok_bytes_unspell(out, text, length))
            adze_text_add(out, text, length);
        return ADZE_OK;
    case TOK_DECODE_REPLACE:
        return tok_replace(&d->tools, out, s->regex, s->pattern, s->content, text, length);
    case TOK_DECODE_BYTE_FALLBACK:
        if (d->t->types[id] == TOK_BYTE && length == 6) {
            int high = hex_digit(text[3]), low = hex_digit(text[4]);
            char byte = (char)(high * 16 + low);
            if (high < 0 || low < 0) /* not spelt "<0xNN>": text like any other */
                break;
            adze_text_add(out, &byte, 1);
            return ADZE_OK;
        }
        break;
    case TOK_DECODE_STRIP:
        if (!s->whole) {
            strip_token(out, s, text, length);
            return ADZE_OK;
        }
        break;
    case TOK_DECODE_METASPACE: unmark(d, out, s, text, length); return ADZE_OK;
    case TOK_DECODE_WORDPIECE: join_wordpiece(d, out, s, text, length); return ADZE_OK;
    case TOK_DECODE_SUFFIX: join_suffix(d, out, s, text, length); return ADZE_OK;
    case TOK_DECODE_JOIN: adze_text_add(out, " ", d->any); break;
    }
    adze_text_add(out, text, length);
    return ADZE_OK;
}

/* ---- the whole text's ends ---- */

static void add_stripped(adze_decoder *d, adze_text *out, const char *text, size_t length)
{
    const tok_decode_step *s = NULL;
    for (int i = 0; i < d->t->decoder_count; i++)
        if (d->t->decoders[i].kind == TOK_DECODE_STRIP && d->t->decoders[i].whole)
            s = &d->t->decoders[i];
    if (s) {
        adze_string c = s->content;
        for (; d->to_strip > 0 && starts(text, length, c); d->to_strip--) {
            text += c.length;
            length -= c.length;
        }
        d->to_strip = length ? 0 : d->to_strip;
        int64_t tail = 0;
        size_t kept = length;
        for (; tail < s->stop && c.length && kept >= c.length &&
               memcmp(text + kept - c.length, c.data, c.length) == 0;
             tail++)
            kept -= c.length;
        int64_t release = kept ? d->held : ADZE_MAX(d->held + tail - s->stop, (int64_t)0);
        for (int64_t i = 0; i < release; i++)
            adze_text_add(out, c.data, c.length);
        d->held += tail - release;
        length = kept;
    }
    adze_text_add(out, text, length);
}

/* Appends what the token gives to `out`, as bytes. */
static adze_status decode_one(adze_decoder *d, adze_text *out, int32_t id, adze_error *err)
{
    const adze_tokenizer *t = d->t;
    if (id < 0 || id >= t->texts.count)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "token %d: the vocabulary has 0 to %d", (int)id,
                         (int)t->texts.count - 1);
    unsigned type = t->types[id];
    bool special = type == TOK_CONTROL || (t->added_verbatim && type == TOK_UNKNOWN);
    if (type == TOK_ABSENT || (special && !d->special))
        return ADZE_OK;
    size_t length;
    const char *text = tok_texts_get(&t->texts, id, &length);
    bool verbatim = t->added_verbatim && (special || type == TOK_USER);
    d->tools.err = err;
    for (int i = 0; i < t->decoder_count && !verbatim; i++) {
        adze_text *to = &d->steps[i & 1];
        to->length = 0;
        ADZE_TRY(apply(d, to, &t->decoders[i], id, text, length));
        if (to->failed)
            return tok_no_memory(err);
        text = adze_text_get(to);
        length = to->length;
    }
    d->any = true;
    add_stripped(d, out, text, length);
    return out->failed ? tok_no_memory(err) : ADZE_OK;
}

adze_status adze_tokenizer_decode(const adze_tokenizer *tokenizer, char **text, size_t *length,
                                  const int32_t *ids, int64_t count, bool special, adze_error *err)
{
    adze_decoder d;
    adze_text out = {0};
    adze_status status = ADZE_OK;
    decoder_init(&d, tokenizer, special);
    for (int64_t i = 0; i < count && status == ADZE_OK; i++)
        status = decode_one(&d, &out, ids[i], err);
    if (status == ADZE_OK && !out.data) {
        adze_text_add(&out, "", 0);
        status = out.data ? ADZE_OK : tok_no_memory(err);
    }
    decoder_free(&d);
    if (status != ADZE_OK) {
        adze_text_free(&out);
        return status;
    }
    out.data[out.length] = 0;
    *text = out.data;
    *length = out.length;
    return ADZE_OK;
}

/* ---- streaming ---- */

adze_status adze_decoder_open(adze_decoder **out, const adze_tokenizer *tokenizer, bool special,
                              adze_error *err)
{
    adze_decoder *d = adze_alloc(1, sizeof *d);
    if (!d)
        return tok_no_memory(err);
    decoder_init(d, tokenizer, special);
    *out = d;
    return ADZE_OK;
}

void adze_decoder_close(adze_decoder **decoder)
{
    if (!*decoder)
        return;
    decoder_free(*decoder);
    adze_free(*decoder);
    *decoder = NULL;
}

/* Bytes at `at` that are no character, as one: the beginning of one that never came, or a single byte. */
static size_t broken_size(const char *at, size_t left)
{
    for (size_t k = ADZE_MIN(left, (size_t)3); k > 1; k--)
        if (adze_utf8_incomplete(at, k) == k)
            return k;
    return 1;
}

/* Moves complete characters from the front of `joined` to `out`. */
static void take_complete(adze_decoder *d, bool end)
{
    const char *text = adze_text_get(&d->joined);
    size_t at = 0, length = d->joined.length;
    while (at < length) {
        size_t valid = adze_utf8_valid_prefix(text + at, length - at);
        adze_text_add(&d->out, text + at, valid);
        at += valid;
        size_t left = length - at;
        if (left == 0 || (!end && adze_utf8_incomplete(text + at, left) == left))
            break;
        adze_text_puts(&d->out, "\xEF\xBF\xBD");
        at += broken_size(text + at, left);
    }
    if (at > 0)
        memmove(d->joined.data, d->joined.data + at, length - at);
    d->joined.length = length - at;
}

adze_status adze_decoder_next(adze_decoder *decoder, int32_t id, const char **text, size_t *length,
                              adze_error *err)
{
    adze_decoder *d = decoder;
    d->out.length = 0;
    if (id != -1)
        ADZE_TRY(decode_one(d, &d->joined, id, err));
    take_complete(d, id == -1);
    adze_text_add(&d->out, "", 0);
    if (d->out.failed)
        return tok_no_memory(err);
    d->out.data[d->out.length] = 0;
    *text = d->out.data;
    *length = d->out.length;
    return ADZE_OK;
}
