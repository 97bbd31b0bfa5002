package aio

import (
	"fmt"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

// createRequest has the parameters of SPDK's fsdev_aio_create, with SPDK's defaults but for max_write, and ours.
type createRequest struct {
	Name      string `json:"name" doc:"name of the device"`
	Root      string `json:"root_path" doc:"directory of the host to export"`
	Xattr     bool   `json:"enable_xattr,omitempty" doc:"allow extended attributes"`
	Writeback *bool  `json:"enable_writeback_cache,omitempty" doc:"let clients cache writes; true if left out"`
	MaxWrite  uint32 `json:"max_write,omitempty" doc:"longest write in bytes; 1 MiB if left out"`
	SkipRW    bool   `json:"skip_rw,omitempty" doc:"read and write nothing, and say that it is done"`
	NoOpen    bool   `json:"no_open,omitempty" doc:"let clients use files without opening them"`
	ReadOnly  bool   `json:"read_only,omitempty" doc:"refuse changes"`
	Devices   bool   `json:"allow_devices,omitempty" doc:"let clients make device files"`
	Workers   uint16 `json:"workers,omitempty" doc:"threads for what has to wait; one per CPU and at least 4 if left out"`

	NoKillPriv   bool     `json:"no_killpriv,omitempty" doc:"leave it to clients to take set-user-ID bits away"`
	TranslateUID []string `json:"translate_uid,omitempty" doc:"rules for users of clients, as virtiofsd's"`
	TranslateGID []string `json:"translate_gid,omitempty" doc:"rules for groups of clients, as virtiofsd's"`
	XattrMap     string   `json:"xattrmap,omitempty" doc:"rules for names of extended attributes, as virtiofsd's"`
	PosixACL     bool     `json:"posix_acl,omitempty" doc:"allow access control lists"`
	Label        bool     `json:"security_label,omitempty" doc:"label files when they are created"`
	DirectIO     bool     `json:"allow_direct_io,omitempty" doc:"obey O_DIRECT of clients"`
	Notify       bool     `json:"notify,omitempty" doc:"tell clients what the host changes"`
	Submounts    bool     `json:"announce_submounts,omitempty" doc:"tell clients where the host mounts something"`
	Handles      string   `json:"inode_file_handles,omitempty" doc:"hold files by handles: never, prefer or mandatory"`
	NodeFDs      uint32   `json:"node_fds,omitempty" doc:"descriptors kept of files that are held by handles"`
}

func createByRPC(t *reactor.Thread, req *rpc.Request[createRequest, string]) {
	p := &req.Params
	handles := FileHandlesNever
	if p.Handles != "" {
		var err error
		if handles, err = ParseFileHandles(p.Handles); err != nil {
			req.FailErr(err)
			return
		}
	}
	o := Opts{
		Root:      p.Root,
		ReadOnly:  p.ReadOnly,
		Xattr:     p.Xattr,
		Writeback: p.Writeback == nil || *p.Writeback,
		Devices:   p.Devices,
		MaxWrite:  p.MaxWrite,
		Workers:   int(p.Workers),

		NoKillPriv:    p.NoKillPriv,
		TranslateUID:  p.TranslateUID,
		TranslateGID:  p.TranslateGID,
		XattrMap:      p.XattrMap,
		PosixACL:      p.PosixACL,
		SecurityLabel: p.Label,
		DirectIO:      p.DirectIO,
		Notify:        p.Notify,
		SkipRW:        p.SkipRW,
		NoOpen:        p.NoOpen,

		AnnounceSubmounts: p.Submounts,
		InodeFileHandles:  handles,
		NodeFDs:           int(p.NodeFDs),
	}
	err := o.confine(t.Framework())
	if err == nil {
		_, err = Create(t, p.Name, o)
	}
	if err != nil {
		req.FailErr(err)
		return
	}
	req.Reply(p.Name)
}

type deleteRequest struct {
	Name string `json:"name" doc:"name of the device"`
}

func deleteByRPC(t *reactor.Thread, req *rpc.Request[deleteRequest, bool]) {
	if err := fsdev.UnregisterByName(t, req.Params.Name, module{}, deletedByRPC, req); err != nil {
		req.FailErr(err)
	}
}

func deletedByRPC(_ *reactor.Thread, ctx any, err error) {
	req := ctx.(*rpc.Request[deleteRequest, bool])
	if err != nil {
		req.FailErr(fmt.Errorf("aio: delete %q: %w", req.Params.Name, err))
		return
	}
	req.Reply(true)
}

func init() {
	rpc.Register(rpc.Method{
		Name: "fsdev_aio_create", States: rpc.Runtime,
		Doc: "Export a directory of the host. The result is the name of the device.",
	}, createByRPC)
	rpc.Register(rpc.Method{
		Name: "fsdev_aio_delete", States: rpc.Runtime,
		Doc: "End the export of a directory. The answer comes when nobody uses it any more.",
	}, deleteByRPC)
}
