package dispatchertest

import (
	"slices"
	"syscall"

	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
	"github.com/spdk-go/spdk-go/reactor"
)

// paint is what reply vectors hold before.
const paint = 0xA5

// Reply is a request on its way and what came of it.
type Reply struct {
	Hdr   Header        // of the request, as far as it was sent
	Out   [][]byte      // for the reply
	Done  int           // how many times it completed
	Errno syscall.Errno // of the completion
	Len   uint32        // of the reply, 0 if there is none

	b      *Bed
	t      *reactor.Thread
	known  int  // bytes of Hdr that have been sent
	inside bool // SubmitRequest has not returned
}

// submitDone checks what holds for every completion.
func submitDone(ctx any, errno syscall.Errno, replyLen uint32) {
	r := ctx.(*Reply)
	tb := r.b.TB
	r.Done++
	r.Errno, r.Len = errno, replyLen
	if r.inside {
		tb.Errorf("opcode %d completed inside SubmitRequest", r.Hdr.Opcode)
	}
	if cur := r.b.cur; cur != nil && r.t != nil && cur != r.t {
		tb.Errorf("opcode %d of %s completed on %s", r.Hdr.Opcode, r.t.Name(), cur.Name())
	}
	if r.Done > 1 {
		tb.Errorf("opcode %d completed %d times", r.Hdr.Opcode, r.Done)
	}
	r.b.Live = slices.DeleteFunc(r.b.Live, func(l *Reply) bool { return l == r })
	r.checkForm()
}

// checkForm wants a well-formed reply, or none.
func (r *Reply) checkForm() {
	tb := r.b.TB
	buf := slices.Concat(r.Out...)
	if int(r.Len) > len(buf) {
		tb.Errorf("opcode %d: reply of %d bytes in %d", r.Hdr.Opcode, r.Len, len(buf))
		return
	}
	if r.Len == 0 {
		if r.expectsReply() && len(buf) >= 16 {
			tb.Errorf("opcode %d: no reply", r.Hdr.Opcode)
		}
		if slices.ContainsFunc(buf, func(c byte) bool { return c != paint }) {
			tb.Errorf("opcode %d: no reply, but the vector was written", r.Hdr.Opcode)
		}
		return
	}
	var hdr OutHeader
	copy(Bytes(&hdr), buf)
	switch {
	case r.Len < 16 || hdr.Len != r.Len:
		tb.Errorf("opcode %d: reply of %d bytes says %d", r.Hdr.Opcode, r.Len, hdr.Len)
	case r.known >= 16 && hdr.Unique != r.Hdr.Unique:
		tb.Errorf("opcode %d: unique %d, want %d", r.Hdr.Opcode, hdr.Unique, r.Hdr.Unique)
	case hdr.Error != -int32(r.Errno) || r.Errno >= 512:
		tb.Errorf("opcode %d: error %d, completed with %d", r.Hdr.Opcode, hdr.Error, r.Errno)
	case hdr.Error != 0 && hdr.Len != 16:
		tb.Errorf("opcode %d: an error reply of %d bytes", r.Hdr.Opcode, hdr.Len)
	case !r.mayReply():
		tb.Errorf("opcode %d: has a reply", r.Hdr.Opcode)
	}
}

func (r *Reply) mayReply() bool {
	if r.known <= 4 {
		return true
	}
	switch r.Hdr.Opcode {
	case FUSE_FORGET, FUSE_BATCH_FORGET, FUSE_NOTIFY_REPLY:
		return false
	}
	return true
}

func (r *Reply) expectsReply() bool { return r.mayReply() && r.Hdr.Opcode != FUSE_INTERRUPT }

// Payload returns the reply behind its header.
func (r *Reply) Payload() []byte {
	buf := slices.Concat(r.Out...)
	if r.Len < 16 {
		return nil
	}
	return buf[16:r.Len]
}
