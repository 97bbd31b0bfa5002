/*
 * Benchmarks of SPDK's primitives, with the definitions of the Go benchmarks one folder up:
 * the same loops, the same number of operations in flight, and the same events at which the
 * clock starts and stops. What one operation is, is said there.
 */

#ifndef BENCH_H
#define BENCH_H

#include "spdk/stdinc.h"
#include "spdk/thread.h"

#define BENCH_CORES 2

struct benchmark {
	const char *name;
	uint32_t cores;		/* how many reactors it needs */
	int arg;		/* what the functions make of it */
	/* Prepares the benchmark and calls bench_ready(), now or later. May be NULL. */
	void (*setup)(const struct benchmark *b);
	/* Starts n operations. The last of them calls bench_stop(). */
	void (*run)(const struct benchmark *b, uint64_t n);
};

/* One thread on each reactor. The first is the application's thread. */
extern struct spdk_thread *g_threads[BENCH_CORES];
extern uint32_t g_cores;

extern const struct benchmark g_primitives[], g_events[], g_dispatch[];

void bench_ready(void);
void bench_start(void);
/* The operations are done, and the clock stops; any thread or reactor. */
void bench_stop(void);
/* The same in two steps: read the clock, and say later that it has been read. */
uint64_t bench_took(void);
void bench_stop_at(uint64_t ns);

__attribute__((noreturn, format(printf, 1, 2))) void fail(const char *format, ...);
void *must_alloc(size_t size);

/* null.c: a file system device whose requests complete within the submit. */
extern const char null_name[];
void null_create(void);

#endif
