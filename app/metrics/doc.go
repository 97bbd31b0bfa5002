// Package metrics lets an application be watched: it serves what reactors, threads, pollers, fsdevs, mounts, pools and
// the Go run-time do in the formats of Prometheus, at /metrics of a Unix socket or a TCP port of this machine, and a
// page that draws the same live, at /. Nothing is served unless [Manager.Start], the RPC metrics_start or --metrics of
// spdk_tgt asks for it. docs/metrics.md has the table of the metrics.
//
// A scrape does not get in the way of the reactors. What they count can be read from outside; for the rest one message
// per thread, and one per channel of a device, copies the counts. There is one scrape at a time, whoever asks; what it
// found answers those who ask within [MaxAge]. A client that is slow, or of which there are many, costs a bounded
// number of goroutines ([MaxConnections]), and nothing on a reactor.
//
// Latencies are classic histograms with bounds in seconds, two for a doubling where latencies of file systems are.
// Native histograms would be smaller, but every reader of text, the page among them, and servers without a feature
// switched on can read the classic ones; and the buckets of package fsdev, which are linear between powers of two of a
// tick, are not those of native ones either.
//
// What package app/ebpf finds out is among them while that runs. So importing this one adds the RPCs of that one, too.
// Packages that this one does not know add their own with [Manager.Register].
//
// Errors wrap an errno where there is one. [Manager] belongs to an application; its methods may be called from any
// goroutine, and those that wait must not be called on a reactor.
//
// Not in SPDK, which has RPCs only.
package metrics
