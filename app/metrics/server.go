package metrics

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// MaxConnections is how many clients there can be; further ones are closed at once.
const MaxConnections = 32

// What a client may take its time for. A scrape of its own is within them.
const (
	headerTimeout = 5 * time.Second
	writeTimeout  = scrapeTimeout + 5*time.Second
	idleTimeout   = time.Minute
	maxHeader     = 8 << 10 // bytes

	// closeTimeout is how long answers that are under way may take at the end.
	closeTimeout = time.Second
)

// server serves an address.
type server struct {
	m        *Manager
	addr     Address
	http     http.Server
	serving  sync.WaitGroup // the accepting goroutine
	handlers sync.WaitGroup
	mu       sync.Mutex
	ended    bool // no handler may begin
}

// serve begins to serve l.
func serve(m *Manager, addr Address, l net.Listener) *server {
	s := &server{m: m, addr: addr}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", s.metrics)
	mux.HandleFunc("GET /{$}", s.page)
	s.http = http.Server{
		Handler:           s.guard(mux),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       headerTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          m.httpLog,
	}
	s.serving.Go(func() {
		_ = s.http.Serve(&limitListener{Listener: l, refused: &m.refused}) // until stop
	})
	return s
}

// stop closes the address and all connections, and waits for what uses them.
func (s *server) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	s.serving.Wait()
	s.handlers.Wait()
}

// enter counts a handler, if it may begin.
func (s *server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.handlers.Add(1)
	}
	return !s.ended
}

// guard sets what every answer has, and keeps out pages of others that have made their name one of this machine's.
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.enter() {
			http.Error(w, "the server ends", http.StatusServiceUnavailable)
			return
		}
		defer s.handlers.Done()
		h := w.Header()
		h.Set("Content-Security-Policy", page.policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !s.mayBeCalled(r.Host) {
			http.Error(w, "this server is localhost, and nobody else", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// mayBeCalled says whether a request has a Host that a user of this machine gives it. A socket has a port, too, where
// somebody has made one for it, as ssh -L does. What needs no name, by HTTP 1.0, is no page of a browser.
func (s *server) mayBeCalled(host string) bool {
	return isLocalName(host) || s.addr.path != "" && host == ""
}

// isLocalName says whether the Host of a request names this machine.
func isLocalName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.IsLoopback()
}

func (s *server) metrics(w http.ResponseWriter, r *http.Request) {
	format := formatFor(r.Header)
	res, err := s.m.scraper.get(r.Context())
	var text []byte
	if err == nil {
		text, err = res.text(format)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return // the client has gone
	case err != nil && isUnavailable(err):
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", string(formats[format]))
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write(text)
}

func (s *server) page(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(page.text)))
	_, _ = w.Write(page.text)
}

// limitListener accepts MaxConnections at a time.
type limitListener struct {
	net.Listener
	active  atomic.Int32
	refused *atomic.Uint64
}

// Accept implements [net.Listener].
func (l *limitListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.active.Add(1) <= MaxConnections {
			return &limitedConn{Conn: c, l: l}, nil
		}
		l.active.Add(-1)
		l.refused.Add(1)
		c.Close()
	}
}

type limitedConn struct {
	net.Conn
	l    *limitListener
	once sync.Once
}

// Close implements [net.Conn].
func (c *limitedConn) Close() error {
	c.once.Do(func() { c.l.active.Add(-1) })
	return c.Conn.Close()
}
