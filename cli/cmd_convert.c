/* adze convert: a model from one file to another. */
#include <stdio.h>

#include "cli.h"

CLI_COMMAND(convert)
{
    if (cli_names_llm(argc, argv))
        return cmd_convert_llm(argc, argv);
    cli_model m = {0};
    adze_save_options save = {0};
    const char *paths[2];
    adze_error err = {0};
    const cli_option options[] = {CLI_MODEL_OPTIONS(m),
                                  {CLI_STRING, "external-data", "FILE",
                                   "keep the weights in a file beside the model",
                                   &save.external_data},
                                  {0}};
    int count, code = cli_parse(self, options, argc, argv, paths, 2, 2, &count);
    if (code >= 0 || (code = cli_open(&m, paths[0])) != 0)
        return code;
    if (adze_model_save(m.model, paths[1], &save, &err) != ADZE_OK)
        code = cli_fail(&err);
    cli_close(&m);
    return code;
}
