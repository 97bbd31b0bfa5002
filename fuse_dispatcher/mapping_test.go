package fusedispatcher_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/iochannel"
	"github.com/spdk-go/spdk-go/reactor"
)

// fakeMapper records what it is asked.
type fakeMapper struct {
	align   uint16
	maps    []fusedispatcher.Mapping
	removed []string // "offset+length"
	all     int      // RemoveAll
	refuse  syscall.Errno
	errno   syscall.Errno                                        // of completions
	hold    func(t *reactor.Thread, cb reactor.MsgFunc, ctx any) // instead of ending RemoveAll at once
}

type mapperCall struct {
	ch    *iochannel.Channel
	errno syscall.Errno
	cb    fsdev.StatusCplFunc
	ctx   any
}

func (m *fakeMapper) MapAlignment() uint16 { return m.align }

func (m *fakeMapper) complete(ch *iochannel.Channel, cb fsdev.StatusCplFunc, ctx any) syscall.Errno {
	if m.refuse != 0 {
		return m.refuse
	}
	ch.Thread().Defer(func(_ *reactor.Thread, ctx any) {
		c := ctx.(*mapperCall)
		c.cb(c.ctx, c.ch, c.errno)
	}, &mapperCall{ch, m.errno, cb, ctx})
	return 0
}

func (m *fakeMapper) SetupMapping(ch *iochannel.Channel, what fusedispatcher.Mapping, cb fsdev.StatusCplFunc,
	ctx any) syscall.Errno {
	m.maps = append(m.maps, what)
	return m.complete(ch, cb, ctx)
}

func (m *fakeMapper) RemoveMapping(ch *iochannel.Channel, offset, length uint64, cb fsdev.StatusCplFunc,
	ctx any) syscall.Errno {
	m.removed = append(m.removed, fmt.Sprintf("%#x+%#x", offset, length))
	return m.complete(ch, cb, ctx)
}

func (m *fakeMapper) RemoveAll(t *reactor.Thread, cb reactor.MsgFunc, ctx any) {
	m.all++
	if m.hold != nil {
		m.hold(t, cb, ctx)
		return
	}
	cb(t, ctx)
}

func TestMapAlignment(t *testing.T) {
	b := newBed(t, 1, fusedispatcher.Opts{Mapper: &fakeMapper{align: 12}})
	for _, align := range []uint16{0, 11, 22, 1<<16 - 1} {
		_, err := fusedispatcher.Create(b.T, fusedispatcher.Opts{FsdevName: fsName, Mapper: &fakeMapper{align: align}})
		if !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), "alignment") {
			t.Errorf("alignment %d: %v", align, err)
		}
	}
	for _, offered := range []uint64{FUSE_MAP_ALIGNMENT, 0} {
		for _, m := range []*fakeMapper{{align: 21}, nil} {
			o := fusedispatcher.Opts{}
			if m != nil {
				o.Mapper = m
			}
			b := newBed(t, 1, o)
			out := b.InitFlags(31, offered)
			want := uint16(0)
			if m != nil && offered != 0 {
				want = 21
			}
			if out.MapAlignment != want || (out.Flags&FUSE_MAP_ALIGNMENT != 0) != (want != 0) {
				t.Errorf("offered %#x, mapper %v: alignment %d, flags %#x", offered, m != nil, out.MapAlignment, out.Flags)
			}
		}
	}
}

const mib2 = 2 << 20

func TestSetupMapping(t *testing.T) {
	m := &fakeMapper{align: 21}
	b := newSession(t, fusedispatcher.Opts{Mapper: m})
	const r, w = FUSE_SETUPMAPPING_FLAG_READ, FUSE_SETUPMAPPING_FLAG_WRITE
	for _, tt := range []struct {
		in   SetupmappingIn
		want syscall.Errno
	}{
		{SetupmappingIn{Fh: math.MaxUint64, Foffset: mib2, Len: mib2, Flags: r, Moffset: 3 * mib2}, 0},
		{SetupmappingIn{Fh: 42, Len: 2 * mib2, Flags: r | w}, 0},
		{SetupmappingIn{Len: mib2}, 0},
		{SetupmappingIn{Len: 0}, syscall.EINVAL},
		{SetupmappingIn{Len: mib2 - 1}, syscall.EINVAL},
		{SetupmappingIn{Len: mib2, Foffset: 4096}, syscall.EINVAL},
		{SetupmappingIn{Len: mib2, Moffset: 4096}, syscall.EINVAL},
		{SetupmappingIn{Len: 1 << 63}, syscall.EINVAL},
		{SetupmappingIn{Len: mib2, Foffset: 1<<63 - mib2}, syscall.EINVAL},
		{SetupmappingIn{Len: mib2, Moffset: 1<<64 - mib2}, syscall.EINVAL},
		{SetupmappingIn{Len: mib2, Flags: 4}, syscall.EINVAL},
		{SetupmappingIn{Len: mib2, Flags: 1 << 63}, syscall.EINVAL},
	} {
		m.maps = nil
		if rep := b.Do(0, FUSE_SETUPMAPPING, node, 16, Bytes(&tt.in)); rep.Errno != tt.want {
			t.Errorf("%+v: %v", tt.in, rep.Errno)
			continue
		}
		if tt.want != 0 {
			if len(m.maps) != 0 {
				t.Errorf("%+v: the mapper saw it", tt.in)
			}
			continue
		}
		want := fusedispatcher.Mapping{
			Object: fakeFile, Handle: fsdev.FileHandle(tt.in.Fh), FileOffset: tt.in.Foffset, WindowOffset: tt.in.Moffset,
			Length: tt.in.Len, Read: tt.in.Flags&r != 0, Write: tt.in.Flags&w != 0,
		}
		if tt.in.Fh == math.MaxUint64 {
			want.Handle = 0
		}
		if diff := cmp.Diff(want, m.maps[0], cmpopts.IgnoreFields(want, "Desc")); diff != "" || m.maps[0].Desc == nil {
			t.Errorf("the mapper saw (-want +got):\n%s", diff)
		}
	}
	ok := Bytes(&SetupmappingIn{Len: mib2})
	m.errno = syscall.ENODEV
	if rep := b.Do(0, FUSE_SETUPMAPPING, node, 16, ok); rep.Errno != syscall.ENODEV {
		t.Errorf("the mapper fails: %v", rep.Errno)
	}
	m.refuse = syscall.ENOMEM
	if rep := b.Do(0, FUSE_SETUPMAPPING, node, 16, ok); rep.Errno != syscall.ENOMEM {
		t.Errorf("the mapper refuses: %v", rep.Errno)
	}
	m.refuse, m.errno = 0, 0
}

// ranges makes the argument of REMOVEMAPPING.
func ranges(count uint32, list ...uint64) []byte {
	b := u32(count)
	for _, v := range list {
		b = append(b, u64(v)...)
	}
	return b
}

func TestRemoveMapping(t *testing.T) {
	for _, tt := range []struct {
		name    string
		in      []byte
		refuse  syscall.Errno
		errno   syscall.Errno
		want    syscall.Errno
		removed []string
	}{
		{name: "one", in: ranges(1, 0, mib2), removed: []string{"0x0+0x200000"}},
		{name: "several", in: ranges(2, 0, mib2, 4*mib2, 2*mib2), removed: []string{"0x0+0x200000", "0x800000+0x400000"}},
		{name: "none", in: ranges(0)},
		{name: "more than said", in: ranges(1, 0, mib2, mib2, mib2), removed: []string{"0x0+0x200000"}},
		{name: "less than said", in: ranges(2, 0, mib2), want: syscall.EINVAL},
		{name: "far less than said", in: ranges(1<<32-1, 0, mib2), want: syscall.EINVAL},
		{name: "a bad one", in: ranges(3, 0, mib2, 1, mib2, mib2, mib2), want: syscall.EINVAL,
			removed: []string{"0x0+0x200000", "0x200000+0x200000"}},
		{name: "empty", in: ranges(1, 0, 0), want: syscall.EINVAL},
		{name: "all fail", in: ranges(2, 0, mib2, mib2, mib2), errno: syscall.EIO, want: syscall.EIO,
			removed: []string{"0x0+0x200000", "0x200000+0x200000"}},
		{name: "all are refused", in: ranges(2, 0, mib2, mib2, mib2), refuse: syscall.ENOMEM, want: syscall.ENOMEM,
			removed: []string{"0x0+0x200000", "0x200000+0x200000"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := &fakeMapper{align: 21, refuse: tt.refuse, errno: tt.errno}
			b := newSession(t, fusedispatcher.Opts{Mapper: m})
			msg := b.Message(FUSE_REMOVEMAPPING, node, tt.in)
			for i := range len(msg) + 1 {
				m.removed = nil
				r := b.Finish(b.Send(0, cut(msg, i), [][]byte{make([]byte, 16)}))
				if r.Errno != tt.want {
					t.Fatalf("answer %v, want %v", r.Errno, tt.want)
				}
				if diff := cmp.Diff(tt.removed, m.removed); diff != "" {
					t.Fatalf("removed (-want +got):\n%s", diff)
				}
			}
		})
	}
}

// However long the list, it does not grow the stack, nor starve the thread.
func TestRemoveMappingOfALongList(t *testing.T) {
	m := &fakeMapper{align: 21}
	b := newSession(t, fusedispatcher.Opts{Mapper: m})
	const n = 10_000
	list := ranges(n)
	for i := range uint64(n) {
		list = append(append(list, u64(i*mib2)...), u64(mib2)...)
	}
	for _, m.refuse = range []syscall.Errno{0, syscall.EIO} {
		m.removed = nil
		if r := b.Do(0, FUSE_REMOVEMAPPING, node, 16, list); r.Errno != m.refuse || len(m.removed) != n {
			t.Errorf("%v after %d ranges", r.Errno, len(m.removed))
		}
	}
	m.refuse = 0
}

func TestMappingsWithoutAMapper(t *testing.T) {
	b := newSession(t, fusedispatcher.Opts{})
	r := b.Do(0, FUSE_SETUPMAPPING, node, 16, Bytes(&SetupmappingIn{Len: mib2}))
	if r.Errno != syscall.ENOSYS {
		t.Errorf("SETUPMAPPING: %v", r.Errno)
	}
	if r := b.Do(0, FUSE_REMOVEMAPPING, node, 16, ranges(1, 0, mib2)); r.Errno != syscall.ENOSYS {
		t.Errorf("REMOVEMAPPING: %v", r.Errno)
	}
}

// At the end of a session everything is unmapped before the module lets go of the files.
func TestSessionEndUnmapsAll(t *testing.T) {
	m := &fakeMapper{align: 21}
	b := newSession(t, fusedispatcher.Opts{Mapper: m})
	var end func()
	m.hold = func(t *reactor.Thread, cb reactor.MsgFunc, ctx any) { end = func() { cb(t, ctx) } }
	r := b.StartDestroy(0)
	b.ExpectNone(r)
	if m.all != 1 || b.FS.Mounts != 1 {
		t.Fatalf("RemoveAll was called %d times; %d mounts", m.all, b.FS.Mounts)
	}
	end()
	b.Expect(r, 0)
	if b.FS.Mounts != 0 {
		t.Error("the module has not been unmounted")
	}
	m.hold = nil
	b.Do(0, FUSE_DESTROY, 0, 16)
	if m.all != 1 {
		t.Errorf("RemoveAll was called %d times without a session", m.all)
	}
}
