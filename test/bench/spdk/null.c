/*
 * The counterpart of modules/null: every request completes within the submit and touches no
 * payload. A root directory, and one file that every name looks up to. Only what the benchmarks
 * need is there; anything else is ENOSYS.
 */

#include "bench.h"
#include "spdk/fsdev_module.h"

const char null_name[] = "null0";

/* Objects and handles are opaque to SPDK: any address that is nobody else's will do. */
static char g_root_id, g_file_id, g_handle_id;
#define ROOT ((struct spdk_fsdev_file_object *)&g_root_id)
#define FILE_OBJECT ((struct spdk_fsdev_file_object *)&g_file_id)
#define HANDLE ((struct spdk_fsdev_file_handle *)&g_handle_id)

static const struct spdk_fsdev_file_attr g_root_attr = {
	.ino = 1, .mode = S_IFDIR | 0755, .nlink = 2, .blksize = 4096,
};

static const struct spdk_fsdev_file_attr g_file_attr = {
	.ino = 2, .size = 1 << 30, .blocks = (1 << 30) / 512, .mode = S_IFREG | 0644, .nlink = 1, .blksize = 4096,
};

static int
handle(struct spdk_fsdev_io *io)
{
	switch (spdk_fsdev_io_get_type(io)) {
	case SPDK_FSDEV_IO_MOUNT:
		io->u_out.mount.opts = io->u_in.mount.opts;
		io->u_out.mount.root_fobject = ROOT;
		return 0;
	case SPDK_FSDEV_IO_LOOKUP:
		if (io->u_in.lookup.parent_fobject != ROOT) {
			return io->u_in.lookup.parent_fobject == FILE_OBJECT ? -ENOTDIR : -ESTALE;
		}
		io->u_out.lookup.fobject = FILE_OBJECT;
		io->u_out.lookup.attr = g_file_attr;
		return 0;
	case SPDK_FSDEV_IO_GETATTR:
		if (io->u_in.getattr.fobject == FILE_OBJECT) {
			io->u_out.getattr.attr = g_file_attr;
		} else if (io->u_in.getattr.fobject == ROOT) {
			io->u_out.getattr.attr = g_root_attr;
		} else {
			return -ESTALE;
		}
		return 0;
	case SPDK_FSDEV_IO_OPEN:
		if (io->u_in.open.fobject != FILE_OBJECT && io->u_in.open.fobject != ROOT) {
			return -ESTALE;
		}
		io->u_out.open.fhandle = HANDLE;
		return 0;
	case SPDK_FSDEV_IO_READ:
		if (io->u_in.read.fobject != FILE_OBJECT) {
			return io->u_in.read.fobject == ROOT ? -EISDIR : -ESTALE;
		}
		io->u_out.read.data_size = io->u_in.read.size;
		return 0;
	case SPDK_FSDEV_IO_WRITE:
		if (io->u_in.write.fobject != FILE_OBJECT) {
			return io->u_in.write.fobject == ROOT ? -EISDIR : -ESTALE;
		}
		io->u_out.write.data_size = io->u_in.write.size;
		return 0;
	default:
		return -ENOSYS;
	}
}

static void
null_submit(struct spdk_io_channel *ch, struct spdk_fsdev_io *io)
{
	spdk_fsdev_io_complete(io, handle(io));
}

static struct spdk_fsdev g_null;

static struct spdk_io_channel *
null_get_channel(void *ctx)
{
	return spdk_get_io_channel(&g_null);
}

static int
null_destruct(void *ctx)
{
	return 0;
}

static int
null_channel_create(void *device, void *ctx)
{
	return 0;
}

static void
null_channel_destroy(void *device, void *ctx)
{
}

static int
null_init(void)
{
	return 0;
}

static struct spdk_fsdev_module g_module = {
	.name = "null",
	.module_init = null_init,
};

SPDK_FSDEV_MODULE_REGISTER(null, &g_module)

static const struct spdk_fsdev_fn_table g_table = {
	.destruct = null_destruct,
	.submit_request = null_submit,
	.get_io_channel = null_get_channel,
};

void
null_create(void)
{
	int rc;

	spdk_io_device_register(&g_null, null_channel_create, null_channel_destroy, 0, "null");
	g_null.name = strdup(null_name);
	g_null.module = &g_module;
	g_null.fn_table = &g_table;
	rc = spdk_fsdev_register(&g_null);
	if (rc != 0) {
		fail("cannot register the null device: %d", rc);
	}
}
