/* Which of the named pre-tokenizers a tokenizer.json means. Expressions are spelt in many ways, so what they do is
 * compared: both cut a text in which all kinds of characters meet. Where the pieces differ for all names, the
 * ids decide: an expression may cut where no token of the vocabulary goes across. */
#include <stdio.h>
#include <string.h>

#include "llm/tokenizer.h"
#include "llm/tokenizer_convert_impl.h"

enum { CHUNKS = 160, ATOMS = 48 };

/* One of each kind of character that expressions tell apart, and what they treat as a whole. */
static const char *const atoms[] = {"a",
                                    "B",
                                    "é",
                                    "É",
                                    "Привет",
                                    "word",
                                    "Word",
                                    "WORD",
                                    "ǅ",
                                    "ʰ",
                                    "中",
                                    "文字",
                                    "ひらがな",
                                    "カタカナ",
                                    "ー",
                                    "한국어",
                                    "ㄱ",
                                    "ก",
                                    "เก",
                                    "ก้",
                                    "नि",
                                    "e\xCC\x81",
                                    "\xCC\x81",
                                    "ع",
                                    "0",
                                    "7",
                                    "42",
                                    "365",
                                    "1234",
                                    "1234567",
                                    "٣",
                                    "½",
                                    "①",
                                    " ",
                                    " ",
                                    " ",
                                    " ",
                                    "  ",
                                    "   ",
                                    "     ",
                                    "\n",
                                    "\n",
                                    "\n\n",
                                    "\n\n\n",
                                    "\r\n",
                                    "\t",
                                    "\t\t",
                                    " \n",
                                    "\n ",
                                    "\xC2\xA0",
                                    "\xE3\x80\x80",
                                    "\xE2\x80\x8B",
                                    "'",
                                    "'s",
                                    "'S",
                                    "'t",
                                    "'re",
                                    "'RE",
                                    "'ve",
                                    "'m",
                                    "'ll",
                                    "'Ll",
                                    "'d",
                                    "’s",
                                    ".",
                                    ",",
                                    "!",
                                    "?",
                                    "...",
                                    "?!",
                                    "-",
                                    "_",
                                    "/",
                                    "//",
                                    "(",
                                    ")",
                                    "[",
                                    "{",
                                    "\"",
                                    "`",
                                    "#",
                                    "@",
                                    "$",
                                    "+",
                                    "<",
                                    "=",
                                    ">",
                                    "^",
                                    "~",
                                    "|",
                                    "€",
                                    "§",
                                    "，",
                                    "。",
                                    "！",
                                    "「",
                                    "—",
                                    "“",
                                    "…",
                                    "😀",
                                    "👍🏽",
                                    "\xE2\x80\x8D",
                                    "http://",
                                    "->",
                                    "++i",
                                    "ſ",
                                    "K",
                                    "ß",
                                    "İ",
                                    "ა",
                                    "Ა",
                                    "𝒜",
                                    "一",
                                    "ࠀ",
                                    "\xEF\xBF\xBD",
                                    "\x01",
                                    "IMGIMG",
                                    "<sentinel:1>"};

static void make_chunk(adze_text *text, uint64_t *seed)
{
    text->length = 0;
    for (int i = 0; i < ATOMS; i++) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        adze_text_puts(text, atoms[(*seed >> 33) % ADZE_COUNT_OF(atoms)]);
    }
}

/* ---- what a tokenizer makes of a text ---- */

/* The pieces as bytes, a zero behind each. */
static adze_status write_pieces(adze_text *out, const adze_tokenizer *t, const adze_text *text,
                                adze_error *err)
{
    tok_encoder e = {.t = t, .err = err};
    const char *cut = text->data;
    int at = 0;
    adze_status status = tok_split(&e, &cut, text->length, true, &at);
    out->length = 0;
    for (size_t i = 0; status == ADZE_OK && i < e.spans[at].count; i++) {
        tok_span piece = e.spans[at].items[i];
        if (cut == text->data || !tok_bytes_unspell(out, cut + piece.start, piece.length))
            adze_text_add(out, cut + piece.start, piece.length);
        adze_text_add(out, "", 1);
    }
    tok_encoder_free(&e);
    if (status == ADZE_OK && out->failed)
        status = tok_no_memory(err);
    return status;
}

static adze_status write_ids(adze_text *out, const adze_tokenizer *t, const adze_text *text,
                             adze_error *err)
{
    static const adze_encode_options special = {.special = true};
    int32_t *ids;
    int64_t count;
    out->length = 0;
    ADZE_TRY(adze_tokenizer_encode(t, &ids, &count, text->data, text->length, &special, err));
    adze_text_add(out, (const char *)ids, (size_t)count * sizeof *ids);
    adze_tokens_free(&ids);
    return out->failed ? tok_no_memory(err) : ADZE_OK;
}

typedef adze_status (*write_fn)(adze_text *out, const adze_tokenizer *t, const adze_text *text,
                                adze_error *err);

typedef struct comparison {
    const tok_doc *d;
    adze_text text, expected, got;
} comparison;

static adze_status same_on_all(comparison *c, const adze_tokenizer *t, write_fn write, bool *same)
{
    uint64_t seed = 1;
    *same = true;
    for (int i = 0; i < CHUNKS && *same; i++) {
        make_chunk(&c->text, &seed);
        if (c->text.failed)
            return tok_no_memory(c->d->err);
        ADZE_TRY(write(&c->expected, c->d->t, &c->text, c->d->err));
        ADZE_TRY(write(&c->got, t, &c->text, c->d->err));
        *same = c->expected.length == c->got.length &&
                memcmp(c->expected.data, c->got.data, c->got.length) == 0;
    }
    return ADZE_OK;
}

/* ---- the rows ---- */

static void drop_splitters(adze_tokenizer *t)
{
    for (int i = 0; i < t->splitter_count; i++)
        adze_regex_close(&t->splitters[i].regex);
    t->splitter_count = 0;
}

static adze_status use_row(adze_tokenizer *t, const tok_pre *row, adze_error *err)
{
    drop_splitters(t);
    t->bpe.ignore_merges = (row->flags & TOK_PRE_IGNORE_MERGES) != 0;
    for (size_t i = 0; i < ADZE_COUNT_OF(row->regexes) && row->regexes[i]; i++)
        ADZE_TRY(
            tok_add_split(t, row->regexes[i], strlen(row->regexes[i]), TOK_ISOLATED, false, err));
    return ADZE_OK;
}

static adze_status find_row(comparison *c, adze_tokenizer *t, write_fn write, const tok_pre **found)
{
    const tok_pre *row;
    bool same = false;
    for (int i = 0; (row = tok_pre_at(i)) != NULL && !same; i++) {
        bool ignore = (row->flags & TOK_PRE_IGNORE_MERGES) != 0;
        if (row->flags & (TOK_PRE_MARKS | TOK_PRE_NEWLINES))
            continue;
        if (write == write_pieces && ignore != c->d->t->bpe.ignore_merges)
            continue;
        ADZE_TRY(use_row(t, row, c->d->err));
        ADZE_TRY(same_on_all(c, t, write, &same));
        if (same)
            *found = row;
    }
    return ADZE_OK;
}

static void squeeze(char to[64], const char *name, size_t length)
{
    size_t n = 0;
    for (size_t i = 0; i < length && n < 63; i++)
        if (name[i] != '-')
            to[n++] = name[i];
    to[n] = 0;
}

/* The name that begins as the architecture does, or the first. */
static const char *choose_name(adze_arena *arena, const tok_pre *row, const char *architecture)
{
    char wanted[64], name[64];
    squeeze(wanted, architecture, strlen(architecture));
    for (const char *at = row->names; *at && *wanted; at += strcspn(at, " "), at += *at == ' ') {
        size_t length = strcspn(at, " ");
        squeeze(name, at, length);
        if (adze_starts_with(name, wanted) || adze_starts_with(wanted, name))
            return adze_arena_strndup(arena, at, length);
    }
    return adze_arena_strndup(arena, row->names, strcspn(row->names, " "));
}

static adze_status unknown(const tok_doc *d)
{
    adze_arena arena = {0};
    adze_text said = {0};
    const json_t **steps = NULL;
    int count = 0;
    adze_status status = tok_json_flatten(d, &arena, "pre_tokenizer", &steps, &count);
    for (int i = 0; status == ADZE_OK && i < count; i++) {
        const json_t *pattern = json_object_get(steps[i], "pattern");
        const char *regex = json_string_value(json_object_get(pattern, "Regex"));
        const char *text = regex ? regex : json_string_value(json_object_get(pattern, "String"));
        adze_text_printf(&said, "%s%s%s%s%s", i ? ", " : "", tok_json_type(steps[i]),
                         text ? " '" : "", text ? text : "", text ? "'" : "");
    }
    if (status == ADZE_OK)
        status = adze_fail(d->err, ADZE_UNSUPPORTED,
                           "%s: GGUF has names of pre-tokenizers, and none is known for this one: "
                           "%.600s",
                           d->path, said.length ? said.data : "none at all");
    adze_text_free(&said);
    adze_arena_free(&arena);
    return status;
}

adze_status tok_convert_find_pre(const tok_doc *d, adze_gguf_meta *metadata,
                                 const char *architecture, const char **name)
{
    adze_tokenizer *t;
    comparison c = {.d = d};
    const tok_pre *row = NULL;
    if (!adze_gguf_set_string(metadata, TOK_KEY("pre"), "gpt-2", 5))
        return tok_no_memory(d->err);
    ADZE_TRY(adze_tokenizer_from_meta(&t, metadata, d->path, d->err));
    adze_status status = find_row(&c, t, write_pieces, &row);
    if (status == ADZE_OK && !row)
        status = find_row(&c, t, write_ids, &row);
    if (status == ADZE_OK && !row)
        status = unknown(d);
    if (status == ADZE_OK) {
        *name = choose_name(metadata->arena, row, architecture);
        status = *name ? ADZE_OK : tok_no_memory(d->err);
    }
    adze_text_free(&c.text);
    adze_text_free(&c.expected);
    adze_text_free(&c.got);
    adze_tokenizer_close(&t);
    return status;
}
