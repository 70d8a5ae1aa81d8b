/* Types, shapes, and every rounding of the narrow floats. */
#include <stdlib.h>
#include "adze/tensor.h"
#include "base/memory.h"
#include "tensor/dtype.h"
#include "test.h"

static const adze_dtype narrow_types[] = {ADZE_F8E4M3FN, ADZE_F8E4M3FNUZ, ADZE_F8E5M2,
                                          ADZE_F8E5M2FNUZ, ADZE_F4E2M1};
enum { NARROW_COUNT = 5 };

static int codes_of(adze_dtype dtype)
{
    return dtype == ADZE_F4E2M1 ? 16 : 256;
}

TEST(dtype_table)
{
    CHECK_STR(adze_dtype_describe(ADZE_F32)->name, "float32");
    CHECK_EQ(adze_dtype_describe((adze_dtype)999)->kind, ADZE_KIND_NONE);
    CHECK_EQ(adze_dtype_from_name("q4_K"), ADZE_Q4_K);
    CHECK_EQ(adze_dtype_from_name("float12"), ADZE_UNDEFINED);
    CHECK_EQ(adze_dtype_from_onnx(1), ADZE_F32);
    CHECK_EQ(adze_dtype_from_onnx(26), ADZE_I2);
    CHECK_EQ(adze_dtype_from_onnx(-1), ADZE_UNDEFINED);
    CHECK_EQ(adze_dtype_from_onnx(1000), ADZE_UNDEFINED);
    CHECK_EQ(sizeof(adze_string), (size_t)adze_dtype_describe(ADZE_STRING)->block_bytes);
}

TEST(shapes_and_bytes)
{
    CHECK_EQ(adze_shape_elements(0, NULL), 1);
    CHECK_EQ(adze_shape_elements(3, (int64_t[]){2, 3, 4}), 24);
    CHECK_EQ(adze_shape_elements(2, (int64_t[]){2, -1}), -1);
    CHECK_EQ(adze_shape_elements(2, (int64_t[]){INT64_MAX, 2}), -1);
    CHECK_EQ(adze_shape_elements(3, (int64_t[]){1000, 0, 1000}), 0);
    CHECK_EQ(adze_shape_elements(3, (int64_t[]){0, INT64_MAX, 2}), -1); /* its strides overflow */
    CHECK_EQ(adze_shape_elements(3, (int64_t[]){INT64_MAX, 2, 0}), -1);
    CHECK_EQ(adze_dtype_bytes(ADZE_I4, 5), 3);
    CHECK_EQ(adze_dtype_bytes(ADZE_U2, 5), 2);
    CHECK_EQ(adze_dtype_bytes(ADZE_Q4_K, 512), 288);
    CHECK(adze_dtype_bytes(ADZE_Q4_K, 100) == SIZE_MAX);
    CHECK(adze_dtype_bytes(ADZE_F64, INT64_MAX) == SIZE_MAX);
    CHECK(adze_dtype_bytes(ADZE_F32, -1) == SIZE_MAX);
}

TEST(tensors_of_the_same_type)
{
    float data[6] = {0};
    const adze_tensor a = adze_tensor_view(ADZE_F32, 2, (int64_t[]){2, 3}, data);
    const adze_tensor turned = adze_tensor_view(ADZE_F32, 2, (int64_t[]){3, 2}, data);
    const adze_tensor flat = adze_tensor_view(ADZE_F32, 1, (int64_t[]){2}, data);
    const adze_tensor integers = adze_tensor_view(ADZE_I32, 2, (int64_t[]){2, 3}, data);
    CHECK(adze_tensor_same_type(&a, &a));
    CHECK(!adze_tensor_same_type(&a, &turned));
    CHECK(!adze_tensor_same_type(&a, &flat) && !adze_tensor_same_type(&flat, &a));
    CHECK(!adze_tensor_same_type(&a, &integers));
}

TEST(make_copy_free)
{
    adze_error err;
    adze_tensor a, b;
    CHECK_OK(adze_tensor_make(&a, ADZE_F32, 2, (int64_t[]){2, 3}, &err), &err);
    CHECK_EQ(a.size, 24);
    CHECK_EQ(a.owner, ADZE_OWNED);
    adze_tensor_set_f64(&a, 5, 2.5);
    CHECK_OK(adze_tensor_copy(&b, &a, &err), &err);
    adze_tensor_free(&a);
    CHECK(a.data == NULL);
    CHECK_EQ(adze_tensor_get_f64(&b, 5), 2.5);
    char buf[64];
    CHECK_STR(adze_tensor_format(&b, buf, sizeof buf), "float32[2,3]");
    char tiny[6];
    CHECK_STR(adze_tensor_format(&b, tiny, sizeof tiny), "float");
    adze_tensor_free(&b);
    adze_tensor_free(NULL);
    CHECK_FAILS(adze_tensor_make(&a, ADZE_UNDEFINED, 0, NULL, &err), ADZE_BAD_ARGUMENT, &err);
    CHECK_FAILS(adze_tensor_make(&a, ADZE_F32, 9, (int64_t[9]){1}, &err), ADZE_BAD_ARGUMENT, &err);
    CHECK_FAILS(adze_tensor_make(&a, ADZE_Q8_0, 2, (int64_t[]){32, 31}, &err), ADZE_BAD_ARGUMENT,
                &err);
    CHECK_FAILS(adze_tensor_make(&a, ADZE_F32, 2, (int64_t[]){1, -1}, &err), ADZE_BAD_ARGUMENT,
                &err);
    CHECK_FAILS(adze_tensor_make(&a, ADZE_F32, 1, (int64_t[]){INT64_MAX / 8}, &err), ADZE_NO_MEMORY,
                &err);
    adze_alloc_fail_after(1);
    adze_status status = adze_tensor_make(&a, ADZE_F32, 0, NULL, &err);
    adze_alloc_fail_after(0);
    CHECK_EQ(status, ADZE_NO_MEMORY);
}

TEST(copy_of_strings)
{
    adze_string strings[2] = {{"one", 3}, {"", 0}};
    adze_tensor from = adze_tensor_view(ADZE_STRING, 1, (int64_t[]){2}, strings), copy;
    CHECK_OK(adze_tensor_copy(&copy, &from, NULL), NULL);
    strings[0].data = "XXX";
    const adze_string *copies = copy.data;
    CHECK_EQ(copies[0].length, 3);
    CHECK_STR(copies[0].data, "one");
    CHECK_EQ(copies[1].length, 0);
    adze_tensor_free(&copy);
}

TEST(float16_all_codes)
{
    for (uint32_t code = 0; code < 65536; code++) {
        float f = adze_f16_to_f32((uint16_t)code);
        uint16_t back = adze_f32_to_f16(f);
        if ((code & 0x7c00) == 0x7c00 && (code & 0x3ff))
            CHECK_EQ(back, code | 0x200);
        else
            CHECK_EQ(back, code);
        f = adze_bf16_to_f32((uint16_t)code);
        back = adze_f32_to_bf16(f);
        CHECK_EQ(back, f != f ? (code | 0x40) : code);
    }
}

TEST(float16_known_values)
{
    CHECK_EQ(adze_f32_to_f16(1.0f), 0x3c00);
    CHECK_EQ(adze_f32_to_f16(65504.0f), 0x7bff);
    CHECK_EQ(adze_f32_to_f16(65519.99f), 0x7bff);
    CHECK_EQ(adze_f32_to_f16(65520.0f), 0x7c00);
    CHECK_EQ(adze_f32_to_f16(-1e30f), 0xfc00);
    CHECK_EQ(adze_f32_to_f16(0x1p-24f), 1);
    CHECK_EQ(adze_f32_to_f16(0x1p-25f), 0);        /* half of it: to even */
    CHECK_EQ(adze_f32_to_f16(0x1.000002p-25f), 1); /* a little more */
    CHECK_EQ(adze_f32_to_f16(0x1.8p-24f), 2);      /* 1.5: to even */
    CHECK_EQ(adze_f32_to_f16(1.0f + 0x1p-11f), 0x3c00);
    CHECK_EQ(adze_f32_to_f16(1.0f + 0x1.8p-10f), 0x3c02);
    CHECK_EQ(adze_f32_to_f16(-0.0f), 0x8000);
    CHECK_EQ(adze_f32_to_bf16(1.0f + 0x1p-8f), 0x3f80);
    CHECK_EQ(adze_f32_to_bf16(1.0f + 0x1.8p-7f), 0x3f82);
    CHECK_EQ(adze_f32_to_bf16(3.4e38f), 0x7f80);
}

/* Rounding of every midpoint between neighbours, and a hair to either side, against exact arithmetic. */
static void check_midpoints(adze_dtype dtype)
{
    int half = codes_of(dtype) / 2;
    for (int code = 0; code + 1 < half; code++) {
        float low = adze_narrow_to_f32(dtype, (uint8_t)code);
        float high = adze_narrow_to_f32(dtype, (uint8_t)(code + 1));
        if (!isfinite(low) || !isfinite(high))
            break;
        CHECK(low < high);
        float middle = (low + high) / 2;
        int even = code % 2 ? code + 1 : code;
        CHECK_EQ(adze_f32_to_narrow(dtype, middle, true), even);
        CHECK_EQ(adze_f32_to_narrow(dtype, nextafterf(middle, 0), true), code);
        CHECK_EQ(adze_f32_to_narrow(dtype, nextafterf(middle, INFINITY), true), code + 1);
        int negative = adze_f32_to_narrow(dtype, -middle, true);
        bool lost = even == 0 && (dtype == ADZE_F8E4M3FNUZ || dtype == ADZE_F8E5M2FNUZ);
        CHECK_EQ(negative, lost ? 0 : even + half);
    }
}

TEST(narrow_floats_round_half_to_even)
{
    for (int i = 0; i < NARROW_COUNT; i++)
        check_midpoints(narrow_types[i]);
}

TEST(narrow_floats_round_trip)
{
    for (int i = 0; i < NARROW_COUNT; i++)
        for (int code = 0; code < codes_of(narrow_types[i]); code++) {
            float f = adze_narrow_to_f32(narrow_types[i], (uint8_t)code);
            if (f == f)
                CHECK_EQ(adze_f32_to_narrow(narrow_types[i], f, false), code);
        }
}

TEST(narrow_floats_largest_and_smallest)
{
    static const struct {
        adze_dtype dtype;
        float largest, smallest;
    } rows[] = {
        {ADZE_F8E4M3FN, 448, 0x1p-9f},  {ADZE_F8E4M3FNUZ, 240, 0x1p-10f},
        {ADZE_F8E5M2, 57344, 0x1p-16f}, {ADZE_F8E5M2FNUZ, 57344, 0x1p-17f},
        {ADZE_F4E2M1, 6, 0.5f},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t code = adze_f32_to_narrow(rows[i].dtype, 1e30f, true);
        CHECK_EQ(adze_narrow_to_f32(rows[i].dtype, code), rows[i].largest);
        CHECK_EQ(adze_narrow_to_f32(rows[i].dtype, 1), rows[i].smallest);
        CHECK_EQ(adze_narrow_to_f32(rows[i].dtype, adze_f32_to_narrow(rows[i].dtype, 1, true)), 1);
    }
}

/* The inputs and results of ONNX's own Cast cases (Apache-2.0). */
TEST(narrow_floats_as_onnx_casts)
{
    static const float in[15] = {0.47892547f, 0.48033667f, 0.49968487f, 0.81910545f, 0.47031248f,
                                 0.7229038f,  1000000.0f,  1e-7f,       NAN,         INFINITY,
                                 INFINITY,    -INFINITY,   -1e-7f,      1e-7f,       -1000000.0f};
    static const struct {
        adze_dtype dtype;
        bool saturate;
        uint8_t out[15];
    } rows[] = {
        {ADZE_F8E4M3FN,
         true,
         {0x2f, 0x2f, 0x30, 0x35, 0x2f, 0x34, 0x7e, 0, 0x7f, 0x7e, 0x7e, 0xfe, 0x80, 0, 0xfe}},
        {ADZE_F8E4M3FN,
         false,
         {0x2f, 0x2f, 0x30, 0x35, 0x2f, 0x34, 0x7f, 0, 0x7f, 0x7f, 0x7f, 0xff, 0x80, 0, 0xff}},
        {ADZE_F8E4M3FNUZ,
         false,
         {0x37, 0x37, 0x38, 0x3d, 0x37, 0x3c, 0x80, 0, 0x80, 0x80, 0x80, 0x80, 0, 0, 0x80}},
        {ADZE_F8E5M2,
         true,
         {0x38, 0x38, 0x38, 0x3b, 0x38, 0x3a, 0x7b, 0, 0x7e, 0x7b, 0x7b, 0xfb, 0x80, 0, 0xfb}},
        {ADZE_F8E5M2,
         false,
         {0x38, 0x38, 0x38, 0x3b, 0x38, 0x3a, 0x7c, 0, 0x7e, 0x7c, 0x7c, 0xfc, 0x80, 0, 0xfc}},
        {ADZE_F8E5M2FNUZ,
         true,
         {0x3c, 0x3c, 0x3c, 0x3f, 0x3c, 0x3e, 0x7f, 0, 0x80, 0x7f, 0x7f, 0xff, 0, 0, 0xff}},
        {ADZE_F8E5M2FNUZ,
         false,
         {0x3c, 0x3c, 0x3c, 0x3f, 0x3c, 0x3e, 0x80, 0, 0x80, 0x80, 0x80, 0x80, 0, 0, 0x80}},
    };
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
        for (int i = 0; i < 15; i++)
            CHECK_EQ(adze_f32_to_narrow(rows[r].dtype, in[i], rows[r].saturate), rows[r].out[i]);
    static const float in4[] = {0.48f, 0.25f,    1.05f,     -3.5f, -8,   9,
                                NAN,   INFINITY, -INFINITY, -4,    0.01f};
    static const uint8_t out4[] = {1, 0, 2, 0xe, 0xf, 7, 8, 7, 0xf, 0xe, 0};
    for (int i = 0; i < 11; i++)
        CHECK_EQ(adze_f32_to_narrow(ADZE_F4E2M1, in4[i], true), out4[i]);
}

TEST(float8e8m0)
{
    for (int code = 0; code < 255; code++)
        CHECK_EQ(
            adze_f32_to_narrow(ADZE_F8E8M0, adze_narrow_to_f32(ADZE_F8E8M0, (uint8_t)code), true),
            code);
    CHECK(isnan(adze_narrow_to_f32(ADZE_F8E8M0, 255)));
    CHECK_EQ(adze_narrow_to_f32(ADZE_F8E8M0, 127), 1.0f);
    CHECK_EQ(adze_f32_to_narrow(ADZE_F8E8M0, 1.49f, true), 127);
    CHECK_EQ(adze_f32_to_narrow(ADZE_F8E8M0, 1.5f, true), 128);
    CHECK_EQ(adze_f32_to_narrow(ADZE_F8E8M0, 3e38f, true), 254);
    CHECK_EQ(adze_f32_to_narrow(ADZE_F8E8M0, NAN, true), 255);
}

TEST(packed_integers)
{
    uint8_t bytes[3] = {0};
    for (int i = 0; i < 6; i++)
        adze_packed_set(ADZE_I4, bytes, i, i - 3);
    CHECK_BYTES(bytes, "\xed\x0f\x21", 3);
    for (int i = 0; i < 6; i++)
        CHECK_EQ(adze_packed_get(ADZE_I4, bytes, i), i - 3);
    CHECK_EQ(adze_packed_get(ADZE_U4, bytes, 0), 13);
    adze_packed_set(ADZE_I2, bytes, 3, -2);
    CHECK_EQ(adze_packed_get(ADZE_I2, bytes, 3), -2);
    CHECK_EQ(adze_packed_get(ADZE_U2, bytes, 3), 2);
    CHECK_EQ(adze_packed_get(ADZE_I2, bytes, 0), 1);
}

TEST(rows_equal_elements)
{
    static const adze_dtype types[] = {
        ADZE_F32,      ADZE_F64,        ADZE_F16,    ADZE_BF16,       ADZE_U8,     ADZE_I8,
        ADZE_U16,      ADZE_I16,        ADZE_U32,    ADZE_I32,        ADZE_U64,    ADZE_I64,
        ADZE_U4,       ADZE_I4,         ADZE_U2,     ADZE_I2,         ADZE_F4E2M1, ADZE_BOOL,
        ADZE_F8E4M3FN, ADZE_F8E4M3FNUZ, ADZE_F8E5M2, ADZE_F8E5M2FNUZ,
    };
    enum { N = 37 };
    float values[N], back[N];
    test_random_floats(values, N, -20, 20, 9);
    values[3] = 2.5f;
    values[4] = -3.5f;
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        adze_tensor rows, singles;
        CHECK_OK(adze_tensor_make(&rows, types[t], 1, (int64_t[]){N + 3}, NULL), NULL);
        CHECK_OK(adze_tensor_make(&singles, types[t], 1, (int64_t[]){N + 3}, NULL), NULL);
        adze_row_from_f32(types[t], values, N, rows.data, 3);
        for (int i = 0; i < N; i++)
            adze_tensor_set_f64(&singles, i + 3, (double)values[i]);
        CHECK_BYTES(rows.data, singles.data, rows.size);
        adze_row_to_f32(types[t], rows.data, 3, N, back);
        for (int i = 0; i < N; i++)
            CHECK_EQ((double)back[i], adze_tensor_get_f64(&rows, i + 3));
        adze_tensor_free(&rows);
        adze_tensor_free(&singles);
    }
}

static double stored(adze_dtype dtype, double value)
{
    char bytes[8] = {0};
    adze_tensor tensor = adze_tensor_view(dtype, 0, NULL, bytes);
    adze_tensor_set_f64(&tensor, 0, value);
    return adze_tensor_get_f64(&tensor, 0);
}

TEST(elements_saturate_and_round)
{
    CHECK_EQ(stored(ADZE_U8, 300), 255);
    CHECK_EQ(stored(ADZE_U8, -5), 0);
    CHECK_EQ(stored(ADZE_I8, 2.5), 2);
    CHECK_EQ(stored(ADZE_I8, -3.5), -4);
    CHECK_EQ(stored(ADZE_I4, 100), 7);
    CHECK_EQ(stored(ADZE_I4, -100), -8);
    CHECK_EQ(stored(ADZE_U2, 9), 3);
    CHECK_EQ(stored(ADZE_I32, 1e20), 2147483647);
    CHECK_EQ(stored(ADZE_I16, NAN), 0);
    CHECK_EQ(stored(ADZE_BOOL, 0.1), 1);
    CHECK(stored(ADZE_U64, 1e30) == 0x1p64);
    CHECK(stored(ADZE_U64, 0x1p63) == 0x1p63);
    CHECK(stored(ADZE_I64, -1e30) == -0x1p63);
    /* just over the midpoint of two float16 neighbours: rounding twice would go down */
    CHECK_EQ(stored(ADZE_F16, 1 + 0x1p-11 + 0x1p-40), 1 + 0x1p-10);
    CHECK_EQ(stored(ADZE_F16, 1 + 0x1p-11), 1);
    CHECK(isinf(stored(ADZE_F16, 1e300)));
    CHECK_EQ(stored(ADZE_F8E4M3FN, 1e300), 448);
}

TEST(elements_as_integers)
{
    int64_t wide = 0;
    adze_tensor tensor = adze_tensor_view(ADZE_I64, 0, NULL, &wide);
    adze_tensor_set_i64(&tensor, 0, INT64_MAX - 1);
    CHECK_EQ(adze_tensor_get_i64(&tensor, 0), INT64_MAX - 1);
    tensor.dtype = ADZE_U64;
    adze_tensor_set_i64(&tensor, 0, -7);
    CHECK_EQ(adze_tensor_get_i64(&tensor, 0), 0);
    wide = -1;
    CHECK_EQ(adze_tensor_get_i64(&tensor, 0), INT64_MAX);
    double d = -2.9;
    tensor = adze_tensor_view(ADZE_F64, 0, NULL, &d);
    CHECK_EQ(adze_tensor_get_i64(&tensor, 0), -2);
    adze_tensor_set_i64(&tensor, 0, 12);
    CHECK_EQ(d, 12);
}
