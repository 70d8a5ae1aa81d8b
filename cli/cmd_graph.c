/* adze graph: prints the graph. */
#include <stdio.h>
#include <string.h>

#include "adze/passes.h"
#include "cli.h"

static int print_passes(void)
{
    for (int i = 0; i < adze_pass_count(); i++)
        printf("%-20s %s\n", adze_pass_name(i), adze_pass_what(i));
    return 0;
}

CLI_COMMAND(graph)
{
    cli_model m = {0};
    const char *after = NULL, *format = "text", *path;
    bool list = false;
    const cli_option options[] = {
        CLI_MODEL_OPTIONS(m),
        {CLI_STRING, "after", "PASS", "after this pass, or 'all' (see --passes)", &after},
        {CLI_STRING, "format", "text|dot|mermaid", "how to print it (default text)", &format},
        {CLI_FLAG, "passes", NULL, "list the passes and what they do", &list},
        {0}};
    int count, code = cli_parse(self, options, argc, argv, &path, 0, 1, &count);
    if (code >= 0)
        return code;
    if (list)
        return print_passes();
    adze_graph_format f = strcmp(format, "dot") == 0       ? ADZE_GRAPH_DOT
                          : strcmp(format, "mermaid") == 0 ? ADZE_GRAPH_MERMAID
                                                           : ADZE_GRAPH_TEXT;
    if (count == 0 || (f == ADZE_GRAPH_TEXT && strcmp(format, "text") != 0))
        return cli_usage(self, count ? "unknown format '%s'" : "expected MODEL%s",
                         count ? format : "");
    if ((code = cli_open(&m, path)) != 0)
        return code;
    adze_error err = {0};
    char *text = NULL;
    adze_status status = ADZE_OK;
    if (after)
        status = adze_graph_rewrite(adze_model_graph(m.model),
                                    strcmp(after, "all") == 0 ? NULL : after, &err);
    if (status == ADZE_OK)
        status = adze_graph_format_text(&text, adze_model_graph(m.model), f, &err);
    if (status == ADZE_OK)
        fputs(text, stdout);
    adze_string_free(&text);
    cli_close(&m);
    return status == ADZE_OK ? 0 : cli_fail(&err);
}
