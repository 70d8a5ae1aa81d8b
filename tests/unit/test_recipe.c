/* Recipes: defaults, canonical text, exact numbers, messages that name the key. */
#include "test.h"
#include "adze/compress.h"
#include "compress/recipe.h"

static adze_recipe *parse(const char *text)
{
    adze_recipe *recipe;
    adze_error err;
    CHECK_OK(adze_recipe_parse(&recipe, text, "r.json", &err), &err);
    return recipe;
}

static void check_message(const char *text, const char *expected)
{
    adze_recipe *recipe;
    adze_error err;
    CHECK_FAILS(adze_recipe_parse(&recipe, text, "r.json", &err), ADZE_BAD_FILE, &err);
    CHECK_STR(err.message, expected);
}

TEST(defaults)
{
    adze_recipe *r = parse("{\"version\": 1, \"scheme\": \"static\"}");
    CHECK_EQ(r->activations.type, ADZE_U8);
    CHECK_EQ(r->weights.type, ADZE_I8);
    CHECK_EQ(r->weights.granularity, ADZE_GRANULARITY_CHANNEL);
    CHECK(!adze_recipe_is_complete(r));
    adze_recipe_free(&r);
    r = parse("{\"version\": 1, \"scheme\": \"weight_only\"}");
    CHECK_EQ(r->weights.granularity, ADZE_GRANULARITY_BLOCK);
    CHECK(adze_recipe_is_complete(r));
    adze_recipe_free(&r);
}

TEST(messages_name_the_key)
{
    check_message("[]", "r.json: expected a JSON object");
    check_message("{\"version\": 2}", "r.json: 'version': expected 1, found 2");
    check_message("{\"version\": 1, \"scheme\": \"int3\"}",
                  "r.json: 'scheme': expected one of \"none\", \"static\", \"dynamic\", "
                  "\"weight_only\", \"float16\", found \"int3\"");
    check_message("{\"version\": 1, \"weights\": {\"type\": 8}}",
                  "r.json: 'weights.type': expected one of \"int8\", \"uint8\", \"int4\", "
                  "\"uint4\", found 8");
    check_message("{\"version\": 1, \"calibration\": {\"smples\": 8}}",
                  "r.json: unknown key 'calibration.smples'; expected one of: samples seed");
    check_message("{\"version\": 1, \"overrides\": {\"x\": {\"range\": [2, 1]}}}",
                  "r.json: 'overrides.range': expected [low, high], found [2,1]");
}

TEST(canonical_text)
{
    adze_recipe *a = parse("{\"version\": 1, \"equalize\": true, \"scheme\": \"static\"}");
    adze_recipe *b = parse("{\"scheme\": \"static\", \"version\": 1,   \"equalize\": true}");
    char x[65], y[65];
    CHECK_OK(adze_recipe_hash(x, a, NULL), NULL);
    CHECK_OK(adze_recipe_hash(y, b, NULL), NULL);
    CHECK_STR(x, y);
    CHECK_OK(adze_recipe_set(&b, "activations.calibrator", "mse", NULL), NULL);
    CHECK_OK(adze_recipe_hash(y, b, NULL), NULL);
    CHECK(strcmp(x, y) != 0);
    CHECK_EQ(b->activations.calibrator, ADZE_CALIBRATOR_MSE);
    CHECK_FAILS(adze_recipe_set(&b, "activations.calibrator", "best", NULL), ADZE_BAD_ARGUMENT,
                NULL);
    adze_recipe_free(&a);
    adze_recipe_free(&b);
}

/* Every float comes back bit for bit. */
TEST(exact_numbers)
{
    float values[64];
    uint64_t seed = 7;
    for (int i = 0; i < 64; i++) {
        uint32_t bits = (uint32_t)test_random(&seed) & 0xbfffffff; /* finite */
        memcpy(&values[i], &bits, sizeof bits);
    }
    adze_recipe *r = parse("{\"version\": 1}"), *again;
    r->resolved = true;
    CHECK(adze_recipe_add_correction(r, "n", values, 64));
    CHECK(adze_recipe_add_range(r, "v", -0x1.23456p-9f, 0x1.fffffep3f));
    const char *path = test_tmpfile("r.json");
    CHECK_OK(adze_recipe_save(r, path, NULL), NULL);
    CHECK_OK(adze_recipe_load(&again, path, NULL), NULL);
    CHECK(adze_recipe_is_complete(again));
    CHECK_BYTES(adze_recipe_find_correction(again, "n")->values, values, sizeof values);
    const adze_named_range *range = adze_recipe_find_range(again, "v");
    CHECK(range->low == -0x1.23456p-9f && range->high == 0x1.fffffep3f);
    adze_recipe_free(&r);
    adze_recipe_free(&again);
}
