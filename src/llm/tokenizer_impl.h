/* The one pipeline that every tokenizer is: added tokens are cut out of the text, normalizers rewrite what is
 * between them, splitters cut it into pieces, the model turns each piece into ids; decoders go back. GGUF
 * metadata (tokenizer_gguf.c) and tokenizer.json (tokenizer_json.c) are two ways to fill it in. */
#ifndef ADZE_LLM_TOKENIZER_IMPL_H
#define ADZE_LLM_TOKENIZER_IMPL_H
#include "adze/tensor.h"
#include "adze/tokenizer.h"
#include "base/memory.h"
#include "base/text.h"
#include "llm/unicode.h"
#include "llm/unicode_regex.h"

#define TOK_ROLES ((int)ADZE_TOKEN_MASK + 1)

/* What a token is, numbered as in GGUF's token_type. */
typedef enum tok_type {
    TOK_ABSENT, /* an id that no token has */
    TOK_NORMAL,
    TOK_UNKNOWN,
    TOK_CONTROL,
    TOK_USER, /* always matched whole, decoded as spelt */
    TOK_UNUSED,
    TOK_BYTE /* "<0x41>" */
} tok_type;

/* ---- strings by id, and ids by string ---- */

typedef struct tok_texts {
    char *bytes;       /* each text has a NUL behind it */
    uint32_t *offsets; /* [count + 1] */
    int32_t count;
    uint32_t longest;
    uint32_t *slots; /* pairs of hash and id + 1; id + 1 is 0 where there is none */
    size_t mask;
} tok_texts;

/* Makes room for `count` texts of `total` bytes together; then put each in order, then index. */
bool tok_texts_reserve(tok_texts *t, adze_arena *arena, int32_t count, size_t total);
void tok_texts_put(tok_texts *t, int32_t id, const char *bytes, size_t length);
bool tok_texts_index(tok_texts *t, adze_arena *arena); /* equal texts: the first id is found */
const char *tok_texts_get(const tok_texts *t, int32_t id, size_t *length);
int32_t tok_texts_find(const tok_texts *t, const char *bytes, size_t length); /* -1 */

/* ---- tries ---- */

typedef struct tok_key {
    const char *bytes;
    uint32_t length;
    int32_t value;
} tok_key;

typedef struct tok_trie {
    uint32_t *first;    /* of a node's children, which are consecutive; [count + 1] */
    int32_t *values;    /* -1: no key ends here */
    uint8_t *labels;    /* of the edge that leads to the node */
    uint32_t root[256]; /* children of the root, 0: none */
    uint32_t count;
} tok_trie;

/* Sorts keys. Of equal keys the first in the list counts. */
bool tok_trie_build(tok_trie *trie, adze_arena *arena, tok_key *keys, size_t count);
/* Child of a node (0 is the root), or 0. */
uint32_t tok_trie_step(const tok_trie *trie, uint32_t node, char byte);

/* ---- steps ---- */

typedef enum tok_normal_kind {
    TOK_NORMAL_FORM,
    TOK_NORMAL_LOWER,
    TOK_NORMAL_STRIP_ACCENTS,
    TOK_NORMAL_STRIP,
    TOK_NORMAL_REPLACE,
    TOK_NORMAL_PREPEND,
    TOK_NORMAL_BERT,
    TOK_NORMAL_CHARSMAP,
    TOK_NORMAL_NMT,
    TOK_NORMAL_BYTES,
    TOK_NORMAL_PIECES /* SentencePiece's own normalizer, as GGUF's "t5" means it */
} tok_normal_kind;

typedef struct tok_charsmap {
    const uint8_t *units; /* of a double array, 4 bytes each, little-endian */
    size_t unit_count;
    const char *texts; /* replacements, NUL-terminated, the last byte is a NUL */
    size_t texts_size;
} tok_charsmap;

typedef struct tok_normalizer {
    tok_normal_kind kind;
    adze_unicode_form form;
    adze_regex *regex;                   /* REPLACE by expression; else */
    adze_string pattern;                 /* REPLACE, literal */
    adze_string content;                 /* REPLACE, PREPEND */
    bool left, right;                    /* STRIP */
    bool clean, chinese, accents, lower; /* BERT */
    bool
        bases; /* BERT: accents go with all but the first character of a decomposition, as in llama.cpp */
    bool prefix, suffix, merge_spaces, escape; /* PIECES */
    tok_charsmap charsmap;                     /* CHARSMAP, PIECES */
    tok_trie verbatim;                         /* PIECES: user-defined tokens stay as they are */
} tok_normalizer;

typedef enum tok_behavior {
    TOK_REMOVED,
    TOK_ISOLATED,
    TOK_MERGED_WITH_PREVIOUS,
    TOK_MERGED_WITH_NEXT,
    TOK_CONTIGUOUS
} tok_behavior;

typedef enum tok_split_kind {
    TOK_SPLIT_REGEX,
    TOK_SPLIT_CLASS,     /* matches are the characters of a class */
    TOK_SPLIT_PREFIX,    /* puts a space before text that begins with none */
    TOK_SPLIT_BYTES,     /* writes each byte as GPT-2 does */
    TOK_SPLIT_METASPACE, /* spaces become the mark, which may be put before the text */
    TOK_SPLIT_WORDS /* before a space mark, where no token crosses it: changes nothing but speed */
} tok_split_kind;

typedef enum tok_scheme { TOK_PREPEND_ALWAYS, TOK_PREPEND_FIRST, TOK_PREPEND_NEVER } tok_scheme;

typedef struct tok_splitter {
    tok_split_kind kind;
    adze_regex *regex;
    bool (*in_class)(uint32_t character);
    tok_behavior behavior;
    bool invert;
    adze_string mark;  /* METASPACE: what a space becomes */
    tok_scheme scheme; /* METASPACE */
    bool glued[256];   /* WORDS: some token has this byte before a mark */
} tok_splitter;

typedef enum tok_decode_kind {
    TOK_DECODE_BYTES, /* the reverse of TOK_SPLIT_BYTES */
    TOK_DECODE_REPLACE,
    TOK_DECODE_BYTE_FALLBACK,
    TOK_DECODE_STRIP,
    TOK_DECODE_METASPACE,
    TOK_DECODE_WORDPIECE,
    TOK_DECODE_SUFFIX, /* "</w>" is a space, except at the end */
    TOK_DECODE_JOIN    /* no decoder at all: tokens with spaces between */
} tok_decode_kind;

typedef struct tok_decode_step {
    tok_decode_kind kind;
    adze_regex *regex;
    adze_string pattern, content;
    int64_t start, stop; /* STRIP: at most so many of content at either end */
    bool whole;          /* STRIP: of the whole text, not of each token */
    bool
        strip_first; /* METASPACE: the first token loses its marks; WORDPIECE: tokens of words begin
                            with a mark */
    bool cleanup;    /* WORDPIECE */
} tok_decode_step;

typedef struct tok_added {
    int32_t id;
    adze_string text; /* as it is matched: normalized where `normalized` */
    bool special, normalized, single_word, lstrip, rstrip;
} tok_added;

/* ---- models ---- */

typedef enum tok_model_kind { TOK_BPE, TOK_UNIGRAM, TOK_WORDPIECE, TOK_WORDLEVEL } tok_model_kind;

typedef struct tok_merge {
    int32_t left, right, id; /* left -1: an empty slot */
    uint32_t rank;
} tok_merge;

typedef struct tok_bpe {
    tok_merge
        *merges;     /* open addressing by (left, right); NULL: any two symbols that make a token */
    size_t mask;     /*   merge, those of the best rank first: */
    uint32_t *ranks; /*   [count], by falling score */
    bool byte_level; /* symbols are bytes, pieces are looked up in `raw` */
    bool ignore_merges;  /* a piece that is a token is that token */
    bool whole_newlines; /* the same for pieces of newlines alone */
    bool byte_fallback, fuse_unknown;
    adze_string prefix, suffix;
} tok_bpe;

typedef struct tok_unigram {
    double *scores;
    double unknown_score;
    tok_trie trie;
    bool byte_fallback, find_fused;
} tok_unigram;

typedef struct tok_wordpiece {
    tok_trie first, rest; /* tokens that begin a word, that go on */
    int64_t longest_word; /* in characters */
} tok_wordpiece;

struct adze_tokenizer {
    adze_arena arena;
    const char *kind, *pre;

    tok_texts texts;
    tok_texts raw; /* byte-level: the same as bytes; texts that spell no bytes are empty */
    uint8_t *types;
    int32_t bytes[256];  /* token of a byte: of the model's alphabet or "<0x41>"; -1 */
    int32_t single[128]; /* token spelt as this one character, -1 */

    tok_added *added;
    int added_count;
    tok_trie added_raw, added_normalized; /* -> index in added */
    bool skipped_consumes; /* special text that is not to be parsed hides what overlaps it */

    tok_normalizer *normalizers;
    int normalizer_count;
    tok_splitter *splitters;
    int splitter_count;
    bool maps_bytes; /* some step writes bytes as GPT-2 does, the model sees characters */

    tok_model_kind model;
    tok_bpe bpe;
    tok_unigram unigram;
    tok_wordpiece wordpiece;
    int32_t unknown; /* -1: what has no token is left out */

    int32_t *before, *after; /* what `ends` adds */
    int before_count, after_count;

    tok_decode_step *decoders;
    int decoder_count;
    bool
        added_verbatim; /* control and user-defined tokens are decoded as spelt, whatever the decoders */

    int32_t roles[TOK_ROLES];
    bool *ends_text; /* [count], tokens after which a model has finished */
};

/* One call's working memory. */
typedef struct tok_symbol {
    uint32_t start, length;
    int32_t id, previous, next;
} tok_symbol;

typedef struct tok_pair {
    uint32_t rank;
    int32_t left, id;
    uint32_t length;
} tok_pair;

typedef struct tok_span {
    uint32_t start, length;
} tok_span;

typedef struct tok_spans {
    tok_span *items;
    size_t count, capacity;
} tok_spans;

typedef struct tok_node {
    double score;
    uint32_t start;
    int32_t id;
} tok_node;

typedef struct tok_cache_slot {
    uint64_t hash;
    uint32_t key, key_length, ids, id_count; /* into bytes and ids below */
} tok_cache_slot;

typedef struct tok_encoder {
    const adze_tokenizer *t;
    adze_error *err;
    int32_t *ids;
    size_t count, capacity;
    adze_matcher *matcher;
    adze_text text[2], mapped[2]; /* normalizers and splitters write them in turn */
    tok_spans spans[2];
    tok_symbol *symbols;
    size_t symbol_capacity;
    tok_pair *heap;
    size_t heap_count, heap_capacity;
    tok_node *nodes;
    size_t node_capacity;
    tok_cache_slot *cache;
    size_t cache_mask, cache_count;
    adze_text cache_bytes;
    int32_t *cache_ids;
    size_t cache_id_count, cache_id_capacity;
} tok_encoder;

/* Room for one more in an array of adze_realloc, or the error. */
adze_status tok_grow(void *items_pointer, size_t *capacity, size_t needed, size_t size,
                     adze_error *err) ADZE_MUST_CHECK;
adze_status tok_emit(tok_encoder *e, int32_t id) ADZE_MUST_CHECK;
adze_status tok_no_memory(adze_error *err);
adze_status tok_need_matcher(tok_encoder *e) ADZE_MUST_CHECK;

/* Appends the normalized form of valid UTF-8; `first`: nothing of the fragment came before. */
adze_status tok_normalize(tok_encoder *e, const tok_normalizer *n, adze_text *out, const char *text,
                          size_t length, bool first) ADZE_MUST_CHECK;
void tok_charsmap_normalize(adze_text *out, const tok_charsmap *map, const char *text,
                            size_t length);
void tok_pieces_normalize(adze_text *out, const tok_normalizer *n, const char *text, size_t length,
                          bool first);
adze_status tok_charsmap_open(tok_charsmap *map, const void *bytes, size_t size, const char *where,
                              adze_error *err) ADZE_MUST_CHECK;
/* Replaces each match in text, appending to out. */
void tok_replace_literal(adze_text *out, adze_string pattern, adze_string content, const char *text,
                         size_t length);
adze_status tok_replace(tok_encoder *e, adze_text *out, const adze_regex *regex,
                        adze_string pattern, adze_string content, const char *text,
                        size_t length) ADZE_MUST_CHECK;

/* Cuts text into e->spans[*at] over *text; `whole_first`: the text begins the input. */
adze_status tok_split(tok_encoder *e, const char **text, size_t length, bool whole_first,
                      int *at) ADZE_MUST_CHECK;
/* Bytes as GPT-2 spells them, and back; false when some character spells none. */
void tok_bytes_spell(adze_text *out, const char *bytes, size_t length);
bool tok_bytes_unspell(adze_text *out, const char *text, size_t length);

/* The ids of one piece. */
adze_status tok_bpe_encode(tok_encoder *e, const char *text, size_t length) ADZE_MUST_CHECK;
adze_status tok_unigram_encode(tok_encoder *e, const char *text, size_t length) ADZE_MUST_CHECK;
adze_status tok_wordpiece_encode(tok_encoder *e, const char *text, size_t length) ADZE_MUST_CHECK;
/* Each byte's token; the unknown token for all when one has none. */
adze_status tok_bytes_encode(tok_encoder *e, const char *text, size_t length) ADZE_MUST_CHECK;
void tok_encoder_free(tok_encoder *e);

/* ---- building ---- */

typedef struct tok_merge_list {
    adze_string *pairs; /* left and right in turn */
    int64_t count;
} tok_merge_list;

/* Fills in what follows from texts and types: raw, bytes, single. byte_level: bytes are spelt as GPT-2 does. */
adze_status tok_finish_vocabulary(adze_tokenizer *t, bool byte_level,
                                  adze_error *err) ADZE_MUST_CHECK;
adze_status tok_bpe_build(adze_tokenizer *t, const tok_merge_list *merges, const char *where,
                          adze_error *err) ADZE_MUST_CHECK;
adze_status tok_bpe_rank(adze_tokenizer *t, const float *scores, adze_error *err) ADZE_MUST_CHECK;
/* NULL: the two do not merge. Only where there is a list of merges. */
const tok_merge *tok_bpe_find_merge(const tok_bpe *b, int32_t left, int32_t right);
adze_status tok_added_build(adze_tokenizer *t, adze_error *err) ADZE_MUST_CHECK;
/* Adds TOK_SPLIT_WORDS where it is safe. */
adze_status tok_split_words_build(adze_tokenizer *t, adze_error *err) ADZE_MUST_CHECK;
tok_splitter *tok_add_splitter(adze_tokenizer *t); /* NULL: out of memory */
tok_normalizer *tok_add_normalizer(adze_tokenizer *t);
tok_decode_step *tok_add_decoder(adze_tokenizer *t);
adze_status tok_add_split(adze_tokenizer *t, const char *pattern, size_t length,
                          tok_behavior behavior, bool invert, adze_error *err) ADZE_MUST_CHECK;
adze_status tok_add_class(adze_tokenizer *t, bool (*in_class)(uint32_t), tok_behavior behavior,
                          adze_error *err) ADZE_MUST_CHECK;
/* Marks the tokens that end a text, by role and by spelling; retype: the spelling also says what is a control
 * token. */
adze_status tok_find_ends(adze_tokenizer *t, bool retype, adze_error *err) ADZE_MUST_CHECK;

/* ---- pre-tokenizers by name ---- */

typedef struct tok_pre {
    const char *names;      /* separated by spaces */
    const char *regexes[8]; /* applied one after the other */
    unsigned flags;
} tok_pre;

enum {
    TOK_PRE_IGNORE_MERGES = 1,
    TOK_PRE_ADD_BOS = 2,
    TOK_PRE_ADD_SEP = 4,
    TOK_PRE_NO_BOS = 8,   /* there is none unless the metadata names one */
    TOK_PRE_MARKS = 16,   /* spaces are U+2581, text is not spelt as bytes */
    TOK_PRE_NEWLINES = 32 /* a piece of newlines that is a token stays whole */
};

const tok_pre *tok_pre_find(const char *name); /* NULL: not known */
const tok_pre *tok_pre_at(int i);              /* all of them in turn, then NULL */

#endif
