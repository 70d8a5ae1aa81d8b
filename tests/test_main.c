/* Runs the tests: each in a process of its own, so that a crash, a hang or a leak is one failed test
 * and no more. Output of a test is kept in a file and shown only if it fails. */
#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "test.h"

enum { EXIT_FAILED = 1, EXIT_SKIPPED = 77, MAX_JOBS = 64 };

typedef enum verdict { PASSED, FAILED, SKIPPED } verdict;

typedef struct job {
    const test_case *test;
    pid_t pid; /* 0: free */
    double started;
    bool timed_out;
    FILE *output;
} job;

typedef struct runner {
    int limit_s, jobs;
    bool verbose;
    job slots[MAX_JOBS];
    long count[3];
} runner;

static test_case *all_tests;
static char tmp_root[PATH_MAX]; /* of the whole run */
static char test_tmp[PATH_MAX]; /* of this test, "" until asked for */

/* --- inside a test --------------------------------------------------------------------------- */

void test_register(test_case *test)
{
    test->next = all_tests;
    all_tests = test;
}

static _Noreturn void leave(int code)
{
    fflush(NULL);
    _exit(code);
}

void test_fail(const char *file, int line, const char *format, ...)
{
    const char *base = strstr(file, "tests/");
    printf("%s:%d: ", base ? base : file, line);
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    leave(EXIT_FAILED);
}

void test_skip(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n");
    leave(EXIT_SKIPPED);
}

void test_check_int(const char *file, int line, const char *text, long long actual,
                    const char *expected_text, long long expected)
{
    if (actual != expected)
        test_fail(file, line, "%s is %lld, expected %lld (%s)", text, actual, expected,
                  expected_text);
}

void test_check_str(const char *file, int line, const char *text, const char *actual,
                    const char *expected)
{
    if (actual && expected ? strcmp(actual, expected) != 0 : actual != expected)
        test_fail(file, line, "%s is\n    \"%s\"\nexpected\n    \"%s\"", text,
                  actual ? actual : "(null)", expected ? expected : "(null)");
}

static bool near(double actual, double expected, double tolerance)
{
    if (isnan(expected) || isnan(actual))
        return isnan(expected) && isnan(actual);
    return actual == expected || fabs(actual - expected) <= tolerance;
}

void test_check_near(const char *file, int line, const char *text, double actual, double expected,
                     double tolerance)
{
    if (!near(actual, expected, tolerance))
        test_fail(file, line, "%s is %.9g, expected %.9g +- %.3g (difference %.3g)", text, actual,
                  expected, tolerance, actual - expected);
}

void test_check_bytes(const char *file, int line, const char *text, const void *actual,
                      const void *expected, size_t size)
{
    const unsigned char *a = actual, *e = expected;
    for (size_t i = 0; i < size; i++)
        if (a[i] != e[i])
            test_fail(file, line, "%s: byte %zu of %zu is %d, expected %d", text, i, size, a[i],
                      e[i]);
}

void test_check_floats(const char *file, int line, const char *text, const float *actual,
                       const float *expected, size_t count, double absolute, double relative)
{
    for (size_t i = 0; i < count; i++) {
        double tolerance = absolute + (isfinite(expected[i]) ? relative * fabs(expected[i]) : 0);
        if (!near(actual[i], expected[i], tolerance))
            test_fail(file, line, "%s[%zu] of %zu is %.9g, expected %.9g +- %.3g", text, i, count,
                      actual[i], expected[i], tolerance);
    }
}

void test_check_status(const char *file, int line, const char *text, adze_status actual,
                       adze_status expected, const adze_error *error)
{
    if (actual != expected)
        test_fail(file, line, "%s gives %s (%s), expected %s", text, adze_status_name(actual),
                  error && actual != ADZE_OK ? error->message : "no message",
                  adze_status_name(expected));
}

static const char *join(const char *folder, const char *name)
{
    static char paths[16][PATH_MAX]; /* the last sixteen answers live */
    static unsigned next;
    char *path = paths[next++ % 16];
    snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return path;
}

const char *test_source_path(const char *name)
{
    return join(ADZE_SOURCE_DIR, name);
}

const char *test_data_path(const char *name)
{
    const char *folder = getenv("ADZE_TEST_DATA");
    const char *path = join(folder ? folder : ADZE_SOURCE_DIR "/../shared/data", name);
    return access(path, R_OK) == 0 ? path : NULL;
}

const char *test_need_data(const char *name)
{
    const char *path = test_data_path(name);
    if (!path)
        SKIP("no test data %s below $ADZE_TEST_DATA or ../shared/data", name);
    return path;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info, (void)type, (void)where;
    return remove(path);
}

static void remove_tree(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *test_need_unpacked(const char *archive)
{
    const char *packed = test_need_data(archive);
    const char *slash = strrchr(archive, '/');
    const char *name = slash ? slash + 1 : archive;
    char folder[PATH_MAX], partial[PATH_MAX], command[2 * PATH_MAX + 64];
    mkdir(ADZE_BUILD_DIR "/test-data", 0777);
    snprintf(folder, sizeof folder, ADZE_BUILD_DIR "/test-data/%.*s", (int)strcspn(name, "."),
             name);
    if (access(folder, R_OK) == 0)
        return join(ADZE_BUILD_DIR "/test-data", strrchr(folder, '/') + 1);
    snprintf(partial, sizeof partial, "%.4000s.%d", folder, (int)getpid());
    snprintf(command, sizeof command, "mkdir '%s' && tar -C '%s' -xf '%s'", partial, partial,
             packed);
    if (system(command) != 0)
        FAIL("failed: %s", command);
    if (rename(partial, folder) != 0) /* another test was faster */
        remove_tree(partial);
    return join(ADZE_BUILD_DIR "/test-data", strrchr(folder, '/') + 1);
}

const char *test_tmpdir(void)
{
    if (!test_tmp[0]) {
        snprintf(test_tmp, sizeof test_tmp, "%.4000s/%d", tmp_root, (int)getpid());
        if (mkdir(test_tmp, 0700) != 0)
            FAIL("mkdir %s: %s", test_tmp, strerror(errno));
    }
    return test_tmp;
}

const char *test_tmpfile(const char *name)
{
    return join(test_tmpdir(), name);
}

void *test_guard_alloc(size_t size, void **base)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t body = (size + page - 1) / page * page;
    size_t whole = page + body + page; /* the length is kept in the first page */
    char *map = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        FAIL("mmap of %zu bytes: %s", whole, strerror(errno));
    memcpy(map, &whole, sizeof whole);
    memset(map + page, 0xA5, body);
    if (mprotect(map + page + body, page, PROT_NONE) != 0)
        FAIL("mprotect: %s", strerror(errno));
    if (base)
        *base = map;
    return map + page + body - size;
}

void test_guard_free(void *base)
{
    size_t whole;
    if (!base)
        return;
    memcpy(&whole, base, sizeof whole);
    munmap(base, whole);
}

uint64_t test_random(uint64_t *seed) /* splitmix64 */
{
    uint64_t z = (*seed += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

void test_random_floats(float *out, size_t count, float lo, float hi, uint64_t seed)
{
    for (size_t i = 0; i < count; i++)
        out[i] = lo + (hi - lo) * (float)(test_random(&seed) >> 40) * 0x1p-24f;
}

void test_random_bytes(void *out, size_t size, uint64_t seed)
{
    unsigned char *bytes = out;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(test_random(&seed) >> 56);
}

/* --- the runner ------------------------------------------------------------------------------ */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* "tests/unit/check_text.c", "split" -> "check_text.split" */
static const char *full_name(const test_case *test, char *out, size_t size)
{
    const char *slash = strrchr(test->file, '/');
    const char *stem = slash ? slash + 1 : test->file;
    snprintf(out, size, "%.*s.%s", (int)strcspn(stem, "."), stem, test->name);
    return out;
}

static int by_name(const void *a, const void *b)
{
    char x[256], y[256];
    return strcmp(full_name(*(const test_case *const *)a, x, sizeof x),
                  full_name(*(const test_case *const *)b, y, sizeof y));
}

static void start(job *slot, const test_case *test)
{
    *slot = (job){.test = test, .started = now(), .output = tmpfile()};
    fflush(NULL);
    slot->pid = slot->output ? fork() : -1;
    if (slot->pid < 0) {
        perror("adze-tests: cannot start a test");
        exit(2);
    }
    if (slot->pid > 0)
        return;
    setpgid(0, 0); /* so that the limit reaches its children too */
    dup2(fileno(slot->output), STDOUT_FILENO);
    dup2(fileno(slot->output), STDERR_FILENO);
    test->run();
    exit(0); /* not _exit: the leak check runs at exit */
}

static void show_output(FILE *output, const char *indent)
{
    char line[4096];
    rewind(output);
    while (fgets(line, sizeof line, output)) {
        line[strcspn(line, "\n")] = 0;
        printf("%s%s\n", indent, line);
    }
}

static void finish(runner *r, job *slot, int status)
{
    char name[256], folder[PATH_MAX];
    double seconds = now() - slot->started;
    verdict v = !slot->timed_out && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? PASSED
                : !slot->timed_out && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED
                    ? SKIPPED
                    : FAILED;
    full_name(slot->test, name, sizeof name);
    r->count[v]++;
    if (v == SKIPPED) {
        printf("SKIPPED %s\n", name);
        show_output(slot->output, "    ");
    } else if (v == FAILED) {
        printf("FAILED %s", name);
        if (slot->timed_out)
            printf(" (over the limit of %d s)", r->limit_s);
        else if (WIFSIGNALED(status))
            printf(" (%s)", strsignal(WTERMSIG(status)));
        else if (WEXITSTATUS(status) != EXIT_FAILED)
            printf(" (exit %d)", WEXITSTATUS(status));
        printf("\n");
        show_output(slot->output, "    ");
    } else if (r->verbose) {
        printf("passed %s (%.2f s)\n", name, seconds);
        show_output(slot->output, "    ");
    }
    fflush(stdout);
    fclose(slot->output);
    snprintf(folder, sizeof folder, "%.4000s/%d", tmp_root, (int)slot->pid);
    remove_tree(folder);
    slot->pid = 0;
}

/* Takes in every test that has ended and kills those over their time; false: none ended. */
static bool reap(runner *r)
{
    bool any = false;
    for (int i = 0; i < r->jobs; i++) {
        job *slot = &r->slots[i];
        int status;
        if (!slot->pid)
            continue;
        if (!slot->timed_out && now() - slot->started > r->limit_s) {
            slot->timed_out = true;
            kill(-slot->pid, SIGKILL);
            kill(slot->pid, SIGKILL);
        }
        if (waitpid(slot->pid, &status, WNOHANG) == slot->pid) {
            finish(r, slot, status);
            any = true;
        }
    }
    return any;
}

static job *free_slot(runner *r)
{
    for (;;) {
        for (int i = 0; i < r->jobs; i++)
            if (!r->slots[i].pid)
                return &r->slots[i];
        if (!reap(r))
            usleep(500);
    }
}

static bool busy(const runner *r)
{
    for (int i = 0; i < r->jobs; i++)
        if (r->slots[i].pid)
            return true;
    return false;
}

static size_t sorted_tests(test_case ***out, const char *filter)
{
    size_t count = 0, kept = 0;
    char name[256];
    for (test_case *t = all_tests; t; t = t->next)
        count++;
    test_case **tests = calloc(count + 1, sizeof *tests);
    if (!tests)
        exit(2);
    for (test_case *t = all_tests; t; t = t->next)
        if (!filter || strstr(full_name(t, name, sizeof name), filter))
            tests[kept++] = t;
    qsort(tests, kept, sizeof *tests, by_name);
    *out = tests;
    return kept;
}

static void run_all(runner *r, test_case **tests, size_t count)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(tmp_root, sizeof tmp_root, "%.3900s/adze-tests-XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(tmp_root)) {
        perror("adze-tests: cannot make a temporary folder");
        exit(2);
    }
    for (size_t i = 0; i < count; i++)
        start(free_slot(r), tests[i]);
    while (busy(r))
        if (!reap(r))
            usleep(500);
    remove_tree(tmp_root);
}

static void usage(FILE *out)
{
    fprintf(out, "usage: adze-tests [-k SUBSTRING] [-l] [-j JOBS] [-v] [-1]\n"
                 "  -k  only tests whose name holds SUBSTRING\n"
                 "  -l  list the tests\n"
                 "  -j  tests at once (default: the cores of this machine)\n"
                 "  -v  name passed tests too, with their output\n"
                 "  -1  run the first test that -k picks in this process, for a debugger\n"
                 "ADZE_TEST_TIMEOUT: seconds that one test may take (default 60)\n");
}

int main(int argc, char **argv)
{
    runner r = {.limit_s = 60, .jobs = (int)sysconf(_SC_NPROCESSORS_ONLN)};
    const char *filter = NULL, *limit = getenv("ADZE_TEST_TIMEOUT");
    bool list = false, here = false;
    int option;
    while ((option = getopt(argc, argv, "k:lj:v1h")) != -1) {
        if (option == 'k')
            filter = optarg;
        else if (option == 'l')
            list = true;
        else if (option == 'j')
            r.jobs = atoi(optarg);
        else if (option == 'v')
            r.verbose = true;
        else if (option == '1')
            here = true;
        else
            return usage(option == 'h' ? stdout : stderr), option == 'h' ? 0 : 2;
    }
    if (limit && atoi(limit) > 0)
        r.limit_s = atoi(limit);
    if (r.jobs < 1)
        r.jobs = 1;
    if (r.jobs > MAX_JOBS)
        r.jobs = MAX_JOBS;

    test_case **tests;
    char name[256];
    size_t count = sorted_tests(&tests, filter);
    if (list) {
        for (size_t i = 0; i < count; i++)
            puts(full_name(tests[i], name, sizeof name));
    } else if (count == 0 && filter) {
        fprintf(stderr, "adze-tests: no test's name holds \"%s\"\n", filter);
        return 2;
    } else if (here) {
        snprintf(tmp_root, sizeof tmp_root, "/tmp");
        if (count > 0)
            tests[0]->run();
    } else {
        run_all(&r, tests, count);
        printf("%ld passed, %ld failed, %ld skipped\n", r.count[PASSED], r.count[FAILED],
               r.count[SKIPPED]);
    }
    free(tests);
    return r.count[FAILED] > 0;
}
