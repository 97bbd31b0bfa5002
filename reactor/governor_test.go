package reactor_test

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/spdk-go/spdk-go/reactor"
)

// nominal is a governor of which only the name matters.
type nominal struct {
	reactor.Governor
	name string
}

func (g *nominal) Name() string { return g.name }

func newNominal() reactor.Governor { return &nominal{name: "nominal"} }

func TestGovernorRegistry(t *testing.T) {
	if !slices.Contains(reactor.GovernorNames(), "nominal") { // with -count it is there already
		reactor.RegisterGovernor("nominal", newNominal)
	}
	for name, fn := range map[string]func(){
		"twice":      func() { reactor.RegisterGovernor("nominal", newNominal) },
		"no name":    func() { reactor.RegisterGovernor("", newNominal) },
		"no factory": func() { reactor.RegisterGovernor("other", nil) },
	} {
		if !panics(fn) {
			t.Errorf("%s: no panic", name)
		}
	}
	a, err := reactor.NewGovernor("nominal")
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := reactor.NewGovernor("nominal"); a == b || a.Name() != "nominal" {
		t.Errorf("two governors are one, or %q is not the name", a.Name())
	}
	_, err = reactor.NewGovernor("turbo")
	mustErr(t, "unknown", err, unix.EINVAL)
	if err != nil && !strings.Contains(err.Error(), "nominal") {
		t.Errorf("the known ones are not named: %v", err)
	}
}
