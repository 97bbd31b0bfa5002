package fuzz

import (
	"slices"
	"syscall"

	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// extension is what follows the names of a request that makes a file.
type extension struct {
	raw      []byte
	group    uint32 // the directory's, of which the creator is a member, if hasGroup
	hasGroup bool
	security map[string]string
}

// extension draws what follows: mostly nothing.
func (w *world) extension(v *verdict) (x extension) {
	s := &w.src
	if s.n(4) != 0 {
		return x
	}
	if s.n(2) == 0 {
		x.group, x.hasGroup = uint32(s.n(3)), true
		body := slices.Concat(Bytes(&SuppGroups{NrGroups: 1}), Bytes(&x.group))
		x.add(FUSE_EXT_GROUPS, body)
	}
	n := s.n(4)
	if n == 0 {
		return x
	}
	x.security = map[string]string{}
	var body []byte
	for range n {
		name := one(s, "security.a", "security.b", capability, "security.a", "security.d", "security.", "user.a")
		value := string(w.pattern(one(s, 1, 0, s.byte(), s.byte()*40)))
		_, twice := x.security[name]
		v.when(twice || name == "security." || name == "user.a", syscall.EINVAL, syscall.EOPNOTSUPP)
		x.security[name] = value
		one := slices.Concat(Bytes(&Secctx{Size: uint32(len(value))}), cstr(name), []byte(value))
		body = append(body, padded(one)...)
	}
	x.add(uint32(n), body)
	return x
}

func padded(b []byte) []byte { return append(b, make([]byte, RecAlign(len(b))-len(b))...) }

// add appends a record.
func (x *extension) add(typ uint32, body []byte) {
	h := ExtHeader{Size: uint32(Size[ExtHeader]() + len(body)), Type: typ}
	x.raw = append(x.raw, padded(slices.Concat(Bytes(&h), body))...)
}

// checkRoom says whether there is room for the attributes of a new file and for what else it takes.
func (w *world) checkRoom(v *verdict, x *extension, pages uint64) {
	may, must := w.m.room(xattrPages(x.security) + pages)
	v.when(!may, syscall.ENOSPC)
	if !must {
		v.allow(syscall.ENOSPC)
	}
}
