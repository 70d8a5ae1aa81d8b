/* Pillow's resampling (Resample.c): per output column the weights of the input columns under a triangle
 * that grows when shrinking, in fixed point with 22 bits; columns first, then rows, rounded to 8 bits in
 * between. The same arithmetic gives the same samples. */
#include "data/picture_resize.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

enum { PRECISION = 22 };

/* The weights of output position i are weights[i * width ...], for `counts[i]` inputs from `starts[i]`. */
typedef struct filter {
    int width;
    int *starts, *counts;
    int32_t *weights;
    adze_arena arena;
} filter;

static double triangle(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static void weigh(filter *f, int i, double center, double stretch, int in)
{
    double support = stretch, sum = 0;
    int start = (int)(center - support + 0.5), end = (int)(center + support + 0.5);
    start = ADZE_MAX(start, 0);
    end = ADZE_MIN(end, in);
    for (int k = start; k < end; k++)
        sum += triangle((k - center + 0.5) * (1.0 / stretch));
    for (int k = start; k < end; k++) {
        double weight = triangle((k - center + 0.5) * (1.0 / stretch));
        if (sum != 0)
            weight /= sum;
        f->weights[(size_t)i * (size_t)f->width + (size_t)(k - start)] =
            (int32_t)(0.5 + weight * (1 << PRECISION));
    }
    f->starts[i] = start;
    f->counts[i] = end - start;
}

static bool make_filter(filter *f, int in, int out)
{
    double scale = (double)in / out, stretch = ADZE_MAX(scale, 1.0);
    size_t count = (size_t)out;
    *f = (filter){.width = (int)ceil(stretch) * 2 + 1};
    f->starts = ADZE_ARENA_ARRAY(&f->arena, int, count);
    f->counts = ADZE_ARENA_ARRAY(&f->arena, int, count);
    f->weights = ADZE_ARENA_ARRAY(&f->arena, int32_t, count * (size_t)f->width);
    if (!f->starts || !f->counts || !f->weights)
        return false;
    for (int i = 0; i < out; i++)
        weigh(f, i, (i + 0.5) * scale, stretch, in);
    return true;
}

static uint8_t clip(int64_t sum)
{
    sum >>= PRECISION;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

/* `lines` lines of `count` samples, `step` apart: resampled along the line. */
typedef struct strides {
    size_t line_in, line_out, step;
} strides;

static void resample(uint8_t *out, const uint8_t *in, const filter *f, size_t lines, int length,
                     strides s)
{
    for (size_t line = 0; line < lines; line++)
        for (int i = 0; i < length; i++) {
            const int32_t *weights = f->weights + (size_t)i * (size_t)f->width;
            const uint8_t *from = in + line * s.line_in + (size_t)f->starts[i] * s.step;
            int64_t sum = 1 << (PRECISION - 1);
            for (int k = 0; k < f->counts[i]; k++)
                sum += (int64_t)weights[k] * from[(size_t)k * s.step];
            out[line * s.line_out + (size_t)i * s.step] = clip(sum);
        }
}

static adze_pixels blank(int width, int height, int channels)
{
    size_t size = (size_t)width * (size_t)height * (size_t)channels;
    return (adze_pixels){adze_alloc(1, size), width, height, channels};
}

static bool resize_columns(adze_pixels *out, const adze_pixels *in, int width)
{
    filter f;
    *out = blank(width, in->height, in->channels);
    size_t channels = (size_t)in->channels;
    bool good = make_filter(&f, in->width, width) && out->pixels;
    for (int y = 0; good && y < in->height; y++) {
        const uint8_t *from = in->pixels + (size_t)y * (size_t)in->width * channels;
        uint8_t *to = out->pixels + (size_t)y * (size_t)width * channels;
        resample(to, from, &f, channels, width, (strides){1, 1, channels});
    }
    adze_arena_free(&f.arena);
    return good;
}

static bool resize_rows(adze_pixels *out, const adze_pixels *in, int height)
{
    filter f;
    *out = blank(in->width, height, in->channels);
    size_t row = (size_t)in->width * (size_t)in->channels;
    bool good = make_filter(&f, in->height, height) && out->pixels;
    if (good)
        resample(out->pixels, in->pixels, &f, row, height, (strides){1, 1, row});
    adze_arena_free(&f.arena);
    return good;
}

static bool resize_nearest(adze_pixels *out, const adze_pixels *in, int width, int height)
{
    *out = blank(width, height, in->channels);
    size_t channels = (size_t)in->channels;
    for (int y = 0; out->pixels && y < height; y++) {
        int from_y = (int)((y + 0.5) * ((double)in->height / height));
        for (int x = 0; x < width; x++) {
            int from_x = (int)((x + 0.5) * ((double)in->width / width));
            size_t from = (size_t)from_y * (size_t)in->width + (size_t)from_x;
            size_t to = (size_t)y * (size_t)width + (size_t)x;
            memcpy(out->pixels + to * channels, in->pixels + from * channels, channels);
        }
    }
    return out->pixels != NULL;
}

static bool resize_bilinear(adze_pixels *out, const adze_pixels *in, int width, int height)
{
    adze_pixels wide = {0};
    bool columns = width != in->width;
    if (columns && !resize_columns(&wide, in, width)) {
        adze_free(wide.pixels);
        return false;
    }
    if (columns && height == in->height) {
        *out = wide;
        return true;
    }
    bool good = resize_rows(out, columns ? &wide : in, height);
    adze_free(wide.pixels);
    return good;
}

bool adze_resize(adze_pixels *out, const adze_pixels *in, int width, int height,
                 adze_resize_mode mode)
{
    adze_pixels result = {0};
    bool good = mode == ADZE_RESIZE_NEAREST ? resize_nearest(&result, in, width, height)
                                            : resize_bilinear(&result, in, width, height);
    if (good)
        *out = result;
    else
        adze_free(result.pixels);
    return good;
}
