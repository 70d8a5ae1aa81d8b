/* Quality metrics on outputs that can be counted by hand. */
#include "base/memory.h"
#include "eval/metrics.h"
#include "test.h"

static adze_metrics *make(const float *scores, int64_t n, int64_t width, const int64_t *labels,
                          const float *reference)
{
    adze_metrics *m;
    adze_error err;
    int64_t dims[2] = {n, width};
    adze_tensor outputs = adze_tensor_view(ADZE_F32, 2, dims, (void *)(uintptr_t)scores);
    adze_tensor other = adze_tensor_view(ADZE_F32, 2, dims, (void *)(uintptr_t)reference);
    CHECK_OK(adze_metrics_open(&m, &err), &err);
    CHECK_OK(adze_metrics_add(m, &outputs, labels, reference ? &other : NULL, &err), &err);
    return m;
}

static double value_of(const adze_metrics *m, adze_gate_metric metric)
{
    adze_estimate e;
    CHECK(adze_metrics_get(&e, m, metric));
    CHECK(e.low <= e.value && e.value <= e.high);
    return e.value;
}

TEST(top1_top5_and_classes)
{
    static const float scores[4 * 6] = {
        9, 1, 2, 3, 4, 5, /* 0 */
        1, 9, 2, 3, 4, 5, /* 1 */
        9, 1, 2, 3, 4, 5, /* 0, but labelled 1, which comes last: not among five */
        1, 2, 3, 4, 5, 9, /* 5, labelled 4 */
    };
    static const int64_t labels[4] = {0, 1, 1, 4};
    adze_metrics *m = make(scores, 4, 6, labels, NULL);
    CHECK_EQ(adze_metrics_count(m), 4);
    CHECK_EQ(adze_metrics_classes(m), 6);
    CHECK_EQ(value_of(m, ADZE_METRIC_top1), 0.5);
    CHECK_EQ(value_of(m, ADZE_METRIC_top5), 0.75);
    CHECK_EQ(adze_metrics_right(m, ADZE_METRIC_top1)[0], 3);
    CHECK_EQ(adze_metrics_right(m, ADZE_METRIC_top5)[0], 11);
    adze_class_metrics c = adze_metrics_class(m, 1);
    CHECK(c.support == 2 && c.predicted == 1);
    CHECK_EQ(c.precision.value, 1);
    CHECK_EQ(c.recall.value, 0.5);
    CHECK_NEAR(c.f1.value, 2.0 / 3, 1e-12);
    CHECK(c.f1.low < c.f1.value && c.f1.high > c.f1.value);
    /* classes 0, 1, 4 occur: precision (1/2 + 1 + 0) / 3, recall (1 + 1/2 + 0) / 3 */
    CHECK_NEAR(value_of(m, ADZE_METRIC_precision), 0.5, 1e-12);
    CHECK_NEAR(value_of(m, ADZE_METRIC_recall), 0.5, 1e-12);
    CHECK_NEAR(value_of(m, ADZE_METRIC_f1), (2.0 / 3 + 2.0 / 3) / 3, 1e-12);
    int64_t confusion[36];
    adze_metrics_confusion(m, confusion);
    CHECK(confusion[0] == 1 && confusion[7] == 1 && confusion[6] == 1 && confusion[4 * 6 + 5] == 1);
    adze_estimate e;
    CHECK(!adze_metrics_get(&e, m, ADZE_METRIC_agreement));
    CHECK(!adze_metrics_get(&e, m, ADZE_METRIC_size));
    adze_metrics_close(&m);
}

TEST(ties_and_nan)
{
    static const float scores[3 * 2] = {1, 1, NAN, 0, NAN, NAN};
    static const int64_t labels[3] = {0, 1, 0};
    adze_metrics *m = make(scores, 3, 2, labels, NULL);
    CHECK_NEAR(value_of(m, ADZE_METRIC_top1), 2.0 / 3, 1e-12);
    CHECK_EQ(adze_metrics_right(m, ADZE_METRIC_top1)[0], 3);
    adze_metrics_close(&m);
}

TEST(one_score_is_two_classes)
{
    static const float scores[4] = {0.2f, 0.9f, 0.5f, 0.6f};
    static const int64_t labels[4] = {0, 1, 1, 0};
    adze_metrics *m = make(scores, 4, 1, labels, NULL);
    CHECK_EQ(adze_metrics_classes(m), 2);
    CHECK_EQ(value_of(m, ADZE_METRIC_top1), 0.5);
    adze_metrics_close(&m);
}

TEST(against_a_reference)
{
    static const float a[4] = {1, 0, 3, 4}, b[4] = {1, 2, 6, 8};
    adze_metrics *m = make(a, 2, 2, NULL, b);
    CHECK_EQ(value_of(m, ADZE_METRIC_mse), (4.0 / 2 + 25.0 / 2) / 2);
    CHECK_NEAR(value_of(m, ADZE_METRIC_cosine), (1 / sqrt(5.0) + 1) / 2, 1e-12);
    CHECK_EQ(value_of(m, ADZE_METRIC_agreement), 0.5);
    adze_estimate e;
    CHECK(!adze_metrics_get(&e, m, ADZE_METRIC_top1));
    CHECK(adze_metrics_right(m, ADZE_METRIC_top1) == NULL);
    adze_metrics_close(&m);
}

TEST(batches_add_up)
{
    enum { N = 3000, K = 7 };
    static float scores[N * K];
    static int64_t labels[N];
    uint64_t seed = 4;
    test_random_floats(scores, N * K, 0, 1, 3);
    for (int i = 0; i < N; i++)
        labels[i] = (int64_t)(test_random(&seed) % K);
    adze_metrics *whole = make(scores, N, K, labels, scores), *parts;
    CHECK_OK(adze_metrics_open(&parts, NULL), NULL);
    for (int64_t at = 0; at < N;) {
        int64_t n = at + 97 < N ? 97 : N - at;
        adze_tensor batch = adze_tensor_view(ADZE_F32, 2, (int64_t[]){n, K}, scores + at * K);
        CHECK_OK(adze_metrics_add(parts, &batch, labels + at, &batch, NULL), NULL);
        at += n;
    }
    static const adze_gate_metric all[] = {ADZE_METRIC_top1,      ADZE_METRIC_top5,
                                           ADZE_METRIC_agreement, ADZE_METRIC_f1,
                                           ADZE_METRIC_mse,       ADZE_METRIC_cosine};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        adze_estimate a, b;
        CHECK(adze_metrics_get(&a, whole, all[i]) && adze_metrics_get(&b, parts, all[i]));
        CHECK_BYTES(&a, &b, sizeof a);
    }
    adze_pairs pairs;
    CHECK_OK(adze_metrics_compare(&pairs, whole, parts, ADZE_METRIC_top1, NULL), NULL);
    CHECK_EQ(pairs.both + pairs.neither, N);
    CHECK_EQ(pairs.only_first + pairs.only_second, 0);
    adze_metrics_close(&whole);
    adze_metrics_close(&parts);
}

TEST(compare_counts_pairs)
{
    static const float a[8] = {1, 0, 1, 0, 0, 1, 0, 1}, b[8] = {1, 0, 0, 1, 1, 0, 0, 1};
    static const int64_t labels[4] = {0, 0, 0, 0};
    adze_metrics *x = make(a, 4, 2, labels, NULL), *y = make(b, 4, 2, labels, NULL);
    adze_pairs pairs;
    CHECK_OK(adze_metrics_compare(&pairs, x, y, ADZE_METRIC_top1, NULL), NULL);
    CHECK(pairs.both == 1 && pairs.only_first == 1 && pairs.only_second == 1 && pairs.neither == 1);
    CHECK_FAILS(adze_metrics_compare(&pairs, x, y, ADZE_METRIC_mse, NULL), ADZE_BAD_ARGUMENT, NULL);
    adze_metrics_close(&x);
    adze_metrics_close(&y);
}

TEST(refusals)
{
    static const float scores[6] = {0};
    static const int64_t labels[2] = {0, 3};
    adze_tensor outputs =
        adze_tensor_view(ADZE_F32, 2, (int64_t[]){2, 3}, (void *)(uintptr_t)scores);
    adze_tensor other = adze_tensor_view(ADZE_F32, 2, (int64_t[]){1, 3}, (void *)(uintptr_t)scores);
    adze_metrics *m;
    adze_error err;
    CHECK_OK(adze_metrics_open(&m, &err), &err);
    CHECK_FAILS(adze_metrics_add(m, &outputs, labels, NULL, &err), ADZE_BAD_DATA, &err);
    CHECK(strstr(err.message, "label 3") && strstr(err.message, "3 classes"));
    CHECK_FAILS(adze_metrics_add(m, &outputs, NULL, &other, &err), ADZE_BAD_DATA, &err);
    adze_tensor scalar = adze_tensor_view(ADZE_F32, 0, NULL, (void *)(uintptr_t)scores);
    CHECK_FAILS(adze_metrics_add(m, &scalar, NULL, NULL, &err), ADZE_BAD_DATA, &err);
    CHECK_OK(adze_metrics_add(m, &outputs, NULL, &outputs, &err), &err);
    CHECK_FAILS(adze_metrics_add(m, &outputs, NULL, NULL, &err), ADZE_BAD_DATA, &err);
    adze_estimate e;
    CHECK(adze_metrics_get(&e, m, ADZE_METRIC_cosine) && e.value == 1);
    adze_metrics_close(&m);
    for (long n = 1; n < 9; n++) {
        adze_alloc_fail_after(n);
        adze_status status = adze_metrics_open(&m, &err);
        if (status == ADZE_OK)
            status = adze_metrics_add(m, &outputs, NULL, NULL, &err);
        adze_alloc_fail_after(0);
        CHECK(status == ADZE_OK || status == ADZE_NO_MEMORY);
        adze_metrics_close(&m);
    }
}
