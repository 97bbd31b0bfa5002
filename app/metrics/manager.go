package metrics

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spdk-go/spdk-go/app"
	"github.com/spdk-go/spdk-go/reactor"
)

// Options say where metrics are served, and how.
type Options struct {
	Address Address
	// KeepHistograms leaves it to fsdev_enable_histogram which devices count latencies. Else all do, while metrics are
	// served, which costs two looks at the clock per operation.
	KeepHistograms bool
}

// Manager has the metrics of an application.
type Manager struct {
	a          *app.App
	scraper    scraper
	histograms histograms
	httpLog    *log.Logger
	refused    atomic.Uint64 // connections

	mu    sync.Mutex // held while a server starts or stops
	why   error      // nothing can be served but bound
	bound *Socket    // nil: nothing at all
	o     Options
	end   chan struct{} // closing it stops the server; nil if there is none
	out   chan struct{} // closed when it has stopped
}

var managerKey = reactor.NewExtKey()

// Of returns the metrics of an application that has been started.
func Of(a *app.App) *Manager {
	return a.Framework().Ext(managerKey, func() any { return newManager(a) }).(*Manager)
}

func newManager(a *app.App) *Manager {
	m := &Manager{a: a, httpLog: slog.NewLogLogger(a.Log().With("component", "metrics").Handler(), slog.LevelWarn)}
	m.scraper.a, m.scraper.reg, m.scraper.timeout = a, prometheus.NewRegistry(), scrapeTimeout
	m.scraper.reg.MustRegister(&collector{m: m}, newGoCollector())
	m.scraper.reg.MustRegister(processCollectors()...)
	return m
}

// Register adds the metrics of a collector to those that are served. Collect is called from a plain goroutine, not
// twice at once, and every client waits for it. The error says which metric is known already.
func (m *Manager) Register(c prometheus.Collector) error {
	if err := m.scraper.reg.Register(c); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

// Confine has [Manager.Start] serve s at its address, once, and fail with why otherwise, in a process that may make no
// sockets. s becomes the manager's when it is served; nil: there is none.
func (m *Manager) Confine(s *Socket, why error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.bound, m.why = s, why
}

// listen takes an address.
func (m *Manager) listen(addr *Address) (net.Listener, error) {
	if m.why == nil {
		return addr.listen()
	}
	if m.bound != nil && m.bound.Address() == *addr {
		if l := m.bound.take(); l != nil {
			return l, nil
		}
	}
	return nil, m.why
}

// Start begins to serve, until [Manager.Stop] or the end of the application. It returns the address, with the port if
// the kernel has chosen it. Errors wrap EALREADY if metrics are served, somewhere else perhaps; EADDRINUSE and whatever
// else prevents it; what [Manager.Confine] was given; and [app.ErrStopped].
func (m *Manager) Start(o Options) (Address, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.end != nil {
		return Address{}, fmt.Errorf("metrics: they are served at %v: %w", m.o.Address, syscall.EALREADY)
	}
	l, err := m.listen(&o.Address)
	if err != nil {
		return Address{}, err
	}
	m.histograms.want = !o.KeepHistograms
	m.histograms.follow(m.a) // what happens before the first scrape counts, too
	end, out := make(chan struct{}), make(chan struct{})
	srv := serve(m, o.Address, l)
	err = m.a.Go(func(ctx context.Context) error {
		select {
		case <-ctx.Done():
		case <-end:
		}
		srv.stop()
		close(out)
		return nil
	})
	if err != nil {
		srv.stop()
		return Address{}, err
	}
	m.o, m.end, m.out = o, end, out
	return o.Address, nil
}

// Stop ends what [Manager.Start] began, and waits until no client is left. Devices that count latencies for it alone
// stop that. The error wraps ESRCH if nothing is served.
func (m *Manager) Stop() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.end == nil {
		return fmt.Errorf("metrics: they are not served: %w", syscall.ESRCH)
	}
	close(m.end)
	<-m.out
	m.end, m.out = nil, nil
	m.scraper.wait()
	m.histograms.end(m.a)
	return nil
}

// Options returns with what options metrics are served, and whether they are.
func (m *Manager) Options() (o Options, running bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.o, m.end != nil
}
