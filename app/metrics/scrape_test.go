package metrics

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/reactor"
)

// unasked are metrics that are there only if an operator has switched something on.
var unasked = map[*def]bool{reactorSwitches: true, ebpfEnabled: true, reactorOffCPU: true, reactorStolen: true}

// TestFormats has both formats parsed by who is strict about them.
func TestFormats(t *testing.T) {
	r := newRig(t)
	addr := r.serve("127.0.0.1:0")
	r.work(3)
	code, header, text := get(t, addr, "/metrics", "application/openmetrics-text;version=1.0.0")
	typ := header.Get("Content-Type")
	if code != http.StatusOK || !strings.HasPrefix(typ, "application/openmetrics-text") {
		t.Errorf("%d, %s", code, typ)
	}
	s, err := parseOpenMetrics(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, accept := range []string{"", "*/*", "text/plain", "application/vnd.google.protobuf"} {
		code, header, text := get(t, addr, "/metrics", accept)
		if typ := header.Get("Content-Type"); code != http.StatusOK || !strings.HasPrefix(typ, "text/plain; version=0.0.4") {
			t.Errorf("%s: %d, %s", accept, code, typ)
		}
		parser := expfmt.NewTextParser(model.LegacyValidation)
		families, err := parser.TextToMetricFamilies(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range defs {
			f := families[d.name]
			if f == nil {
				if !strings.HasPrefix(d.name, "spdk_fuse_") && !unasked[d] { // there is no mount
					t.Errorf("there is no %s", d.name)
				}
				continue
			}
			if got := strings.ToLower(f.GetType().String()); got != d.typ || f.GetHelp() != d.help {
				t.Errorf("%s is a %s: %s", d.name, got, f.GetHelp())
			}
		}
	}
	if len(s) < 100 {
		t.Errorf("only %d samples", len(s))
	}
}

func TestCountersMove(t *testing.T) {
	r := newRig(t)
	addr := r.serve("127.0.0.1:0")
	before := r.scrape(addr)
	r.work(10)
	after := r.scrape(addr)
	for key, want := range map[string]float64{
		`spdk_fsdev_operations_total{fsdev="mem0",op="CREATE"}`:                               10,
		`spdk_fsdev_operations_total{fsdev="mem0",op="WRITE"}`:                                10,
		`spdk_fsdev_operations_total{fsdev="mem0",op="UNLINK"}`:                               10,
		`spdk_fsdev_operation_errors_total{fsdev="mem0",op="CREATE"}`:                         0,
		`spdk_fsdev_operation_bytes_total{fsdev="mem0",op="WRITE"}`:                           40960,
		`spdk_fsdev_operation_duration_seconds_count{fsdev="mem0",op="WRITE"}`:                10,
		`spdk_fsdev_operation_duration_seconds_bucket{fsdev="mem0",op="WRITE",le="+Inf"}`:     10,
		`spdk_fsdev_operation_duration_seconds_bucket{fsdev="mem0",op="WRITE",le="2.56e-07"}`: 0,
	} {
		if got := after.value(t, key) - before[key]; got != want {
			t.Errorf("%s grew by %v, want %v", key, got, want)
		}
	}
	for _, key := range []string{
		`spdk_fsdev_operation_errors_total{fsdev="mem0",op="LOOKUP"}`,
		`spdk_fsdev_operation_duration_seconds_sum{fsdev="mem0",op="READ"}`,
		`spdk_thread_messages_total{id="1",thread="app_thread"}`,
		`spdk_metrics_gathers_total{}`,
		`spdk_metrics_gather_timestamp_seconds{}`,
	} {
		if got := after.value(t, key) - before[key]; got <= 0 {
			t.Errorf("%s grew by %v", key, got)
		}
	}
	for key, want := range map[string]float64{
		`spdk_fsdev_operations_in_flight{fsdev="mem0"}`: 0,
		`spdk_fsdev_info{fsdev="mem0",module="memfs"}`:  1,
		`spdk_fsdev_io_pool_size{}`:                     float64(fsdev.GetOpts(r.a.Framework()).IOPoolSize),
		`spdk_iobuf_buffers{pool="small"}`:              8192,
		`spdk_thread_core{id="1",thread="app_thread"}`:  0,
		`spdk_reactor_in_interrupt{core="1"}`:           0,
	} {
		if got := after.value(t, key); got != want {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	sum := after.value(t, `spdk_reactor_busy_seconds_total{core="0"}`) + after[`spdk_reactor_idle_seconds_total{core="0"}`]
	if sum <= 0 || sum > 3600 {
		t.Errorf("the reactor has lived for %v s", sum)
	}
}

// TestHistogramsFollow has devices count latencies while somebody watches, and those only that the operator lets.
func TestHistogramsFollow(t *testing.T) {
	r := newRig(t)
	f := fsdev.Lookup(r.a.Framework(), "mem0")
	addr := r.serve("127.0.0.1:0")
	if !f.HistogramsEnabled() {
		t.Error("they are off")
	}
	switchHistograms(r.a, f, false)
	r.work(1)
	s := r.scrape(addr)
	if f.HistogramsEnabled() || s[`spdk_fsdev_operation_duration_seconds_count{fsdev="mem0",op="READ"}`] > 0 {
		t.Error("what the operator has switched off is on")
	}
	switchHistograms(r.a, f, true)
	if err := r.m.Stop(); err != nil || f.HistogramsEnabled() {
		t.Errorf("after the end: %v, on %v", err, f.HistogramsEnabled())
	}
	addr, err := r.m.Start(Options{Address: addr, KeepHistograms: true})
	if err != nil {
		t.Fatal(err)
	}
	if r.scrape(addr); f.HistogramsEnabled() {
		t.Error("they are on, against the option")
	}
	switchHistograms(r.a, f, true)
	if err := r.m.Stop(); err != nil || !f.HistogramsEnabled() {
		t.Errorf("what somebody else has switched on: %v, on %v", err, f.HistogramsEnabled())
	}
}

// block keeps the app thread busy until the function that it returns is called.
func (r *rig) block() (release func()) {
	began, goOn := make(chan struct{}), make(chan struct{})
	go app.Call(r.a.Thread(), func(*reactor.Thread) {
		close(began)
		<-goOn
	})
	<-began
	return sync.OnceFunc(func() { close(goOn) })
}

// TestScrapesAreShared has many ask while a thread does not answer: they wait for one and the same scrape, or not at
// all.
func TestScrapesAreShared(t *testing.T) {
	r := newRig(t)
	addr := r.serve("127.0.0.1:0")
	first := r.scrape(addr).value(t, `spdk_metrics_gathers_total{}`)
	release := r.block()
	defer release()
	r.m.scraper.timeout = 20 * time.Millisecond
	r.m.scraper.last = nil
	code, _, text := get(t, addr, "/metrics", "")
	if code != http.StatusServiceUnavailable || !strings.Contains(text, "has not answered for") {
		t.Errorf("%d: %s", code, text)
	}
	r.m.scraper.timeout = 20 * time.Second
	var work sync.WaitGroup
	for range 10 {
		work.Go(func() {
			if code, _, text := get(t, addr, "/metrics", ""); code != http.StatusOK {
				t.Errorf("%d: %s", code, text)
			}
		})
	}
	release()
	work.Wait()
	if n := r.scrape(addr).value(t, `spdk_metrics_gathers_total{}`) - first; n > 3 {
		t.Errorf("%v scrapes", n)
	}
}

// thing is a collector that another package brings.
type thing struct{ desc *prometheus.Desc }

func (c thing) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }
func (c thing) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.MustNewConstHistogram(c.desc, 3, 1.5, map[float64]uint64{0.5: 2, 1: 3})
}

func TestRegister(t *testing.T) {
	r := newRig(t)
	addr := r.serve("127.0.0.1:0")
	c := thing{prometheus.NewDesc("spdk_thing_seconds", "A thing.", nil, nil)}
	if err := r.m.Register(c); err != nil {
		t.Fatal(err)
	}
	if err := r.m.Register(c); err == nil {
		t.Error("registered twice")
	}
	if got := r.scrape(addr).value(t, `spdk_thing_seconds_bucket{le="0.5"}`); got != 2 {
		t.Errorf("%v", got)
	}
}

// TestBuckets puts latencies into the buckets of both clocks.
func TestBuckets(t *testing.T) {
	for _, hz := range []uint64{1e9, 2_999_999_999} {
		s := newScale(hz)
		h := &fsdev.Histogram{}
		want := 0.0
		for i := range h.Buckets {
			h.Buckets[i] = uint64(i)
			want += float64(i)
		}
		n, _, buckets := s.convert(h)
		if float64(n) != want {
			t.Errorf("%d Hz: %d of %v", hz, n, want)
		}
		for i := range h.Buckets[:len(h.Buckets)-1] {
			_, high := fsdev.HistogramBucket(i)
			b := s.bound[i]
			if b < len(bounds) && float64(high)/float64(hz) > bounds[b] {
				t.Errorf("%d Hz: bucket %d, below %d ticks, is counted below %v s", hz, i, high, bounds[b])
			}
			// not further up than an eighth takes it
			if b > 0 && float64(high)/float64(hz) < bounds[b-1] {
				t.Errorf("%d Hz: bucket %d, below %d ticks, is counted above %v s", hz, i, high, bounds[b-1])
			}
		}
		if len(buckets) != len(bounds) || len(bounds) >= 64 {
			t.Errorf("%d bounds, %d buckets", len(bounds), len(buckets))
		}
	}
}

// TestNamesOfAnyBytes has labels that are no UTF-8, as paths can be.
func TestNamesOfAnyBytes(t *testing.T) {
	ch := make(chan prometheus.Metric, 1)
	sink(ch).gauge(fuseBacking, 1, "/mnt/\xff")
	if got := (<-ch).Desc().String(); !strings.Contains(got, "spdk_fuse_backing_files") {
		t.Error(got)
	}
}

// TestEndOfTheApplication ends the server, and scrapes that come too late.
func TestEndOfTheApplication(t *testing.T) {
	r := newRig(t)
	addr := r.serve("127.0.0.1:0")
	r.scrape(addr)
	r.stop()
	if c, err := dial(addr); err == nil {
		c.Close()
		t.Error("somebody listens")
	}
	if _, err := r.m.scraper.get(t.Context()); err != nil && !isUnavailable(err) {
		t.Error(err)
	}
	if _, err := r.m.Start(Options{Address: addr}); err == nil {
		t.Error("started after the end")
	}
}
