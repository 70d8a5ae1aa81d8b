/* adze profile: time per operator against what the machine could do. */
#include "adze/profile.h"
#include "cli.h"

CLI_COMMAND(profile)
{
    cli_model m = {0};
    cli_list files = {0};
    adze_bench_options how = adze_bench_options_default();
    const char *path, *seconds = NULL;
    const cli_option options[] = {
        CLI_MODEL_OPTIONS(m),
        {CLI_LIST, "input", "NAME=FILE.npy", "an input (default: all random)", &files},
        {CLI_STRING, "seconds", "2", "time to run for (default 2)", &seconds},
        {CLI_INT, "runs", "N", "run exactly N times instead", &how.runs},
        {CLI_ON_OFF, "fuse", "on|off", "rewriting passes (default on)", &how.fuse},
        {0}};
    int count, code = cli_parse(self, options, argc, argv, &path, 1, 1, &count);
    if (code >= 0)
        return code;
    if (seconds && !cli_seconds(seconds, &how.seconds))
        return cli_usage(self, "--seconds '%s': expected a time, as 2 or 0.5s", seconds);
    if ((code = cli_open(&m, path)) != 0)
        return code;
    adze_error err = {0};
    adze_tensor *inputs = NULL;
    char *json = NULL, *text = NULL;
    if (files.count)
        code = cli_load_inputs(&m, &files, &inputs);
    how.inputs = inputs;
    if (!code) {
        adze_status status = adze_profile_run(&json, &text, m.model, NULL, &how, &err);
        code = cli_show(status, m.json, json, text, &err);
    }
    cli_free_inputs(&m, inputs);
    cli_close(&m);
    return code;
}
