/* The pool under stress: every piece exactly once, results visible, callers in each other's way. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/threads.h"
#include "test.h"

typedef struct loop {
    int marks[512]; /* plain on purpose: the pool must make them visible */
    atomic_int bad_worker;
    int threads;
} loop;

static void mark(void *user, int64_t piece, int worker)
{
    loop *l = user;
    l->marks[piece]++;
    if (worker < 0 || worker >= l->threads)
        atomic_store(&l->bad_worker, 1);
}

static void stress(int threads, int rounds)
{
    adze_pool *pool;
    adze_error err;
    CHECK_OK(adze_pool_open(&pool, threads, &err), &err);
    CHECK_EQ(adze_pool_threads(pool), threads);
    adze_rng rng = adze_rng_seed((uint64_t)threads);
    for (int round = 0; round < rounds; round++) {
        loop l = {.threads = threads};
        int64_t pieces = (int64_t)adze_rng_below(&rng, round % 10 ? 12 : 512);
        adze_pool_run(pool, pieces, mark, &l);
        for (int64_t i = 0; i < 512; i++)
            CHECK_EQ(l.marks[i], i < pieces);
        CHECK_EQ(atomic_load(&l.bad_worker), 0);
        if (round % 1000 == 0)
            usleep(300); /* lets the workers fall asleep */
    }
    adze_pool_close(&pool);
    CHECK(pool == NULL);
}

TEST(one_thread)
{
    stress(1, 1000);
}
TEST(two_threads)
{
    stress(2, 20000);
}
TEST(three_threads)
{
    stress(3, 10000);
}
TEST(sixteen_threads)
{
    stress(16, 2000);
}

TEST(open_and_close)
{
    for (int i = 0; i < 200; i++) {
        adze_pool *pool;
        CHECK_OK(adze_pool_open(&pool, 1 + i % 5, NULL), NULL);
        loop l = {.threads = 5};
        if (i % 2)
            adze_pool_run(pool, 3, mark, &l);
        adze_pool_close(&pool);
    }
    adze_pool *none = NULL;
    adze_pool_close(&none);
}

TEST(no_pool_runs_in_the_caller)
{
    loop l = {.threads = 1};
    adze_pool_run(NULL, 10, mark, &l);
    CHECK_EQ(l.marks[9], 1);
    CHECK_EQ(adze_pool_threads(NULL), 1);
    CHECK(adze_machine_cores() >= 1);
}

TEST(bad_arguments)
{
    adze_pool *pool = NULL;
    adze_error err;
    CHECK_FAILS(adze_pool_open(&pool, -1, &err), ADZE_BAD_ARGUMENT, &err);
    CHECK_FAILS(adze_pool_open(&pool, 100000, &err), ADZE_BAD_ARGUMENT, &err);
    adze_alloc_fail_after(1);
    adze_status status = adze_pool_open(&pool, 2, &err);
    adze_alloc_fail_after(0);
    CHECK_EQ(status, ADZE_NO_MEMORY);
}

typedef struct caller {
    adze_pool *pool;
    long sum;
} caller;

static void add(void *user, int64_t piece, int worker)
{
    (void)worker;
    atomic_fetch_add((atomic_long *)user, (long)piece);
}

static void *call_many(void *user)
{
    caller *c = user;
    for (int i = 0; i < 3000; i++) {
        atomic_long sum = 0;
        adze_pool_run(c->pool, 8, add, &sum);
        c->sum += atomic_load(&sum);
    }
    return NULL;
}

TEST(several_callers)
{
    adze_pool *pool;
    CHECK_OK(adze_pool_open(&pool, 3, NULL), NULL);
    pthread_t threads[4];
    caller callers[4];
    for (int i = 0; i < 4; i++) {
        callers[i] = (caller){.pool = pool};
        CHECK_EQ(pthread_create(&threads[i], NULL, call_many, &callers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        CHECK_EQ(callers[i].sum, 3000 * 28);
    }
    adze_pool_close(&pool);
}

static void slow(void *user, int64_t piece, int worker)
{
    (void)worker;
    usleep(piece == 1 ? 3000 : 10); /* the caller must sleep for this one */
    ((int *)user)[piece] = 1;
}

TEST(waits_for_slow_pieces)
{
    adze_pool *pool;
    CHECK_OK(adze_pool_open(&pool, 2, NULL), NULL);
    for (int i = 0; i < 50; i++) {
        int done[4] = {0};
        adze_pool_run(pool, 4, slow, done);
        CHECK(done[0] && done[1] && done[2] && done[3]);
    }
    adze_pool_close(&pool);
}
