package app_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/app"
)

func TestNotifyKeepsTheLatestEvents(t *testing.T) {
	n := &app.Notify{}
	if list := n.Events(0, 10); len(list) > 0 {
		t.Errorf("events of nobody: %v", list)
	}
	const sent = app.MaxNotifyEvents + 100
	for i := range uint64(sent) {
		if id := n.Send("type", fmt.Sprint(i)); id != i {
			t.Fatalf("event %d has number %d", i, id)
		}
	}
	for _, test := range []struct{ start, limit, first, count uint64 }{
		{0, 1 << 63, 100, app.MaxNotifyEvents},
		{0, 3, 100, 3},
		{99, 1, 100, 1},
		{101, 2, 101, 2},
		{sent - 2, 10, sent - 2, 2},
		{sent, 10, 0, 0},
		{1<<64 - 1, 10, 0, 0},
		{500, 0, 0, 0},
	} {
		list := n.Events(test.start, test.limit)
		if uint64(len(list)) != test.count {
			t.Errorf("%+v: %d events", test, len(list))
			continue
		}
		for i, e := range list {
			if want := test.first + uint64(i); e.ID != want || e.Ctx != fmt.Sprint(want) {
				t.Fatalf("%+v: event %d is %+v", test, i, e)
			}
		}
	}
}

func TestNotifyTypes(t *testing.T) {
	n := &app.Notify{}
	for _, name := range []string{"", strings.Repeat("x", 128)} {
		if typ, err := n.RegisterType(name); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("a name of %d bytes: %v, %v", len(name), typ, err)
		}
	}
	a, err := n.RegisterType("same")
	if err != nil {
		t.Fatal(err)
	}
	if b, err := n.RegisterType("same"); err != nil || a != b || len(n.Types()) != 1 {
		t.Errorf("again: %v, %v, of %d types", b, err, len(n.Types()))
	}
	long := strings.Repeat("x", 200)
	n.Send(long, long)
	if diff := cmp.Diff([]app.NotifyEvent{{Type: long[:127], Ctx: long[:127]}}, n.Events(0, 1)); diff != "" {
		t.Error(diff)
	}
}

func TestNotifyMethods(t *testing.T) {
	r := launch(t, options())
	if diff := cmp.Diff(`["fsdev_register","fsdev_unregister","fuse_mount","fuse_unmount"]`,
		string(r.call("notify_get_types", nil))); diff != "" {
		t.Error(diff)
	}
	if got := string(r.call("notify_get_notifications", nil)); got != "[]" {
		t.Errorf("before anything happened: %s", got)
	}
	r.call("fsdev_null_create", map[string]any{"name": "a"})
	r.call("fsdev_null_create", map[string]any{"name": "b"})
	if err := r.try("fsdev_null_create", map[string]any{"name": "a"}, nil); err == nil {
		t.Error("there are two devices of one name")
	}
	r.call("fsdev_null_delete", map[string]any{"name": "a"})
	want := []string{
		`{"type":"fsdev_register","ctx":"a","id":0}`,
		`{"type":"fsdev_register","ctx":"b","id":1}`,
		`{"type":"fsdev_unregister","ctx":"a","id":2}`,
	}
	for _, test := range []struct {
		params map[string]any
		want   []string
	}{
		{nil, want},
		{map[string]any{"id": 1}, want[1:]},
		{map[string]any{"id": 1, "max": 1}, want[1:2]},
		{map[string]any{"max": 0}, nil},
		{map[string]any{"id": 3}, nil},
	} {
		got := string(r.call("notify_get_notifications", test.params))
		if diff := cmp.Diff("["+strings.Join(test.want, ",")+"]", got); diff != "" {
			t.Errorf("%v: %s", test.params, diff)
		}
	}
}
