/*
 * Two threads on two reactors. Every 100 ms a poller of
 * thread A sends a message to thread B, which counts it
 * and answers. After 10 answers the application stops.
 */
#include "spdk/stdinc.h"
#include "spdk/cpuset.h"
#include "spdk/event.h"
#include "spdk/thread.h"

#define ROUNDS 10
#define PERIOD_US (100 * 1000)

struct ping_pong {
	struct spdk_thread *a, *b;
	struct spdk_poller *ticker;	/* A's */
	int sent;			/* A's */
	int answered;			/* A's */
	int counted;			/* B's */
};

/* Global, since shutdown_cb has no argument. */
static struct ping_pong g_pp;

static void
leave(void *ctx)
{
	spdk_thread_exit(spdk_get_thread());
}

/* On A: let go of everything, then stop. */
static void
finish(void)
{
	struct ping_pong *pp = &g_pp;

	if (pp->b != NULL) {
		spdk_poller_unregister(&pp->ticker);
		spdk_thread_send_msg(pp->b, leave, NULL);
		pp->b = NULL;
	}
	spdk_app_stop(0);
}

/* On A, for each answer. */
static void
pong(void *ctx)
{
	struct ping_pong *pp = ctx;

	if (++pp->answered == ROUNDS) {
		finish();
	}
}

/* On B, for each message. */
static void
ping(void *ctx)
{
	struct ping_pong *pp = ctx;

	pp->counted++;
	spdk_thread_send_msg(pp->a, pong, pp);
}

/* On A, every 100 ms. */
static int
tick(void *ctx)
{
	struct ping_pong *pp = ctx;

	spdk_thread_send_msg(pp->b, ping, pp);
	if (++pp->sent == ROUNDS) {
		spdk_poller_unregister(&pp->ticker);
	}
	return SPDK_POLLER_BUSY;
}

/* On the app thread, which is A. */
static void
start(void *ctx)
{
	struct ping_pong *pp = ctx;
	struct spdk_cpuset cpus;

	pp->a = spdk_get_thread();
	spdk_cpuset_zero(&cpus);
	spdk_cpuset_set_cpu(&cpus, 1, true);
	pp->b = spdk_thread_create("thread_b", &cpus);
	if (pp->b == NULL) {
		spdk_app_stop(-ENOMEM);
		return;
	}
	pp->ticker = SPDK_POLLER_REGISTER(tick, pp, PERIOD_US);
}

int
main(void)
{
	struct spdk_app_opts opts = {};
	int rc;

	spdk_app_opts_init(&opts, sizeof(opts));
	opts.name = "poller_message";
	opts.reactor_mask = "0x3";
	opts.shutdown_cb = finish;
	rc = spdk_app_start(&opts, start, &g_pp);
	spdk_app_fini();
	if (rc == 0) {
		printf("B counted %d messages, A %d answers\n",
		       g_pp.counted, g_pp.answered);
	}
	return rc != 0;
}
