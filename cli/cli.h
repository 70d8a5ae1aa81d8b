/* What commands share: option parsing from tables, help, errors, opening models. A command is a page:
 * its options, then calls to the public API. */
#ifndef ADZE_CLI_H
#define ADZE_CLI_H
#include "adze/llm.h"
#include "adze/model.h"
#include "adze/session.h"

typedef enum cli_kind {
    CLI_END,
    CLI_FLAG,   /* bool *: set to true */
    CLI_STRING, /* const char ** */
    CLI_INT,    /* int64_t * */
    CLI_LIST,   /* cli_list *: may be given many times */
    CLI_ON_OFF  /* bool *: "on" or "off" */
} cli_kind;

#define CLI_LIST_MAX 64
typedef struct cli_list {
    int count;
    const char *items[CLI_LIST_MAX];
} cli_list;

typedef struct cli_option {
    cli_kind kind;
    const char *name;     /* "shape" for --shape */
    const char *argument; /* "NAME=1x3x224x224" */
    const char *help;
    void *target;
} cli_option;

typedef struct cli_command {
    const char *name, *arguments, *summary, *examples; /* examples: one per line */
    int (*run)(const struct cli_command *self, int argc, char **argv);
} cli_command;

extern const cli_command cli_commands[]; /* main.c; closed by a row without a name */

/* Parses argv (behind the command's name) into options' targets and args (least..most of them, *count
 * found). Returns -1 to go on, else the exit code to leave with (help shown, usage wrong). */
int cli_parse(const cli_command *command, const cli_option *options, int argc, char **argv,
              const char **args, int least, int most, int *count);

/* Options of every command that opens a model. */
typedef struct cli_model {
    cli_list shapes, bounds;
    const char *max_ram;
    int64_t threads;
    bool json;
    adze_context *context;
    adze_model *model;
} cli_model;

#define CLI_MODEL_OPTIONS(m)                                                                       \
    {CLI_LIST, "shape", "NAME=1x3x224x224", "dimensions of an input ('?' keeps one free)",         \
     &(m).shapes},                                                                                 \
        {CLI_LIST, "bound", "N=512", "upper bound of a symbolic dimension (or N=1..512)",          \
         &(m).bounds},                                                                             \
        {CLI_INT, "threads", "N", "worker threads (default: one per core)", &(m).threads},         \
        {CLI_STRING, "max-ram", "N", "memory the model may take (default half the machine's)",     \
         &(m).max_ram},                                                                            \
    {                                                                                              \
        CLI_FLAG, "json", NULL, "machine-readable output on stdout", &(m).json                     \
    }

/* Opens context and model, applies shapes and bounds. Prints the error and returns its exit code, or 0. */
int cli_open(cli_model *m, const char *path);
void cli_close(cli_model *m);

/* Prints "adze: message" to stderr; returns the exit code of the status. */
int cli_fail(const adze_error *err);
int cli_usage(const cli_command *command, const char *format, ...) ADZE_PRINTF(2, 3);

/* "NAME=FILE" -> the input's index and the file; -1 and a message when there is no such input. Without
 * '=' the only input is meant. */
int cli_named_input(const adze_graph *graph, const char *text, const char **file);

/* Reads `files` ("NAME=FILE.npy") into an array of all inputs of the model, to be freed with
 * cli_free_inputs. Returns 0, or prints and returns the exit code (also when one is missing). */
int cli_load_inputs(cli_model *m, const cli_list *files, adze_tensor **inputs);
void cli_free_inputs(cli_model *m, adze_tensor *inputs); /* NULL is fine */

/* Prints `json` or `text` to stdout and frees both; returns 0, or the failure's exit code. */
int cli_show(adze_status status, bool as_json, char *json, char *text, const adze_error *err);

/* A whole text file into malloc'ed *text, NUL-terminated; "-": standard input. */
adze_status cli_read_text(char **text, size_t *length, const char *path, adze_error *err);

/* A text, or the whole of a text file, as tokens of the model `path`, each of which it has an embedding for. Free with
 * adze_tokens_free. */
adze_status cli_encode(int32_t **ids, int64_t *count, const adze_engine *engine, const char *path,
                       const char *text, size_t length, const adze_encode_options *how,
                       adze_error *err);
adze_status cli_encode_file(int32_t **ids, int64_t *count, const adze_engine *engine,
                            const char *path, const char *file, const adze_encode_options *how,
                            adze_error *err);

/* Fails with ADZE_BAD_ARGUMENT when `output` is the file `input` under any name; either may be NULL. */
adze_status cli_spare(const char *output, const char *input, adze_error *err);

/* "120", "120s", "2m", "1h" -> seconds; false when malformed. */
bool cli_seconds(const char *text, double *seconds);

/* "4096", "400M", "300KB" (1000), "1.5GiB" (1024) -> bytes; false when malformed. */
bool cli_bytes(const char *text, double *bytes);

/* Progress on stderr: a line that is rewritten on a terminal, plain lines otherwise. */
void cli_progress(const char *format, ...) ADZE_PRINTF(1, 2);
void cli_progress_end(void);
bool cli_interrupted(void); /* Ctrl-C was pressed */
bool cli_terminal(void);    /* progress goes to one */

#define CLI_COMMAND(name) int cmd_##name(const cli_command *self, int argc, char **argv)
CLI_COMMAND(inspect);
CLI_COMMAND(graph);
CLI_COMMAND(run);
CLI_COMMAND(optimize);
CLI_COMMAND(cases);
CLI_COMMAND(convert);
CLI_COMMAND(quantize);
CLI_COMMAND(imatrix);
/* Language models have other options: cmd_quantize hands over to the second when the first says so. */
/* An argument is a language model: a GGUF file or a folder with config.json. */
bool cli_names_llm(int argc, char **argv);
#define CLI_TOKENIZER_HELP                                                                         \
    "the tokenizer: GGUF, tokenizer.json or its folder (default: the model's)"
/* Fails, with what to do, where the model came without a tokenizer. */
adze_status cli_need_tokenizer(const adze_engine *engine, const char *path, adze_error *err);
int cmd_optimize_llm(int argc, char **argv);
int cmd_bench_llm(int argc, char **argv);
int cmd_convert_llm(int argc, char **argv);
bool cli_quantizes_llm(int argc, char **argv);
int cmd_quantize_llm(int argc, char **argv);
CLI_COMMAND(bench);
CLI_COMMAND(profile);
CLI_COMMAND(eval);
CLI_COMMAND(device);
CLI_COMMAND(generate);
CLI_COMMAND(tokenize);
CLI_COMMAND(embed);
CLI_COMMAND(perplexity);

#endif
