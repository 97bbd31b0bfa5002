package spdkgo_test

import (
	"testing"

	"github.com/spdk-go/spdk-go/app/metrics"
)

const metricsIntro = `<!-- Made from the table of app/metrics by ` + "`go test . -run TestMetricsDoc -update`" + `. -->

# Metrics

--metrics ADDR of spdk_tgt, or the RPC metrics_start, serves two things at an address of this machine: /metrics, in
OpenMetrics or the older text format of Prometheus, whichever is asked for; and /, a page that draws the same live and
needs nothing else.

    bin/spdk_tgt --memfs mem0 --mount mem0=/mnt/mem --metrics 127.0.0.1:9464    # http://127.0.0.1:9464/
    bin/spdk_tgt --memfs mem0 --mount mem0=/mnt/mem --metrics unix:/run/spdk/metrics.sock,mode=660
    curl --unix-socket /run/spdk/metrics.sock http://localhost/metrics
    ssh -L 9464:/run/spdk/metrics.sock storage1         # the page of another machine, at http://localhost:9464/

![The page](metrics.png)

Addresses that other machines reach are refused: directories and what is done with them are in here, and there is no
login. A socket lets in its owner and group as far as the umask does, or exactly those that mode says; a TCP port lets
in every user of the machine. Neither lets in a page of another site: who asks has to call it localhost or by a loopback
address, and a proxy has to as well. A process that has locked itself up (--aio, --sandbox, --seccomp) makes no sockets:
it serves the Unix socket that --metrics, or metrics_start in its configuration, has named at its start, and no port,
since whoever takes such a process over could reach other ports of the machine with it. What wants a port gets it from a
program beside it:

    socat TCP-LISTEN:9464,bind=127.0.0.1,fork,reuseaddr UNIX-CONNECT:/run/spdk/metrics.sock

There the process's memory and descriptors are not among the metrics, because /proc is out of its sight, but with
--sandbox landlock or none; and after metrics_stop they cannot be had again.

Prometheus reads it with this in its configuration, and [grafana.json](grafana.json) is a dashboard for what it has
collected:

    scrape_configs:
      - job_name: spdk
        static_configs: [{targets: ["127.0.0.1:9464"]}]

## What it costs

Nothing until somebody asks, but the latencies: while metrics are served, each operation looks at the clock twice,
unless metrics_start says keep_histograms. A scrape reads what reactors publish anyway, and sends one message to each
thread and one to each channel of a device; with histograms the latter takes a reactor some 25 us. There is one scrape
at a time, and an answer is kept for half a second, so more who ask cost reactors nothing. When a thread does not
answer for five seconds, the answer is 503 and says so.

## What there is

Times are seconds and sizes are bytes. Counters begin with the process, or with the thread, device or mount that they
are about; fsdev_get_iostat with reset sets those of devices back, which Prometheus takes for a restart. An operation is
there from its first time on. Latencies are classic histograms, with bounds at powers of two of a nanosecond from 256 ns
to 17 s, and half-way between from 1 us to 134 ms.

Those with --ebpf ([ebpf.md](ebpf.md) says what they mean) are there once it, or ebpf_start, was asked for, and begin
with that; their bounds are 512 ns and twice as much each, up to 550 s. In spdk_reactor_stolen_seconds_total the ten
that took most of a core have names, kworker for all of those; swapper is the CPU itself, which was slow to wake up,
and (other) are all others.

`

const metricsEnd = `
Beside them are those of the Go run-time, of which go_sched_pauses_total_gc_seconds are the pauses of the garbage
collector and go_sched_latencies_seconds what goroutines waited for a CPU, and of the process. A program adds its own
with Register of the package's Manager.
`

// TestMetricsDoc wants docs/metrics.md to have the metrics that there are.
func TestMetricsDoc(t *testing.T) {
	compareGenerated(t, "docs/metrics.md", metricsIntro+string(metrics.Markdown())+metricsEnd)
}
