/* adze quantize: one recipe applied to one model. */
#include <stdio.h>
#include <string.h>

#include "adze/compress.h"
#include "cli.h"

typedef struct task {
    cli_model m;
    const char *recipe_path, *scheme, *calibrator, *calibration, *preprocess, *output, *save_recipe;
    cli_list float_nodes, fields;
    int64_t samples;
    bool per_tensor, symmetric, equalize, bias_correction;
    adze_recipe *recipe, *resolved;
    adze_dataset *data;
    adze_calibration *seen;
    adze_model *result;
} task;

static adze_status set(task *t, const char *key, const char *value, adze_error *err)
{
    return value ? adze_recipe_set(&t->recipe, key, value, err) : ADZE_OK;
}

/* ["a","b"] */
static adze_status set_float_nodes(task *t, adze_error *err)
{
    char text[8192] = "[";
    size_t n = 1;
    for (int i = 0; i < t->float_nodes.count; i++) {
        int more =
            snprintf(text + n, sizeof text - n, "%s\"%s\"", i ? "," : "", t->float_nodes.items[i]);
        if (more < 0 || (size_t)more + 2 >= sizeof text - n)
            break;
        n += (size_t)more;
    }
    snprintf(text + n, sizeof text - n, "]");
    return set(t, "float_nodes", t->float_nodes.count ? text : NULL, err);
}

/* KEY=VALUE */
static adze_status set_fields(task *t, adze_error *err)
{
    for (int i = 0; i < t->fields.count; i++) {
        char key[128];
        const char *equals = strchr(t->fields.items[i], '=');
        size_t n = equals ? (size_t)(equals - t->fields.items[i]) : 0;
        if (n == 0 || n >= sizeof key) {
            snprintf(err->message, sizeof err->message, "--set '%s': expected KEY=VALUE",
                     t->fields.items[i]);
            return err->status = ADZE_BAD_ARGUMENT;
        }
        memcpy(key, t->fields.items[i], n);
        key[n] = 0;
        adze_status status = set(t, key, equals + 1, err);
        if (status != ADZE_OK)
            return status;
    }
    return ADZE_OK;
}

static adze_status make_recipe(task *t, adze_error *err)
{
    char samples[32];
    adze_preprocess preprocess;
    adze_status status =
        t->recipe_path ? adze_recipe_load(&t->recipe, t->recipe_path, err)
                       : adze_recipe_create(&t->recipe, t->scheme ? t->scheme : "static", err);
    snprintf(samples, sizeof samples, "%lld", (long long)t->samples);
    const char *const pairs[][2] = {{"scheme", t->recipe_path ? t->scheme : NULL},
                                    {"activations.calibrator", t->calibrator},
                                    {"activations.symmetric", t->symmetric ? "true" : NULL},
                                    {"activations.type", t->symmetric ? "int8" : NULL},
                                    {"weights.granularity", t->per_tensor ? "tensor" : NULL},
                                    {"equalize", t->equalize ? "true" : NULL},
                                    {"bias_correction", t->bias_correction ? "true" : NULL},
                                    {"calibration.samples", t->samples > 0 ? samples : NULL}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs && status == ADZE_OK; i++)
        status = set(t, pairs[i][0], pairs[i][1], err);
    if (status == ADZE_OK)
        status = set_float_nodes(t, err);
    if (status == ADZE_OK)
        status = set_fields(t, err);
    if (status == ADZE_OK && t->preprocess) {
        status = adze_preprocess_load(&preprocess, t->preprocess, err);
        if (status == ADZE_OK)
            adze_recipe_set_preprocess(t->recipe, &preprocess);
    }
    return status;
}

static bool show_progress(void *user, double share)
{
    int *shown = user, tenth = (int)(share * 10);
    if (tenth > *shown)
        cli_progress("calibrating %3d %%", 10 * tenth);
    *shown = tenth;
    return !cli_interrupted();
}

static adze_status calibrate(task *t, adze_error *err)
{
    int shown = 0;
    adze_preprocess preprocess;
    adze_calibration_options options = adze_calibration_options_default();
    options.samples = adze_recipe_samples(t->recipe);
    options.seed = adze_recipe_seed(t->recipe);
    options.equalized = adze_recipe_equalizes(t->recipe);
    options.plain = !options.equalized;
    bool described = adze_recipe_preprocess(&preprocess, t->recipe);
    adze_status status =
        adze_dataset_open(&t->data, t->calibration, described ? &preprocess : NULL, err);
    if (status == ADZE_OK)
        status = adze_calibration_open(&t->seen, t->m.model, &options, err);
    if (status == ADZE_OK)
        status = adze_calibration_collect(t->seen, t->data, show_progress, &shown, err);
    cli_progress_end();
    return status;
}

static adze_status quantize(task *t, adze_error *err)
{
    adze_status status = make_recipe(t, err);
    if (status == ADZE_OK && !adze_recipe_is_complete(t->recipe) && t->calibration)
        status = calibrate(t, err);
    if (status == ADZE_OK)
        status = adze_quantize(&t->result, &t->resolved, t->m.model, t->recipe, t->seen, err);
    if (status == ADZE_OK)
        status = adze_model_save(t->result, t->output, NULL, err);
    if (status == ADZE_OK && t->save_recipe)
        status = adze_recipe_save(t->resolved, t->save_recipe, err);
    return status;
}

static long long size_of_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    long long size = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) : 0;
    if (file)
        fclose(file);
    return size;
}

static void report(const task *t)
{
    long long before = adze_model_file_size(t->m.model), after = size_of_file(t->output);
    char hash[65] = "";
    adze_error err;
    if (adze_recipe_hash(hash, t->resolved, &err) != ADZE_OK)
        hash[0] = 0;
    double share = before > 0 ? (double)after / (double)before : 0;
    if (t->m.json)
        printf("{\"scheme\": \"%s\", \"bytes\": %lld, \"original_bytes\": %lld, \"share\": %.6f, "
               "\"recipe_sha256\": \"%s\"}\n",
               adze_recipe_scheme(t->recipe), after, before, share, hash);
    else
        printf("%s  %s  %lld bytes, %.1f %% of %lld\n", t->output, adze_recipe_scheme(t->recipe),
               after, share * 100, before);
}

CLI_COMMAND(quantize)
{
    task t = {0};
    adze_error err = {0};
    const char *path;
    if (cli_quantizes_llm(argc, argv))
        return cmd_quantize_llm(argc, argv);
    const cli_option options[] = {
        CLI_MODEL_OPTIONS(t.m),
        {CLI_STRING, "output", "OUT.onnx", "the model to write (required)", &t.output},
        {CLI_STRING, "recipe", "R.json", "what to do; the options below change it", &t.recipe_path},
        {CLI_STRING, "scheme", "NAME", "static, dynamic, weight_only, float16", &t.scheme},
        {CLI_STRING, "calibrator", "NAME", "minmax, percentile, entropy, mse", &t.calibrator},
        {CLI_FLAG, "per-tensor", NULL, "one scale for each weight tensor", &t.per_tensor},
        {CLI_FLAG, "symmetric", NULL, "int8 activations with zero point 0", &t.symmetric},
        {CLI_FLAG, "equalize", NULL, "cross-layer equalisation", &t.equalize},
        {CLI_FLAG, "bias-correction", NULL, "biases make up for rounding", &t.bias_correction},
        {CLI_LIST, "float", "NODE", "stays float: a name, a pattern or an operator",
         &t.float_nodes},
        {CLI_LIST, "set", "KEY=VALUE", "any field of the recipe", &t.fields},
        {CLI_STRING, "calibration", "DATA", "samples to calibrate with", &t.calibration},
        {CLI_STRING, "preprocess", "P.json", "how pictures become inputs", &t.preprocess},
        {CLI_INT, "samples", "N", "calibrate with so many (default: all)", &t.samples},
        {CLI_STRING, "save-recipe", "R.json", "write the resolved recipe", &t.save_recipe},
        {0}};
    int count, code = cli_parse(self, options, argc, argv, &path, 1, 1, &count);
    if (code >= 0)
        return code;
    if (!t.output)
        return cli_usage(self, "--output is missing");
    if ((code = cli_open(&t.m, path)) != 0)
        return code;
    if (quantize(&t, &err) != ADZE_OK)
        code = cli_fail(&err);
    else
        report(&t);
    adze_model_close(&t.result);
    adze_calibration_close(&t.seen);
    adze_dataset_close(&t.data);
    adze_recipe_free(&t.recipe);
    adze_recipe_free(&t.resolved);
    cli_close(&t.m);
    return code;
}
