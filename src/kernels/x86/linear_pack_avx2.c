/* Products of language models with AVX2 and above, before the multiplication: rows of x are quantized,
 * rows of w unpacked and interleaved into panels. */
#include "kernels/x86/linear_avx2_impl.h"

/* --- x --- */

/* The two 16-bit sums of a group that the products will be added to: elements 0 and 1 of each four, and 2
 * and 3. From the sums of pairs of 16 elements. */
INLINE __m128i fold_pairs(__m128i pairs)
{
    pairs = _mm_add_epi16(pairs, _mm_shuffle_epi32(pairs, 0x4e));
    return _mm_add_epi16(pairs, _mm_shuffle_epi32(pairs, 0xb1));
}

/* What takes q + zero back to q, and the sums for offsets, of each group. `whole`: what is to be added is
 * one sum, of q + whole; else two of 16 bits. */
INLINE void quantize_sums(const linear_format *f, int whole, __m256i codes, float d, int32_t *zeros,
                          float *sums)
{
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), codes);
    const __m128i factor = _mm_set1_epi16((int16_t)-f->zero);
    __m128i half[2] = {_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1)};
    if (f->group == 32)
        half[0] = _mm_add_epi16(half[0], half[1]);
    for (int g = 0; g < LINEAR_BLOCK / f->group; g++) {
        const __m128i folded = fold_pairs(half[g]);
        const int32_t sum = _mm_cvtsi128_si32(_mm_madd_epi16(folded, _mm_set1_epi16(1)));
        zeros[g] = whole ? -whole * sum : _mm_cvtsi128_si32(_mm_mullo_epi16(folded, factor));
        sums[g] = d * (float)sum;
    }
}

/* 32 codes; the definition is linear_block_codes. */
INLINE __m256i quantize_block(const float *x, float *d)
{
    const __m256 no_sign = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    __m256 v[4];
    __m256i most = _mm256_setzero_si256();
    UNROLL for (int i = 0; i < 4; i++)
    {
        v[i] = _mm256_loadu_ps(x + 8 * i);
        most = _mm256_max_epi32(most, _mm256_castps_si256(_mm256_and_ps(v[i], no_sign)));
    }
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1));
    float inverse;
    *d = linear_scale_of((uint32_t)_mm_cvtsi128_si32(m), &inverse);
    if (inverse == 0.0f)
        return _mm256_setzero_si256();
    __m256i q[4];
    UNROLL for (int i = 0; i < 4; i++) q[i] =
        _mm256_cvtps_epi32(_mm256_mul_ps(v[i], _mm256_set1_ps(inverse)));
    const __m256i bytes =
        _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
    return _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

void linear_quantize_avx2(const linear_job *job, int64_t first, int64_t count, int whole)
{
    const linear_format *f = job->format;
    for (int64_t t = first; t < first + count; t++) {
        const float *x = job->args.x + t * job->args.ldx;
        const linear_record r = linear_record_at(job, t);
        for (int64_t b = 0; b < job->args.k / LINEAR_BLOCK; b++) {
            const __m256i codes = quantize_block(x + b * LINEAR_BLOCK, &r.scale[b]);
            const int64_t group = b * (LINEAR_BLOCK / f->group);
            _mm256_store_si256((__m256i *)(r.codes + b * LINEAR_BLOCK), codes);
            quantize_sums(f, whole, codes, r.scale[b], r.zeros + group, r.sums + group);
        }
    }
}

/* --- w as codes --- */

typedef struct simple {
    int bytes;
    int scale, offset; /* where the float16 are; offset: 0 for none */
    int fifth;         /* where 32 fifth bits are; 0 for none */
    int nibbles;       /* where 16 bytes of two are */
    int less;          /* what is taken from each code */
} simple;

INLINE __m256i load_nibbles(const uint8_t *p)
{
    const __m128i v = _mm_loadu_si128((const __m128i *)p);
    const __m256i both =
        _mm256_inserti128_si256(_mm256_castsi128_si256(v), _mm_srli_epi16(v, 4), 1);
    return _mm256_and_si256(both, _mm256_set1_epi8(15));
}

/* 16 where the bit is set. */
INLINE __m256i load_fifth_bits(const uint8_t *p)
{
    const __m256i bytes = _mm256_setr_epi8(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2,
                                           2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3);
    const __m256i each = _mm256_set1_epi64x((long long)0x8040201008040201U);
    const __m256i spread = _mm256_shuffle_epi8(broadcast_4(p), bytes);
    const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, each), each);
    return _mm256_and_si256(set, _mm256_set1_epi8(16));
}

INLINE void unpack_simple(simple f, const uint8_t *b, int64_t count, int8_t *codes, float *scale,
                          float *offset)
{
    for (int64_t i = 0; i < count; i++, b += f.bytes) {
        __m256i v = load_nibbles(b + f.nibbles);
        if (f.fifth)
            v = _mm256_or_si256(v, load_fifth_bits(b + f.fifth));
        v = _mm256_sub_epi8(v, _mm256_set1_epi8((char)f.less));
        _mm256_storeu_si256((__m256i *)(codes + 32 * i), v);
        scale[i] = load_half(b + f.scale);
        if (f.offset)
            offset[i] = load_half(b + f.offset);
        if (f.offset && f.less)
            offset[i] = offset[i] + (float)f.less * scale[i];
    }
}

INLINE void unpack_table(int bytes, bool power, const int8_t table[16], const uint8_t *b,
                         int64_t count, int8_t *codes, float *scale)
{
    const __m256i values =
        _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)table));
    for (int64_t i = 0; i < count; i++, b += bytes) {
        const __m256i v = _mm256_shuffle_epi8(values, load_nibbles(b + bytes - 16));
        _mm256_storeu_si256((__m256i *)(codes + 32 * i), v);
        scale[i] = power ? fp4_scale(b[0]) : load_half(b);
    }
}

#define SIMPLE(name, ...)                                                                          \
    static void fast_##name(const uint8_t *b, int64_t count, int8_t *codes, float *scale,          \
                            float *offset)                                                         \
    {                                                                                              \
        const simple f = {__VA_ARGS__};                                                            \
        unpack_simple(f, b, count, codes, scale, offset);                                          \
    }
SIMPLE(q4_0, 18, 0, 0, 0, 2, 8)
SIMPLE(q4_1, 20, 0, 2, 0, 4, 0)
SIMPLE(q5_0, 22, 0, 0, 2, 6, 16)
SIMPLE(q5_1, 24, 0, 2, 4, 8, 16)

static void fast_mxfp4(const uint8_t *b, int64_t count, int8_t *codes, float *scale, float *offset)
{
    static const int8_t values[16] = FP4_VALUES;
    unpack_table(17, true, values, b, count, codes, scale);
    ADZE_UNUSED(offset);
}

static void fast_iq4_nl(const uint8_t *b, int64_t count, int8_t *codes, float *scale, float *offset)
{
    static const int8_t values[16] = IQ4_VALUES;
    unpack_table(18, false, values, b, count, codes, scale);
    ADZE_UNUSED(offset);
}

/* Where the loops in plain C do not become vectors. */
static linear_unpack_fn unpack_of(const linear_job *job)
{
    switch (job->args.dtype) {
    case ADZE_Q4_0: return fast_q4_0;
    case ADZE_Q4_1: return fast_q4_1;
    case ADZE_Q5_0: return fast_q5_0;
    case ADZE_Q5_1: return fast_q5_1;
    case ADZE_MXFP4: return fast_mxfp4;
    case ADZE_IQ4_NL: return fast_iq4_nl;
    default: return job->format->unpack;
    }
}

/* [16 rows][count] dwords, rows row_bytes apart -> [count][16 rows], each byte `add` more. */
static void interleave(const void *from, size_t row_bytes, int64_t count, int add, void *to)
{
    const __m256i more = _mm256_set1_epi8((char)add);
    for (int half = 0; half < 2; half++)
        for (int64_t i = 0; i < count; i += 8) {
            const char *rows = (const char *)from + (size_t)half * 8 * row_bytes + 4 * i;
            __m256i columns[8];
            transpose_8x8(rows, row_bytes, columns);
            for (int64_t j = 0; j < ADZE_MIN(count - i, 8); j++)
                _mm256_store_si256((__m256i *)to + 2 * (i + j) + half,
                                   _mm256_add_epi8(columns[j], more));
        }
}

void linear_pack_codes_avx2(const linear_job *job, linear_piece at, int add, linear_unpacked *u,
                            linear_panel *to)
{
    const linear_format *f = job->format;
    const linear_unpack_fn unpack = unpack_of(job);
    if (at.last - at.row < LINEAR_PANEL)
        memset(u, 0, sizeof *u);
    for (int64_t done = 0; done < at.count; done += LINEAR_STEP) {
        const int64_t step = ADZE_MIN(at.count - done, LINEAR_STEP), groups = step / f->group;
        const size_t skip = (size_t)((at.k + done) / f->block) * (size_t)f->bytes;
        for (int64_t i = 0; i < at.last - at.row; i++)
            unpack(linear_row(job, at.row + i) + skip, step / f->block, u->codes[i], u->scale[i],
                   u->offset[i]);
        const int64_t first = done / f->group * LINEAR_PANEL;
        interleave(u->codes, sizeof u->codes[0], step / 4, add, to->codes + done * LINEAR_PANEL);
        interleave(u->scale, sizeof u->scale[0], groups, 0, to->scale + first);
        if (f->offset)
            interleave(u->offset, sizeof u->offset[0], groups, 0, to->offset + first);
    }
}
