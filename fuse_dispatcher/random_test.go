package fusedispatcher_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/spdk-go/spdk-go/fsdev"
	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/reactor"
)

// history is a random interleaving of everything that clients, transports, modules and
// administrators do. What must hold all the while is checked where requests complete
// (submitDone), what must hold at the end in the bed's close.
type history struct {
	*bed
	rng     *rand.Rand
	held    []*fsdev.IO // by the module, in no order
	deleted **syscall.Errno
	removed *bool
	asked   int        // questions that wait for an answer
	sent    [][][]byte // notifications
}

// ask asks the client for what it has in its cache.
func (h *history) ask() {
	got := func(*reactor.Thread, any, syscall.Errno, [][]byte) { h.asked-- }
	if h.D.Retrieve(fakeFile, 0, 10, got, nil) == 0 {
		h.asked++
	}
}

// answer answers one such question, or none.
func (h *history) answer() {
	if len(h.sent) == 0 {
		return
	}
	msg := h.sent[h.rng.IntN(len(h.sent))]
	if h.rng.IntN(2) == 0 {
		h.D.NotifyRefused(msg, syscall.ENOENT)
		return
	}
	if Overlay[OutHeader](msg[0]).Error == FUSE_NOTIFY_RETRIEVE {
		out := Overlay[NotifyRetrieveOut](msg[0][16:])
		h.submitMessage(message(InHeader{Opcode: FUSE_NOTIFY_REPLY, Unique: out.NotifyUnique, NodeID: out.NodeID},
			Bytes(&NotifyRetrieveIn{Offset: out.Offset, Size: 10}), pattern(h.rng.IntN(12))), 0)
	}
}

// listen keeps the notifications of the dispatcher there is.
func (h *history) listen() {
	h.D.SetNotify(func(_ *reactor.Thread, msg [][]byte, _ any) { h.sent = append(h.sent, msg) }, nil)
}

// hold completes some requests at once and keeps the others.
func (h *history) hold(io *fsdev.IO) {
	if h.rng.IntN(3) > 0 {
		h.held = append(h.held, io)
		return
	}
	h.end(io)
}

func (h *history) end(io *fsdev.IO) {
	errno := syscall.Errno(0)
	if h.rng.IntN(4) == 0 {
		errno = []syscall.Errno{syscall.ENOENT, syscall.EIO, syscall.ESTALE, syscall.ENOMEM}[h.rng.IntN(4)]
	}
	switch {
	case io.Type == fsdev.IOUmount:
		h.FS.Umounted(io)
	case io.Type == fsdev.IOMount && errno == 0:
		h.FS.Mounted(io)
	default:
		if errno == 0 {
			fill(io)
		}
		io.Complete(errno)
	}
}

// abort ends the target, or not, at once or later.
func (h *history) abort(io *fsdev.IO) {
	i := slices.Index(h.held, io.Target)
	if i < 0 || h.rng.IntN(4) == 0 {
		io.Complete(syscall.EALREADY)
		return
	}
	h.held = slices.Delete(h.held, i, i+1)
	io.Target.Complete(syscall.EINTR)
	io.Complete(0)
}

// completeOne completes one of what the module holds, not the oldest in particular.
func (h *history) completeOne() {
	if len(h.held) == 0 {
		return
	}
	i := h.rng.IntN(len(h.held))
	io := h.held[i]
	h.held = slices.Delete(h.held, i, i+1)
	h.On(io.Thread(), func() { h.end(io) })
}

// submit sends a request on a random channel. There may be no room for it.
func (h *history) submit(op uint32, room int, parts ...[]byte) {
	h.submitMessage(h.Message(op, node, parts...), room)
}

func (h *history) submitMessage(m []byte, room int) {
	i := h.rng.IntN(len(h.Chans))
	if h.Chans[i] == nil {
		return
	}
	in := cut(m, h.rng.IntN(len(m)+1))
	out := cut(make([]byte, room), h.rng.IntN(room+1))
	h.On(h.Threads[i], func() {
		if _, errno := h.TrySend(i, in, out); errno != 0 && errno != syscall.ENOBUFS {
			h.TB.Errorf("SubmitRequest: %v", errno)
		}
	})
}

func (h *history) step() {
	switch n := h.rng.IntN(1000); {
	case n < 450:
		h.Poll(h.Threads[h.rng.IntN(len(h.Threads))])
	case n < 650:
		c := &handlerCases[h.rng.IntN(len(handlerCases))]
		h.submit(c.Op, c.Room+h.rng.IntN(2)*64, c.Parts()...)
	case n < 830:
		h.completeOne()
	case n < 860:
		h.submit(FUSE_INTERRUPT, h.rng.IntN(2)*16, u64(h.Unique-uint64(h.rng.IntN(20))*2))
	case n < 870:
		h.submit(FUSE_BATCH_FORGET, 0, Bytes(&BatchForgetIn{Count: 5}), forgets(9, 1, 9, 2, 9, 3, 9, 4))
	case n < 890:
		h.submit(uint32(h.rng.IntN(64)), h.rng.IntN(200), make([]byte, h.rng.IntN(100)))
	case n < 920:
		h.submit(FUSE_INIT, 80, initIn)
	case n < 930:
		h.submit(FUSE_DESTROY, 16)
	case n < 950:
		h.FS.Refuse = nil
		if bad := h.Threads[h.rng.IntN(len(h.Threads))]; h.rng.IntN(4) == 0 {
			h.FS.Refuse = func(t *reactor.Thread) bool { return t == bad }
		}
	case n < 980:
		i := h.rng.IntN(len(h.Chans))
		if h.Chans[i] != nil {
			h.Chans[i].Put()
			h.Chans[i] = nil
		} else {
			h.Chans[i] = h.D.IOChannel(h.Threads[i])
		}
	case n < 984:
		h.FS.Fsdev.Notify(h.T, nil, &notifyCases[h.rng.IntN(len(notifyCases))].n)
	case n < 985:
		h.ask()
	case n < 986:
		h.answer()
	case n < 987:
		h.D.Stats(h.Threads[h.rng.IntN(len(h.Threads))], func(*reactor.Thread, any, *fusedispatcher.Stats) {}, nil)
	case n < 990 && h.removed == nil:
		h.removed = h.StartRemoveFS()
	case n < 993 && h.deleted == nil:
		h.deleted = h.StartDelete(h.Threads[h.rng.IntN(len(h.Threads))])
	}
	h.replace()
}

// replace brings back what has gone.
func (h *history) replace() {
	if h.removed != nil && *h.removed {
		h.removed = nil
		mounts := h.FS.Mounts
		h.FS = newFakeFS(h.TB, h.T, fsName)
		h.FS.Mounts = mounts
		h.hook()
	}
	if h.deleted != nil && *h.deleted != nil {
		h.deleted = nil
		h.Recreate()
		h.listen()
	}
}

func (h *history) hook() {
	h.FS.Do, h.FS.Mount, h.FS.Umount, h.FS.Abort = h.hold, h.hold, h.hold, h.abort
}

// settle lets everything come to its end.
func (h *history) settle() {
	h.FS.Refuse = nil
	for range 10_000 {
		h.PollOnce()
		for len(h.held) > 0 {
			h.completeOne()
		}
		if h.deleted != nil { // it waits for the channels
			for i, ch := range h.Chans {
				if ch != nil {
					ch.Put()
					h.Chans[i] = nil
				}
			}
		}
		h.replace()
		if !h.PollOnce() && len(h.held) == 0 && h.deleted == nil && h.removed == nil {
			return
		}
	}
	h.TB.Errorf("never comes to rest: %d requests under way, Delete %v, removal %v",
		len(h.Live), h.deleted != nil, h.removed != nil)
}

func TestRandomHistories(t *testing.T) {
	histories, steps := 150, 400
	if testing.Short() {
		histories = 15
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for n := range histories {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, uint64(n)))
			h := &history{rng: rng}
			t.Cleanup(func() { // after the bed's close, which ends the session
				if h.asked != 0 && !t.Failed() {
					t.Errorf("seed %d, history %d: %d questions have not been answered", seed, n, h.asked)
				}
			})
			h.bed = newBed(t, 1+rng.IntN(4), fusedispatcher.Opts{})
			h.hook()
			h.listen()
			for range steps {
				h.step()
				if t.Failed() {
					t.FailNow()
				}
			}
			h.settle()
			if len(h.Live) > 0 {
				t.Errorf("opcode %d has not been completed", h.Live[0].Hdr.Opcode)
			}
			if t.Failed() {
				t.Fatalf("seed %d, history %d", seed, n)
			}
		})
	}
}
