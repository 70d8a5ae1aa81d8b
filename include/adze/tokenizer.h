/** @file
 * Text to token ids and back, for the vocabularies of language models: SentencePiece (BPE with scores,
 * Unigram), byte-level BPE, WordPiece; from GGUF metadata and from Hugging Face's tokenizer.json.
 * Threads: a tokenizer is immutable once opened and may be shared. */
#ifndef ADZE_TOKENIZER_H
#define ADZE_TOKENIZER_H
#include "adze/adze.h"

ADZE_BEGIN_C

typedef struct adze_tokenizer adze_tokenizer;

/** Opens the tokenizer of `path`: a .gguf file, a tokenizer.json, or a folder that holds one. Close with
 * adze_tokenizer_close. Fails with ADZE_NOT_FOUND, ADZE_BAD_FILE, ADZE_UNSUPPORTED (names the kind, or the
 * pre-tokenizer, that it does not know), ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_tokenizer_open(adze_tokenizer **out, const char *path,
                                                         adze_error *err);
/** Frees and nulls; NULL is fine. */
ADZE_API void adze_tokenizer_close(adze_tokenizer **tokenizer);

ADZE_API int32_t
adze_tokenizer_count(const adze_tokenizer *tokenizer); /* tokens in the vocabulary */
/** "spm", "bpe", "wordpiece", "unigram". */
ADZE_API const char *adze_tokenizer_kind(const adze_tokenizer *tokenizer);
/** Name of the pre-tokenizer ("llama-bpe", "smollm", ...); "" where there is none. */
ADZE_API const char *adze_tokenizer_pre(const adze_tokenizer *tokenizer);
/** The token as the vocabulary spells it; NULL and 0 when id is out of range. */
ADZE_API const char *adze_tokenizer_text(const adze_tokenizer *tokenizer, int32_t id,
                                         size_t *length);
/** Id of the token spelt so; -1 when there is none. */
ADZE_API int32_t adze_tokenizer_find(const adze_tokenizer *tokenizer, const char *text);

typedef enum adze_token_role {
    ADZE_TOKEN_BOS, /* beginning of the sequence; [CLS] of encoders */
    ADZE_TOKEN_EOS, /* end of the sequence */
    ADZE_TOKEN_EOT, /* end of a turn */
    ADZE_TOKEN_UNKNOWN,
    ADZE_TOKEN_SEPARATOR,
    ADZE_TOKEN_PADDING,
    ADZE_TOKEN_MASK
} adze_token_role;
ADZE_API int32_t adze_tokenizer_special(const adze_tokenizer *tokenizer,
                                        adze_token_role role); /* -1 */
/** True for tokens after which a model has finished: EOS, EOT, EOM and their like. */
ADZE_API bool adze_tokenizer_is_end(const adze_tokenizer *tokenizer, int32_t id);
/** True for control tokens, which decoding leaves out. */
ADZE_API bool adze_tokenizer_is_control(const adze_tokenizer *tokenizer, int32_t id);

typedef struct adze_encode_options {
    bool special; /* parse the text of special tokens; false: it is text like any other */
    bool ends;    /* add BOS, EOS (or CLS, SEP) where the vocabulary says so */
} adze_encode_options;

/** Encodes `length` bytes (any bytes; what is not UTF-8 is treated as the vocabulary can) into *ids, *count of
 * them, to be freed with adze_tokens_free. options NULL: neither. Fails with ADZE_NO_MEMORY, ADZE_LIMIT. */
ADZE_MUST_CHECK ADZE_API adze_status adze_tokenizer_encode(const adze_tokenizer *tokenizer,
                                                           int32_t **ids, int64_t *count,
                                                           const char *text, size_t length,
                                                           const adze_encode_options *options,
                                                           adze_error *err);
ADZE_API void adze_tokens_free(int32_t **ids);

/** Decodes into NUL-terminated *text (may hold NULs: *length says how long), to be freed with
 * adze_string_free. special: control tokens are spelt out. Fails with ADZE_BAD_ARGUMENT (id out of range),
 * ADZE_NO_MEMORY. */
ADZE_MUST_CHECK ADZE_API adze_status adze_tokenizer_decode(const adze_tokenizer *tokenizer,
                                                           char **text, size_t *length,
                                                           const int32_t *ids, int64_t count,
                                                           bool special, adze_error *err);

/** Decoding token by token: each call gives the bytes that are complete, never part of a character. */
typedef struct adze_decoder adze_decoder;
ADZE_MUST_CHECK ADZE_API adze_status adze_decoder_open(adze_decoder **out,
                                                       const adze_tokenizer *tokenizer,
                                                       bool special, adze_error *err);
ADZE_API void adze_decoder_close(adze_decoder **decoder);
/** *text (NUL-terminated, *length bytes, maybe none) is valid until the next call. id -1: the end, gives what
 * is left, incomplete characters as U+FFFD. */
ADZE_MUST_CHECK ADZE_API adze_status adze_decoder_next(adze_decoder *decoder, int32_t id,
                                                       const char **text, size_t *length,
                                                       adze_error *err);

ADZE_END_C
#endif
