/* The figures of a perplexity run, for machines and for people. */
#include "adze/perplexity.h"
#include "base/json.h"

static json_t *estimate(adze_mean_error e)
{
    return json_pack("{s:f, s:f}", "value", e.value, "error", e.error);
}

static json_t *divergence(const adze_perplexity *r)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "mean",
                     r->kld.value, "error", r->kld.error, "min", r->kld_min, "p01", r->kld_p01,
                     "p05", r->kld_p05, "p10", r->kld_p10, "median", r->kld_median, "p90",
                     r->kld_p90, "p95", r->kld_p95, "p99", r->kld_p99, "p999", r->kld_p999, "max",
                     r->kld_max);
}

static void tell(adze_text *t, const adze_perplexity *r)
{
    adze_text_printf(t, "perplexity           %10.4f +- %.4f   (%lld tokens in %lld chunks)\n",
                     r->perplexity.value, r->perplexity.error, (long long)r->tokens,
                     (long long)r->chunks);
    if (!r->compared)
        return;
    adze_text_printf(t, "of the reference     %10.4f +- %.4f\n", r->base_perplexity.value,
                     r->base_perplexity.error);
    adze_text_printf(t, "ln of the ratio      %10.5f +- %.5f\n", r->log_ratio.value,
                     r->log_ratio.error);
    adze_text_printf(t, "KL divergence        %10.6f +- %.6f\n", r->kld.value, r->kld.error);
    adze_text_printf(
        t, "  median %.6f   90 %% %.6f   95 %% %.6f   99 %% %.6f   99.9 %% %.6f   most %.6f\n",
        r->kld_median, r->kld_p90, r->kld_p95, r->kld_p99, r->kld_p999, r->kld_max);
    adze_text_printf(t, "same likeliest token %9.3f %% +- %.3f %%\n", 100 * r->same_top.value,
                     100 * r->same_top.error);
    adze_text_printf(
        t, "change of p          %9.3f %% +- %.3f %%, root mean square %.3f %% +- %.3f %%\n",
        100 * r->delta_p.value, 100 * r->delta_p.error, 100 * r->delta_p_rms.value,
        100 * r->delta_p_rms.error);
}

adze_status adze_perplexity_report(const adze_perplexity *r, char **json, char **text,
                                   adze_error *err)
{
    adze_text human = {0};
    json_t *root = json_pack("{s:I, s:I, s:o}", "tokens", (json_int_t)r->tokens, "chunks",
                             (json_int_t)r->chunks, "perplexity", estimate(r->perplexity));
    if (root && r->compared) {
        json_object_set_new(root, "base_perplexity", estimate(r->base_perplexity));
        json_object_set_new(root, "log_ratio", estimate(r->log_ratio));
        json_object_set_new(root, "kld", divergence(r));
        json_object_set_new(root, "same_top", json_real(r->same_top.value));
        json_object_set_new(root, "same_top_error", json_real(r->same_top.error));
        json_object_set_new(root, "delta_p", estimate(r->delta_p));
        json_object_set_new(root, "delta_p_rms", estimate(r->delta_p_rms));
    }
    tell(&human, r);
    return adze_json_report(json, text, root, &human, err);
}
