package spdkgo_test

import (
	"testing"

	_ "github.com/spdk-go/spdk-go/app" // each brings its RPCs
	_ "github.com/spdk-go/spdk-go/app/ebpf"
	_ "github.com/spdk-go/spdk-go/app/fusemount"
	_ "github.com/spdk-go/spdk-go/app/metrics"
	_ "github.com/spdk-go/spdk-go/modules/aio"
	_ "github.com/spdk-go/spdk-go/modules/memfs"
	_ "github.com/spdk-go/spdk-go/modules/null"
	"github.com/spdk-go/spdk-go/rpc"
)

const rpcIntro = `<!-- Made from the Go types of the RPCs by ` + "`go test . -run TestRPCDoc -update`" + `. -->

# RPCs

What spdk_tgt answers at its RPC socket (-r, /var/tmp/spdk.sock if left out) to SPDK's rpc.py, to the rpc.Client of
Go, and to whatever else speaks JSON-RPC 2.0. The same as JSON Schema: rpc.schema.json. Errors have the codes of
JSON-RPC, -1 for a call in the wrong state, or a negative errno. Methods of SPDK have SPDK's parameters and results,
perhaps with more behind them. An application of your own has the methods of the packages that it imports.

spdk_rpc has a command for each, with parameters as flags or, those that a method wants, in order: "spdk_rpc
fsdev_memfs_create mem0 --size 64M". It prints tables, or JSON (--json), or the request alone (--dry-run); --help of a
command tells what this page does. save_config and load_config write and read configurations, call is for methods
that only the application knows, completion for bash, zsh and fish. It ends with 0 after success, 1 if it was refused,
2 for a wrong command line, 3 without a connection or an answer. test/contract has what SPDK's rpc.py, spdkcli.py and
spdk_top exchange with spdk_tgt, and says how to record it.
`

// TestRPCDoc wants docs/rpc.md and docs/rpc.schema.json to describe the RPCs as they are, and each to be described.
func TestRPCDoc(t *testing.T) {
	for _, m := range rpc.Methods() {
		if m.Doc == "" {
			t.Errorf("%s has no description", m.Name)
		}
		if m.Params == nil {
			continue
		}
		for _, f := range m.Params.Properties {
			if f.Type.Description == "" {
				t.Errorf("parameter %s of %s has no description", f.Name, m.Name)
			}
		}
	}
	schema, err := rpc.Schema()
	if err != nil {
		t.Fatal(err)
	}
	compareGenerated(t, "docs/rpc.md", rpcIntro+string(rpc.Markdown()))
	compareGenerated(t, "docs/rpc.schema.json", string(schema)+"\n")
}
