package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/app/fusemount"
	"github.com/spdk-go/spdk-go/app/metrics"
	"github.com/spdk-go/spdk-go/internal/sandbox"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

// configParams are the parameters of calls of a configuration that have to do with a sandbox.
type configParams struct {
	Root       string `json:"root_path"`
	ReadOnly   bool   `json:"read_only"`
	Notify     bool   `json:"notify"`
	Handles    string `json:"inode_file_handles"`
	Mountpoint string `json:"mountpoint"`
	Address    string `json:"address"`
}

// readConfig reads the configuration, and takes from it what the sandbox has to leave.
func (c *containment) readConfig(cfg *config) (err error) {
	if c.config, err = os.ReadFile(cfg.o.ConfigFile); err != nil {
		return err
	}
	parsed, err := rpc.ParseConfig(cfg.o.ConfigFile, c.config)
	if err != nil {
		return err
	}
	for _, s := range parsed.Subsystems {
		for _, entry := range s.Config {
			for _, call := range entry.Calls {
				var p configParams
				// What has another form fails when the call is made.
				if json.Unmarshal(call.Params, &p) == nil {
					c.leave(call.Method, &p)
				}
			}
		}
	}
	return nil
}

func (c *containment) leave(method string, p *configParams) {
	switch method {
	case "fsdev_aio_create":
		if filepath.IsAbs(p.Root) && isDir(p.Root) {
			c.exports = append(c.exports, export{Given: filepath.Clean(p.Root), ReadOnly: p.ReadOnly})
		}
		handles, _ := aio.ParseFileHandles(p.Handles)
		allow(c.options, p.Notify, handles)
	case "fuse_mount":
		if filepath.IsAbs(p.Mountpoint) {
			c.canMount = append(c.canMount, filepath.Clean(p.Mountpoint))
		}
	case "metrics_start":
		if addr, err := metrics.ParseAddress(p.Address); err == nil {
			c.metricsAt = &addr
		}
	}
}

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// subsystems returns what tells the others of the sandbox, before they do anything by RPC.
func (c *containment) subsystems() []app.Subsystem {
	if !c.closed() {
		return nil
	}
	return []app.Subsystem{{
		Name:      "sandbox",
		DependsOn: []string{"fsdev", "fuse"},
		Init: func(t *reactor.Thread, a *app.App, done func(error)) {
			aio.Confine(t.Framework(), c.allow)
			fusemount.Of(a).Confine(fusemount.Confinement{
				Host:          c.host,
				Mountpoints:   c.canMount,
				NoPassthrough: c.mode != sandbox.None && !c.keeps(unix.CAP_SYS_ADMIN),
			})
			metrics.Of(a).Confine(c.metrics, errMetricsLockedUp)
			done(nil)
		},
	}}
}

// errMetricsLockedUp says why metrics_start does nothing in a sandbox.
var errMetricsLockedUp = fmt.Errorf("metrics: a process that has locked itself up makes no sockets, and serves "+
	"metrics once, where it was told to at its start: use --metrics unix:PATH: %w", syscall.EPERM)

func (c *containment) keeps(capability int) bool { return c.options.Keep()&(1<<capability) != 0 }

// allow looks at a device that an RPC, or the configuration, wants to have, see aio.Confine.
func (c *containment) allow(o *aio.Opts) error {
	if o.InodeFileHandles != aio.FileHandlesNever && !c.options.FileHandles {
		return fmt.Errorf("inode file handles are not for a process that has locked itself up without: start it with a "+
			"device that has them (--aio NAME:DIR,inode-file-handles=MODE), or with --sandbox none --seccomp none: %w",
			syscall.EPERM)
	}
	if c.mode == sandbox.None {
		return nil // directories are what they are elsewhere
	}
	if o.Notify && !c.keeps(unix.CAP_SYS_ADMIN) {
		return fmt.Errorf("to hear of changes takes CAP_SYS_ADMIN, which the process has given up: start it with a device "+
			"that does (--aio NAME:DIR,notify), or with --modcaps +sys_admin: %w", syscall.EPERM)
	}
	dir := filepath.Clean(o.Root)
	var has []string
	var readOnly string
	for _, e := range c.exports {
		at, ok := e.find(dir)
		if ok && (o.ReadOnly || !e.ReadOnly) {
			o.At, o.Proc = filepath.Join(c.options.Root(e.Path), at), c.proc
			return nil
		}
		if ok {
			readOnly = e.Given
		}
		if !slices.Contains(has, e.Given) {
			has = append(has, e.Given)
		}
	}
	if readOnly != "" {
		return fmt.Errorf("%s is exported read-only, by a process that has locked itself up with it: %w", readOnly,
			syscall.EROFS)
	}
	return fmt.Errorf("the process has locked itself up with %q and can export no directory but these and those below: "+
		"start it with --aio NAME:%s as well, or with --sandbox none: %w", has, dir, syscall.EPERM)
}

// find returns where in the export a directory is that an operator has named.
func (e *export) find(dir string) (below string, ok bool) {
	for _, name := range []string{e.Given, e.Path} {
		if below, ok := strings.CutPrefix(dir+"/", strings.TrimSuffix(name, "/")+"/"); ok {
			return below, true
		}
	}
	return "", false
}
