/* Requirements: reading them, and verdicts. */
#include "adze/gates.h"
#include "eval/statistics.h"
#include "test.h"

static adze_gate parse(const char *text)
{
    adze_gate gate;
    adze_error err;
    CHECK_OK(adze_gate_parse(&gate, text, &err), &err);
    return gate;
}

TEST(plain_limits)
{
    adze_gate g = parse("top1 >= 95%");
    CHECK_STR(g.text, "top1>=95%");
    CHECK(g.metric == ADZE_METRIC_top1 && !g.at_most && !g.relative);
    CHECK_NEAR(g.offset, 0.95, 1e-15);
    g = parse("latency_p95<=2ms");
    CHECK(g.metric == ADZE_METRIC_latency_p95 && g.at_most);
    CHECK_NEAR(g.offset, 0.002, 1e-15);
    CHECK_NEAR(parse("latency<1.5e3us").offset, 1.5e-3, 1e-15);
    CHECK_EQ(parse("latency<=2s").metric, ADZE_METRIC_latency_p50);
    CHECK_EQ(parse("size<=300KB").offset, 300e3);
    CHECK_EQ(parse("size<=300kib").offset, 300 * 1024);
    CHECK_EQ(parse("size<=4096").offset, 4096);
    CHECK_EQ(parse("memory<=8MB").metric, ADZE_METRIC_peak_memory);
    CHECK_EQ(parse("speedup>=2").offset, 2);
    CHECK_EQ(parse("speedup>2x").offset, 2);
    CHECK_EQ(parse("agreement>=0.99").offset, 0.99);
    CHECK_NEAR(parse("energy<=2.5mJ").offset, 2.5e-3, 1e-15);
    CHECK_EQ(parse("throughput>=100/s").offset, 100);
    CHECK_EQ(parse("mse<=1e-3").offset, 1e-3);
}

TEST(relative_limits)
{
    adze_gate g = parse("top1>=0.95*original");
    CHECK(g.relative && g.factor == 0.95 && g.offset == 0);
    g = parse("top1>=original-0.5%");
    CHECK(g.relative && g.factor == 1);
    CHECK_NEAR(g.offset, -0.005, 1e-15);
    g = parse("top1 >= original - 0.005");
    CHECK_NEAR(g.offset, -0.005, 1e-15);
    g = parse("size<=0.38*original");
    CHECK(g.at_most && g.factor == 0.38);
    g = parse("size<=38%*original");
    CHECK_NEAR(g.factor, 0.38, 1e-15);
    g = parse("size<=original*0.5");
    CHECK_EQ(g.factor, 0.5);
    g = parse("latency<=original+5%"); /* a part of the original */
    CHECK_NEAR(g.factor, 1.05, 1e-15);
    CHECK_EQ(g.offset, 0);
    g = parse("latency<=0.5*original+1ms");
    CHECK(g.factor == 0.5 && g.offset == 1e-3);
    g = parse("top1>=original");
    CHECK(g.relative && g.factor == 1 && g.offset == 0);
}

TEST(malformed)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "there is no metric \"\""},
        {"top2>=0.9", "there is no metric \"top2\""},
        {"top1", "expected >= or <="},
        {"top1=0.9", "expected >= or <="},
        {"top1=>0.9", "expected >= or <="},
        {"top1>=", "a share such as"},
        {"top1>=95", "a share goes from 0 to 1"},
        {"top1>=abc", "a share such as"},
        {"top1>=-0.5", "a share such as"},
        {"top1>=0x1", "a share such as"},
        {"top1>=nan", "a share such as"},
        {"latency<=2", "a time with its unit"},
        {"latency<=2KB", "a time with its unit"},
        {"size<=3ms", "bytes with their unit"},
        {"size<=30%", "bytes with their unit"},
        {"speedup>=2*original", "already compares"},
        {"agreement>=original", "already compares"},
        {"top1>=original-", "a number after original"},
        {"top1>=original*x", "a number after original*"},
        {"top1>=0.9*orig", "something after"},
        {"top1>=0.9 0.8", "a share such as"},
        {"top1>=original-0.5%%", "something after"},
        {"top1>=original!", "something after"},
        {"a_metric_whose_name_is_longer_than_any_that_we_know>=1", "there is no metric"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        adze_gate gate;
        adze_error err;
        adze_status status = adze_gate_parse(&gate, rows[i].text, &err);
        if (status != ADZE_BAD_ARGUMENT || !strstr(err.message, rows[i].says) ||
            !strstr(err.message, "peak_memory"))
            FAIL("\"%s\": %s", rows[i].text, status ? err.message : "was taken");
    }
    char text[300];
    memset(text, '1', sizeof text);
    memcpy(text, "top1>=0.", 8);
    text[299] = 0;
    adze_gate gate;
    CHECK_FAILS(adze_gate_parse(&gate, text, NULL), ADZE_BAD_ARGUMENT, NULL);
}

TEST(any_text_is_safe)
{
    static const char letters[] = "top1<>=original*+-%0.9e sxKB/";
    uint64_t seed = 1;
    for (int i = 0; i < 200000; i++) {
        char text[24] = "size<=";
        size_t n = (size_t)(test_random(&seed) % 17);
        for (size_t k = 0; k < n; k++)
            text[6 + k] = letters[test_random(&seed) % (sizeof letters - 1)];
        adze_gate gate;
        if (adze_gate_parse(&gate, text + (i % 3 == 0 ? 6 : 0), NULL) == ADZE_OK)
            CHECK(isfinite(gate.offset) && isfinite(gate.factor));
    }
}

static adze_verdict judge(const char *text, adze_estimate value)
{
    adze_gate gate = parse(text);
    return adze_gate_judge(&gate, &value, NULL, NULL).verdict;
}

TEST(verdicts)
{
    CHECK_EQ(judge("size<=300KB", (adze_estimate){300e3, 300e3, 300e3, 0, 0}), ADZE_VERDICT_PASS);
    CHECK_EQ(judge("size<=300KB", (adze_estimate){300001, 300001, 300001, 0, 0}),
             ADZE_VERDICT_FAIL);
    CHECK_EQ(judge("top1>=0.9", (adze_estimate){0.93, 0.91, 0.95, 500, 0}), ADZE_VERDICT_PASS);
    CHECK_EQ(judge("top1>=0.9", (adze_estimate){0.93, 0.89, 0.95, 100, 0}), ADZE_VERDICT_UNDECIDED);
    CHECK_EQ(judge("top1>=0.9", (adze_estimate){0.87, 0.85, 0.89, 500, 0}), ADZE_VERDICT_FAIL);
    CHECK_EQ(judge("latency<=2ms", (adze_estimate){1.5e-3, 1.4e-3, 1.9e-3, 0, 1}),
             ADZE_VERDICT_PASS);
    CHECK_EQ(judge("latency<=2ms", (adze_estimate){1.9e-3, 1.8e-3, 2.1e-3, 0, 1}),
             ADZE_VERDICT_UNDECIDED);
}

TEST(what_would_decide)
{
    adze_gate gate = parse("top1>=0.9");
    adze_estimate value = {0.92, 0.88, 0.95, 200, 0};
    adze_gate_result r = adze_gate_judge(&gate, &value, NULL, NULL);
    CHECK_EQ(r.verdict, ADZE_VERDICT_UNDECIDED);
    CHECK_NEAR(r.margin, 0.02, 1e-12);
    CHECK_EQ(r.more_samples, 600); /* half the width 0.04 must become 0.02: four times as many */
    CHECK_STR(r.text,
              "top1>=0.9: undecided: 92.00 % (88.00 % to 95.00 %), limit 90.00 %; about 600 "
              "more samples would decide");
    gate = parse("latency_p95<=2ms");
    value = (adze_estimate){2.1e-3, 1.9e-3, 2.5e-3, 0, 3};
    r = adze_gate_judge(&gate, &value, NULL, NULL);
    CHECK_NEAR(r.more_seconds, 9, 1e-6);
    CHECK(strstr(r.text, "measuring for about 9 s more") != NULL);
    value.value = 2e-3;
    r = adze_gate_judge(&gate, &value, NULL, NULL);
    CHECK(r.verdict == ADZE_VERDICT_UNDECIDED && r.more_seconds == 0);
    CHECK(strstr(r.text, "too close") != NULL);
}

TEST(relative_verdicts)
{
    adze_gate gate = parse("size<=0.38*original");
    adze_estimate small = {370, 370, 370, 0, 0}, original = {1000, 1000, 1000, 0, 0};
    CHECK_EQ(adze_gate_judge(&gate, &small, &original, NULL).verdict, ADZE_VERDICT_PASS);
    small = (adze_estimate){390, 390, 390, 0, 0};
    CHECK_EQ(adze_gate_judge(&gate, &small, &original, NULL).verdict, ADZE_VERDICT_FAIL);
    adze_gate_result r = adze_gate_judge(&gate, &small, NULL, NULL);
    CHECK(!r.measured && r.verdict == ADZE_VERDICT_UNDECIDED);
    CHECK_STR(r.text, "size<=0.38*original: undecided: size was not measured on the original");
    r = adze_gate_judge(&gate, NULL, &original, NULL);
    CHECK_STR(r.text, "size<=0.38*original: undecided: size was not measured");
}

TEST(pairs_sharpen_the_verdict)
{
    adze_gate gate = parse("top1>=original-0.5%");
    adze_pairs pairs = {9195, 25, 30, 750};
    adze_estimate candidate = {0.922, 0.9166, 0.9271, 10000, 0};
    adze_estimate original = {0.9225, 0.9171, 0.9276, 10000, 0};
    CHECK_EQ(adze_gate_judge(&gate, &candidate, &original, NULL).verdict, ADZE_VERDICT_UNDECIDED);
    adze_interval difference = adze_paired_difference(&pairs, gate.factor, 0.95);
    adze_estimate paired = {-0.0005, difference.low, difference.high, 10000, 0};
    adze_gate_result r = adze_gate_judge(&gate, &candidate, &original, &paired);
    CHECK_EQ(r.verdict, ADZE_VERDICT_PASS);
    CHECK_NEAR(r.limit, 0.9175, 1e-12);
    CHECK_NEAR(r.margin, 0.0045, 1e-12);
    CHECK(r.margin_low > 0.002 && r.margin_high < 0.007);
}

TEST(names_and_formats)
{
    char buf[48];
    adze_gate_metric metric;
    CHECK(adze_gate_metric_from_name(&metric, "accuracy") && metric == ADZE_METRIC_top1);
    CHECK(!adze_gate_metric_from_name(&metric, "beauty"));
    for (int i = 0; i < ADZE_METRIC_COUNT; i++) {
        CHECK(adze_gate_metric_from_name(&metric, adze_gate_metric_name((adze_gate_metric)i)));
        CHECK_EQ(metric, i);
        CHECK(strlen(adze_gate_metric_meaning(metric)) > 10);
    }
    CHECK_STR(adze_gate_format(ADZE_METRIC_latency_p50, 0.00152, buf), "1.52 ms");
    CHECK_STR(adze_gate_format(ADZE_METRIC_latency_p50, 12.5, buf), "12.5 s");
    CHECK_STR(adze_gate_format(ADZE_METRIC_size, 300e3, buf), "300 KB");
    CHECK_STR(adze_gate_format(ADZE_METRIC_speedup, 2.314, buf), "2.31x");
    CHECK_STR(adze_gate_format(ADZE_METRIC_energy, 2.5e-3, buf), "2.5 mJ");
    CHECK_STR(adze_verdict_name(ADZE_VERDICT_FAIL), "fail");
}
