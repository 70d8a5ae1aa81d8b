/* IDX files. */
#include "base/memory.h"
#include "formats/idx.h"
#include "test.h"

static const uint8_t shorts[] = {0, 0, 0x0b, 2, 0,    0,    0, 2, 0,    0,
                                 0, 2, 1,    2, 0xff, 0xfe, 0, 0, 0x7f, 0xff};

TEST(big_endian_shorts)
{
    adze_tensor tensor;
    adze_error err;
    CHECK_OK(adze_idx_parse(&tensor, shorts, sizeof shorts, "t", &err), &err);
    CHECK_EQ(tensor.dtype, ADZE_I16);
    CHECK_EQ(tensor.rank, 2);
    CHECK_EQ(adze_tensor_get_i64(&tensor, 0), 258);
    CHECK_EQ(adze_tensor_get_i64(&tensor, 1), -2);
    CHECK_EQ(adze_tensor_get_i64(&tensor, 3), 32767);
    adze_tensor_free(&tensor);
}

TEST(truncated_at_every_byte)
{
    for (size_t cut = 0; cut < sizeof shorts; cut++) {
        void *base;
        uint8_t *copy = test_guard_alloc(cut, &base);
        memcpy(copy, shorts, cut);
        adze_tensor tensor;
        CHECK_FAILS(adze_idx_parse(&tensor, copy, cut, "t", NULL), ADZE_BAD_FILE, NULL);
        test_guard_free(base);
    }
}

TEST(flipped_bytes)
{
    for (size_t i = 0; i < sizeof shorts; i++)
        for (int value = 0; value < 256; value++) {
            uint8_t copy[sizeof shorts];
            memcpy(copy, shorts, sizeof copy);
            copy[i] = (uint8_t)value;
            adze_tensor tensor;
            if (adze_idx_parse(&tensor, copy, sizeof copy, "t", NULL) == ADZE_OK)
                adze_tensor_free(&tensor);
        }
}

TEST(huge_dimensions)
{
    uint8_t bytes[36] = {0, 0, 8, 8};
    memset(bytes + 4, 0xff, 32);
    adze_tensor tensor;
    CHECK_FAILS(adze_idx_parse(&tensor, bytes, sizeof bytes, "t", NULL), ADZE_BAD_FILE, NULL);
    bytes[3] = 9;
    CHECK_FAILS(adze_idx_parse(&tensor, bytes, sizeof bytes, "t", NULL), ADZE_UNSUPPORTED, NULL);
}

TEST(gzipped_pictures_of_the_default_model)
{
    const char *path = test_source_path("models/fashion-mnist/t10k-images-idx3-ubyte.gz");
    if (!adze_file_exists(path))
        SKIP("no %s", path);
    adze_idx idx;
    adze_error err;
    CHECK_OK(adze_idx_open(&idx, path, &err), &err);
    CHECK_EQ(idx.tensor.dtype, ADZE_U8);
    CHECK_EQ(idx.tensor.rank, 3);
    CHECK_EQ(idx.tensor.dims[0], 10000);
    CHECK_EQ(idx.tensor.dims[2], 28);
    adze_idx_close(&idx);
    CHECK_FAILS(adze_idx_open(&idx, test_source_path("LICENSE"), &err), ADZE_BAD_FILE, &err);
}
