/* Peak memory of a model: what a fresh process that runs it says of itself. Memory once touched stays
 * with a process, so no process can tell the peaks of two models apart. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "adze/profile.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/text.h"

extern char **environ;

enum { MOST_OUTPUT = 1 << 20, FIXED_ARGUMENTS = 9 };

static char **make_arguments(adze_arena *arena, const char *model, const adze_peak_options *options)
{
    int n = 0;
    char **argv =
        ADZE_ARENA_ARRAY(arena, char *, (size_t)(FIXED_ARGUMENTS + 2 * options->shape_count));
    if (!argv)
        return NULL;
    argv[n++] = adze_arena_strdup(arena, options->program);
    argv[n++] = adze_arena_strdup(arena, "bench");
    argv[n++] = adze_arena_strdup(arena, "--runs=5");
    argv[n++] = adze_arena_strdup(arena, "--json");
    argv[n++] = adze_arena_printf(arena, "--threads=%d", options->threads);
    for (int i = 0; i < options->shape_count; i++)
        argv[n++] = adze_arena_printf(arena, "--shape=%s", options->shapes[i]);
    argv[n++] = adze_arena_strdup(arena, "--");
    argv[n++] = adze_arena_strdup(arena, model);
    for (int i = 0; i < n; i++)
        if (!argv[i])
            return NULL;
    return argv;
}

/* Starts the program with its standard output in a pipe; its messages are dropped. */
static adze_status start(pid_t *child, int *pipe_end, char **argv, adze_error *err)
{
    int ends[2];
    posix_spawn_file_actions_t actions;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return adze_fail(err, ADZE_IO, "cannot make a pipe: %s", strerror(errno));
    int failed = posix_spawn_file_actions_init(&actions);
    if (!failed) {
        failed = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        if (!failed)
            failed =
                posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
        if (!failed)
            failed = posix_spawn(child, argv[0], &actions, NULL, argv, environ);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    (void)close(ends[1]);
    *pipe_end = ends[0];
    if (!failed)
        return ADZE_OK;
    (void)close(ends[0]);
    return adze_fail(err, ADZE_IO, "%s: cannot be run: %s", argv[0], strerror(failed));
}

static void read_all(int from, adze_text *text)
{
    char buffer[4096];
    for (;;) {
        ssize_t n = read(from, buffer, sizeof buffer);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || text->length > MOST_OUTPUT)
            break;
        adze_text_add(text, buffer, (size_t)n);
    }
    (void)close(from);
}

static int wait_for(pid_t child)
{
    int state = 0;
    while (waitpid(child, &state, 0) < 0)
        if (errno != EINTR)
            return -1;
    return state;
}

static adze_status understand(uint64_t *bytes, const char *program, const char *model, int state,
                              const adze_text *text, adze_error *err)
{
    if (!WIFEXITED(state) || WEXITSTATUS(state) != 0)
        return adze_fail(err, ADZE_IO, "%s bench %s: ended with %s %d", program, model,
                         WIFSIGNALED(state) ? "signal" : "code",
                         WIFSIGNALED(state) ? WTERMSIG(state) : WEXITSTATUS(state));
    json_t *json = json_loadb(adze_text_get(text), text->length, 0, NULL);
    json_int_t peak = json_integer_value(json_object_get(json, "peak_rss_bytes"));
    json_decref(json);
    if (peak <= 0)
        return adze_fail(err, ADZE_IO, "%s bench %s: expected JSON with peak_rss_bytes", program,
                         model);
    *bytes = (uint64_t)peak;
    return ADZE_OK;
}

adze_status adze_measure_peak_memory(uint64_t *bytes, const char *model,
                                     const adze_peak_options *options, adze_error *err)
{
    adze_arena arena = {0};
    adze_text text = {0};
    pid_t child = 0;
    int from = -1;
    if (!options || !options->program)
        return adze_fail(err, ADZE_UNSUPPORTED, "peak memory is measured by running the program");
    char **argv = make_arguments(&arena, model, options);
    adze_status status = argv ? start(&child, &from, argv, err)
                              : adze_fail(err, ADZE_NO_MEMORY, "no memory to start a program");
    if (status == ADZE_OK) {
        read_all(from, &text);
        status = understand(bytes, options->program, model, wait_for(child), &text, err);
    }
    adze_text_free(&text);
    adze_arena_free(&arena);
    return status;
}
