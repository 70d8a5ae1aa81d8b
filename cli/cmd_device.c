/* adze device: what this machine can do. */
#include "adze/device.h"
#include "cli.h"

CLI_COMMAND(device)
{
    cli_model m = {0};
    const char *none;
    const cli_option options[] = {
        {CLI_INT, "threads", "N", "measure up to N threads (default: one per core)", &m.threads},
        {CLI_FLAG, "json", NULL, "machine-readable output on stdout", &m.json},
        {0}};
    int count, code = cli_parse(self, options, argc, argv, &none, 0, 0, &count);
    if (code >= 0 || (code = cli_open(&m, NULL)) != 0)
        return code;
    adze_error err = {0};
    adze_device device;
    adze_device_options how = adze_device_options_default();
    char *json = NULL, *text = NULL;
    how.max_threads = (int)m.threads;
    adze_status status = adze_device_measure(&device, m.context, &how, &err);
    if (status == ADZE_OK)
        status = adze_device_format(&json, &text, &device, &err);
    cli_close(&m);
    return cli_show(status, m.json, json, text, &err);
}
