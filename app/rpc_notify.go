package app

import (
	"math"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

type notificationsParams struct {
	ID  uint64  `json:"id,omitempty" doc:"number of the first event; 0 if left out"`
	Max *uint64 `json:"max,omitempty" doc:"how many events; all if left out"`
}

func getNotifyTypes(t *reactor.Thread, req *rpc.Request[rpc.None, []string]) {
	names := []string{}
	for _, typ := range Of(t).notify.Types() {
		names = append(names, typ.Name())
	}
	req.Reply(names)
}

func getNotifications(t *reactor.Thread, req *rpc.Request[notificationsParams, []NotifyEvent]) {
	limit := uint64(math.MaxUint64)
	if req.Params.Max != nil {
		limit = *req.Params.Max
	}
	req.Reply(append([]NotifyEvent{}, Of(t).notify.Events(req.Params.ID, limit)...))
}

func init() {
	rpc.Register(rpc.Method{Name: "notify_get_types", States: rpc.Runtime,
		Doc: "Tell which kinds of events notify_get_notifications has."}, getNotifyTypes)
	rpc.Register(rpc.Method{Name: "notify_get_notifications", States: rpc.Runtime,
		Doc: "Tell what has happened: devices that came and went, and mounts. The last 1024 events are kept."},
		getNotifications)
}
