/* tokenizer.json: any bytes give a tokenizer that encodes any text and decodes what it encoded, or a message. What
 * stands behind the first NUL of the input is the text. Most mutations change the JSON as JSON, so that what they
 * make is still read to its end. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "adze/graph.h"
#include "adze/tokenizer.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

static const char usual[] = "Hello,  world 12! \xC3\xA9\xE2\x96\x81\xF0\x9F\x98\x80<s> a\n\n\xFFz";

/* ---- using what was read ---- */

static void check_texts(const adze_tokenizer *t)
{
    size_t length;
    for (int32_t id = -1; id <= adze_tokenizer_count(t); id++) {
        const char *text = adze_tokenizer_text(t, id, &length);
        bool known = id >= 0 && id < adze_tokenizer_count(t);
        if (known != (text != NULL) || (text && text[length]))
            abort();
        (void)adze_tokenizer_is_end(t, id);
        (void)adze_tokenizer_is_control(t, id);
    }
    for (int role = -1; role <= (int)ADZE_TOKEN_MASK + 1; role++)
        if (adze_tokenizer_special(t, (adze_token_role)role) >= adze_tokenizer_count(t))
            abort();
}

/* The stream gives whole characters, and together what the whole gives, but for bytes that are none. */
static void check_stream(const adze_tokenizer *t, const int32_t *ids, int64_t count, bool special)
{
    adze_error err;
    adze_decoder *decoder;
    adze_text all = {0};
    char *whole;
    const char *part;
    size_t length;
    if (adze_tokenizer_decode(t, &whole, &length, ids, count, special, &err) != ADZE_OK)
        return;
    size_t whole_length = length;
    if (adze_decoder_open(&decoder, t, special, &err) != ADZE_OK)
        abort();
    for (int64_t i = 0; i <= count; i++) {
        if (adze_decoder_next(decoder, i < count ? ids[i] : -1, &part, &length, &err) != ADZE_OK ||
            adze_utf8_valid_prefix(part, length) != length)
            abort();
        adze_text_add(&all, part, length);
    }
    if (adze_utf8_valid_prefix(whole, whole_length) == whole_length &&
        (all.length != whole_length ||
         (whole_length && memcmp(all.data, whole, whole_length) != 0)))
        abort();
    adze_decoder_close(&decoder);
    adze_text_free(&all);
    adze_string_free(&whole);
}

static void encode(const adze_tokenizer *t, const char *text, size_t length)
{
    for (int flags = 0; flags < 4; flags++) {
        adze_encode_options options = {.special = flags & 1, .ends = flags & 2};
        adze_error err;
        int32_t *ids;
        int64_t count;
        if (adze_tokenizer_encode(t, &ids, &count, text, length, &options, &err) != ADZE_OK)
            continue;
        for (int64_t i = 0; i < count; i++)
            if (ids[i] < 0 || ids[i] >= adze_tokenizer_count(t))
                abort();
        check_stream(t, ids, count, options.special);
        adze_tokens_free(&ids);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    adze_error err;
    adze_tokenizer *t;
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    size_t json = end ? (size_t)(end - data) : size;
    int fd = memfd_create("fuzz", 0);
    if (fd < 0 || write(fd, data, json) != (ssize_t)json)
        abort();
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (adze_tokenizer_open(&t, path, &err) == ADZE_OK) {
        check_texts(t);
        if (end)
            encode(t, (const char *)end + 1, size - json - 1);
        encode(t, usual, sizeof usual - 1);
        adze_tokenizer_close(&t);
    } else if (!err.message[0] ||
               adze_utf8_valid_prefix(err.message, strlen(err.message)) != strlen(err.message)) {
        abort();
    }
    (void)close(fd);
    return 0;
}

/* ---- mutating JSON ---- */

typedef struct picker {
    uint64_t state;
    json_t *parent, *found;
    const char *key; /* in an object; else the index counts */
    size_t index, seen;
} picker;

static size_t roll(picker *p, size_t sides)
{
    p->state = p->state * 6364136223846793005u + 1442695040888963407u;
    return (size_t)(p->state >> 33) % sides;
}

/* Each value below `at` is as likely as any other to be the one that is left in p->found. */
static void pick(picker *p, json_t *at)
{
    const char *key;
    size_t i;
    json_t *value;
    json_object_foreach(at, key, value)
    {
        if (roll(p, ++p->seen) == 0) {
            p->parent = at;
            p->key = key;
            p->found = value;
        }
        pick(p, value);
    }
    json_array_foreach(at, i, value)
    {
        if (roll(p, ++p->seen) == 0) {
            p->parent = at;
            p->key = NULL;
            p->index = i;
            p->found = value;
        }
        pick(p, value);
    }
}

static json_t *another_string(const json_t *old)
{
    char bytes[512];
    size_t length = json_string_length(old);
    length = length < sizeof bytes ? length : sizeof bytes;
    memcpy(bytes, json_string_value(old), length);
    length = LLVMFuzzerMutate((uint8_t *)bytes, length, sizeof bytes);
    json_t *made = json_stringn(bytes, length);
    return made ? made : json_stringn(bytes, adze_utf8_valid_prefix(bytes, length));
}

static json_t *another_value(picker *p, json_t *root)
{
    static const char *const texts[] = {"",          "a",        " ",    "\xE2\x96\x81",
                                        "<0x41>",    "\\s+",     "BPE",  "Unigram",
                                        "ByteLevel", "Sequence", "Fuse", "Strip"};
    static const json_int_t numbers[] = {0, 1, -1, 2, 255, INT32_MAX, INT64_MAX, 1 << 24};
    json_t *old = p->found;
    switch (roll(p, 10)) {
    case 0: return json_null();
    case 1: return json_boolean(roll(p, 2));
    case 2: return json_integer(numbers[roll(p, ADZE_COUNT_OF(numbers))]);
    case 3: return json_string(texts[roll(p, ADZE_COUNT_OF(texts))]);
    case 4: return roll(p, 2) ? json_object() : json_array();
    case 5: return json_real((double)roll(p, 1000) / 7 - 70);
    case 6:
    case 7:
        if (json_is_string(old))
            return another_string(old);
        if (json_is_integer(old))
            return json_integer((json_int_t)((json_int_t)roll(p, 2000) - 1000));
        break;
    default: break;
    }
    picker other = {.state = p->state};
    pick(&other, root);
    p->state = other.state;
    return json_deep_copy(other.found);
}

static void change(picker *p, json_t *root)
{
    p->seen = 0;
    p->parent = NULL;
    pick(p, root);
    if (!p->parent)
        return;
    size_t what = roll(p, 6);
    if (what == 0) {
        if (p->key)
            (void)json_object_del(p->parent, p->key);
        else
            (void)json_array_remove(p->parent, p->index);
    } else if (p->key) {
        (void)json_object_set_new(p->parent, p->key, another_value(p, root));
    } else if (what == 1) {
        (void)json_array_insert_new(p->parent, p->index, another_value(p, root));
    } else {
        (void)json_array_set_new(p->parent, p->index, another_value(p, root));
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    picker p = {.state = seed};
    const uint8_t *end = size ? memchr(data, 0, size) : NULL;
    size_t length = end ? (size_t)(end - data) : size, tail = size - length;
    json_error_t why;
    json_t *root = roll(&p, 8) ? json_loadb((const char *)data, length, 0, &why) : NULL;
    if (!root)
        return LLVMFuzzerMutate(data, size, most);
    uint8_t text[256];
    tail = tail < sizeof text ? tail : sizeof text;
    memcpy(text, data + length, tail);
    if (roll(&p, 3) == 0) {
        text[0] = 0;
        tail = 1 + LLVMFuzzerMutate(text + 1, tail ? tail - 1 : 0, sizeof text - 1);
    }
    for (size_t n = 1 + roll(&p, 3); n > 0; n--)
        change(&p, root);
    char *json = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    length = json ? strlen(json) : 0;
    bool fits = json && length + tail <= most;
    if (fits) {
        memcpy(data, json, length);
        memcpy(data + length, text, tail);
    }
    free(json);
    return fits ? length + tail : LLVMFuzzerMutate(data, size, most);
}
