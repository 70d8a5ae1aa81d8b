/* Losses: labels that are no class, and bad reductions. */
#include "op_case.h"

static adze_status loss_of(const int64_t labels[2], bool ignore, const char *reduction,
                           double *loss)
{
    static const float scores[6] = {-1, -2, -3, -4, -5, -6};
    op_case c;
    op_case_open(&c, NULL);
    op_case_input(&c, ADZE_F32, 2, (int64_t[]){2, 3}, scores, NULL);
    op_case_input(&c, ADZE_I64, 1, (int64_t[]){2}, labels, NULL);
    op_case_node(&c, "NegativeLogLikelihoodLoss", 1);
    CHECK(adze_node_set_string(c.node, "reduction", reduction));
    if (ignore)
        CHECK(adze_node_set_int(c.node, "ignore_index", -100));
    adze_status status = op_case_try(&c);
    if (status == ADZE_OK)
        *loss = adze_tensor_get_f64(&c.output[0], 0);
    op_case_close(&c);
    return status;
}

TEST(losses_know_ignored_labels_and_refuse_others)
{
    double loss = 0;
    CHECK_EQ(loss_of((int64_t[]){2, 0}, false, "mean", &loss), ADZE_OK);
    CHECK_NEAR(loss, 3.5, 1e-6);
    CHECK_EQ(loss_of((int64_t[]){2, -100}, true, "mean", &loss), ADZE_OK);
    CHECK_NEAR(loss, 3, 1e-6);
    CHECK_EQ(loss_of((int64_t[]){2, -100}, false, "sum", &loss), ADZE_BAD_DATA);
    CHECK_EQ(loss_of((int64_t[]){2, 3}, true, "none", &loss), ADZE_BAD_DATA);
    CHECK_EQ(loss_of((int64_t[]){2, 0}, false, "average", &loss), ADZE_BAD_MODEL);
}
