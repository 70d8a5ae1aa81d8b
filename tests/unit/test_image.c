/* Pictures: exact samples, limits, damaged files. */
#include <stdio.h>
#include <stdlib.h>
#include "formats/image.h"
#include "test.h"
#ifdef ADZE_HAVE_PNG
#include <png.h>
#endif
#ifdef ADZE_HAVE_JPEG
#include <jpeglib.h>
#endif

static adze_status decode(adze_image *out, const char *text, size_t size, adze_error *err)
{
    return adze_image_decode(out, (const uint8_t *)text, size, "t", err);
}

TEST(pgm_and_ppm)
{
    adze_image image;
    adze_error err;
    CHECK_OK(decode(&image, "P5\n# comment\n2 2\n255\n\1\2\3\4", 26, &err), &err);
    CHECK(image.width == 2 && image.height == 2 && image.channels == 1);
    CHECK_BYTES(image.pixels, "\1\2\3\4", 4);
    adze_image_free(&image);
    CHECK_OK(decode(&image, "P3 1 1 15 0 7 15", 16, &err), &err);
    CHECK_BYTES(image.pixels, "\x00\x77\xff", 3);
    adze_image_free(&image);
    CHECK_OK(decode(&image, "P6 1 1 65535 \x80\x00\xff\xff\x00\x00", 19, &err), &err);
    CHECK_BYTES(image.pixels, "\x80\xff\x00", 3);
    adze_image_free(&image);
}

TEST(pnm_refusals)
{
    static const char *const rows[] = {"P5",
                                       "P5 2 2 255\n\1\2\3",
                                       "P5 0 2 255\n",
                                       "P5 2 2 0\n\1\1\1\1",
                                       "P5 2 2 70000\n....",
                                       "P2 2 2 255 1 2 3",
                                       "P5 -1 2 255\n"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        adze_image image;
        adze_error err;
        CHECK_FAILS(decode(&image, rows[i], strlen(rows[i]), &err), ADZE_BAD_FILE, &err);
    }
    adze_image image;
    adze_error err;
    CHECK_FAILS(decode(&image, "GIF89a", 6, &err), ADZE_BAD_FILE, &err);
    CHECK_FAILS(decode(&image, "P5 99999999 99999999 255\n", 25, &err), ADZE_BAD_FILE, &err);
}

TEST(save_and_load)
{
    uint8_t pixels[3 * 4 * 3];
    test_random_bytes(pixels, sizeof pixels, 1);
    adze_image image = {4, 3, 3, pixels}, back;
    adze_error err;
    const char *path = test_tmpfile("x.ppm");
    CHECK_OK(adze_image_save(&image, path, &err), &err);
    CHECK_OK(adze_image_load(&back, path, &err), &err);
    CHECK(back.width == 4 && back.height == 3 && back.channels == 3);
    CHECK_BYTES(back.pixels, pixels, sizeof pixels);
    adze_image_free(&back);
}

/* Cut at every byte and flipped in every byte: a picture or a message, never a crash. */
static void damage(const uint8_t *bytes, size_t size)
{
    adze_error err;
    adze_image image;
    for (size_t cut = 0; cut + 12 < size; cut++) { /* the end marker itself may be missing */
        void *base;
        uint8_t *copy = test_guard_alloc(cut, &base);
        memcpy(copy, bytes, cut);
        if (adze_image_decode(&image, copy, cut, "t", &err) == ADZE_OK)
            FAIL("a picture cut at %zu of %zu bytes was taken", cut, size);
        test_guard_free(base);
    }
    uint8_t *copy = malloc(size);
    memcpy(copy, bytes, size);
    for (size_t i = 0; i < size; i++) {
        for (int bit = 0; bit < 8; bit++) {
            copy[i] ^= (uint8_t)(1 << bit);
            if (adze_image_decode(&image, copy, size, "t", &err) == ADZE_OK)
                adze_image_free(&image);
            copy[i] ^= (uint8_t)(1 << bit);
        }
    }
    free(copy);
}

#ifdef ADZE_HAVE_PNG
static size_t make_png(uint8_t *out, size_t capacity, int width, int height, png_uint_32 format,
                       const void *pixels)
{
    png_image png = {.version = PNG_IMAGE_VERSION,
                     .width = (png_uint_32)width,
                     .height = (png_uint_32)height,
                     .format = format};
    png_alloc_size_t size = capacity;
    CHECK(png_image_write_to_memory(&png, out, &size, 0, pixels, 0, NULL));
    return size;
}

TEST(png_samples)
{
    uint8_t bytes[4096], pixels[5 * 7 * 4];
    adze_image image;
    adze_error err;
    test_random_bytes(pixels, sizeof pixels, 2);
    size_t size = make_png(bytes, sizeof bytes, 5, 7, PNG_FORMAT_RGB, pixels);
    CHECK_OK(adze_image_decode(&image, bytes, size, "t", &err), &err);
    CHECK(image.width == 5 && image.height == 7 && image.channels == 3);
    CHECK_BYTES(image.pixels, pixels, 5 * 7 * 3);
    adze_image_free(&image);
    size = make_png(bytes, sizeof bytes, 5, 7, PNG_FORMAT_GRAY, pixels);
    CHECK_OK(adze_image_decode(&image, bytes, size, "t", &err), &err);
    CHECK_EQ(image.channels, 1);
    CHECK_BYTES(image.pixels, pixels, 5 * 7);
    adze_image_free(&image);
    for (int i = 0; i < 35; i++)
        pixels[4 * i + 3] = (uint8_t)(128 + i); /* alpha is dropped, colours stay */
    size = make_png(bytes, sizeof bytes, 5, 7, PNG_FORMAT_RGBA, pixels);
    CHECK_OK(adze_image_decode(&image, bytes, size, "t", &err), &err);
    CHECK_EQ(image.channels, 3);
    for (int i = 0; i < 35; i++)
        CHECK_BYTES(image.pixels + 3 * i, pixels + 4 * i, 3);
    adze_image_free(&image);
}

TEST(png_damage)
{
    uint8_t bytes[4096], pixels[4 * 4 * 3];
    test_random_bytes(pixels, sizeof pixels, 2);
    damage(bytes, make_png(bytes, sizeof bytes, 4, 4, PNG_FORMAT_RGB, pixels));
}

TEST(png_bomb)
{
    uint8_t bytes[4096], pixels[4] = {0};
    size_t size = make_png(bytes, sizeof bytes, 1, 1, PNG_FORMAT_GRAY, pixels);
    memcpy(bytes + 16, "\0\0\xff\0\0\0\xff\0", 8); /* 65280 x 65280; the CRC is now wrong too */
    adze_image image;
    adze_error err;
    adze_status status = adze_image_decode(&image, bytes, size, "t", &err);
    CHECK(status == ADZE_LIMIT || status == ADZE_BAD_FILE);
}
#endif

#ifdef ADZE_HAVE_JPEG
static size_t make_jpeg(uint8_t **out, int side, int channels, bool progressive)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned long size = 0;
    *out = NULL;
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, out, &size);
    jpeg.image_width = jpeg.image_height = (JDIMENSION)side;
    jpeg.input_components = channels;
    jpeg.in_color_space = channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 95, TRUE);
    if (progressive)
        jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    uint8_t row[64 * 3];
    for (int y = 0; y < side; y++) {
        for (int i = 0; i < side * channels; i++)
            row[i] = (uint8_t)(y * 8 + i);
        JSAMPROW line = row;
        jpeg_write_scanlines(&jpeg, &line, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    return size;
}

TEST(jpeg_samples)
{
    for (int channels = 1; channels <= 3; channels += 2) {
        uint8_t *bytes;
        size_t size = make_jpeg(&bytes, 16, channels, channels == 3);
        adze_image image;
        adze_error err;
        CHECK_OK(adze_image_decode(&image, bytes, size, "t", &err), &err);
        CHECK(image.width == 16 && image.height == 16 && image.channels == channels);
        for (int i = 0; i < 16 * channels; i++)
            CHECK_NEAR(image.pixels[i], i, 8);
        adze_image_free(&image);
        free(bytes);
    }
}

TEST(jpeg_damage)
{
    uint8_t *bytes;
    size_t size = make_jpeg(&bytes, 16, 1, false);
    damage(bytes, size);
    free(bytes);
}
#endif
