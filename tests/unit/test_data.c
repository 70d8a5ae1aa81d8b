/* Data sets: what people have on disk, preprocessing as Pillow does it, splitting. */
#include <stdio.h>
#include <stdlib.h>
#include "adze/data.h"
#include "base/file.h"
#include "data/picture_resize.h"
#include "data/preprocess.h"
#include "formats/image.h"
#include "formats/npy.h"
#include "test.h"

/* A picture and what Pillow 12 makes of it: resize((4, 3)), resize((11, 9)), convert("L"). */
enum { WIDTH = 7, HEIGHT = 5 };
static const uint8_t small[] = {68,  93,  130, 171, 77,  114, 144, 125, 87,  128, 160, 134,
                                97,  131, 144, 107, 115, 141, 153, 88,  125, 163, 162, 96,
                                132, 169, 99,  116, 153, 100, 89,  126, 123, 116, 97,  134};
static const uint8_t small_nearest[] = {0,  37,  74,  222, 8,   45,  193, 230, 16,  164, 201, 238,
                                        48, 85,  122, 19,  56,  93,  241, 27,  64,  212, 249, 35,
                                        96, 133, 170, 67,  104, 141, 38,  75,  112, 9,   46,  83};
static const uint8_t big[] = {
    0,   37,  74,  50,  87,  124, 121, 135, 172, 192, 46,  83,  171, 48,  85,  82,  119, 156, 153,
    190, 67,  155, 192, 46,  66,  103, 117, 114, 151, 188, 164, 201, 238, 8,   45,  82,  58,  95,
    132, 129, 143, 180, 200, 54,  91,  179, 56,  93,  90,  127, 164, 161, 145, 75,  163, 139, 54,
    74,  103, 125, 122, 159, 150, 172, 209, 162, 21,  58,  95,  71,  108, 145, 142, 156, 193, 213,
    67,  104, 192, 69,  106, 103, 140, 177, 174, 69,  88,  176, 51,  67,  87,  104, 138, 135, 172,
    88,  185, 222, 36,  35,  72,  109, 85,  122, 159, 145, 170, 207, 145, 81,  118, 135, 83,  120,
    117, 154, 191, 188, 65,  102, 190, 44,  81,  101, 115, 152, 149, 186, 86,  199, 236, 22,  48,
    85,  122, 98,  135, 172, 146, 183, 220, 57,  94,  131, 59,  96,  133, 130, 167, 204, 201, 78,
    115, 203, 57,  94,  114, 128, 165, 162, 199, 99,  212, 249, 35,  61,  98,  135, 111, 148, 122,
    159, 196, 107, 70,  107, 107, 72,  109, 146, 143, 180, 217, 125, 91,  128, 115, 70,  107, 115,
    141, 178, 175, 136, 112, 225, 123, 48,  75,  112, 149, 125, 162, 85,  173, 210, 19,  84,  121,
    90,  86,  123, 150, 157, 194, 203, 68,  105, 132, 47,  84,  121, 118, 155, 192, 173, 89,  126,
    211, 25,  62,  88,  125, 162, 138, 175, 98,  186, 223, 32,  97,  134, 103, 99,  136, 112, 170,
    207, 77,  81,  118, 94,  60,  97,  134, 131, 168, 205, 111, 102, 139, 85,  38,  75,  96,  133,
    170, 146, 183, 106, 194, 231, 40,  105, 142, 111, 107, 144, 90,  178, 215, 1,   89,  126, 72,
    68,  105, 142, 139, 176, 213, 73,  110, 147, 9,   46,  83};
static const uint8_t grey[] = {30,  141, 76,  112, 195, 83,  194, 54,  165, 100, 136, 71,
                               107, 190, 78,  189, 49,  160, 95,  131, 214, 102, 185, 73,
                               184, 44,  155, 90,  126, 209, 97,  180, 68,  179, 39};

static void make_picture(uint8_t *pixels)
{
    for (int i = 0; i < WIDTH * HEIGHT * 3; i++)
        pixels[i] = (uint8_t)(i * 37 % 251);
}

TEST(resizes_as_pillow)
{
    uint8_t pixels[WIDTH * HEIGHT * 3];
    make_picture(pixels);
    adze_pixels in = {pixels, WIDTH, HEIGHT, 3}, out;
    CHECK(adze_resize(&out, &in, 4, 3, ADZE_RESIZE_BILINEAR));
    CHECK_BYTES(out.pixels, small, sizeof small);
    adze_free(out.pixels);
    CHECK(adze_resize(&out, &in, 4, 3, ADZE_RESIZE_NEAREST));
    CHECK_BYTES(out.pixels, small_nearest, sizeof small_nearest);
    adze_free(out.pixels);
    CHECK(adze_resize(&out, &in, 11, 9, ADZE_RESIZE_BILINEAR));
    CHECK_BYTES(out.pixels, big, sizeof big);
    adze_free(out.pixels);
    for (long n = 1; n < 6; n++) {
        adze_alloc_fail_after(n);
        bool good = adze_resize(&out, &in, 11, 9, ADZE_RESIZE_BILINEAR);
        adze_alloc_fail_after(0);
        if (good)
            adze_free(out.pixels);
    }
}

static adze_picture picture_of(const uint8_t *pixels)
{
    return (adze_picture){
        .pixels = pixels, .width = WIDTH, .height = HEIGHT, .channels = 3, .where = "t"};
}

TEST(layouts_and_channels)
{
    uint8_t pixels[WIDTH * HEIGHT * 3];
    make_picture(pixels);
    adze_picture picture = picture_of(pixels);
    adze_preprocess p = adze_preprocess_default();
    float out[WIDTH * HEIGHT * 3];
    int64_t dims[3];
    p.scale = 1;
    CHECK_OK(adze_preprocess_shape(dims, &p, &picture, NULL), NULL);
    CHECK(dims[0] == 3 && dims[1] == HEIGHT && dims[2] == WIDTH);
    CHECK_OK(adze_preprocess_apply(out, &p, &picture, NULL), NULL);
    CHECK_EQ(out[0], pixels[0]);
    CHECK_EQ(out[WIDTH * HEIGHT + 3], pixels[3 * 3 + 1]);
    p.layout = ADZE_NHWC;
    p.channels = ADZE_CHANNELS_BGR;
    CHECK_OK(adze_preprocess_apply(out, &p, &picture, NULL), NULL);
    CHECK_EQ(out[0], pixels[2]);
    CHECK_EQ(out[5], pixels[3]);
    p.channels = ADZE_CHANNELS_GREY;
    CHECK_OK(adze_preprocess_apply(out, &p, &picture, NULL), NULL);
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        CHECK_EQ(out[i], grey[i]);
}

TEST(planes_give_the_same)
{
    uint8_t pixels[WIDTH * HEIGHT * 3], planes[WIDTH * HEIGHT * 3];
    make_picture(pixels);
    for (int i = 0; i < WIDTH * HEIGHT; i++)
        for (int c = 0; c < 3; c++)
            planes[c * WIDTH * HEIGHT + i] = pixels[i * 3 + c];
    adze_picture picture = picture_of(pixels), planar = picture_of(planes);
    planar.planar = true;
    adze_preprocess p = adze_preprocess_default();
    float a[WIDTH * HEIGHT * 3], b[WIDTH * HEIGHT * 3];
    CHECK_OK(adze_preprocess_apply(a, &p, &picture, NULL), NULL);
    CHECK_OK(adze_preprocess_apply(b, &p, &planar, NULL), NULL);
    CHECK_BYTES(a, b, sizeof a);
}

TEST(crop_mean_std)
{
    uint8_t pixels[WIDTH * HEIGHT * 3];
    make_picture(pixels);
    adze_picture picture = picture_of(pixels);
    adze_preprocess p = adze_preprocess_default();
    p.crop_width = 3;
    p.crop_height = 2;
    p.mean[0] = 0.1, p.mean[1] = 0.2, p.mean[2] = 0.3, p.mean_count = 3;
    p.std[0] = 0.5;
    float out[18];
    CHECK_OK(adze_preprocess_apply(out, &p, &picture, NULL), NULL);
    int top = 2, left = 2; /* (5 - 2) / 2 = 1.5 goes to even, (7 - 3) / 2 */
    double expected = (pixels[(top * WIDTH + left) * 3] / 255.0 - 0.1) / 0.5;
    CHECK_NEAR(out[0], expected, 1e-6);
    expected = (pixels[((top + 1) * WIDTH + left + 2) * 3 + 2] / 255.0 - 0.3) / 0.5;
    CHECK_NEAR(out[17], expected, 1e-6);
    p.crop_width = 8;
    adze_error err;
    CHECK_FAILS(adze_preprocess_apply(out, &p, &picture, &err), ADZE_BAD_DATA, &err);
    p.crop_width = 3;
    p.channels = ADZE_CHANNELS_GREY;
    CHECK_FAILS(adze_preprocess_apply(out, &p, &picture, &err), ADZE_BAD_DATA, &err);
    CHECK(strstr(err.message, "channels") != NULL);
}

TEST(keep_aspect_covers)
{
    uint8_t pixels[WIDTH * HEIGHT * 3] = {0};
    adze_picture picture = picture_of(pixels);
    adze_preprocess p = adze_preprocess_default();
    int64_t dims[3];
    p.resize_width = p.resize_height = 10;
    p.keep_aspect = true;
    CHECK_OK(adze_preprocess_shape(dims, &p, &picture, NULL), NULL);
    CHECK(dims[1] == 10 && dims[2] == 14); /* the shorter side is 10 */
    picture.width = HEIGHT;
    picture.height = WIDTH;
    CHECK_OK(adze_preprocess_shape(dims, &p, &picture, NULL), NULL);
    CHECK(dims[1] == 14 && dims[2] == 10);
}

static adze_status from_text(adze_preprocess *p, const char *text, adze_error *err)
{
    const char *path = test_tmpfile("p.json");
    CHECK_OK(adze_file_write(path, text, strlen(text), NULL), NULL);
    return adze_preprocess_load(p, path, err);
}

TEST(preprocess_json)
{
    adze_preprocess p, back;
    adze_error err;
    CHECK_OK(from_text(
                 &p,
                 "{\"layout\":\"NHWC\",\"scale\":1,\"mean\":[1,2,3],\"std\":4,\"channels\":\"bgr\","
                 "\"resize\":{\"width\":8,\"height\":9,\"mode\":\"nearest\",\"keep_aspect\":true},"
                 "\"crop\":6,\"dtype\":\"uint8\",\"label\":\"kind\"}",
                 &err),
             &err);
    CHECK(p.layout == ADZE_NHWC && p.scale == 1 && p.mean_count == 3 && p.mean[2] == 3);
    CHECK(p.std_count == 1 && p.std[0] == 4 && p.channels == ADZE_CHANNELS_BGR);
    CHECK(p.resize_width == 8 && p.resize_height == 9 && p.keep_aspect);
    CHECK(p.resize_mode == ADZE_RESIZE_NEAREST && p.crop_width == 6 && p.crop_height == 6);
    CHECK(p.dtype == ADZE_U8);
    CHECK_STR(p.label_column, "kind");
    json_t *json = adze_preprocess_to_json(&p);
    CHECK_OK(adze_preprocess_from_json(&back, json, "t", &err), &err);
    CHECK_BYTES(&back, &p, sizeof p);
    json_decref(json);
    CHECK_OK(from_text(&p, "{\"resize\": 256}", &err), &err);
    CHECK(p.resize_width == 256 && p.resize_height == 256 && p.keep_aspect);
}

TEST(preprocess_json_refusals)
{
    static const char *const rows[] = {
        "[]",
        "{\"layuot\":\"NCHW\"}",
        "{\"layout\":\"CHWN\"}",
        "{\"scale\":\"1\"}",
        "{\"mean\":[1,2]}",
        "{\"std\":0}",
        "{\"std\":[1,1,0]}",
        "{\"resize\":0}",
        "{\"resize\":{\"width\":3}}",
        "{\"resize\":{\"width\":3,\"height\":3,\"mode\":\"cubic\"}}",
        "{\"crop\":-1}",
        "{\"dtype\":\"float99\"}",
        "{\"dtype\":\"string\"}",
        "{\"label\":3}",
        "{\"channels\":\"rgba\"}",
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        adze_preprocess p;
        adze_error err;
        CHECK_FAILS(from_text(&p, rows[i], &err), ADZE_BAD_FILE, &err);
        CHECK(strstr(err.message, "p.json") != NULL);
    }
}

TEST(idx_pair_with_guessed_labels)
{
    const char *images = test_source_path("models/fashion-mnist/t10k-images-idx3-ubyte.gz");
    if (!adze_file_exists(images))
        SKIP("no %s", images);
    adze_error err;
    adze_preprocess p;
    adze_dataset *ds;
    CHECK_OK(
        adze_preprocess_load(&p, test_source_path("models/fashion-mnist/preprocess.json"), &err),
        &err);
    CHECK_OK(adze_dataset_open(&ds, images, &p, &err), &err);
    CHECK_EQ(adze_dataset_count(ds), 10000);
    CHECK_EQ(adze_dataset_classes(ds), 10);
    CHECK_EQ(adze_dataset_label(ds, 0), 9);
    CHECK_EQ(adze_dataset_label(ds, 1), 2);
    CHECK_EQ(adze_dataset_label(ds, 10000), -1);
    CHECK_STR(adze_dataset_input_name(ds, 0), "");
    adze_tensor batch = {0};
    CHECK_OK(adze_dataset_read(&batch, ds, "x", (int64_t[]){3, 5}, 2, &err), &err);
    char text[64];
    CHECK_STR(adze_tensor_format(&batch, text, sizeof text), "float32[2,1,28,28]");
    CHECK_NEAR(((float *)batch.data)[0], (0 - 0.286) / 0.353, 1e-6);
    void *kept = batch.data;
    CHECK_OK(adze_dataset_read(&batch, ds, NULL, NULL, 2, &err), &err);
    CHECK(batch.data == kept); /* memory is used again */
    CHECK_FAILS(adze_dataset_read(&batch, ds, NULL, (int64_t[]){10000}, 1, &err), ADZE_BAD_ARGUMENT,
                &err);
    adze_tensor_free(&batch);
    adze_dataset_close(&ds);
}

TEST(npz_with_names)
{
    static const float x[6] = {1, 2, 3, 4, 5, 6}, want[3] = {7, 8, 9};
    static const int64_t ids[3] = {16777217, -1, 5}, labels[3] = {2, 0, 1};
    const char *names[] = {"a", "ids:0", "labels", "expected/out"};
    const adze_tensor arrays[] = {
        adze_tensor_view(ADZE_F32, 2, (int64_t[]){3, 2}, (void *)(uintptr_t)x),
        adze_tensor_view(ADZE_I64, 1, (int64_t[]){3}, (void *)(uintptr_t)ids),
        adze_tensor_view(ADZE_I64, 1, (int64_t[]){3}, (void *)(uintptr_t)labels),
        adze_tensor_view(ADZE_F32, 2, (int64_t[]){3, 1}, (void *)(uintptr_t)want),
    };
    const char *path = test_tmpfile("x.npz");
    adze_error err;
    adze_dataset *ds;
    for (int compress = 0; compress < 2; compress++) {
        CHECK_OK(adze_npz_save(path, names, arrays, 4, compress, &err), &err);
        CHECK_OK(adze_dataset_open(&ds, path, NULL, &err), &err);
        CHECK_EQ(adze_dataset_input_count(ds), 2);
        CHECK_STR(adze_dataset_input_name(ds, 1), "ids:0");
        CHECK_EQ(adze_dataset_expected_count(ds), 1);
        CHECK_STR(adze_dataset_expected_name(ds, 0), "out");
        CHECK_EQ(adze_dataset_label(ds, 0), 2);
        CHECK_EQ(adze_dataset_classes(ds), 3);
        CHECK(adze_dataset_class_name(ds, 0) == NULL);
        adze_tensor batch = {0};
        CHECK_OK(adze_dataset_read(&batch, ds, "a", (int64_t[]){2, 0}, 2, &err), &err);
        CHECK_BYTES(batch.data, ((float[]){5, 6, 1, 2}), 16);
        CHECK_OK(adze_dataset_read_as(&batch, ADZE_I64, ds, "ids:0", NULL, 3, &err), &err);
        CHECK_BYTES(batch.data, ids, sizeof ids);
        CHECK_OK(adze_dataset_read_as(&batch, ADZE_I32, ds, "ids:0", NULL, 3, &err), &err);
        CHECK_EQ(((int32_t *)batch.data)[0], 16777217);
        CHECK_OK(adze_dataset_read_expected(&batch, ds, "anything", NULL, 3, &err), &err);
        CHECK_BYTES(batch.data, want, sizeof want);
        CHECK_FAILS(adze_dataset_read(&batch, ds, "b", NULL, 1, &err), ADZE_BAD_DATA, &err);
        CHECK(strstr(err.message, "\"ids:0\"") != NULL);
        adze_tensor_free(&batch);
        adze_dataset_close(&ds);
    }
}

TEST(folder_of_arrays)
{
    static const float x[4] = {1, 2, 3, 4};
    adze_tensor tensor = adze_tensor_view(ADZE_F32, 2, (int64_t[]){2, 2}, (void *)(uintptr_t)x);
    int32_t labels[2] = {1, 0};
    adze_tensor label = adze_tensor_view(ADZE_I32, 1, (int64_t[]){2}, labels);
    adze_error err;
    CHECK_OK(adze_folder_make(test_tmpfile("d/expected"), &err), &err);
    CHECK_OK(adze_npy_save(&tensor, test_tmpfile("d/in_0.npy"), &err), &err);
    CHECK_OK(adze_npy_save(&tensor, test_tmpfile("d/in_1.npy"), &err), &err);
    CHECK_OK(adze_npy_save(&tensor, test_tmpfile("d/expected/y.npy"), &err), &err);
    CHECK_OK(adze_npy_save(&label, test_tmpfile("d/labels.npy"), &err), &err);
    adze_dataset *ds;
    CHECK_OK(adze_dataset_open(&ds, test_tmpfile("d"), NULL, &err), &err);
    CHECK_EQ(adze_dataset_count(ds), 2);
    CHECK_EQ(adze_dataset_input_count(ds), 2);
    CHECK_EQ(adze_dataset_expected_count(ds), 1);
    CHECK_EQ(adze_dataset_label(ds, 0), 1);
    adze_tensor batch = {0};
    CHECK_OK(adze_dataset_read(&batch, ds, "in/0", (int64_t[]){1}, 1, &err), &err);
    CHECK_EQ(((float *)batch.data)[1], 4);
    adze_tensor_free(&batch);
    adze_dataset_close(&ds);
    label.dims[0] = 1;
    label.size = 4;
    CHECK_OK(adze_npy_save(&label, test_tmpfile("d/labels.npy"), &err), &err);
    CHECK_FAILS(adze_dataset_open(&ds, test_tmpfile("d"), NULL, &err), ADZE_BAD_DATA, &err);
    CHECK(strstr(err.message, "labels.npy") && strstr(err.message, "1 samples, but 2"));
}

TEST(two_files_with_a_comma)
{
    uint8_t pixels[2 * 3 * 3] = {0};
    int64_t labels[2] = {4, 3};
    pixels[0] = 51;
    adze_tensor x = adze_tensor_view(ADZE_U8, 3, (int64_t[]){2, 3, 3}, pixels);
    adze_tensor y = adze_tensor_view(ADZE_I64, 1, (int64_t[]){2}, labels);
    adze_error err;
    adze_dataset *ds;
    adze_tensor batch = {0};
    CHECK_OK(adze_npy_save(&x, test_tmpfile("x.npy"), &err), &err);
    CHECK_OK(adze_npy_save(&y, test_tmpfile("y.npy"), &err), &err);
    char both[9000], text[64];
    snprintf(both, sizeof both, "%s,%s", test_tmpfile("x.npy"), test_tmpfile("y.npy"));
    CHECK_OK(adze_dataset_open(&ds, both, NULL, &err), &err);
    CHECK_EQ(adze_dataset_label(ds, 1), 3);
    CHECK_OK(adze_dataset_read(&batch, ds, NULL, NULL, 2, &err), &err);
    CHECK_STR(adze_tensor_format(&batch, text, sizeof text), "float32[2,3,3]"); /* as it is */
    CHECK_EQ(((float *)batch.data)[0], 51);
    adze_dataset_close(&ds);
    adze_preprocess p = adze_preprocess_default();
    CHECK_OK(adze_dataset_open(&ds, both, &p, &err), &err);
    CHECK_OK(adze_dataset_read(&batch, ds, NULL, NULL, 2, &err), &err);
    CHECK_STR(adze_tensor_format(&batch, text, sizeof text), "float32[2,1,3,3]");
    CHECK_NEAR(((float *)batch.data)[0], 0.2, 1e-7);
    adze_tensor_free(&batch);
    adze_dataset_close(&ds);
}

static void save_picture(const char *name, int width, int height, int channels, uint8_t value)
{
    uint8_t pixels[300];
    memset(pixels, value, sizeof pixels);
    adze_image image = {width, height, channels, pixels};
    CHECK_OK(adze_image_save(&image, test_tmpfile(name), NULL), NULL);
}

TEST(pictures_by_class)
{
    adze_error err;
    CHECK_OK(adze_folder_make(test_tmpfile("d/dog"), &err), &err);
    CHECK_OK(adze_folder_make(test_tmpfile("d/cat"), &err), &err);
    CHECK_OK(adze_folder_make(test_tmpfile("d/.hidden"), &err), &err);
    save_picture("d/dog/1.ppm", 4, 4, 3, 10);
    save_picture("d/dog/0.ppm", 4, 4, 3, 20);
    save_picture("d/cat/7.PGM", 4, 4, 1, 30);
    CHECK_OK(adze_file_write(test_tmpfile("d/cat/notes.txt"), "x", 1, &err), &err);
    adze_dataset *ds;
    CHECK_OK(adze_dataset_open(&ds, test_tmpfile("d"), NULL, &err), &err);
    CHECK_EQ(adze_dataset_count(ds), 3);
    CHECK_EQ(adze_dataset_classes(ds), 2);
    CHECK_STR(adze_dataset_class_name(ds, 0), "cat");
    CHECK_STR(adze_dataset_class_name(ds, 1), "dog");
    CHECK(adze_dataset_class_name(ds, 2) == NULL);
    CHECK_EQ(adze_dataset_label(ds, 0), 0);
    CHECK_EQ(adze_dataset_label(ds, 2), 1);
    adze_tensor batch = {0};
    CHECK_FAILS(adze_dataset_read(&batch, ds, NULL, NULL, 3, &err), ADZE_BAD_DATA, &err);
    CHECK(strstr(err.message, "dog/0.ppm") && strstr(err.message, "channels"));
    adze_dataset_close(&ds);
    adze_preprocess p = adze_preprocess_default();
    p.channels = ADZE_CHANNELS_RGB;
    p.scale = 1;
    p.dtype = ADZE_U8;
    CHECK_OK(adze_dataset_open(&ds, test_tmpfile("d"), &p, &err), &err);
    CHECK_OK(adze_dataset_read(&batch, ds, NULL, NULL, 3, &err), &err);
    CHECK_EQ(batch.dtype, ADZE_U8);
    CHECK_EQ(((uint8_t *)batch.data)[0], 30);
    CHECK_EQ(((uint8_t *)batch.data)[48], 20);
    adze_tensor_free(&batch);
    adze_dataset_close(&ds);
    CHECK_OK(adze_dataset_open(&ds, test_tmpfile("d/dog"), &p, &err), &err); /* flat: no labels */
    CHECK_EQ(adze_dataset_count(ds), 2);
    CHECK(!adze_dataset_has_labels(ds) && adze_dataset_classes(ds) == 0);
    adze_dataset_close(&ds);
    CHECK_OK(adze_dataset_open(&ds, test_tmpfile("d/dog/0.ppm"), &p, &err), &err);
    CHECK_EQ(adze_dataset_count(ds), 1);
    adze_dataset_close(&ds);
}

static adze_status open_text(adze_dataset **ds, const char *text, const adze_preprocess *p,
                             adze_error *err)
{
    const char *path = test_tmpfile("t.csv");
    CHECK_OK(adze_file_write(path, text, strlen(text), NULL), NULL);
    return adze_dataset_open(ds, path, p, err);
}

TEST(tables)
{
    adze_error err;
    adze_dataset *ds;
    adze_tensor batch = {0};
    CHECK_OK(open_text(&ds, "a,Class,b\n1,dog,2\n3,cat,4\n", NULL, &err), &err);
    CHECK_EQ(adze_dataset_label(ds, 0), 1);
    CHECK_STR(adze_dataset_class_name(ds, 0), "cat");
    CHECK_OK(adze_dataset_read(&batch, ds, NULL, NULL, 2, &err), &err);
    CHECK_BYTES(batch.data, ((float[]){1, 2, 3, 4}), 16);
    adze_dataset_close(&ds);
    CHECK_OK(open_text(&ds, "1,2,0\n3,4,2\n", NULL, &err),
             &err); /* no header, no names: all inputs */
    CHECK(!adze_dataset_has_labels(ds));
    adze_dataset_close(&ds);
    CHECK_OK(open_text(&ds, "a,y\n1,0.5\n2,0.25\n", NULL, &err), &err); /* regression */
    CHECK(!adze_dataset_has_labels(ds));
    CHECK_EQ(adze_dataset_expected_count(ds), 1);
    CHECK_OK(adze_dataset_read_expected(&batch, ds, NULL, NULL, 2, &err), &err);
    CHECK_EQ(((float *)batch.data)[1], 0.25f);
    adze_dataset_close(&ds);
    adze_tensor_free(&batch);
    CHECK_FAILS(open_text(&ds, "a,b\nx,1\n2,0\n", NULL, &err), ADZE_BAD_DATA, &err);
    CHECK(strstr(err.message, "t.csv:2") != NULL);
    adze_preprocess p = adze_preprocess_default();
    memcpy(p.label_column, "a", 2);
    CHECK_OK(open_text(&ds, "a,b\nx,1\n2,0\n", &p, &err), &err);
    CHECK_EQ(adze_dataset_classes(ds), 2);
    adze_dataset_close(&ds);
    memcpy(p.label_column, "q", 2);
    CHECK_FAILS(open_text(&ds, "a,b\nx,1\n2,0\n", &p, &err), ADZE_BAD_DATA, &err);
}

TEST(refusals)
{
    adze_error err;
    adze_dataset *ds = NULL;
    CHECK_FAILS(adze_dataset_open(&ds, test_tmpfile("none"), NULL, &err), ADZE_NOT_FOUND, &err);
    CHECK_FAILS(adze_dataset_open(&ds, test_tmpdir(), NULL, &err), ADZE_BAD_DATA, &err);
    CHECK(strstr(err.message, "folder of pictures for each class") != NULL);
    CHECK_OK(adze_file_write(test_tmpfile("x.bin"), "what is this", 12, &err), &err);
    CHECK_FAILS(adze_dataset_open(&ds, test_tmpfile("x.bin"), NULL, &err), ADZE_BAD_FILE, &err);
    int32_t label = -3;
    adze_tensor tensor = adze_tensor_view(ADZE_I32, 1, (int64_t[]){1}, &label);
    const char *name = "labels";
    CHECK_OK(adze_npz_save(test_tmpfile("x.npz"), &name, &tensor, 1, false, &err), &err);
    CHECK_FAILS(adze_dataset_open(&ds, test_tmpfile("x.npz"), NULL, &err), ADZE_BAD_DATA, &err);
    CHECK(strstr(err.message, "found -3") != NULL);
    label = 3;
    CHECK_OK(adze_npz_save(test_tmpfile("x.npz"), &name, &tensor, 1, false, &err), &err);
    CHECK_FAILS(adze_dataset_open(&ds, test_tmpfile("x.npz"), NULL, &err), ADZE_BAD_DATA, &err);
    CHECK(strstr(err.message, "only labels") != NULL);
    CHECK(ds == NULL);
}

/* 100 samples of class 0, 50 of class 1, 10 of class 2; the value is the number of the sample. */
static adze_dataset *make_uneven(void)
{
    static float x[160];
    static int32_t labels[160];
    for (int i = 0; i < 160; i++) {
        x[i] = (float)i;
        labels[i] = i % 16 == 7 ? 2 : i % 16 % 3 == 1 ? 1 : 0;
    }
    const char *names[] = {"x", "labels"};
    const adze_tensor arrays[] = {adze_tensor_view(ADZE_F32, 2, (int64_t[]){160, 1}, x),
                                  adze_tensor_view(ADZE_I32, 1, (int64_t[]){160}, labels)};
    adze_error err;
    adze_dataset *ds;
    CHECK_OK(adze_npz_save(test_tmpfile("u.npz"), names, arrays, 2, false, &err), &err);
    CHECK_OK(adze_dataset_open(&ds, test_tmpfile("u.npz"), NULL, &err), &err);
    return ds;
}

TEST(split_is_stratified_disjoint_and_repeatable)
{
    adze_dataset *ds = make_uneven(), *a, *b, *c, *d;
    adze_error err;
    int64_t whole[3] = {0}, in_a[3] = {0};
    CHECK_OK(adze_dataset_split(&a, &b, ds, 0.25, 7, &err), &err);
    CHECK_EQ(adze_dataset_count(a), 40);
    CHECK_EQ(adze_dataset_count(b), 120);
    bool seen[160] = {false};
    adze_tensor batch = {0};
    const adze_dataset *parts[2] = {a, b};
    for (int k = 0; k < 2; k++) {
        int64_t n = adze_dataset_count(parts[k]);
        CHECK_OK(adze_dataset_read(&batch, parts[k], NULL, NULL, n, &err), &err);
        for (int64_t i = 0; i < n; i++) {
            int sample = (int)((float *)batch.data)[i];
            CHECK(!seen[sample]);
            seen[sample] = true;
            CHECK_EQ(adze_dataset_label(parts[k], i), adze_dataset_label(ds, sample));
            whole[adze_dataset_label(ds, sample)]++;
            in_a[adze_dataset_label(ds, sample)] += k == 0;
        }
    }
    for (int c3 = 0; c3 < 3; c3++)
        CHECK_NEAR(in_a[c3], whole[c3] * 0.25, 1);
    CHECK_OK(adze_dataset_split(&c, &d, ds, 0.25, 7, &err), &err);
    char one[65], same[65], other[65];
    CHECK_OK(adze_dataset_identity(one, a, &err), &err);
    CHECK_OK(adze_dataset_identity(same, c, &err), &err);
    CHECK_STR(one, same);
    adze_dataset_close(&c);
    adze_dataset_close(&d);
    CHECK_OK(adze_dataset_split(&c, &d, ds, 0.25, 8, &err), &err);
    CHECK_OK(adze_dataset_identity(other, c, &err), &err);
    CHECK(strcmp(one, other) != 0);
    adze_dataset_close(&c);
    adze_dataset_close(&d);
    CHECK_OK(adze_dataset_split(&c, &d, a, 0.5, 1, &err), &err); /* a part of a part */
    adze_dataset_close(&ds);
    adze_dataset_close(&a);
    CHECK_EQ(adze_dataset_count(c), 20);
    CHECK_OK(adze_dataset_read(&batch, c, NULL, NULL, 20, &err), &err); /* outlives its parents */
    adze_tensor_free(&batch);
    adze_dataset_close(&b);
    adze_dataset_close(&c);
    adze_dataset_close(&d);
}

TEST(split_extremes)
{
    adze_dataset *ds = make_uneven(), *a, *b, *two;
    adze_error err;
    CHECK_FAILS(adze_dataset_split(&a, &b, ds, 0, 1, &err), ADZE_BAD_ARGUMENT, &err);
    CHECK_FAILS(adze_dataset_split(&a, &b, ds, 1, 1, &err), ADZE_BAD_ARGUMENT, &err);
    static const double fractions[] = {1e-9, 0.001, 0.01, 0.5, 0.99, 0.999999};
    for (size_t i = 0; i < sizeof fractions / sizeof fractions[0]; i++) {
        CHECK_OK(adze_dataset_split(&a, &b, ds, fractions[i], i, &err), &err);
        CHECK(adze_dataset_count(a) >= 1 && adze_dataset_count(b) >= 1);
        CHECK_EQ(adze_dataset_count(a) + adze_dataset_count(b), 160);
        adze_dataset_close(&a);
        adze_dataset_close(&b);
    }
    CHECK_OK(adze_dataset_subset(&two, ds, (int64_t[]){5, 5}, 2, &err), &err);
    CHECK_OK(adze_dataset_split(&a, &b, two, 0.9, 1, &err), &err);
    CHECK_FAILS(adze_dataset_split(&a, &b, a, 0.5, 1, &err), ADZE_BAD_DATA, &err);
    CHECK_FAILS(adze_dataset_subset(&two, ds, (int64_t[]){160}, 1, &err), ADZE_BAD_ARGUMENT, &err);
    adze_dataset_close(&a);
    adze_dataset_close(&b);
    adze_dataset_close(&two);
    adze_dataset_close(&ds);
}

TEST(without_memory)
{
    adze_dataset *ds = make_uneven();
    adze_dataset_close(&ds);
    const char *path = test_tmpfile("u.npz");
    int done = 0;
    for (long n = 1; n < 60 && done < 2; n++) {
        adze_dataset *a = NULL, *b = NULL;
        adze_tensor batch = {0};
        adze_error err;
        adze_alloc_fail_after(n);
        adze_status status = adze_dataset_open(&ds, path, NULL, &err);
        if (status == ADZE_OK) {
            status = adze_dataset_split(&a, &b, ds, 0.5, 1, &err);
            if (status == ADZE_OK)
                status = adze_dataset_read(&batch, a, "x", NULL, 10, &err);
        }
        adze_alloc_fail_after(0);
        CHECK(status == ADZE_OK || status == ADZE_NO_MEMORY);
        done += status == ADZE_OK;
        adze_tensor_free(&batch);
        adze_dataset_close(&a);
        adze_dataset_close(&b);
        adze_dataset_close(&ds);
    }
    CHECK_EQ(done, 2);
}
