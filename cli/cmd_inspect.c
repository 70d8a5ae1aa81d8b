/* adze inspect: what the model is. */
#include <stdio.h>

#include "cli.h"

CLI_COMMAND(inspect)
{
    cli_model m = {0};
    const cli_option options[] = {CLI_MODEL_OPTIONS(m), {0}};
    const char *path;
    int count, code = cli_parse(self, options, argc, argv, &path, 1, 1, &count);
    if (code >= 0 || (code = cli_open(&m, path)) != 0)
        return code;
    adze_error err = {0};
    char *json = NULL, *text = NULL;
    adze_status status = adze_model_describe(m.model, &json, &text, &err);
    if (status == ADZE_OK)
        puts(m.json ? json : text);
    adze_string_free(&json);
    adze_string_free(&text);
    cli_close(&m);
    return status == ADZE_OK ? 0 : cli_fail(&err);
}
