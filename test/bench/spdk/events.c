/* Events of reactors. */

#include "bench.h"
#include "spdk/env.h"
#include "spdk/event.h"

struct ring;

/* A reactor's place in the ring. */
struct place {
	struct ring *ring;
	struct place *next;
	uint32_t lcore;
	int events;		/* it starts with */
	bool first;
};

/* Events that go round the reactors until the first has seen enough. */
struct ring {
	struct place places[BENCH_CORES];
	uint64_t end;		/* ticks; 0 if events do not look at the clock */
	char pad1[64];
	int64_t left;		/* of the first reactor */
	char pad2[64];
	bool ended;
	char pad3[64];
};

static void
go_round(void *arg1, void *arg2)
{
	struct place *p = arg1;
	struct ring *ring = p->ring;

	if ((ring->end != 0 && spdk_get_ticks() > ring->end) ||
	    __atomic_load_n(&ring->ended, __ATOMIC_ACQUIRE)) {
		return;
	}
	if (p->first && --ring->left == 0) {
		__atomic_store_n(&ring->ended, true, __ATOMIC_RELEASE);
		bench_stop();
		return;
	}
	spdk_event_call(spdk_event_allocate(p->next->lcore, go_round, p->next, NULL));
}

static void
start_events(void *arg1, void *arg2)
{
	struct place *p = arg1;
	int i;

	for (i = 0; i < p->events; i++) {
		spdk_event_call(spdk_event_allocate(p->next->lcore, go_round, p->next, NULL));
	}
}

static void
start_ring(uint64_t n, int events, uint64_t end)
{
	struct ring *ring = must_alloc(sizeof(*ring));
	uint32_t i;

	ring->left = n / g_cores > 0 ? n / g_cores : 1;
	ring->end = end;
	for (i = 0; i < g_cores; i++) {
		ring->places[i] = (struct place) {
			ring, &ring->places[(i + 1) % g_cores], i, events, i == 0
		};
	}
	bench_start();
	for (i = 0; i < g_cores; i++) {
		spdk_event_call(spdk_event_allocate(i, start_events, &ring->places[i], NULL));
	}
}

static void
event_perf(const struct benchmark *b, uint64_t n)
{
	start_ring(n, b->arg, UINT64_MAX);
}

static void
reactor_perf(const struct benchmark *b, uint64_t n)
{
	start_ring(n, b->arg, 0);
}

const struct benchmark g_events[] = {
	{"event_perf_1core", 1, 4, NULL, event_perf},
	{"event_perf_2cores", 2, 4, NULL, event_perf},
	{"reactor_perf_qd1", 1, 1, NULL, reactor_perf},
	{"reactor_perf_qd32", 1, 32, NULL, reactor_perf},
	{NULL},
};
