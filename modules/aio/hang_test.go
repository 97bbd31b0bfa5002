package aio_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/modules/aio"
	"github.com/spdk-go/spdk-go/reactor"
)

// TestDeleteSaysWhoHangs deletes a device while a call for a client does not come back.
func TestDeleteSaysWhoHangs(t *testing.T) {
	r := newRig(t, aio.Opts{Workers: 2, Patience: 50 * time.Millisecond})
	hanging, release := stall(r, fsdev.IOMkdir)
	stuck := r.start(r.mkdir(root, "dir"))
	r.until(func() bool { return hanging.Load() == 1 && len(r.a.Hanging(0)) > 0 })
	r.until(func() bool { return len(r.a.Hanging(50*time.Millisecond)) == 1 })
	if h := r.a.Hanging(0)[0]; h.Op != "MKDIR" || h.Thread == 0 || h.For < 50*time.Millisecond {
		t.Errorf("%+v", h)
	}
	var said []error
	if !aio.Delete(r.t, r.a, func(_ *reactor.Thread, _ any, err error) { said = append(said, err) }, nil) {
		t.Fatal("it is being deleted already")
	}
	r.until(func() bool { r.h.Advance(time.Millisecond); return len(said) > 0 })
	if !errors.Is(said[0], syscall.ETIMEDOUT) || !strings.Contains(said[0].Error(), "MKDIR") {
		t.Errorf("%v", said[0])
	}
	t.Log(said[0])
	if stuck.done {
		t.Error("what hangs is done")
	}
	release()
	r.until(func() bool { return stuck.done })
	r.until(func() bool {
		_, err := fsdev.Open(r.t, "aio0", func(*reactor.Thread, fsdev.EventType, *fsdev.Fsdev, any) {}, nil)
		return err != nil && strings.Contains(err.Error(), "no such device")
	})
	if len(said) != 1 {
		t.Errorf("it is said again: %v", said)
	}
}

// TestDeleteWaitsForClients has nobody hang, but a client that takes its time.
func TestDeleteWaitsForClients(t *testing.T) {
	r := newRig(t, aio.Opts{Patience: 200 * time.Millisecond})
	desc, err := fsdev.Open(r.t, "aio0", func(*reactor.Thread, fsdev.EventType, *fsdev.Fsdev, any) {}, nil)
	must(t, err)
	var said []error
	aio.Delete(r.t, r.a, func(_ *reactor.Thread, _ any, err error) { said = append(said, err) }, nil)
	end := time.Now().Add(600 * time.Millisecond)
	r.until(func() bool { r.h.Advance(time.Millisecond); return time.Now().After(end) })
	if len(said) != 0 {
		t.Errorf("it is gone: %v", said)
	}
	desc.Close()
	r.until(func() bool { return len(said) == 1 })
	if said[0] != nil {
		t.Error(said[0])
	}
}

// TestDestructGivesUp deletes a device whose last close(2) does not come back.
func TestDestructGivesUp(t *testing.T) {
	r := newRig(t, aio.Opts{Workers: 2, Patience: 50 * time.Millisecond})
	e := r.ok(r.create(root, "file", syscall.O_RDWR)).r
	ch := make(chan struct{})
	var hanging atomic.Int32
	aio.SetCloseHook(r.a, func() {
		hanging.Add(1)
		<-ch
	})
	r.ok(r.release(e.Entry.Node, e.Handle))
	r.until(func() bool { return hanging.Load() == 1 })
	var said []error
	aio.Delete(r.t, r.a, func(_ *reactor.Thread, _ any, err error) { said = append(said, err) }, nil)
	r.until(func() bool { return len(said) == 1 })
	if !errors.Is(said[0], syscall.ETIMEDOUT) || !strings.Contains(said[0].Error(), "close") {
		t.Errorf("%v", said[0])
	}
	close(ch)
	r.until(func() bool { return len(r.a.Hanging(0)) == 0 })
}
