/* Pools, messages, channels, and pollers. */

#include "bench.h"
#include "spdk/env.h"

#define BULK 32

static struct spdk_mempool *
new_pool(size_t cache)
{
	struct spdk_mempool *pool = spdk_mempool_create("bench", 1024, 64, cache, SPDK_ENV_NUMA_ID_ANY);

	if (pool == NULL) {
		fail("cannot create a pool");
	}
	return pool;
}

static struct spdk_mempool *g_pool;

static void
pool_setup(const struct benchmark *b)
{
	g_pool = new_pool(64);
	bench_ready();
}

static void
pool_get_put(const struct benchmark *b, uint64_t n)
{
	bench_start();
	for (; n > 0; n--) {
		spdk_mempool_put(g_pool, spdk_mempool_get(g_pool));
	}
	bench_stop();
}

static void
pool_bulk(const struct benchmark *b, uint64_t n)
{
	void *elements[BULK];

	bench_start();
	for (n = (n + BULK - 1) / BULK; n > 0; n--) {
		if (spdk_mempool_get_bulk(g_pool, elements, BULK) != 0) {
			fail("the pool is empty");
		}
		spdk_mempool_put_bulk(g_pool, elements, BULK);
	}
	bench_stop();
}

/* Runs leave their counters behind: messages that come late still look at them. */
struct counter {
	int64_t left;
};

static struct counter *
new_counter(uint64_t n)
{
	struct counter *c = must_alloc(sizeof(*c));

	c->left = n;
	return c;
}

static void
self_msg(void *ctx)
{
	struct counter *c = ctx;

	c->left--;
	if (c->left > 0) {
		spdk_thread_send_msg(g_threads[0], self_msg, c);
	} else if (c->left == 0) {
		bench_stop();
	}
}

static void
msg_self(const struct benchmark *b, uint64_t n)
{
	struct counter *c = new_counter(n);
	int i;

	bench_start();
	for (i = 0; i < b->arg; i++) {
		spdk_thread_send_msg(g_threads[0], self_msg, c);
	}
}

static void pong(void *ctx);

static void
ping(void *ctx)
{
	spdk_thread_send_msg(g_threads[0], pong, ctx);
}

static void
pong(void *ctx)
{
	struct counter *c = ctx;

	if (--c->left == 0) {
		bench_stop();
		return;
	}
	spdk_thread_send_msg(g_threads[1], ping, c);
}

static void
msg_pingpong(const struct benchmark *b, uint64_t n)
{
	bench_start();
	spdk_thread_send_msg(g_threads[1], ping, new_counter(n));
}

/*
 * SPDK ends the process when a thread's ring is full, and so the sender has to know how far
 * the receiver is. It is held back at as many messages as a thread's ring holds in Go, and
 * looks at the receiver's counter only when it has used up what it knew to be free.
 */
#define STREAM_BURST 64
#define STREAM_WINDOW 4096

struct stream {
	struct spdk_poller *poller;
	uint64_t unsent, unserved_seen;
	char pad[64];		/* what follows belongs to the receiver */
	uint64_t unserved;
};

static void
receive_stream(void *ctx)
{
	struct stream *s = ctx;
	uint64_t unserved = s->unserved - 1;

	__atomic_store_n(&s->unserved, unserved, __ATOMIC_RELEASE);
	if (unserved == 0) {
		bench_stop();
	}
}

static int
send_stream(void *ctx)
{
	struct stream *s = ctx;
	int i;

	for (i = 0; i < STREAM_BURST; i++) {
		if (s->unsent == 0) {
			spdk_poller_unregister(&s->poller);
			return SPDK_POLLER_BUSY;
		}
		if (s->unserved_seen - s->unsent == STREAM_WINDOW) {
			s->unserved_seen = __atomic_load_n(&s->unserved, __ATOMIC_ACQUIRE);
			if (s->unserved_seen - s->unsent == STREAM_WINDOW) {
				return i == 0 ? SPDK_POLLER_IDLE : SPDK_POLLER_BUSY;
			}
		}
		spdk_thread_send_msg(g_threads[1], receive_stream, s);
		s->unsent--;
	}
	return SPDK_POLLER_BUSY;
}

static void
msg_oneway(const struct benchmark *b, uint64_t n)
{
	struct stream *s = must_alloc(sizeof(*s));

	s->unsent = s->unserved_seen = s->unserved = n;
	bench_start();
	s->poller = SPDK_POLLER_REGISTER(send_stream, s, 0);
}

struct channel_ctx {
	char data[64];
};

static int g_device;
static uint32_t g_channels_wanted;

static int
channel_create(void *device, void *ctx)
{
	return 0;
}

static void
channel_destroy(void *device, void *ctx)
{
}

static void
channel_got(void *unused)
{
	if (--g_channels_wanted == 0) {
		bench_ready();
	}
}

static void
get_channel(void *unused)
{
	if (spdk_get_io_channel(&g_device) == NULL) {
		fail("cannot get a channel");
	}
	spdk_thread_send_msg(g_threads[0], channel_got, NULL);
}

/* A device, and a channel of it on each of arg threads of each core. */
static void
device_setup(const struct benchmark *b)
{
	struct spdk_thread *thread;
	struct spdk_cpuset mask;
	uint32_t core;
	int i;

	spdk_io_device_register(&g_device, channel_create, channel_destroy, sizeof(struct channel_ctx), "bench");
	g_channels_wanted = g_cores * b->arg;
	for (core = 0; core < g_cores; core++) {
		spdk_cpuset_zero(&mask);
		spdk_cpuset_set_cpu(&mask, core, true);
		for (i = 0; i < b->arg; i++) {
			thread = i == 0 ? g_threads[core] : spdk_thread_create("visited", &mask);
			if (thread == NULL) {
				fail("cannot create a thread");
			}
			spdk_thread_send_msg(thread, get_channel, NULL);
		}
	}
}

static void
channel_get_put(const struct benchmark *b, uint64_t n)
{
	bench_start();
	for (; n > 0; n--) {
		spdk_put_io_channel(spdk_get_io_channel(&g_device));
	}
	bench_stop();
}

static void
visit(struct spdk_io_channel_iter *it)
{
	spdk_for_each_channel_continue(it, 0);
}

static void
visited(struct spdk_io_channel_iter *it, int status)
{
	struct counter *c = spdk_io_channel_iter_get_ctx(it);

	if (status != 0) {
		fail("an iteration ended with %d", status);
	}
	if (--c->left == 0) {
		bench_stop();
		return;
	}
	spdk_for_each_channel(&g_device, visit, c, visited);
}

static void
for_each(const struct benchmark *b, uint64_t n)
{
	bench_start();
	spdk_for_each_channel(&g_device, visit, new_counter(n), visited);
}

struct rounds {
	struct spdk_poller *pollers[1000];
	int count;
	uint64_t n, left;
};

static int
idle_poller(void *ctx)
{
	return SPDK_POLLER_IDLE;
}

static int
count_poller(void *ctx)
{
	struct rounds *r = ctx;
	uint64_t took;
	int i;

	if (--r->left == 0) {
		took = bench_took();
		for (i = 0; i < r->count; i++) {
			spdk_poller_unregister(&r->pollers[i]);
		}
		/* Whole rounds are made, of count operations each: as if they were n. */
		bench_stop_at((double)took * r->n / ((r->n < (uint64_t)r->count ? 1 : r->n / r->count) * r->count));
	}
	return SPDK_POLLER_IDLE;
}

static void
poller_loop(const struct benchmark *b, uint64_t n)
{
	struct rounds *r = must_alloc(sizeof(*r));
	int i;

	r->count = b->arg;
	r->n = n;
	r->left = n < (uint64_t)r->count ? 1 : n / r->count;
	for (i = 0; i < r->count - 1; i++) {
		r->pollers[i] = SPDK_POLLER_REGISTER(idle_poller, r, 0);
	}
	r->pollers[i] = SPDK_POLLER_REGISTER(count_poller, r, 0);
	bench_start();
}

const struct benchmark g_primitives[] = {
	{"pool_get_put", 1, 0, pool_setup, pool_get_put},
	{"pool_bulk_32", 1, 0, pool_setup, pool_bulk},
	{"msg_self", 1, 32, NULL, msg_self},
	{"msg_self_qd1", 1, 1, NULL, msg_self},
	{"msg_pingpong_rtt", 2, 0, NULL, msg_pingpong},
	{"msg_oneway", 2, 0, NULL, msg_oneway},
	{"channel_get_put", 1, 1, device_setup, channel_get_put},
	{"foreach_1", 1, 1, device_setup, for_each},
	{"foreach_65_one_core", 1, 65, device_setup, for_each},
	{"foreach_2_cores", 2, 1, device_setup, for_each},
	{"poller_loop_1", 1, 1, NULL, poller_loop},
	{"poller_loop_1000_each", 1, 1000, NULL, poller_loop},
	{NULL},
};
