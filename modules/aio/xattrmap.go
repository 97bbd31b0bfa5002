package aio

import (
	"fmt"
	"strings"
	"syscall"
	"unicode"
)

// xattrMap says what the extended attributes of clients are called on the host, and the other way round, in the manner
// of virtiofsd's --xattrmap. The first rule that matches counts. nil: names are the same.
type xattrMap []xattrRule

// xattrRule is about names of clients that begin with key, or names of the host that begin with prepend, or both.
type xattrRule struct {
	kind           xattrKind
	client, server bool
	key, prepend   string
}

type xattrKind int

const (
	xattrOK          xattrKind = iota // the name stays as it is
	xattrBad                          // EPERM, and not listed
	xattrUnsupported                  // EOPNOTSUPP, and not listed
	xattrPrefix                       // the host's name has prepend before it
)

const (
	xattrForm = ":TYPE:SCOPE:KEY:PREPEND:, where TYPE is prefix, ok, bad or unsupported and SCOPE client, server or " +
		"all, or :map:KEY:PREPEND: as the last one"
	xattrRest = "end with a rule for the rest, like :ok:all::: or :bad:all:::"
)

// parseXattrMap reads rules in the form of virtiofsd: each begins with a separator of its own choice, which also ends
// each of its fields, and there may be white space between them.
func parseXattrMap(text string) (m xattrMap, err error) {
	rest := strings.TrimSpace(text)
	if rest == "" {
		return nil, fmt.Errorf("there is no rule (want %s)", xattrForm)
	}
	mapped := false
	for n := 1; rest != ""; n++ {
		fail := func(format string, args ...any) (xattrMap, error) {
			return nil, fmt.Errorf("rule %d, %q: %s", n, rest, fmt.Sprintf(format, args...))
		}
		if mapped {
			return fail("nothing can follow a map: put it last")
		}
		sep := rest[:1]
		if r := rune(rest[0]); r >= unicode.MaxASCII || unicode.IsLetter(r) || unicode.IsDigit(r) {
			return fail("it begins with %q, not with a separator, for instance a colon (want %s)", sep, xattrForm)
		}
		typ, after, ok := strings.Cut(rest[1:], sep)
		fields := [3]string{"all"}
		from := 0
		if typ == "map" {
			from, mapped = 1, true
		}
		for i := from; i < len(fields) && ok; i++ {
			fields[i], after, ok = strings.Cut(after, sep)
		}
		if !ok {
			return fail("it ends too early: each field is followed by a %q (want %s)", sep, xattrForm)
		}
		scope, key, prepend := fields[0], fields[1], fields[2]
		if strings.IndexByte(key+prepend, 0) >= 0 {
			return fail("names cannot have a NUL")
		}
		r := xattrRule{key: key, prepend: prepend, client: scope != "server", server: scope != "client"}
		if scope != "client" && scope != "server" && scope != "all" {
			return fail("%q is not a scope (want client, server or all)", scope)
		}
		switch typ {
		case "ok":
			r.kind = xattrOK
		case "bad":
			r.kind = xattrBad
		case "unsupported":
			r.kind = xattrUnsupported
		case "prefix":
			r.kind = xattrPrefix
		case "map":
			if prepend == "" {
				return fail("the prefix to prepend is empty: map would change nothing, so use :ok:all:::")
			}
			m = append(m, mapRules(key, prepend)...)
		default:
			return fail("%q is not a type of rules (want prefix, ok, bad, unsupported or map)", typ)
		}
		if typ != "map" {
			m = append(m, r)
		}
		rest = strings.TrimSpace(after)
	}
	return m, m.covers()
}

// mapRules are what map stands for: names that begin with key, or all, are moved behind prepend, and what is there, or
// would be taken for it, can be reached in no other way.
func mapRules(key, prepend string) xattrMap {
	m := xattrMap{{kind: xattrPrefix, client: true, server: true, key: key, prepend: prepend}}
	if key == "" {
		return append(m, xattrRule{kind: xattrBad, client: true, server: true})
	}
	return append(m,
		xattrRule{kind: xattrBad, server: true, prepend: key},
		xattrRule{kind: xattrBad, client: true, key: prepend},
		xattrRule{kind: xattrOK, client: true, server: true})
}

// covers returns an error unless there is a rule for each name.
func (m xattrMap) covers() error {
	client, server := false, false
	for _, r := range m {
		client = client || r.client && r.key == ""
		server = server || r.server && r.prepend == ""
	}
	switch {
	case !client && !server:
		return fmt.Errorf("some names match no rule: %s", xattrRest)
	case !client:
		return fmt.Errorf("some names of clients match no rule: %s", xattrRest)
	case !server:
		return fmt.Errorf("some names of the host match no rule: %s", xattrRest)
	}
	return nil
}

// host returns what the host calls an attribute of a client. Errors: EPERM, EOPNOTSUPP.
func (m xattrMap) host(name string) (string, syscall.Errno) {
	for i := range m {
		r := &m[i]
		if !r.client || !strings.HasPrefix(name, r.key) {
			continue
		}
		switch r.kind {
		case xattrBad:
			return "", syscall.EPERM
		case xattrUnsupported:
			return "", syscall.EOPNOTSUPP
		case xattrPrefix:
			return r.prepend + name, 0
		}
		break
	}
	return name, 0
}

// guest returns what clients call an attribute of the host, "" if they do not get to see it.
func (m xattrMap) guest(name string) string {
	for i := range m {
		r := &m[i]
		if !r.server || !strings.HasPrefix(name, r.prepend) {
			continue
		}
		switch r.kind {
		case xattrBad, xattrUnsupported:
			return ""
		case xattrPrefix:
			return name[len(r.prepend):]
		}
		break
	}
	return name
}
