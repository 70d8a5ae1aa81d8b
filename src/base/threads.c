/* One job at a time, its pieces handed out by an atomic counter.
 *
 * `state` holds the number of the job, whether it is open and how many workers are inside. A worker may
 * only look at the job after it has entered (compare-and-swap while open), and the caller only leaves
 * once it has closed the job and nobody is inside: so a worker that wakes late finds the door shut and
 * touches nothing, and nobody waits for workers that never came.
 * Waiting is a short spin, then sleep; without a core for every thread there is no spin. */
#include "base/threads.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

#define INSIDE_MASK ((uint64_t)0xffff) /* workers inside the job */
#define OPEN ((uint64_t)1 << 16)
#define CALLER_SLEEPS ((uint64_t)1 << 17)
#define QUIT ((uint64_t)1 << 18)
#define JOB_ONE ((uint64_t)1 << 32) /* the job's number is the upper half */

enum { MOST_THREADS = 1024 };
static const double spin_seconds = 40e-6;

typedef struct worker {
    struct crew *crew;
    pthread_t thread;
    int index;
} worker;

struct crew {
    _Alignas(64) _Atomic uint64_t state;
    _Alignas(64) _Atomic int64_t next; /* first piece not yet handed out */
    _Alignas(64) atomic_int sleepers;
    adze_piece_fn fn; /* the job: written while shut and empty, read inside */
    void *user;
    int64_t pieces;
    double deadline;
    int threads; /* the caller included */
    bool spin;
    pthread_mutex_t busy;  /* held by the caller whose job it is */
    pthread_mutex_t sleep; /* guards the two conditions */
    pthread_cond_t work, done;
    worker workers[];
};

struct adze_pool {
    struct crew *crew;
    double deadline; /* 0: none */
    bool shared;     /* the crew is another pool's */
};

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static uint32_t job_of(uint64_t state)
{
    return (uint32_t)(state >> 32);
}

/* True as soon as a job other than `seen` is there, or the end; false when spinning did not see it. */
static bool spin_for_work(struct crew *crew, uint32_t seen)
{
    for (double end = 0;;) {
        for (int i = 0; i < 32; i++, relax()) {
            uint64_t state = atomic_load_explicit(&crew->state, memory_order_relaxed);
            if (job_of(state) != seen || (state & QUIT))
                return true;
        }
        double now = adze_now();
        if (end == 0)
            end = now + spin_seconds;
        if (now >= end)
            return false;
    }
}

static void wait_for_work(struct crew *crew, uint32_t seen)
{
    if (crew->spin && spin_for_work(crew, seen))
        return;
    (void)pthread_mutex_lock(&crew->sleep);
    atomic_fetch_add(&crew->sleepers, 1);
    for (;;) {
        uint64_t state = atomic_load(&crew->state);
        if (job_of(state) != seen || (state & QUIT))
            break;
        (void)pthread_cond_wait(&crew->work, &crew->sleep);
    }
    atomic_fetch_sub(&crew->sleepers, 1);
    (void)pthread_mutex_unlock(&crew->sleep);
}

static bool is_late(double deadline)
{
    return deadline > 0 && adze_now() >= deadline;
}

static void run_pieces(struct crew *crew, int index)
{
    while (!is_late(crew->deadline)) {
        int64_t piece = atomic_fetch_add_explicit(&crew->next, 1, memory_order_relaxed);
        if (piece >= crew->pieces)
            return;
        crew->fn(crew->user, piece, index);
    }
}

static void leave(struct crew *crew)
{
    uint64_t before = atomic_fetch_sub(&crew->state, 1);
    if ((before & INSIDE_MASK) == 1 && (before & CALLER_SLEEPS)) {
        (void)pthread_mutex_lock(&crew->sleep);
        (void)pthread_cond_signal(&crew->done);
        (void)pthread_mutex_unlock(&crew->sleep);
    }
}

static void *worker_main(void *argument)
{
    worker *self = argument;
    struct crew *crew = self->crew;
    uint32_t seen = 0;
    for (;;) {
        wait_for_work(crew, seen);
        uint64_t state = atomic_load(&crew->state);
        bool entered = false;
        while ((state & OPEN) && !entered)
            entered = atomic_compare_exchange_weak(&crew->state, &state, state + 1);
        if (state & QUIT)
            return NULL;
        seen = job_of(state);
        if (entered) {
            run_pieces(crew, self->index);
            leave(crew);
        }
    }
}

static void wait_until_empty(struct crew *crew)
{
    uint64_t state = atomic_load(&crew->state);
    double end = crew->spin && (state & INSIDE_MASK) ? adze_now() + spin_seconds : 0;
    for (int i = 1; crew->spin && (state & INSIDE_MASK); i++) {
        relax();
        state = atomic_load(&crew->state);
        if (i % 32 == 0 && adze_now() >= end)
            break;
    }
    if (!(state & INSIDE_MASK))
        return;
    (void)pthread_mutex_lock(&crew->sleep);
    atomic_fetch_or(&crew->state, CALLER_SLEEPS);
    while (atomic_load(&crew->state) & INSIDE_MASK)
        (void)pthread_cond_wait(&crew->done, &crew->sleep);
    (void)pthread_mutex_unlock(&crew->sleep);
}

/* The new state is written after the job and read before it; `sleepers` the other way round: one side
 * always sees the other. */
static void publish(struct crew *crew, int64_t pieces, double deadline, adze_piece_fn fn,
                    void *user)
{
    crew->fn = fn;
    crew->user = user;
    crew->pieces = pieces;
    crew->deadline = deadline;
    atomic_store_explicit(&crew->next, 0, memory_order_relaxed);
    uint64_t number = atomic_load(&crew->state) & ~(JOB_ONE - 1);
    atomic_store(&crew->state, (number + JOB_ONE) | OPEN);
    if (atomic_load(&crew->sleepers) == 0)
        return;
    (void)pthread_mutex_lock(&crew->sleep);
    int64_t useful = ADZE_MIN(pieces - 1, (int64_t)atomic_load(&crew->sleepers));
    for (int64_t i = 0; i < useful; i++)
        (void)pthread_cond_signal(&crew->work);
    (void)pthread_mutex_unlock(&crew->sleep);
}

void adze_pool_run(adze_pool *pool, int64_t pieces, adze_piece_fn fn, void *user)
{
    struct crew *crew = pool ? pool->crew : NULL;
    double deadline = pool ? pool->deadline : 0;
    bool alone = !crew || crew->threads == 1 || pieces <= 1;
    if (alone || pthread_mutex_trylock(&crew->busy) != 0) {
        for (int64_t i = 0; i < pieces && !is_late(deadline); i++)
            fn(user, i, 0);
        return;
    }
    publish(crew, pieces, deadline, fn, user);
    run_pieces(crew, 0);
    atomic_fetch_and(&crew->state, ~OPEN);
    wait_until_empty(crew);
    (void)pthread_mutex_unlock(&crew->busy);
}

/* Workers take no signals: those belong to the program's own threads. */
static int start_workers(struct crew *crew, int wanted)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    for (crew->threads = 1; crew->threads < wanted; crew->threads++) {
        worker *w = &crew->workers[crew->threads - 1];
        *w = (worker){.crew = crew, .index = crew->threads};
        if (pthread_create(&w->thread, NULL, worker_main, w) != 0)
            break;
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return crew->threads;
}

static void dismiss(struct crew *crew)
{
    (void)pthread_mutex_lock(&crew->sleep);
    atomic_fetch_or(&crew->state, QUIT);
    (void)pthread_cond_broadcast(&crew->work);
    (void)pthread_mutex_unlock(&crew->sleep);
    for (int i = 0; i + 1 < crew->threads; i++)
        (void)pthread_join(crew->workers[i].thread, NULL);
    (void)pthread_cond_destroy(&crew->work);
    (void)pthread_cond_destroy(&crew->done);
    (void)pthread_mutex_destroy(&crew->busy);
    (void)pthread_mutex_destroy(&crew->sleep);
    adze_free(crew);
}

static adze_status hire(struct crew **out, int wanted, adze_error *err)
{
    struct crew *crew = adze_alloc(1, sizeof *crew + (size_t)wanted * sizeof crew->workers[0]);
    if (!crew)
        return adze_fail(err, ADZE_NO_MEMORY, "no memory for %d threads", wanted);
    (void)pthread_mutex_init(&crew->busy, NULL);
    (void)pthread_mutex_init(&crew->sleep, NULL);
    (void)pthread_cond_init(&crew->work, NULL);
    (void)pthread_cond_init(&crew->done, NULL);
    crew->spin = wanted <= adze_machine_cores();
    int started = start_workers(crew, wanted);
    if (started < wanted) {
        dismiss(crew);
        return adze_fail(err, ADZE_NO_MEMORY, "the system gave %d of %d threads", started, wanted);
    }
    *out = crew;
    return ADZE_OK;
}

adze_status adze_pool_open(adze_pool **out, int threads, adze_error *err)
{
    if (threads < 0 || threads > MOST_THREADS)
        return adze_fail(err, ADZE_BAD_ARGUMENT, "threads: expected 0 to %d, found %d",
                         MOST_THREADS, threads);
    adze_pool *pool = adze_alloc(1, sizeof *pool);
    if (!pool)
        return adze_fail(err, ADZE_NO_MEMORY, "threads");
    adze_status status = hire(&pool->crew, threads ? threads : adze_machine_cores(), err);
    if (status != ADZE_OK)
        adze_free(pool);
    else
        *out = pool;
    return status;
}

adze_status adze_pool_share(adze_pool **out, const adze_pool *of, adze_error *err)
{
    adze_pool *pool = adze_alloc(1, sizeof *pool);
    if (!pool)
        return adze_fail(err, ADZE_NO_MEMORY, "threads");
    *pool = (adze_pool){.crew = of->crew, .shared = true};
    *out = pool;
    return ADZE_OK;
}

void adze_pool_close(adze_pool **pool)
{
    if (*pool && !(*pool)->shared)
        dismiss((*pool)->crew);
    adze_free(*pool);
    *pool = NULL;
}

void adze_pool_set_deadline(adze_pool *pool, double deadline)
{
    pool->deadline = deadline;
}

bool adze_pool_is_late(const adze_pool *pool)
{
    return pool && is_late(pool->deadline);
}

int adze_pool_threads(const adze_pool *pool)
{
    return pool ? pool->crew->threads : 1;
}

/* Cores that the control group grants, rounded up; 0 when it sets no limit. */
static int cores_granted(void)
{
    FILE *file = fopen("/sys/fs/cgroup/cpu.max", "r");
    long long quota = 0, period = 0;
    bool limited =
        file && fscanf(file, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0;
    if (file)
        (void)fclose(file);
    return limited ? (int)ADZE_MIN((quota + period - 1) / period, (long long)MOST_THREADS) : 0;
}

int adze_machine_cores(void)
{
    cpu_set_t set;
    int cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set)
                                                            : (int)sysconf(_SC_NPROCESSORS_ONLN);
    int granted = cores_granted();
    if (granted > 0)
        cores = ADZE_MIN(cores, granted);
    return ADZE_MIN(ADZE_MAX(cores, 1), (int)MOST_THREADS);
}
