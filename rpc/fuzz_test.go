package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spdk-go/spdk-go/reactor"
)

// cut has a framer cut data that come in pieces of n bytes.
func cut(data []byte, n int) (requests []string, bad *Error, partial bool) {
	var f framer
	for len(data) > 0 {
		b := data[:min(n, len(data))]
		data = data[len(b):]
		for len(b) > 0 {
			var request []byte
			if request, b, bad = f.next(b); bad != nil {
				return requests, bad, false
			}
			if request == nil {
				break
			}
			requests = append(requests, string(request))
		}
	}
	return requests, nil, f.partial()
}

// FuzzFramer compares the framer with encoding/json, whole and in pieces: both find the same values, and what the one
// refuses the other does, but for the limits.
func FuzzFramer(f *testing.F) {
	for _, text := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"m","params":{"a":[1,-2.5e+3,true,false,null,"\u00e9\n"]}}`,
		`[{"id":1},{"id":2}] {}`, `{"a":1}{"b":2}`, `[`, `{"a"`, `[1,]`, `{,}`, `01`, `-`, `1.`, `1e`, `"\u12g4"`, `tru`,
		"\x00", "\xff\xfe", `"` + "\x1f" + `"`, strings.Repeat("[", 65), strings.Repeat("[]", 10), `]`, `}`, `"a`, "1 2 3",
		"[1}", `{"a":1]`, `"\x"`, `[1 2]`, `{"a" 1}`, `nullnull`, `truex`,
	} {
		f.Add([]byte(text), 3)
	}
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		requests, bad, partial := cut(data, max(len(data), 1))
		step = max(step&0xff, 1)
		again, badAgain, partialAgain := cut(data, step)
		if len(requests) != len(again) || (bad == nil) != (badAgain == nil) || partial != partialAgain {
			t.Fatalf("in pieces of %d: %q, %v, %v; whole: %q, %v, %v",
				step, again, badAgain, partialAgain, requests, bad, partial)
		}
		dec := json.NewDecoder(bytes.NewReader(data))
		for i, r := range requests {
			if r != again[i] {
				t.Fatalf("request %d is %q whole and %q in pieces", i, r, again[i])
			}
			if !json.Valid([]byte(r)) {
				t.Fatalf("%q passes for JSON", r)
			}
			var want json.RawMessage
			if err := dec.Decode(&want); err != nil || string(want) != r {
				t.Fatalf("request %d is %q; encoding/json says %q, %v", i, r, want, err)
			}
		}
		if bad != nil && utf8.Valid(data) && len(data) < maxValues {
			var v json.RawMessage
			if err := dec.Decode(&v); err == nil && strings.Count(string(v), "[")+strings.Count(string(v), "{") <= maxDepth {
				t.Fatalf("%q is refused: %v", v, bad)
			}
		}
	})
}

// FuzzServer says anything to a server, in pieces, and hangs up: whatever it was, each line of the answer is a response
// or a batch of them, the connection ends, and a client that behaves is answered.
func FuzzServer(f *testing.F) {
	r := newFuzzRig(f)
	for _, text := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"rpc_get_methods"}`, `{"jsonrpc":"2.0","id":1,"method":"rpc_get_methods"`,
		`[{"id":"x","method":"rpc_get_methods","params":{"current":true}},{"method":"none"},1]{"id":2,"method":"none"}`,
		`{"id":null,"method":"rpc_get_methods","params":[]}`, "\x00\x01\x02", `{}{}{}[[]]`, `{"id":{}}`, `"`,
		strings.Repeat("[", 70), `{"method":"` + strings.Repeat("x", 1<<10) + `"}`, " \n\t{}", `{"id":1e999,"method":"a"}`,
	} {
		f.Add([]byte(text), 5)
	}
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		nc := r.dial(t)
		defer nc.Close()
		step = max(step&0xff, 1)
		for b := range slices.Chunk(data, step) {
			if _, err := nc.Write(b); err != nil {
				break // it has been cut off
			}
		}
		_ = nc.CloseWrite()
		answer, err := io.ReadAll(nc)
		if err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("%q: %v", data, err)
		}
		for line := range bytes.Lines(answer) {
			if bad := badResponse(line); bad != "" {
				t.Fatalf("%q is answered with %q: %s", data, line, bad)
			}
		}
		r.check(t)
	})
}

// badResponse says what is wrong with a line that a server has sent.
func badResponse(line []byte) string {
	type response struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Result  json.RawMessage `json:"result"`
		Error   *Error          `json:"error"`
	}
	list := []response{{}}
	into := any(&list[0])
	if line[0] == '[' {
		into = &list
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err.Error()
	}
	if len(list) == 0 {
		return "an empty batch"
	}
	for _, r := range list {
		if r.Version != "2.0" || r.ID == nil || (r.Result == nil) == (r.Error == nil) {
			return "no response"
		}
	}
	return ""
}

// fuzzRig is a server with one method, and a client that behaves.
type fuzzRig struct {
	srv  *Server
	good *Client
}

func newFuzzRig(f *testing.F) *fuzzRig {
	f.Helper()
	log := slog.New(slog.DiscardHandler)
	fw, err := reactor.NewFramework(reactor.Options{Cores: []int{0}, NoPin: true, Log: log})
	if err != nil {
		f.Fatal(err)
	}
	th, err := fw.CreateThread("app_thread", nil)
	if err != nil {
		f.Fatal(err)
	}
	if err := fw.Start(); err != nil {
		f.Fatal(err)
	}
	svc := NewService(th, log)
	svc.SetAllowlist([]string{"rpc_get_methods"})
	f.Cleanup(func() {
		svc.Close()
		fw.Stop()
	})
	srv, err := svc.Listen(filepath.Join(f.TempDir(), "rpc.sock"), ListenOptions{})
	if err != nil {
		f.Fatal(err)
	}
	good, err := Dial(context.Background(), srv.Path())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { good.Close() })
	return &fuzzRig{srv, good}
}

func (r *fuzzRig) dial(t *testing.T) *net.UnixConn {
	t.Helper()
	nc, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: r.srv.Path(), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	return nc
}

func (r *fuzzRig) check(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var names []string
	if err := r.good.Call(ctx, "rpc_get_methods", nil, &names); err != nil || len(names) != 1 {
		t.Fatalf("the other client gets %q, %v", names, err)
	}
}

// FuzzDecode has parameters decoded: nothing panics, and what is accepted is what encoding/json reads.
func FuzzDecode(f *testing.F) {
	type inner struct {
		A int8   `json:"a"`
		B string `json:"b,omitempty"`
	}
	type params struct {
		Name  string          `json:"name"`
		On    *bool           `json:"on,omitempty"`
		N     uint64          `json:"n,omitempty"`
		F     float64         `json:"f,omitempty"`
		List  []inner         `json:"list,omitempty"`
		Inner *inner          `json:"inner,omitempty"`
		Raw   json.RawMessage `json:"raw,omitempty"`
	}
	f.Add([]byte(`{"name":"x","on":true,"n":18446744073709551615,"f":1.5,"list":[{"a":-128}],` +
		`"inner":{"a":1,"b":""},"raw":{}}`))
	f.Add([]byte(`{"name":"x","n":1e1000000000}`))
	f.Add([]byte(`{"name":"x","n":184467440737095516150e-1}`))
	f.Add([]byte(`{"name":"x","name":"y"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) == 0 || !json.Valid(data) || !utf8.Valid(data) {
			return
		}
		var p params
		if err := decodeParams(data, &p, false); err != nil {
			return
		}
		var want params
		if err := json.Unmarshal(data, &want); err != nil && !strings.Contains(string(data), "e") &&
			!strings.Contains(string(data), "E") && !strings.Contains(string(data), ".") {
			t.Fatalf("%q is accepted: %v", data, err)
		} else if err == nil && (p.Name != want.Name || p.N != want.N || len(p.List) != len(want.List)) {
			t.Fatalf("%q is %+v, encoding/json says %+v", data, p, want)
		}
	})
}
