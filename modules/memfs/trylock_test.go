package memfs

import (
	"syscall"
	"testing"
)

func TestTryLock(t *testing.T) {
	const dead = syscall.ESTALE
	type call struct {
		what string
		want any
	}
	tests := []struct {
		name  string
		calls []call
	}{
		{"readers share", []call{{"r", 0}, {"r", 0}, {"w", errBusy}, {"-r", false}, {"-r", false}, {"w", 0}}},
		{"a writer is alone", []call{{"w", 0}, {"r", errBusy}, {"R", errBusy}, {"w", errBusy}, {"-w", false}, {"r", errBusy},
			{"R", 0}}},
		{"a wish turns readers away", []call{{"r", 0}, {"w", errBusy}, {"r", errBusy}, {"-r", false}, {"r", errBusy},
			{"w", 0}, {"-w", false}, {"r", 0}}},
		{"a reader can insist", []call{{"r", 0}, {"w", errBusy}, {"R", 0}, {"-r", false}, {"-r", false}, {"R", 0},
			{"-r", false}, {"r", 0}}},
		{"dead when free", []call{{"kill", true}, {"r", dead}, {"R", dead}, {"w", dead}}},
		{"dead when read", []call{{"r", 0}, {"r", 0}, {"kill", false}, {"r", dead}, {"-r", false}, {"-r", true}}},
		{"dead when written", []call{{"w", 0}, {"r", errBusy}, {"kill", false}, {"-w", true}, {"w", dead}}},
		{"dead and wanted", []call{{"r", 0}, {"w", errBusy}, {"kill", false}, {"-r", true}, {"w", dead}}},
	}
	for _, tt := range tests {
		var k tryLock
		for i, c := range tt.calls {
			var got any
			switch c.what {
			case "r":
				got = k.rlock(false)
			case "R":
				got = k.rlock(true)
			case "w":
				got = k.lock()
			case "-r":
				got = k.runlock()
			case "-w":
				got = k.unlock()
			case "kill":
				got = k.kill()
			}
			want := c.want
			if want == 0 {
				want = syscall.Errno(0)
			}
			if got != want {
				t.Errorf("%s: call %d, %s: got %v, want %v", tt.name, i, c.what, got, want)
			}
		}
	}
}

// TestDeadInode lets an inode die while it is locked: it is freed by whoever unlocks it.
func TestDeadInode(t *testing.T) {
	r := newRig(t, Opts{})
	f := r.mkfile(r.root, "f")
	r.put1(f, 0, make([]byte, 10000))
	n := r.node(f)
	r.must(r.remove(r.root, []byte("f"), false))
	r.must(n.lk.rlock(false))
	r.forget(f, 1)
	if used := r.fs.used.Load(); used != 3 {
		t.Errorf("%d pages charged while the file is being read, want 3", used)
	}
	r.want("getattr of a dead inode", r.getattr(n, &r.attr), syscall.ESTALE)
	_, errno := r.write(n, 0, 1, [][]byte{{1}}, writeMode{})
	r.want("write to a dead inode", errno, syscall.ESTALE)
	_, errno = r.fopen(r.desc, n, 0)
	r.want("open of a dead inode", errno, syscall.ESTALE)
	_, errno = r.flock(r.desc, n, nil, 1, syscall.LOCK_SH, nil)
	r.want("flock of a dead inode", errno, syscall.ESTALE)
	r.runlock(n)
	r.umount(r.desc)
	r.checkEmpty()
}
