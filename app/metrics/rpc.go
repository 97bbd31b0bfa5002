package metrics

import (
	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

type startParams struct {
	Address        string `json:"address" doc:"unix:PATH, perhaps with ,mode=OCTAL, or 127.0.0.1:PORT or [::1]:PORT"`
	KeepHistograms bool   `json:"keep_histograms,omitempty" doc:"leave it to fsdev_enable_histogram who counts latencies"`
}

func (p *startParams) start(a *app.App) (info, error) {
	addr, err := ParseAddress(p.Address)
	if err != nil {
		return info{}, err
	}
	if _, err := Of(a).Start(Options{Address: addr, KeepHistograms: p.KeepHistograms}); err != nil {
		return info{}, err
	}
	return getInfo(a)
}

type info struct {
	Enabled bool   `json:"enabled" doc:"metrics are served"`
	Address string `json:"address,omitempty" doc:"where, in the form that metrics_start takes"`
	URL     string `json:"url,omitempty" doc:"where a browser on this machine finds them, unless that is a Unix socket"`
}

func getInfo(a *app.App) (info, error) {
	o, running := Of(a).Options()
	if !running {
		return info{}, nil
	}
	return info{Enabled: true, Address: o.Address.String(), URL: o.Address.URL()}, nil
}

func config(_ *reactor.Thread, a *app.App) []fsdev.ConfigCall {
	o, running := Of(a).Options()
	if !running {
		return nil
	}
	p := startParams{Address: o.Address.String(), KeepHistograms: o.KeepHistograms}
	return []fsdev.ConfigCall{{Method: "metrics_start", Params: p}}
}

func init() {
	app.RegisterSubsystem(app.Subsystem{
		Name:      "metrics",
		DependsOn: []string{"fsdev", "fuse"},
		Init:      func(_ *reactor.Thread, _ *app.App, done func(error)) { done(nil) },
		Config:    config, // there is no end: the server has one with the application's
	})
	rpc.Register(rpc.Method{
		Name: "metrics_start", States: rpc.Runtime,
		Doc: "Serve metrics in the formats of Prometheus, and a page that draws them, on this machine.",
	}, func(t *reactor.Thread, req *rpc.Request[startParams, info]) { app.Answer(t, req, req.Params.start) })
	rpc.Register(rpc.Method{
		Name: "metrics_stop", States: rpc.Runtime,
		Doc: "Serve metrics no longer.",
	}, func(t *reactor.Thread, req *rpc.Request[rpc.None, bool]) {
		app.Answer(t, req, func(a *app.App) (bool, error) { return true, Of(a).Stop() })
	})
	rpc.Register(rpc.Method{
		Name: "metrics_get_info", States: rpc.Runtime,
		Doc: "Tell whether metrics are served, and where.",
	}, func(t *reactor.Thread, req *rpc.Request[rpc.None, info]) { app.Answer(t, req, getInfo) })
}
