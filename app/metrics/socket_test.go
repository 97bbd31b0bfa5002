package metrics

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func bindUnix(t *testing.T) *Socket {
	t.Helper()
	addr, err := ParseAddress("unix:" + filepath.Join(t.TempDir(), "m.sock") + ",mode=600")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Bind(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// TestConfine serves a socket from before, whose client has waited, once and nothing else.
func TestConfine(t *testing.T) {
	r := newRig(t)
	s := bindUnix(t)
	early, err := net.Dial("unix", s.File())
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	r.m.Confine(s, syscall.EPERM)
	other := Options{Address: Address{path: s.File(), mode: 0o666}}
	if _, err := r.m.Start(other); !errors.Is(err, syscall.EPERM) {
		t.Errorf("with another mode: %v", err)
	}
	addr, err := r.m.Start(Options{Address: s.Address()})
	if err != nil || addr != s.Address() {
		t.Fatalf("%v, %v", addr, err)
	}
	if code, _, _ := get(t, addr, "/", ""); code != http.StatusOK {
		t.Errorf("%d", code)
	}
	if err := r.m.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := r.m.Start(Options{Address: s.Address()}); !errors.Is(err, syscall.EPERM) {
		t.Errorf("once more: %v", err)
	}
	if _, err := s.FD(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the descriptor of what is gone: %v", err)
	}
}

// TestHeirloom hands a socket on as text, by descriptor: the heir serves it, and leaves the path to others.
func TestHeirloom(t *testing.T) {
	r := newRig(t)
	s := bindUnix(t)
	h, err := s.Bequeath()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	h = Heirloom{}
	if err := json.Unmarshal(text, &h); err != nil {
		t.Fatal(err)
	}
	heir, err := h.Inherit()
	if err != nil || heir.Address() != s.Address() {
		t.Fatalf("%+v, %v", heir, err)
	}
	r.m.Confine(heir, syscall.EPERM)
	if _, err := r.m.Start(Options{Address: heir.Address()}); err != nil {
		t.Fatal(err)
	}
	r.scrape(heir.Address())
	if err := errors.Join(r.m.Stop(), heir.Close()); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(s.File()); err != nil {
		t.Errorf("the heir has removed the path: %v", err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(s.File()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the path is left: %v", err)
	}
}

func TestWhatCannotBeHandedOn(t *testing.T) {
	tcp, err := ParseAddress("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Bind(tcp); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a port: %v", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	fd, err := syscall.Dup(int(r.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (Heirloom{Path: "/x", Listener: fd}).Inherit(); !errors.Is(err, syscall.ENOTSOCK) {
		t.Errorf("a pipe: %v", err)
	}
}
