// Package notify_test mirrors SPDK's CUnit suite test/unit/lib/notify/notify.c.
package notify_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/app"
)

func TestNotify(t *testing.T) {
	n := &app.Notify{}
	for _, name := range []string{"one", "two"} {
		typ, err := n.RegisterType(name)
		if err != nil || typ.Name() != name {
			t.Fatalf("type %v, %v, want %q", typ, err, name)
		}
	}
	n.Send("one", "one_context")
	n.Send("two", "two_context")
	for start, want := range []app.NotifyEvent{
		{Type: "one", Ctx: "one_context"}, {Type: "two", Ctx: "two_context", ID: 1},
	} {
		if diff := cmp.Diff([]app.NotifyEvent{want}, n.Events(uint64(start), 1)); diff != "" {
			t.Errorf("one event from %d on: %s", start, diff)
		}
	}
	if list := n.Events(2, 1); len(list) > 0 {
		t.Errorf("events that have not happened yet: %v", list)
	}
}
