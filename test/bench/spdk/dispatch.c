/* Requests to the null device, through fuse_dispatcher and fsdev. */

#include "bench.h"
#include "spdk/fsdev.h"
#include "spdk/util.h"
#if __has_include("spdk/fuse_dispatcher.h")
#include "spdk/fuse_dispatcher.h"
#else
#include "spdk_internal/fuse_dispatcher.h"
#endif
#include "linux/fuse_kernel.h"

#define BLOCK 4096
#define MAX_DEPTH 32

/* A request, formatted once and submitted again and again. */
struct request {
	struct iovec in[2], out[2];
	int in_count, out_count;
	uint32_t reply_len;	/* of a right reply */
};

static struct spdk_fuse_dispatcher *g_disp;
static struct spdk_io_channel *g_ch;
static uint64_t g_node, g_fh;

static int64_t g_left;		/* completions to come until the clock stops */
static int g_in_flight;
static uint64_t g_took_ns;

static struct request *
format(uint32_t op, uint64_t node, uint64_t unique, const void *args, size_t args_len, size_t payload,
       size_t reply, size_t data)
{
	struct request *r = must_alloc(sizeof(*r));
	struct fuse_in_header *head = must_alloc(sizeof(*head) + args_len);

	head->len = sizeof(*head) + args_len + payload;
	head->opcode = op;
	head->unique = unique;
	head->nodeid = node;
	if (args_len > 0) {
		memcpy(head + 1, args, args_len);
	}
	r->in[0] = (struct iovec) {
		head, sizeof(*head) + args_len
	};
	r->in_count = 1;
	if (payload > 0) {
		r->in[r->in_count++] = (struct iovec) {
			must_alloc(payload), payload
		};
	}
	r->out[0] = (struct iovec) {
		must_alloc(sizeof(struct fuse_out_header) + reply), sizeof(struct fuse_out_header) + reply
	};
	r->out_count = 1;
	if (data > 0) {
		r->out[r->out_count++] = (struct iovec) {
			must_alloc(data), data
		};
	}
	r->reply_len = sizeof(struct fuse_out_header) + reply + data;
	return r;
}

static struct request *
init_request(void)
{
	struct fuse_init_in args = {.major = FUSE_KERNEL_VERSION, .minor = FUSE_KERNEL_MINOR_VERSION};

	return format(FUSE_INIT, 0, 1, &args, sizeof(args), 0, sizeof(struct fuse_init_out), 0);
}

static struct request *
open_request(void)
{
	struct fuse_open_in args = {.flags = O_RDWR};

	return format(FUSE_OPEN, g_node, 3, &args, sizeof(args), 0, sizeof(struct fuse_open_out), 0);
}

static struct request *
lookup_request(uint64_t unique)
{
	return format(FUSE_LOOKUP, FUSE_ROOT_ID, unique, "file", 5, 0, sizeof(struct fuse_entry_out), 0);
}

static struct request *
getattr_request(uint64_t unique)
{
	struct fuse_getattr_in args = {};

	return format(FUSE_GETATTR, g_node, unique, &args, sizeof(args), 0, sizeof(struct fuse_attr_out), 0);
}

static struct request *
read_request(uint64_t unique)
{
	struct fuse_read_in args = {.fh = g_fh, .size = BLOCK};

	return format(FUSE_READ, g_node, unique, &args, sizeof(args), 0, 0, BLOCK);
}

static struct request *
write_request(uint64_t unique)
{
	struct fuse_write_in args = {.fh = g_fh, .size = BLOCK};

	return format(FUSE_WRITE, g_node, unique, &args, sizeof(args), BLOCK, sizeof(struct fuse_write_out), 0);
}

static void
submit(struct request *r, spdk_fuse_dispatcher_submit_cpl_cb cb)
{
	int rc = spdk_fuse_dispatcher_submit_request(g_disp, g_ch, r->in, r->in_count, r->out, r->out_count, cb, r);

	if (rc != 0) {
		fail("submit: %d", rc);
	}
}

static void
check_reply(struct request *r, int error)
{
	struct fuse_out_header *head = r->out[0].iov_base;

	if (error != 0 || head->error != 0 || head->len != r->reply_len) {
		fail("reply of %u bytes, error %d, completion %d; %u bytes expected",
		     head->len, head->error, error, r->reply_len);
	}
}

static void
replied(void *ctx, int error)
{
	struct request *r = ctx;

	check_reply(r, error);
	g_in_flight--;
	g_left--;
	if (g_left > 0) {
		g_in_flight++;
		submit(r, replied);
		return;
	}
	if (g_left == 0) {
		g_took_ns = bench_took();
	}
	if (g_in_flight == 0) {
		bench_stop_at(g_took_ns);
	}
}

static void *
reply_body(struct request *r)
{
	return (struct fuse_out_header *)r->out[0].iov_base + 1;
}

static void
opened(void *ctx, int error)
{
	struct request *r = ctx;

	check_reply(r, error);
	g_fh = ((struct fuse_open_out *)reply_body(r))->fh;
	bench_ready();
}

static void
looked_up(void *ctx, int error)
{
	struct request *r = ctx;

	check_reply(r, error);
	g_node = ((struct fuse_entry_out *)reply_body(r))->nodeid;
	submit(open_request(), opened);
}

static void
initialized(void *ctx, int error)
{
	check_reply(ctx, error);
	submit(lookup_request(2), looked_up);
}

static void
disp_event(enum spdk_fuse_dispatcher_event_type type, struct spdk_fuse_dispatcher *disp, void *ctx)
{
}

static void
disp_created(void *ctx, struct spdk_fuse_dispatcher *disp)
{
	if (disp == NULL) {
		fail("cannot create a dispatcher");
	}
	g_disp = disp;
	g_ch = spdk_fuse_dispatcher_get_io_channel(disp);
	submit(init_request(), initialized);
}

static void
fsdev_initialized(void *ctx, int rc)
{
	if (rc != 0) {
		fail("cannot initialize fsdev: %d", rc);
	}
	null_create();
	rc = spdk_fuse_dispatcher_create(null_name, disp_event, NULL, disp_created, NULL);
	if (rc != 0) {
		fail("cannot create a dispatcher: %d", rc);
	}
}

static void
dispatch_setup(const struct benchmark *b)
{
	spdk_fsdev_initialize(fsdev_initialized, NULL);
}

/* With arg requests in flight, which are made for the first run. */
static void
dispatch(const struct benchmark *b, uint64_t n, struct request *(*make)(uint64_t unique))
{
	static struct request *requests[MAX_DEPTH];
	int i;

	for (i = 0; i < b->arg && requests[i] == NULL; i++) {
		requests[i] = make((uint64_t)(i + 1) << 32);
	}
	g_left = n;
	bench_start();
	for (i = 0; i < b->arg; i++) {
		g_in_flight++;
		submit(requests[i], replied);
	}
}

static void
dispatch_getattr(const struct benchmark *b, uint64_t n)
{
	dispatch(b, n, getattr_request);
}

static void
dispatch_lookup(const struct benchmark *b, uint64_t n)
{
	dispatch(b, n, lookup_request);
}

static void
dispatch_read(const struct benchmark *b, uint64_t n)
{
	dispatch(b, n, read_request);
}

static void
dispatch_write(const struct benchmark *b, uint64_t n)
{
	dispatch(b, n, write_request);
}

const struct benchmark g_dispatch[] = {
	{"dispatch_null_getattr_qd1", 1, 1, dispatch_setup, dispatch_getattr},
	{"dispatch_null_lookup_qd1", 1, 1, dispatch_setup, dispatch_lookup},
	{"dispatch_null_read4k_qd1", 1, 1, dispatch_setup, dispatch_read},
	{"dispatch_null_write4k_qd1", 1, 1, dispatch_setup, dispatch_write},
	{"dispatch_null_getattr_qd32", 1, 32, dispatch_setup, dispatch_getattr},
	{"dispatch_null_lookup_qd32", 1, 32, dispatch_setup, dispatch_lookup},
	{"dispatch_null_read4k_qd32", 1, 32, dispatch_setup, dispatch_read},
	{"dispatch_null_write4k_qd32", 1, 32, dispatch_setup, dispatch_write},
	{NULL},
};
