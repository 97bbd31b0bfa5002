package memfs

import (
	"fmt"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

type createParams struct {
	Name   string `json:"name" doc:"name of the device"`
	Size   uint64 `json:"size,omitempty" doc:"bytes of data there is room for; half of the machine's memory if left out"`
	Inodes uint64 `json:"inodes,omitempty" doc:"files that there can be; one for every 4 KiB of size if left out"`
}

func createByRPC(t *reactor.Thread, req *rpc.Request[createParams, string]) {
	m, err := Create(t, req.Params.Name, Opts{Size: req.Params.Size, Inodes: req.Params.Inodes})
	if err != nil {
		req.FailErr(err)
		return
	}
	req.Reply(m.fsdev.Name())
}

type deleteParams struct {
	Name string `json:"name" doc:"name of the device"`
}

func deleteByRPC(t *reactor.Thread, req *rpc.Request[deleteParams, bool]) {
	if err := fsdev.UnregisterByName(t, req.Params.Name, module{}, deletedByRPC, req); err != nil {
		req.FailErr(err)
	}
}

func deletedByRPC(_ *reactor.Thread, ctx any, err error) {
	req := ctx.(*rpc.Request[deleteParams, bool])
	if err != nil {
		req.FailErr(fmt.Errorf("memfs: delete %q: %w", req.Params.Name, err))
		return
	}
	req.Reply(true)
}

// ConfigJSON implements [fsdev.DeviceConfig]: the file system comes back, its files do not.
//
// Not in SPDK.
func (m *Memfs) ConfigJSON(f *fsdev.Fsdev) []fsdev.ConfigCall {
	st := m.Statfs()
	return []fsdev.ConfigCall{{Method: "fsdev_memfs_create", Params: createParams{
		Name: f.Name(), Size: st.Blocks * uint64(st.Frsize), Inodes: st.Files,
	}}}
}

func init() {
	rpc.Register(rpc.Method{
		Name: "fsdev_memfs_create", States: rpc.Runtime,
		Doc: "Create a file system in memory. The result is its name.",
	}, createByRPC)
	rpc.Register(rpc.Method{
		Name: "fsdev_memfs_delete", States: rpc.Runtime,
		Doc: "Delete a file system in memory, with its files. The answer comes when nobody uses it any more.",
	}, deleteByRPC)
}
