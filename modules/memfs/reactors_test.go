package memfs

import (
	"bytes"
	"fmt"
	"sync"
	"syscall"
	"testing"

	"github.com/spdk-go/spdk-go/fsdev"
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// hammer is a client on one of several running reactors. It keeps one operation in flight until it has done
// enough of them.
type hammer struct {
	desc *fsdev.Desc
	ch   *iochannel.Channel
	id   byte
	root fsdev.FileObject
	log  fsdev.FileObject // the file that all append to
	left int
	buf  []byte
	iovs [][]byte
	errs []string
	done chan struct{}
}

const hammerRecord = 100

func (h *hammer) next() {
	h.left--
	var errno syscall.Errno
	switch {
	case h.left < 0:
		h.ch.Put()
		close(h.done)
		return
	case h.left%4 == 0:
		errno = h.desc.Mkdir(h.ch, 0, h.root, []byte("dir"), 0o755, &fsdev.Creator{}, h.onMkdir, h)
	case h.left%4 == 1:
		errno = h.desc.Rmdir(h.ch, 0, h.root, []byte("dir"), h.onRmdir, h)
	case h.left%4 == 2:
		errno = h.desc.Getattr(h.ch, 0, h.log, 0, h.onAttr, h)
	default:
		errno = h.desc.Write(h.ch, 0, h.log, 0, hammerRecord, 0, syscall.O_WRONLY|syscall.O_APPEND, h.iovs, h.onWrite, h)
	}
	if errno != 0 {
		h.check("submit", errno)
		h.left = 0
		h.next()
	}
}

func (h *hammer) check(what string, errno syscall.Errno, allowed ...syscall.Errno) {
	for _, a := range allowed {
		if errno == a {
			return
		}
	}
	if errno != 0 {
		h.errs = append(h.errs, fmt.Sprintf("%s: %v", what, errno))
	}
}

func (h *hammer) onMkdir(_ any, _ *iochannel.Channel, errno syscall.Errno, obj fsdev.FileObject, _ *fsdev.Attr) {
	h.check("mkdir", errno, syscall.EEXIST)
	if errno == 0 {
		h.check("forget", h.desc.Forget(h.ch, 0, obj, 1, func(any, *iochannel.Channel, syscall.Errno) {}, nil))
	}
	h.next()
}

func (h *hammer) onRmdir(_ any, _ *iochannel.Channel, errno syscall.Errno) {
	h.check("rmdir", errno, syscall.ENOENT)
	h.next()
}

func (h *hammer) onAttr(_ any, _ *iochannel.Channel, errno syscall.Errno, a *fsdev.Attr) {
	h.check("getattr", errno)
	if a.Size%hammerRecord != 0 {
		h.errs = append(h.errs, fmt.Sprintf("size %d in the middle of a record", a.Size))
	}
	h.next()
}

func (h *hammer) onWrite(_ any, _ *iochannel.Channel, errno syscall.Errno, n uint64) {
	h.check("write", errno)
	if n != hammerRecord {
		h.errs = append(h.errs, fmt.Sprintf("wrote %d", n))
	}
	h.next()
}

// call runs fn on t and waits for it.
func call(t *reactor.Thread, fn func(t *reactor.Thread)) {
	var wg sync.WaitGroup
	wg.Add(1)
	t.SendMsg(func(t *reactor.Thread, _ any) {
		fn(t)
		wg.Done()
	}, nil)
	wg.Wait()
}

// await starts an operation on t and waits for its completion.
func await(t *reactor.Thread, start func(t *reactor.Thread, done func())) {
	var wg sync.WaitGroup
	wg.Add(1)
	t.SendMsg(func(t *reactor.Thread, _ any) { start(t, wg.Done) }, nil)
	wg.Wait()
}

// plant is a file system on running reactors.
type plant struct {
	t    *testing.T
	ths  []*reactor.Thread
	m    *Memfs
	desc *fsdev.Desc
}

func newPlant(t *testing.T, threads int) *plant {
	fw, err := reactor.NewFramework(reactor.Options{Cores: []int{0, 1}, NoPin: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := fw.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fw.Stop)
	p := &plant{t: t}
	for i := range threads {
		th, err := fw.CreateThread(fmt.Sprint("t", i), nil)
		if err != nil {
			t.Fatal(err)
		}
		p.ths = append(p.ths, th)
	}
	call(p.ths[0], func(th *reactor.Thread) {
		err = fsdev.Initialize(th, fsdev.Opts{})
		if err == nil {
			p.m, err = Create(th, "mem0", Opts{Size: 64 << 20})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	p.desc = p.open()
	return p
}

// open makes one more client, on the first thread.
func (p *plant) open() (desc *fsdev.Desc) {
	p.t.Helper()
	var err error
	call(p.ths[0], func(th *reactor.Thread) {
		desc, err = fsdev.Open(th, "mem0", func(*reactor.Thread, fsdev.EventType, *fsdev.Fsdev, any) {}, nil)
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return desc
}

// mkfile makes a file in the root directory.
func (p *plant) mkfile(name string) fsdev.FileObject {
	p.t.Helper()
	var file result
	await(p.ths[0], func(th *reactor.Thread, done func()) {
		ch := p.desc.IOChannel(th)
		p.desc.Mknod(ch, 0, p.m.fs.root.obj, []byte(name), 0o600, 0, &fsdev.Creator{}, func(
			ctx any, ch *iochannel.Channel, errno syscall.Errno,
			obj fsdev.FileObject, a *fsdev.Attr) {
			onEntry(ctx, ch, errno, obj, a)
			ch.Put()
			done()
		}, &file)
	})
	if file.errno != 0 {
		p.t.Fatal(file.errno)
	}
	return file.obj
}

// close closes the clients and checks that the file system goes.
func (p *plant) close(descs ...*fsdev.Desc) {
	p.t.Helper()
	await(p.ths[0], func(th *reactor.Thread, done func()) {
		for _, d := range append(descs, p.desc) {
			d.Close()
		}
		fsdev.Finish(th, func(_ *reactor.Thread, _ any, err error) {
			if err != nil {
				p.t.Error(err)
			}
			done()
		}, nil)
	})
	if p.m.fs != nil {
		p.t.Error("the file system was not destructed")
	}
}

// TestReactorsShareFiles has running reactors do the same to the same files.
func TestReactorsShareFiles(t *testing.T) {
	const threads = 3
	ops := rounds(40000) / 4 * 4
	p := newPlant(t, threads)
	m, desc := p.m, p.desc
	root, log := m.fs.root.obj, p.mkfile("log")
	var hammers []*hammer
	for i, th := range p.ths {
		h := &hammer{desc: desc, id: byte('a' + i), root: root, log: log, left: ops, done: make(chan struct{})}
		h.buf = bytes.Repeat([]byte{h.id}, hammerRecord)
		h.iovs = [][]byte{h.buf[:30], h.buf[30:]}
		hammers = append(hammers, h)
		th.SendMsg(func(th *reactor.Thread, _ any) {
			h.ch = desc.IOChannel(th)
			h.next()
		}, nil)
	}
	for _, h := range hammers {
		<-h.done
		for _, e := range h.errs {
			t.Errorf("client %c: %s", h.id, e)
		}
	}
	data := make([]byte, threads*ops/4*hammerRecord+1)
	l := new(lane)
	m.fs.initLane(l)
	n, errno := l.read(m.fs.objects.Get(uint64(log)), nil, 0, uint64(len(data)), [][]byte{data})
	l.close()
	if errno != 0 || n != uint64(len(data)-1) {
		t.Errorf("read %d bytes (%v), want %d", n, errno, len(data)-1)
	}
	for data = data[:n]; len(data) > 0; data = data[hammerRecord:] {
		if bytes.Count(data[:hammerRecord], data[:1]) != hammerRecord {
			t.Fatalf("torn record %q", data[:hammerRecord])
		}
	}
	p.close()
}
