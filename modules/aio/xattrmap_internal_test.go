package aio

import (
	"strings"
	"syscall"
	"testing"
)

// TestXattrMap translates names both ways.
func TestXattrMap(t *testing.T) {
	type to struct {
		name, want string
		errno      syscall.Errno
	}
	for _, tc := range []struct {
		name, text string
		host       []to // of clients
		guest      []to // of the host; "": not listed
	}{
		{"prefix everything", ":prefix:all::user.virtiofs.::bad:all:::",
			[]to{{"user.a", "user.virtiofs.user.a", 0}, {"trusted.b", "user.virtiofs.trusted.b", 0}},
			[]to{{name: "user.virtiofs.trusted.b", want: "trusted.b"}, {name: "trusted.b"}, {name: "user.virtiofs."}}},
		{"prefix some, other separators and white space", "  /prefix/all/trusted./user.virtiofs./\n" +
			"\t|bad|server||trusted.|\n#bad#client#user.virtiofs.## !ok!all!!! ",
			[]to{{"trusted.x", "user.virtiofs.trusted.x", 0}, {"user.virtiofs.x", "", syscall.EPERM}, {"user.x", "user.x", 0}},
			[]to{{name: "user.virtiofs.trusted.x", want: "trusted.x"}, {name: "trusted.x"}, {name: "user.x", want: "user.x"}}},
		{"hide", "/bad/all/security./security./ /ok/all///",
			[]to{{"security.selinux", "", syscall.EPERM}, {"user.x", "user.x", 0}},
			[]to{{name: "security.selinux"}, {name: "user.x", want: "user.x"}}},
		{"unsupported", ":unsupported:client:security.:::unsupported:server::security.::ok:all:::",
			[]to{{"security.x", "", syscall.EOPNOTSUPP}, {"user.x", "user.x", 0}},
			[]to{{name: "security.x"}, {name: "user.x", want: "user.x"}}},
		{"map everything", ":map::user.virtiofs.:",
			[]to{{"trusted.x", "user.virtiofs.trusted.x", 0}, {"user.virtiofs.x", "user.virtiofs.user.virtiofs.x", 0}},
			[]to{{name: "user.virtiofs.trusted.x", want: "trusted.x"}, {name: "user.x"}}},
		{"map some", ":map:security.:trusted.guest.:",
			[]to{{"security.x", "trusted.guest.security.x", 0}, {"trusted.guest.x", "", syscall.EPERM},
				{"user.x", "user.x", 0}},
			[]to{{name: "trusted.guest.security.x", want: "security.x"}, {name: "security.x"},
				{name: "user.x", want: "user.x"}}},
		{"the first one counts", ":ok:all:user.a:user.a::bad:all:user.:user.::ok:all:::",
			[]to{{"user.ab", "user.ab", 0}, {"user.b", "", syscall.EPERM}},
			[]to{{name: "user.ab", want: "user.ab"}, {name: "user.b"}}},
	} {
		m, err := parseXattrMap(tc.text)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		for _, x := range tc.host {
			if got, errno := m.host(x.name); got != x.want || errno != x.errno {
				t.Errorf("%s: a client's %q is %q, %v; want %q, %v", tc.name, x.name, got, errno, x.want, x.errno)
			}
		}
		for _, x := range tc.guest {
			if got := m.guest(x.name); got != x.want {
				t.Errorf("%s: the host's %q is %q, want %q", tc.name, x.name, got, x.want)
			}
		}
	}
}

// TestXattrMapErrors wants errors that say what to do.
func TestXattrMapErrors(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{" ", "there is no rule (want :TYPE:SCOPE:KEY:PREPEND:, where"},
		{"ok:all:::", `rule 1, "ok:all:::": it begins with "o", not with a separator, for instance a colon`},
		{":ok:all::: x", `rule 2, "x": it begins with "x"`},
		{":ok:all::", `it ends too early: each field is followed by a ":"`},
		{":", "it ends too early"},
		{":map:key:", "it ends too early"},
		{":fine:all:::", `"fine" is not a type of rules (want prefix, ok, bad, unsupported or map)`},
		{":ok:some:::", `"some" is not a scope (want client, server or all)`},
		{":ok:client:::", "some names of the host match no rule: end with a rule for the rest, like :ok:all::: or"},
		{":ok:server:::", "some names of clients match no rule"},
		{":bad:all:user.:user.:", "some names match no rule"},
		{":map::user.x.::ok:all:::", `rule 2, ":ok:all:::": nothing can follow a map: put it last`},
		{":map:::", "the prefix to prepend is empty"},
		{":ok:all:\x00::", "names cannot have a NUL"},
	} {
		_, err := parseXattrMap(tc.text)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: %v, want %q", tc.text, err, tc.want)
		}
	}
	// ACLs are where they are.
	for text, want := range map[string]string{
		"": "", ":ok:all:::": "", ":ok:all:system.posix_acl_:system.posix_acl_::map::user.v.:": "",
		":map::user.v.:": "system.posix_acl_access", ":bad:client:system.:: :ok:all:::": "system.posix_acl_access",
		":bad:server::system.posix_acl_default: :ok:all:::": "system.posix_acl_default",
	} {
		o := Opts{XattrMap: text, PosixACL: true}
		err := o.Check()
		if (want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), want+", where ACLs") {
			t.Errorf("%q with ACLs: %v", text, err)
		}
	}
}

// FuzzXattrMap wants what can be read to have an answer for each name, and an inverse where there is one.
func FuzzXattrMap(f *testing.F) {
	f.Add(":map:security.:trusted.guest.:", "security.selinux")
	f.Add("/prefix/all//user./ |bad|all|||", "user.x")
	f.Fuzz(func(t *testing.T, text, name string) {
		m, err := parseXattrMap(text)
		if err != nil {
			return
		}
		host, errno := m.host(name)
		if errno == 0 && !strings.HasSuffix(host, name) {
			t.Errorf("%q is %q", name, host)
		}
		if guest := m.guest(name); !strings.HasSuffix(name, guest) {
			t.Errorf("%q is %q for clients", name, guest)
		}
	})
}
