package jsonrpcserver_test

import (
	"fmt"
	"testing"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
	"github.com/spdk-go/spdk-go/rpc/rpctest"
)

type subtractParams struct {
	Minuend    int32 `json:"minuend"`
	Subtrahend int32 `json:"subtrahend"`
}

func init() {
	both := rpc.Startup | rpc.Runtime
	rpc.Register(rpc.Method{Name: "subtract", States: both, Doc: "Subtract."},
		func(_ *reactor.Thread, req *rpc.Request[subtractParams, int32]) {
			if req.Params.Minuend < req.Params.Subtrahend {
				// SPDK begins to write a result and then changes its mind; here one is said or the other.
				req.Fail(rpc.InvalidParams, "Invalid parameters (%d)", req.Params.Minuend)
				return
			}
			req.Reply(req.Params.Minuend - req.Params.Subtrahend)
		})
	rpc.Register(rpc.Method{Name: "update", States: both, Doc: "Nothing."},
		func(_ *reactor.Thread, req *rpc.Request[rpc.None, bool]) { req.Reply(true) })
}

func response(id, rest string) string { return `{"jsonrpc":"2.0","id":` + id + `,` + rest + `}` }

func errorOf(code int, message string) string {
	return fmt.Sprintf(`"error":{"code":%d,"message":%q}`, code, message)
}

var (
	invalid  = response("null", errorOf(rpc.InvalidRequest, "Invalid request"))
	parseErr = response("null", errorOf(rpc.ParseError, "Parse error"))
)

func dial(t *testing.T) *rpctest.Wire {
	t.Helper()
	return rpctest.Dial(t, rpctest.Listen(t, rpctest.NewService(t, nil), rpc.ListenOptions{}).Path())
}

func TestParseRequest(t *testing.T) {
	w := dial(t)
	w.Expect(`{   }`, invalid)
	w.Expect(`{"jsonrpc":"2.0", "method": null  }`, invalid)
	w.Expect(`{"jsonrpc":"42", "method": "subtract"}`, invalid)
	w.Expect(`{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}`,
		response("3", `"result":19`))
	// Positional parameters are a request, but no method here has such.
	w.Expect(`{"jsonrpc":"2.0","method":"subtract","params":[42,23],"id":1}`,
		response("1", errorOf(rpc.InvalidParams, "Invalid parameters: want an object")))
	w.Expect(`{"jsonrpc": "2.0", "method": 1, "params": "bar"}`, invalid)
	w.Expect(`{"jsonrpc":"2.0","method":"update","id":1,"more":1}`, invalid)
	w.Expect(`[]`, invalid)
	// Two notifications, which are not answered, and something that is.
	w.Expect(`{"jsonrpc": "2.0", "method": "update"}{"jsonrpc": "2.0", "method": "update", "id": null}`+
		`{"method":"update","id":"x"}`, response(`"x"`, `"result":true`))
	for _, bad := range []string{
		"{\"jsonrpc\":\"2.0\",\"method\":\"foo\",\"params\":{\"bar\": \"\x00\x00baz\"}}",
		`{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]`,
		`[{"jsonrpc": "2.0", "method": "subtract", "id": "1"},{"jsonrpc": "2.0", "method"]`,
	} {
		w := dial(t)
		w.Expect(bad, parseErr, "") // and the end of the connection
	}
}

func TestParseRequestStreaming(t *testing.T) {
	w := dial(t)
	const one, two = `{"jsonrpc":"2.0","method":"update","id":1}`, `    {"jsonrpc":"2.0","method":"update","id":2}`
	w.Expect(one+two, response("1", `"result":true`), response("2", `"result":true`))
	for _, c := range []byte(two[:len(two)-1]) {
		w.Say(string(c))
	}
	if !w.Silent(0) {
		t.Error("half a request is answered")
	}
	w.Expect("}", response("2", `"result":true`))
}

func TestErrorResponse(t *testing.T) {
	dial(t).Expect(`{"jsonrpc":"2.0","method":"subtract","params":{"subtrahend":23},"id":3}`,
		response("3", errorOf(rpc.InvalidParams, "Invalid parameters: minuend: missing")))
}

func TestErrorResponseFmt(t *testing.T) {
	dial(t).Expect(`{"jsonrpc":"2.0","method":"subtract","params":{"subtrahend":23,"minuend":5},"id":3}`,
		response("3", errorOf(rpc.InvalidParams, "Invalid parameters (5)")))
}

func TestBatchRequest(t *testing.T) {
	w := dial(t)
	update := func(id string) string { return `{"jsonrpc":"2.0","method":"update","id":` + id + `}` }
	yes := func(id string) string { return response(id, `"result":true`) }
	w.Expect(`[`+update("1")+`]`, `[`+yes("1")+`]`)
	w.Expect(`[`+update(`"1"`)+`,`+update(`"2"`)+`]`, `[`+yes(`"1"`)+`,`+yes(`"2"`)+`]`)
	w.Expect(`[{"jsonrpc":"2.0","method":"update"},`+update("1")+`]`, `[`+yes("1")+`]`)
	w.Expect(`[`+update("1")+`,{"foo":"bar"},`+update("2")+`]`, `[`+yes("1")+`,`+invalid+`,`+yes("2")+`]`)
	w.Expect(`[1,2,3]`, `[`+invalid+`,`+invalid+`,`+invalid+`]`)
	w.Expect(`[{"method":"update"},{"method":"update"}]`+update("3"), yes("3"))
	w.Expect(`[]`, invalid)
}
