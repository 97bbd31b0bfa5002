package loopback

import (
	"syscall"
	"testing"
)

// TestDecodeIsStrict hands replies to the decoder that a dispatcher should never write.
func TestDecodeIsStrict(t *testing.T) {
	reply := func(n uint32, e int32, unique uint64) []byte {
		b := make([]byte, outBufSize)
		le.PutUint32(b, n)
		le.PutUint32(b[4:], uint32(e))
		le.PutUint64(b[8:], unique)
		return b
	}
	const unique = 0x1234
	for _, test := range []struct {
		name     string
		op       uint32
		reply    []byte
		data     []byte
		errno    syscall.Errno
		replyLen uint32
		want     syscall.Errno
	}{
		{"right", opGetattr, reply(120, 0, unique), nil, 0, 120, 0},
		{"right error", opGetattr, reply(16, -2, unique), nil, syscall.ENOENT, 16, syscall.ENOENT},
		{"right data", opRead, reply(20, 0, unique), make([]byte, 8), 0, 20, 0},
		{"no reply expected", opForget, nil, nil, 0, 0, 0},
		{"interrupt without a reply", opInterrupt, nil, nil, 0, 0, 0},
		{"interrupt to be sent again", opInterrupt, reply(16, -11, unique), nil, syscall.EAGAIN, 16, syscall.EAGAIN},
		{"reply to a forget", opForget, reply(16, 0, unique), nil, 0, 16, syscall.EPROTO},
		{"no reply", opGetattr, reply(120, 0, unique), nil, 0, 0, syscall.EPROTO},
		{"shorter than a header", opGetattr, reply(8, 0, unique), nil, 0, 8, syscall.EPROTO},
		{"longer than the buffer", opGetattr, reply(outBufSize+1, 0, unique), nil, 0, outBufSize + 1, syscall.EPROTO},
		{"longer than the data buffer", opRead, reply(25, 0, unique), make([]byte, 8), 0, 25, syscall.EPROTO},
		{"other length than it says", opGetattr, reply(104, 0, unique), nil, 0, 120, syscall.EPROTO},
		{"other length than its operation", opGetattr, reply(104, 0, unique), nil, 0, 104, syscall.EPROTO},
		{"somebody else's", opGetattr, reply(120, 0, unique+2), nil, 0, 120, syscall.EPROTO},
		{"error beside a body", opGetattr, reply(120, -2, unique), nil, syscall.ENOENT, 120, syscall.EPROTO},
		{"positive error", opGetattr, reply(16, 2, unique), nil, syscall.ENOENT, 16, syscall.EPROTO},
		{"two opinions", opGetattr, reply(16, -2, unique), nil, syscall.EIO, 16, syscall.EPROTO},
		{"body where there is none", opUnlink, reply(24, 0, unique), nil, 0, 24, syscall.EPROTO},
		{"short entry", opLookup, reply(136, 0, unique), nil, 0, 136, syscall.EPROTO},
		{"short create", opCreate, reply(144, 0, unique), nil, 0, 144, syscall.EPROTO},
		{"short init", opInit, reply(48, 0, unique), nil, 0, 48, syscall.EPROTO},
		{"init of 7.22", opInit, reply(40, 0, unique), nil, 0, 40, 0},
		{"old init", opInit, reply(24, 0, unique), nil, 0, 24, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := &request{op: test.op, unique: unique, rbuf: test.reply, data: test.data}
			if test.data != nil {
				r.rbuf = test.reply[:outHeaderSize]
			}
			r.decode(test.errno, test.replyLen)
			if r.reply.Errno != test.want {
				t.Errorf("%v, want %v", r.reply.Errno, test.want)
			}
		})
	}
}
