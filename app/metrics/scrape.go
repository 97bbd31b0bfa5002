package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"github.com/spdk-go/spdk-go/app"
)

// MaxAge is how old an answer may be. Whoever asks more often, and all who ask together, get the same one.
const MaxAge = 500 * time.Millisecond

// scrapeTimeout is how long a client waits for the reactors. The scrape itself waits on: asking again would not help.
const scrapeTimeout = 5 * time.Second

// The formats there are.
const (
	formatOpenMetrics = iota
	formatText
	numFormats
)

var formats = [numFormats]expfmt.Format{
	expfmt.NewFormat(expfmt.TypeOpenMetrics),
	expfmt.NewFormat(expfmt.TypeTextPlain),
}

// older is what clients ask for that name no version of OpenMetrics.
var older, _ = expfmt.NewOpenMetricsFormat(expfmt.OpenMetricsVersion_0_0_1)

// formatFor returns what a client understands.
func formatFor(h http.Header) int {
	f := expfmt.NegotiateAccept(h, formats[formatText], formats[formatOpenMetrics], older)
	if f.FormatType() == expfmt.TypeOpenMetrics {
		return formatOpenMetrics
	}
	return formatText
}

// result is what a scrape has found.
type result struct {
	at     time.Time
	err    error
	encode func(to expfmt.Encoder) error
	texts  [numFormats]struct {
		once sync.Once
		text []byte
		err  error
	}
}

// text returns the result in a format, made at the first call.
func (r *result) text(format int) ([]byte, error) {
	if r.err != nil {
		return nil, r.err
	}
	t := &r.texts[format]
	t.once.Do(func() {
		var b bytes.Buffer
		enc := expfmt.NewEncoder(&b, formats[format])
		t.err = r.encode(enc)
		if c, ok := enc.(expfmt.Closer); ok && t.err == nil { // the end has a mark
			t.err = c.Close()
		}
		t.text = b.Bytes()
	})
	return t.text, t.err
}

// run does a scrape.
func (s *scraper) run() *result {
	r := &result{at: time.Now()}
	families, err := s.reg.Gather()
	r.err = err
	r.encode = func(to expfmt.Encoder) error {
		for _, f := range families {
			if err := to.Encode(f); err != nil {
				return fmt.Errorf("metrics: %s: %w", f.GetName(), err)
			}
		}
		return nil
	}
	return r
}

// scraper asks the collectors, one scrape at a time.
type scraper struct {
	a       *app.App
	reg     *prometheus.Registry
	timeout time.Duration // scrapeTimeout

	mu      sync.Mutex
	last    *result
	pending *pending
}

type pending struct {
	since time.Time
	done  chan struct{} // closed when r is there
	r     *result
}

// get returns a result that is young enough. It waits for a bounded time. The error wraps ETIMEDOUT if a reactor
// does not answer, and [app.ErrStopped] at the end of the application.
func (s *scraper) get(ctx context.Context) (*result, error) {
	p, r, err := s.begin()
	if p == nil {
		return r, err
	}
	timeout := time.NewTimer(s.timeout)
	defer timeout.Stop()
	select {
	case <-p.done:
		return p.r, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timeout.C:
		return nil, fmt.Errorf("metrics: a thread has not answered for %v: %w",
			time.Since(p.since).Round(time.Millisecond), syscall.ETIMEDOUT)
	}
}

// begin returns a scrape to wait for, or else a result.
func (s *scraper) begin() (*pending, *result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != nil && time.Since(s.last.at) < MaxAge {
		return nil, s.last, nil
	}
	if s.pending != nil {
		return s.pending, nil, nil
	}
	p := &pending{since: time.Now(), done: make(chan struct{})}
	// The application does not end before the scrape.
	err := s.a.Go(func(context.Context) error {
		r := s.run()
		s.mu.Lock()
		s.last, s.pending, p.r = r, nil, r
		s.mu.Unlock()
		close(p.done)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	s.pending = p
	return p, nil, nil
}

// wait waits until no scrape is under way.
func (s *scraper) wait() {
	s.mu.Lock()
	p := s.pending
	s.mu.Unlock()
	if p != nil {
		<-p.done
	}
}

// isUnavailable says whether an error of get is about the application, and not about the metrics.
func isUnavailable(err error) bool {
	return errors.Is(err, syscall.ETIMEDOUT) || errors.Is(err, app.ErrStopped)
}
