package aio

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/spdk-go/spdk-go/fsdev"
)

// idMaps are how the users and groups of clients, the guests, are called on the host.
type idMaps struct{ uid, gid idMap }

// idMap translates in both directions, which need not be each other's inverse. What it does not mention stays as it is.
type idMap struct{ toHost, toGuest []idRange }

// idRange is what becomes of the IDs from first to last.
type idRange struct {
	first, last uint32
	to          uint32 // of first, or, if squash, of all
	squash      bool
	forbid      bool
	rule        string // that it comes from
}

// idRule is a kind of rule: its name, and what its numbers mean.
type idRule struct {
	name, form string
	numbers    int
	add        func(m *idMap, n []uint32, rule string) error
}

// idRules are those of virtiofsd's --translate-uid. n has the numbers of the rule, the last one of which is how many
// IDs there are.
var idRules = [...]idRule{
	{"guest", "guest:FROM_GUEST:TO_HOST:COUNT", 3, func(m *idMap, n []uint32, rule string) error {
		return addRange(&m.toHost, idRange{first: n[0], to: n[1], last: n[2], rule: rule})
	}},
	{"host", "host:FROM_HOST:TO_GUEST:COUNT", 3, func(m *idMap, n []uint32, rule string) error {
		return addRange(&m.toGuest, idRange{first: n[0], to: n[1], last: n[2], rule: rule})
	}},
	{"map", "map:GUEST:HOST:COUNT", 3, func(m *idMap, n []uint32, rule string) error {
		err := addRange(&m.toHost, idRange{first: n[0], to: n[1], last: n[2], rule: rule})
		if err == nil {
			err = addRange(&m.toGuest, idRange{first: n[1], to: n[0], last: n[2], rule: rule})
		}
		return err
	}},
	{"squash-guest", "squash-guest:FROM_GUEST:TO_HOST:COUNT", 3, func(m *idMap, n []uint32, rule string) error {
		return addRange(&m.toHost, idRange{first: n[0], to: n[1], last: n[2], squash: true, rule: rule})
	}},
	{"squash-host", "squash-host:FROM_HOST:TO_GUEST:COUNT", 3, func(m *idMap, n []uint32, rule string) error {
		return addRange(&m.toGuest, idRange{first: n[0], to: n[1], last: n[2], squash: true, rule: rule})
	}},
	{"forbid-guest", "forbid-guest:FROM_GUEST:COUNT", 2, func(m *idMap, n []uint32, rule string) error {
		return addRange(&m.toHost, idRange{first: n[0], last: n[1], forbid: true, rule: rule})
	}},
}

// noID is what no user or group is: chown(2) takes it for "as it is".
const noID = math.MaxUint32

// addRange adds a range whose last is yet how many IDs it has.
func addRange(list *[]idRange, r idRange) error {
	count := r.last
	if count == 0 {
		return fmt.Errorf("%q has a count of 0: leave it out", r.rule)
	}
	if room := noID - max(r.first, r.toLast()); count > room {
		return fmt.Errorf("%q goes beyond the last ID, which is %d: its count must be %d at most", r.rule, uint32(noID-1),
			room)
	}
	r.last = r.first + count - 1
	for _, o := range *list {
		if r.first <= o.last && o.first <= r.last {
			return fmt.Errorf("%q overlaps with %q, which says something else of %d: make one of them shorter", r.rule, o.rule,
				max(r.first, o.first))
		}
	}
	*list = append(*list, r)
	slices.SortFunc(*list, func(a, b idRange) int { return int(int64(a.first) - int64(b.first)) })
	return nil
}

// toLast returns where the destination begins that the count must leave room behind.
func (r *idRange) toLast() uint32 {
	if r.squash || r.forbid {
		return 0
	}
	return r.to
}

// parseIDMap reads rules in the forms of virtiofsd.
func parseIDMap(rules []string) (m idMap, err error) {
	for _, rule := range rules {
		name, rest, _ := strings.Cut(rule, ":")
		i := slices.IndexFunc(idRules[:], func(r idRule) bool { return r.name == name })
		if i < 0 {
			var forms []string
			for _, r := range idRules {
				forms = append(forms, r.form)
			}
			return m, fmt.Errorf("%q is not a rule for IDs (want %s)", rule, strings.Join(forms, ", "))
		}
		r := &idRules[i]
		var n []uint32
		for field := range strings.SplitSeq(rest, ":") {
			v, err := strconv.ParseUint(field, 10, 32)
			if err != nil {
				return m, fmt.Errorf("%q: %q is not a number from 0 to %d (want %s)", rule, field, uint32(noID), r.form)
			}
			n = append(n, uint32(v))
		}
		if len(n) != r.numbers {
			return m, fmt.Errorf("%q has %d numbers (want %s)", rule, len(n), r.form)
		}
		if strings.HasPrefix(name, "squash-") && n[1] == noID {
			return m, fmt.Errorf("%q: %d is no ID", rule, uint32(noID))
		}
		if err := r.add(&m, n, rule); err != nil {
			return m, err
		}
	}
	return m, nil
}

// parseIDMaps returns nil if there are no rules.
func parseIDMaps(uid, gid []string) (m *idMaps, err error) {
	if len(uid) == 0 && len(gid) == 0 {
		return nil, nil
	}
	m = new(idMaps)
	if m.uid, err = parseIDMap(uid); err != nil {
		return nil, fmt.Errorf("translation of user IDs: %w", err)
	}
	if m.gid, err = parseIDMap(gid); err != nil {
		return nil, fmt.Errorf("translation of group IDs: %w", err)
	}
	return m, nil
}

// find translates an ID. Errors: EPERM (a client may not use it).
func find(list []idRange, id uint32) (uint32, syscall.Errno) {
	i, _ := slices.BinarySearchFunc(list, id, func(r idRange, id uint32) int {
		if r.last < id {
			return -1
		}
		return 1
	})
	switch {
	case i == len(list) || id < list[i].first:
		return id, 0
	case list[i].forbid:
		return 0, syscall.EPERM
	case list[i].squash:
		return list[i].to, 0
	}
	return list[i].to + id - list[i].first, 0
}

func (m *idMap) host(id uint32) (uint32, syscall.Errno) { return find(m.toHost, id) }

func (m *idMap) guest(id uint32) uint32 {
	id, _ = find(m.toGuest, id) // nothing is forbidden this way
	return id
}

// request translates what a client says. Errors: EPERM.
func (m *idMaps) request(io *fsdev.IO) (errno syscall.Errno) {
	switch io.Type {
	case fsdev.IOSymlink, fsdev.IOMknod, fsdev.IOMkdir, fsdev.IOCreate, fsdev.IOTmpfile:
		if io.UID, errno = m.uid.host(io.UID); errno != 0 {
			return errno
		}
		if io.GID, errno = m.gid.host(io.GID); errno == 0 && io.HasGroup {
			io.Group, errno = m.gid.host(io.Group)
		}
	case fsdev.IOSetattr:
		if io.Flags&fsdev.SetAttrUID != 0 {
			if io.Attr.UID, errno = m.uid.host(io.Attr.UID); errno != 0 {
				return errno
			}
		}
		if io.Flags&fsdev.SetAttrGID != 0 {
			io.Attr.GID, errno = m.gid.host(io.Attr.GID)
		}
	}
	return errno
}

// result translates what a client is told.
func (m *idMaps) result(io *fsdev.IO) {
	switch io.Type {
	case fsdev.IOLookup, fsdev.IOGetattr, fsdev.IOSetattr, fsdev.IOSymlink, fsdev.IOMknod, fsdev.IOMkdir, fsdev.IOLink,
		fsdev.IOCreate, fsdev.IOTmpfile:
		m.attr(&io.OutAttr)
	case fsdev.IOStatx:
		m.attr(&io.OutStatx.Attr)
	}
}

func (m *idMaps) attr(a *fsdev.Attr) {
	a.UID = m.uid.guest(a.UID)
	a.GID = m.gid.guest(a.GID)
}

// reply completes a request.
func (a *Aio) reply(io *fsdev.IO, errno syscall.Errno) {
	if a.ids != nil && errno == 0 {
		a.ids.result(io)
	}
	io.Complete(errno)
}
