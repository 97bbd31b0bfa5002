package null

import (
	"fmt"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

type nameParams struct {
	Name string `json:"name" doc:"name of the device"`
}

func createByRPC(t *reactor.Thread, req *rpc.Request[nameParams, string]) {
	f, err := Create(t, req.Params.Name)
	if err != nil {
		req.FailErr(err)
		return
	}
	req.Reply(f.Name())
}

func deleteByRPC(t *reactor.Thread, req *rpc.Request[nameParams, bool]) {
	if err := fsdev.UnregisterByName(t, req.Params.Name, module{}, deletedByRPC, req); err != nil {
		req.FailErr(err)
	}
}

func deletedByRPC(_ *reactor.Thread, ctx any, err error) {
	req := ctx.(*rpc.Request[nameParams, bool])
	if err != nil {
		req.FailErr(fmt.Errorf("null: delete %q: %w", req.Params.Name, err))
		return
	}
	req.Reply(true)
}

// ConfigJSON implements [fsdev.DeviceConfig].
func (d *device) ConfigJSON(f *fsdev.Fsdev) []fsdev.ConfigCall {
	return []fsdev.ConfigCall{{Method: "fsdev_null_create", Params: nameParams{f.Name()}}}
}

func init() {
	rpc.Register(rpc.Method{
		Name: "fsdev_null_create", States: rpc.Runtime,
		Doc: "Create a device that does nothing, for benchmarks. The result is its name.",
	}, createByRPC)
	rpc.Register(rpc.Method{
		Name: "fsdev_null_delete", States: rpc.Runtime,
		Doc: "Delete a device that does nothing. The answer comes when nobody uses it any more.",
	}, deleteByRPC)
}
