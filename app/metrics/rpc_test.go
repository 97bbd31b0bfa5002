package metrics

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/rpc"
)

func TestRPC(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := rpc.Dial(ctx, r.a.RPCSocket())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	path := filepath.Join(t.TempDir(), "m.sock")
	want := info{Enabled: true, Address: "unix:" + path + ",mode=600"}
	params := map[string]any{"address": want.Address, "keep_histograms": true}
	var got info
	for _, step := range []struct {
		method string
		params any
		want   info
		err    error
	}{
		{"metrics_get_info", nil, info{}, nil},
		{"metrics_start", map[string]any{"address": "0.0.0.0:80"}, info{}, syscall.EINVAL},
		{"metrics_start", params, want, nil},
		{"metrics_start", params, info{}, syscall.EALREADY},
		{"metrics_get_info", nil, want, nil},
	} {
		got = info{}
		if err := c.Call(ctx, step.method, step.params, &got); !errors.Is(err, step.err) || got != step.want {
			t.Errorf("%s: %+v, %v, want %+v, %v", step.method, got, err, step.want, step.err)
		}
	}
	saved, err := rpc.SaveConfig(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	text, err := saved.Text()
	if err != nil || !strings.Contains(string(text), "metrics_start") || !json.Valid(text) {
		t.Errorf("saved: %s, %v", text, err)
	}
	var ok bool
	if err := c.Call(ctx, "metrics_stop", nil, &ok); err != nil || !ok {
		t.Errorf("metrics_stop: %v, %v", ok, err)
	}
	if err := c.Call(ctx, "metrics_stop", nil, &ok); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("metrics_stop again: %v", err)
	}
	if err := c.Call(ctx, "metrics_start", map[string]any{"address": "127.0.0.1:0"}, &got); err != nil ||
		!strings.HasPrefix(got.URL, "http://127.0.0.1:") || strings.HasSuffix(got.URL, ":0/") {
		t.Errorf("metrics_start: %+v, %v", got, err)
	}
	if err := c.Call(ctx, "metrics_stop", nil, &ok); err != nil {
		t.Error(err)
	}
	r.m.Confine(nil, syscall.EPERM)
	if err := c.Call(ctx, "metrics_start", params, &got); !errors.Is(err, syscall.EPERM) {
		t.Errorf("confined: %v", err)
	}
}
