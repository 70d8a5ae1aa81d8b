/* A pool of worker threads for data-parallel loops. The split of the work never depends on the number
 * of threads in a way that changes results: callers choose the pieces, the pool only hands them out. */
#ifndef ADZE_BASE_THREADS_H
#define ADZE_BASE_THREADS_H
#include "base/error.h"

typedef struct adze_pool adze_pool;

/* `threads` counts the caller: 1 makes no worker. 0: one per usable core. */
adze_status adze_pool_open(adze_pool **out, int threads, adze_error *err) ADZE_MUST_CHECK;
void adze_pool_close(adze_pool **pool);
int adze_pool_threads(const adze_pool *pool);
/* The workers of `of`, which must outlive it, with a deadline of its own. */
adze_status adze_pool_share(adze_pool **out, const adze_pool *of, adze_error *err) ADZE_MUST_CHECK;
/* Once adze_now() reaches it, adze_pool_run leaves out the pieces that have not begun: what the caller computed is then
 * not whole, and it must look at the clock itself. 0: none. Not while pieces run. */
void adze_pool_set_deadline(adze_pool *pool, double deadline);
/* For loops outside the pool: whether the deadline is over. */
bool adze_pool_is_late(const adze_pool *pool);

/* Runs fn(user, piece, worker) for every piece in [0, pieces), worker in [0, threads); returns when all
 * are done. Pieces are handed out dynamically. pool NULL or pieces 1: runs in the caller. Calls from
 * several threads on one pool are served one after another: a caller that finds the pool busy runs its
 * pieces itself. Not to be called from inside fn. */
typedef void (*adze_piece_fn)(void *user, int64_t piece, int worker);
void adze_pool_run(adze_pool *pool, int64_t pieces, adze_piece_fn fn, void *user);

int adze_machine_cores(void); /* usable by this process */

#endif
