/* Normalizers, pre-tokenizers, decoders and post-processors of tokenizer.json. Each type has one row: its name and how
 * its object becomes steps of the pipeline. What has no row is refused by name before anything is built. */
#include <string.h>

#include "llm/tokenizer_json_impl.h"

const char tok_gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

typedef adze_status (*parse_fn)(const tok_doc *d, const json_t *object);

typedef struct type_row {
    const char *name;
    parse_fn parse; /* NULL: there is nothing to do */
} type_row;

/* ---- shared ---- */

/* {"String": "..."} or {"Regex": "..."}. */
static adze_status get_pattern(const tok_doc *d, adze_regex **regex, adze_string *literal,
                               const json_t *object)
{
    json_t *pattern = json_object_get(object, "pattern");
    json_t *expression = json_object_get(pattern, "Regex");
    if (expression && json_is_string(expression)) {
        adze_status status = adze_regex_open(regex, json_string_value(expression),
                                             json_string_length(expression), d->err);
        return status == ADZE_OK ? ADZE_OK : adze_wrap(d->err, status, "%s: pattern", d->path);
    }
    if (tok_json_absent(pattern, "String"))
        return tok_json_bad(d, "pattern", "{\"String\": ...} or {\"Regex\": ...}", pattern);
    return tok_json_string(d, literal, pattern, "String");
}

static adze_status get_behavior(const tok_doc *d, tok_behavior *out, const json_t *object,
                                tok_behavior otherwise)
{
    static const char *const names[] = {
        [TOK_REMOVED] = "removed",
        [TOK_ISOLATED] = "isolated",
        [TOK_MERGED_WITH_PREVIOUS] = "mergedwithprevious",
        [TOK_MERGED_WITH_NEXT] = "mergedwithnext",
        [TOK_CONTIGUOUS] = "contiguous",
    };
    const char *name = json_string_value(json_object_get(object, "behavior"));
    *out = otherwise;
    if (tok_json_absent(object, "behavior"))
        return ADZE_OK;
    for (size_t i = 0; name && i < ADZE_COUNT_OF(names); i++)
        if (strcasecmp(name, names[i]) == 0) {
            *out = (tok_behavior)i;
            return ADZE_OK;
        }
    return tok_json_bad(d, "behavior",
                        "Removed, Isolated, MergedWithPrevious, MergedWithNext or "
                        "Contiguous",
                        json_object_get(object, "behavior"));
}

static adze_status new_normalizer(const tok_doc *d, tok_normalizer **out, tok_normal_kind kind)
{
    *out = tok_add_normalizer(d->t);
    if (!*out)
        return tok_no_memory(d->err);
    (*out)->kind = kind;
    return ADZE_OK;
}

static adze_status new_splitter(const tok_doc *d, tok_splitter **out, tok_split_kind kind)
{
    *out = tok_add_splitter(d->t);
    if (!*out)
        return tok_no_memory(d->err);
    (*out)->kind = kind;
    return ADZE_OK;
}

static adze_status new_decoder(const tok_doc *d, tok_decode_step **out, tok_decode_kind kind)
{
    *out = tok_add_decoder(d->t);
    if (!*out)
        return tok_no_memory(d->err);
    (*out)->kind = kind;
    return ADZE_OK;
}

/* ---- normalizers ---- */

static adze_status normal_form(const tok_doc *d, adze_unicode_form form)
{
    tok_normalizer *n;
    ADZE_TRY(new_normalizer(d, &n, TOK_NORMAL_FORM));
    n->form = form;
    return ADZE_OK;
}

static adze_status normal_nfc(const tok_doc *d, const json_t *o)
{
    ADZE_UNUSED(o);
    return normal_form(d, ADZE_FORM_C);
}

static adze_status normal_nfd(const tok_doc *d, const json_t *o)
{
    ADZE_UNUSED(o);
    return normal_form(d, ADZE_FORM_D);
}

static adze_status normal_nfkc(const tok_doc *d, const json_t *o)
{
    ADZE_UNUSED(o);
    return normal_form(d, ADZE_FORM_KC);
}

static adze_status normal_nfkd(const tok_doc *d, const json_t *o)
{
    ADZE_UNUSED(o);
    return normal_form(d, ADZE_FORM_KD);
}

static adze_status normal_lower(const tok_doc *d, const json_t *o)
{
    tok_normalizer *n;
    ADZE_UNUSED(o);
    return new_normalizer(d, &n, TOK_NORMAL_LOWER);
}

static adze_status normal_accents(const tok_doc *d, const json_t *o)
{
    tok_normalizer *n;
    ADZE_UNUSED(o);
    return new_normalizer(d, &n, TOK_NORMAL_STRIP_ACCENTS);
}

static adze_status normal_nmt(const tok_doc *d, const json_t *o)
{
    tok_normalizer *n;
    ADZE_UNUSED(o);
    return new_normalizer(d, &n, TOK_NORMAL_NMT);
}

static adze_status normal_bytes(const tok_doc *d, const json_t *o)
{
    tok_normalizer *n;
    ADZE_UNUSED(o);
    d->t->maps_bytes = true;
    return new_normalizer(d, &n, TOK_NORMAL_BYTES);
}

static adze_status normal_strip(const tok_doc *d, const json_t *o)
{
    tok_normalizer *n;
    ADZE_TRY(new_normalizer(d, &n, TOK_NORMAL_STRIP));
    ADZE_TRY(tok_json_bool(d, &n->left, o, "strip_left", true));
    return tok_json_bool(d, &n->right, o, "strip_right", true);
}

static adze_status normal_replace(const tok_doc *d, const json_t *o)
{
    tok_normalizer *n;
    ADZE_TRY(new_normalizer(d, &n, TOK_NORMAL_REPLACE));
    ADZE_TRY(get_pattern(d, &n->regex, &n->pattern, o));
    return tok_json_string(d, &n->content, o, "content");
}

static adze_status normal_prepend(const tok_doc *d, const json_t *o)
{
    tok_normalizer *n;
    ADZE_TRY(new_normalizer(d, &n, TOK_NORMAL_PREPEND));
    return tok_json_string(d, &n->content, o, "prepend");
}

static adze_status normal_bert(const tok_doc *d, const json_t *o)
{
    tok_normalizer *n;
    ADZE_TRY(new_normalizer(d, &n, TOK_NORMAL_BERT));
    ADZE_TRY(tok_json_bool(d, &n->clean, o, "clean_text", true));
    ADZE_TRY(tok_json_bool(d, &n->chinese, o, "handle_chinese_chars", true));
    ADZE_TRY(tok_json_bool(d, &n->lower, o, "lowercase", true));
    return tok_json_bool(d, &n->accents, o, "strip_accents", n->lower);
}

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

static adze_status normal_precompiled(const tok_doc *d, const json_t *o)
{
    tok_normalizer *n;
    adze_string text;
    ADZE_TRY(tok_json_string(d, &text, o, "precompiled_charsmap"));
    ADZE_TRY(new_normalizer(d, &n, TOK_NORMAL_CHARSMAP));
    while (text.length && text.data[text.length - 1] == '=')
        text.length--;
    uint8_t *bytes = adze_arena_alloc(&d->t->arena, text.length / 4 + 1, 3);
    if (!bytes)
        return tok_no_memory(d->err);
    size_t size = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < text.length; i++) {
        int digit = base64_digit(text.data[i]);
        if (digit < 0)
            return tok_json_bad(d, "precompiled_charsmap", "base64",
                                json_object_get(o, "precompiled_charsmap"));
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4) /* the second digit completes the first byte, and so on */
            bytes[size++] = (uint8_t)(bits >> (6 - 2 * (i % 4)));
    }
    return text.length ? tok_charsmap_open(&n->charsmap, bytes, size, d->path, d->err) : ADZE_OK;
}

static const type_row normalizers[] = {
    {"NFC", normal_nfc},
    {"NFD", normal_nfd},
    {"NFKC", normal_nfkc},
    {"NFKD", normal_nfkd},
    {"Lowercase", normal_lower},
    {"StripAccents", normal_accents},
    {"Strip", normal_strip},
    {"Replace", normal_replace},
    {"Prepend", normal_prepend},
    {"BertNormalizer", normal_bert},
    {"Precompiled", normal_precompiled},
    {"ByteLevel", normal_bytes},
    {"Nmt", normal_nmt},
    {0},
};

/* ---- pre-tokenizers ---- */

static adze_status split_by(const tok_doc *d, const char *pattern, tok_behavior behavior,
                            bool invert)
{
    return tok_add_split(d->t, pattern, strlen(pattern), behavior, invert, d->err);
}

static adze_status split_bytes(const tok_doc *d, const json_t *o)
{
    tok_splitter *s;
    bool space, regex;
    ADZE_TRY(tok_json_bool(d, &space, o, "add_prefix_space", true));
    ADZE_TRY(tok_json_bool(d, &regex, o, "use_regex", true));
    if (space)
        ADZE_TRY(new_splitter(d, &s, TOK_SPLIT_PREFIX));
    if (regex)
        ADZE_TRY(split_by(d, tok_gpt2_pattern, TOK_ISOLATED, false));
    d->t->maps_bytes = true;
    return new_splitter(d, &s, TOK_SPLIT_BYTES);
}

static adze_status get_scheme(const tok_doc *d, tok_scheme *out, const json_t *o)
{
    const char *name = json_string_value(json_object_get(o, "prepend_scheme"));
    bool prefix;
    ADZE_TRY(tok_json_bool(d, &prefix, o, "add_prefix_space", true));
    *out = prefix ? TOK_PREPEND_ALWAYS : TOK_PREPEND_NEVER;
    if (tok_json_absent(o, "prepend_scheme"))
        return ADZE_OK;
    if (name && strcmp(name, "always") == 0)
        *out = TOK_PREPEND_ALWAYS;
    else if (name && strcmp(name, "first") == 0)
        *out = TOK_PREPEND_FIRST;
    else if (name && strcmp(name, "never") == 0)
        *out = TOK_PREPEND_NEVER;
    else
        return tok_json_bad(d, "prepend_scheme", "always, first or never",
                            json_object_get(o, "prepend_scheme"));
    return ADZE_OK;
}

static adze_status get_mark(const tok_doc *d, adze_string *mark, const json_t *o)
{
    ADZE_TRY(tok_json_string(d, mark, o, "replacement"));
    return mark->length
               ? ADZE_OK
               : tok_json_bad(d, "replacement", "a character", json_object_get(o, "replacement"));
}

static adze_status split_metaspace(const tok_doc *d, const json_t *o)
{
    tok_splitter *s;
    bool split;
    ADZE_TRY(tok_json_bool(d, &split, o, "split", true));
    ADZE_TRY(new_splitter(d, &s, TOK_SPLIT_METASPACE));
    ADZE_TRY(get_mark(d, &s->mark, o));
    ADZE_TRY(get_scheme(d, &s->scheme, o));
    if (!split)
        return ADZE_OK;
    adze_string mark = s->mark;
    ADZE_TRY(new_splitter(d, &s, TOK_SPLIT_REGEX));
    s->behavior = TOK_MERGED_WITH_NEXT;
    return adze_regex_open_literal(&s->regex, mark.data, mark.length, d->err);
}

static adze_status split_whitespace(const tok_doc *d, const json_t *o)
{
    ADZE_UNUSED(o);
    /* here \w is that of another library, where joiners belong to words */
    return split_by(d, "[\\w\\x{200c}\\x{200d}]+|[^\\w\\x{200c}\\x{200d}\\s]+", TOK_REMOVED, true);
}

static adze_status split_spaces(const tok_doc *d, const json_t *o)
{
    ADZE_UNUSED(o);
    return tok_add_class(d->t, adze_unicode_is_space, TOK_REMOVED, d->err);
}

static adze_status split_punctuation(const tok_doc *d, const json_t *o)
{
    tok_behavior behavior;
    ADZE_TRY(get_behavior(d, &behavior, o, TOK_ISOLATED));
    return tok_add_class(d->t, adze_unicode_is_punctuation, behavior, d->err);
}

static adze_status split_bert(const tok_doc *d, const json_t *o)
{
    ADZE_TRY(split_spaces(d, o));
    return tok_add_class(d->t, adze_unicode_is_punctuation, TOK_ISOLATED, d->err);
}

static adze_status split_digits(const tok_doc *d, const json_t *o)
{
    bool one;
    ADZE_TRY(tok_json_bool(d, &one, o, "individual_digits", false));
    return tok_add_class(d->t, adze_unicode_is_number, one ? TOK_ISOLATED : TOK_CONTIGUOUS, d->err);
}

static adze_status split_pattern(const tok_doc *d, const json_t *o)
{
    tok_splitter *s;
    adze_string literal = {0};
    ADZE_TRY(new_splitter(d, &s, TOK_SPLIT_REGEX));
    ADZE_TRY(get_behavior(d, &s->behavior, o, TOK_ISOLATED));
    ADZE_TRY(tok_json_bool(d, &s->invert, o, "invert", false));
    ADZE_TRY(get_pattern(d, &s->regex, &literal, o));
    return s->regex ? ADZE_OK
                    : adze_regex_open_literal(&s->regex, literal.data, literal.length, d->err);
}

static adze_status split_delimiter(const tok_doc *d, const json_t *o)
{
    tok_splitter *s;
    adze_string literal = {0};
    ADZE_TRY(new_splitter(d, &s, TOK_SPLIT_REGEX));
    ADZE_TRY(tok_json_string(d, &literal, o, "delimiter"));
    return adze_regex_open_literal(&s->regex, literal.data, literal.length, d->err);
}

static const type_row splitters[] = {
    {"ByteLevel", split_bytes},
    {"Metaspace", split_metaspace},
    {"Whitespace", split_whitespace},
    {"WhitespaceSplit", split_spaces},
    {"Punctuation", split_punctuation},
    {"BertPreTokenizer", split_bert},
    {"Digits", split_digits},
    {"Split", split_pattern},
    {"CharDelimiterSplit", split_delimiter},
    {0},
};

/* ---- decoders ---- */

static adze_status decode_bytes(const tok_doc *d, const json_t *o)
{
    tok_decode_step *s;
    ADZE_UNUSED(o);
    return new_decoder(d, &s, TOK_DECODE_BYTES);
}

static adze_status decode_metaspace(const tok_doc *d, const json_t *o)
{
    tok_decode_step *s;
    tok_scheme scheme;
    ADZE_TRY(new_decoder(d, &s, TOK_DECODE_METASPACE));
    ADZE_TRY(get_mark(d, &s->pattern, o));
    ADZE_TRY(get_scheme(d, &scheme, o));
    s->strip_first = scheme != TOK_PREPEND_NEVER;
    return ADZE_OK;
}

static adze_status decode_wordpiece(const tok_doc *d, const json_t *o)
{
    tok_decode_step *s;
    ADZE_TRY(new_decoder(d, &s, TOK_DECODE_WORDPIECE));
    ADZE_TRY(tok_json_string(d, &s->content, o, "prefix"));
    return tok_json_bool(d, &s->cleanup, o, "cleanup", true);
}

static adze_status decode_suffix(const tok_doc *d, const json_t *o)
{
    tok_decode_step *s;
    ADZE_TRY(new_decoder(d, &s, TOK_DECODE_SUFFIX));
    return tok_json_string(d, &s->content, o, "suffix");
}

static adze_status decode_fallback(const tok_doc *d, const json_t *o)
{
    tok_decode_step *s;
    ADZE_UNUSED(o);
    return new_decoder(d, &s, TOK_DECODE_BYTE_FALLBACK);
}

static adze_status decode_strip(const tok_doc *d, const json_t *o)
{
    tok_decode_step *s;
    ADZE_TRY(new_decoder(d, &s, TOK_DECODE_STRIP));
    ADZE_TRY(tok_json_string(d, &s->content, o, "content"));
    ADZE_TRY(tok_json_int(d, &s->start, o, "start", 0));
    return tok_json_int(d, &s->stop, o, "stop", 0);
}

static adze_status decode_replace(const tok_doc *d, const json_t *o)
{
    tok_decode_step *s;
    ADZE_TRY(new_decoder(d, &s, TOK_DECODE_REPLACE));
    ADZE_TRY(get_pattern(d, &s->regex, &s->pattern, o));
    return tok_json_string(d, &s->content, o, "content");
}

static const type_row decoders[] = {
    {"ByteLevel", decode_bytes},
    {"Metaspace", decode_metaspace},
    {"WordPiece", decode_wordpiece},
    {"BPEDecoder", decode_suffix},
    {"ByteFallback", decode_fallback},
    {"Fuse", NULL},
    {"Strip", decode_strip},
    {"Replace", decode_replace},
    {0},
};

/* ---- post-processors: what they put before and behind ---- */

/* All ids before those that are there, or behind them. */
static adze_status add_ends(const tok_doc *d, const int32_t *ids, int count, bool behind)
{
    adze_tokenizer *t = d->t;
    int32_t **list = behind ? &t->after : &t->before;
    int *length = behind ? &t->after_count : &t->before_count;
    int32_t *all = ADZE_ARENA_ARRAY(&t->arena, int32_t, (size_t)(*length + count));
    if (!all)
        return tok_no_memory(d->err);
    int old = behind ? 0 : count, fresh = behind ? *length : 0;
    for (int i = 0; i < *length; i++)
        all[old + i] = (*list)[i];
    for (int i = 0; i < count; i++)
        all[fresh + i] = ids[i];
    *list = all;
    *length += count;
    return ADZE_OK;
}

static adze_status get_end(const tok_doc *d, int32_t *id, const json_t *pair, const char *name)
{
    json_t *number = json_array_get(json_object_get(pair, name), 1);
    json_int_t value = json_integer_value(number);
    if (!json_is_integer(number) || value < 0 || value >= d->t->texts.count)
        return tok_json_bad(d, name, "[\"token\", id] with an id of the vocabulary",
                            json_object_get(pair, name));
    *id = (int32_t)value;
    return ADZE_OK;
}

static adze_status ends_bert(const tok_doc *d, const json_t *o)
{
    int32_t cls, sep;
    ADZE_TRY(get_end(d, &cls, o, "cls"));
    ADZE_TRY(get_end(d, &sep, o, "sep"));
    ADZE_TRY(add_ends(d, &cls, 1, false));
    return add_ends(d, &sep, 1, true);
}

/* Appends the ids of one special token of the template. */
static adze_status add_special(const tok_doc *d, const json_t *o, const char *name, int32_t *ids,
                               int most, int *count)
{
    json_t *list =
        json_object_get(json_object_get(json_object_get(o, "special_tokens"), name), "ids");
    json_t *id;
    size_t i;
    if (!json_is_array(list))
        return tok_json_bad(d, "special_tokens", "ids of each token in the template", list);
    json_array_foreach(list, i, id)
    {
        json_int_t value = json_integer_value(id);
        if (!json_is_integer(id) || value < 0 || value >= d->t->texts.count || *count == most)
            return tok_json_bad(d, "special_tokens",
                                "ids of the vocabulary, at most 32 to a template", id);
        ids[(*count)++] = (int32_t)value;
    }
    return ADZE_OK;
}

static adze_status ends_template(const tok_doc *d, const json_t *o)
{
    enum { MOST = 32 };
    int32_t ids[2][MOST];
    int counts[2] = {0, 0};
    json_t *single = json_object_get(o, "single"), *piece;
    size_t i;
    int behind = 0;
    json_array_foreach(single, i, piece)
    {
        json_t *special = json_object_get(piece, "SpecialToken");
        const char *name = json_string_value(json_object_get(special, "id"));
        if (name)
            ADZE_TRY(add_special(d, o, name, ids[behind], MOST, &counts[behind]));
        else if (json_object_get(piece, "Sequence") && !behind)
            behind = 1;
        else
            return tok_json_bad(d, "single", "special tokens around one Sequence", piece);
    }
    if (!behind)
        return tok_json_bad(d, "single", "a Sequence among the special tokens", single);
    ADZE_TRY(add_ends(d, ids[0], counts[0], false));
    return add_ends(d, ids[1], counts[1], true);
}

static const type_row processors[] = {
    {"TemplateProcessing", ends_template},
    {"BertProcessing", ends_bert},
    {"RobertaProcessing", ends_bert},
    {"ByteLevel", NULL},
    {0},
};

/* ---- sections ---- */

typedef struct section_row {
    const char *name, *list; /* list: of the steps of a Sequence */
    const type_row *types;
} section_row;

static const section_row sections[] = {
    {"normalizer", "normalizers", normalizers},
    {"pre_tokenizer", "pretokenizers", splitters},
    {"decoder", "decoders", decoders},
    {"post_processor", "processors", processors},
};

static const type_row *find_type(const type_row *types, const char *name)
{
    for (; types->name; types++)
        if (strcmp(types->name, name) == 0)
            return types;
    return NULL;
}

const char *tok_json_type(const json_t *object)
{
    const char *name = json_string_value(json_object_get(object, "type"));
    return name ? name : "";
}

typedef struct flat_list {
    const json_t **items;
    int count, capacity;
} flat_list;

static adze_status flatten(const tok_doc *d, adze_arena *arena, flat_list *to, const json_t *step,
                           const section_row *section, int depth)
{
    json_t *list, *one;
    size_t i;
    if (!step || json_is_null(step))
        return ADZE_OK;
    if (!json_is_object(step) || depth > 8)
        return tok_json_bad(d, section->name, "an object with a type", step);
    if (strcmp(tok_json_type(step), "Sequence") != 0) {
        if (!adze_arena_grow(arena, &to->items, &to->capacity, to->count, sizeof *to->items))
            return tok_no_memory(d->err);
        to->items[to->count++] = step;
        return ADZE_OK;
    }
    list = json_object_get(step, section->list);
    if (!json_is_array(list))
        return tok_json_bad(d, section->list, "an array", list);
    json_array_foreach(list, i, one) ADZE_TRY(flatten(d, arena, to, one, section, depth + 1));
    return ADZE_OK;
}

adze_status tok_json_flatten(const tok_doc *d, adze_arena *arena, const char *section,
                             const json_t ***steps, int *count)
{
    flat_list list = {0};
    for (size_t i = 0; i < ADZE_COUNT_OF(sections); i++)
        if (strcmp(sections[i].name, section) == 0)
            ADZE_TRY(flatten(d, arena, &list, json_object_get(d->root, section), &sections[i], 0));
    *steps = list.items;
    *count = list.count;
    return ADZE_OK;
}

adze_status tok_json_check(const tok_doc *d)
{
    adze_arena arena = {0};
    adze_text unknown = {0};
    adze_status status = ADZE_OK;
    for (size_t i = 0; i < ADZE_COUNT_OF(sections) && status == ADZE_OK; i++) {
        const json_t **steps = NULL;
        int count = 0;
        status = tok_json_flatten(d, &arena, sections[i].name, &steps, &count);
        for (int k = 0; k < count && status == ADZE_OK; k++)
            if (!find_type(sections[i].types, tok_json_type(steps[k])))
                adze_text_printf(&unknown, "%s%s '%s'", unknown.length ? ", " : "",
                                 sections[i].name, tok_json_type(steps[k]));
    }
    if (status == ADZE_OK && unknown.length)
        status = adze_fail(d->err, ADZE_UNSUPPORTED,
                           "%s: not known: %s; docs/tokenizers.md lists those that are", d->path,
                           adze_text_get(&unknown));
    adze_text_free(&unknown);
    adze_arena_free(&arena);
    return status;
}

static adze_status parse_section(const tok_doc *d, const section_row *section)
{
    adze_arena arena = {0};
    const json_t **steps = NULL;
    int count = 0;
    adze_status status = tok_json_flatten(d, &arena, section->name, &steps, &count);
    for (int i = 0; i < count && status == ADZE_OK; i++) {
        const type_row *row = find_type(section->types, tok_json_type(steps[i]));
        if (!row)
            status = tok_json_bad(d, section->name, "a known type", steps[i]);
        else if (row->parse)
            status = row->parse(d, steps[i]);
    }
    adze_arena_free(&arena);
    return status;
}

adze_status tok_json_normalizers(const tok_doc *d)
{
    return parse_section(d, &sections[0]);
}

adze_status tok_json_splitters(const tok_doc *d)
{
    return parse_section(d, &sections[1]);
}

/* What comes behind a Fuse sees the whole text: Strip then means its ends. */
adze_status tok_json_decoders(const tok_doc *d)
{
    adze_arena arena = {0};
    const json_t **steps = NULL;
    int count = 0, made = 0;
    bool fused = false;
    ADZE_TRY(parse_section(d, &sections[2]));
    adze_status status = tok_json_flatten(d, &arena, "decoder", &steps, &count);
    for (int i = 0; i < count && status == ADZE_OK; i++) {
        if (strcmp(tok_json_type(steps[i]), "Fuse") == 0) {
            fused = true;
            continue;
        }
        tok_decode_step *s = &d->t->decoders[made++];
        s->whole = fused && s->kind == TOK_DECODE_STRIP;
        if (fused && s->kind != TOK_DECODE_STRIP && (s->kind != TOK_DECODE_REPLACE || s->regex))
            status = adze_fail(d->err, ADZE_UNSUPPORTED, "%s: decoder '%s' behind a Fuse", d->path,
                               tok_json_type(steps[i]));
    }
    adze_arena_free(&arena);
    ADZE_TRY(status);
    tok_decode_step *s;
    return made ? ADZE_OK : new_decoder(d, &s, TOK_DECODE_JOIN);
}

adze_status tok_json_ends(const tok_doc *d)
{
    return parse_section(d, &sections[3]);
}
