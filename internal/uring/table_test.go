package uring_test

import (
	"testing"

	"github.com/spdk-go/spdk-go/internal/uring"
)

func TestTable(t *testing.T) {
	tab := uring.NewTable[int](3, 9)
	var hs []uring.Handle
	for i := range 3 {
		v, h := tab.Get()
		if v == nil || h.Kind() != 9 || h.Generation() != 1 || h.Slot() != uint32(i) {
			t.Fatalf("%v: %v", i, h)
		}
		*v = i
		hs = append(hs, h)
	}
	if v, _ := tab.Get(); v != nil || tab.Used() != 3 || tab.Cap() != 3 {
		t.Fatalf("a fourth of 3; %d used of %d", tab.Used(), tab.Cap())
	}
	tab.Put(hs[1])
	if tab.Find(hs[1]) != nil || tab.Stale() != 0 || tab.Lookup(hs[1]) != nil || tab.Stale() != 1 {
		t.Fatalf("found what was given back, or did not count it: %d", tab.Stale())
	}
	v, h := tab.Get()
	if *v != 1 || h == hs[1] || h.Slot() != 1 || h.Generation() != 3 || h.String() != "9:1.3" {
		t.Fatalf("%v", h)
	}
	n := 0
	for h, v := range tab.All() {
		if *v != int(h.Slot()) {
			t.Errorf("%v: %d", h, *v)
		}
		tab.Put(h)
		n++
	}
	if n != 3 || tab.Used() != 0 {
		t.Errorf("%d visited, %d used", n, tab.Used())
	}
	defer func() {
		if recover() == nil {
			t.Error("given back twice")
		}
	}()
	tab.Put(h)
}

func TestTableAllocatesNothing(t *testing.T) {
	tab := uring.NewTable[[4]uint64](8, 1)
	if n := testing.AllocsPerRun(1000, func() {
		_, h := tab.Get()
		if tab.Lookup(h) == nil {
			t.Fatal("lost")
		}
		tab.Put(h)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzTable compares a table with a map, and lets the kernel invent handles.
func FuzzTable(f *testing.F) {
	f.Add(uint8(4), []byte{0, 0, 0, 1, 2, 0, 1, 1, 3, 255, 2, 2, 0, 0, 0, 0})
	f.Add(uint8(1), []byte{0, 1, 0, 2, 1, 3, 0})
	f.Fuzz(func(t *testing.T, size uint8, steps []byte) {
		n := int(size%32) + 1
		tab := uring.NewTable[uint64](n, 5)
		model := map[uring.Handle]uint64{}
		var ever []uring.Handle
		stale, id := uint64(0), uint64(0)
		for len(steps) >= 2 {
			op, arg := steps[0], steps[1]
			steps = steps[2:]
			switch op % 4 {
			case 0:
				v, h := tab.Get()
				if (v == nil) != (len(model) == n) {
					t.Fatalf("%v with %d of %d taken", v, len(model), n)
				}
				if v != nil {
					if _, old := model[h]; old || h == 0 || h == uring.Discard(5) {
						t.Fatalf("%v is given twice", h)
					}
					id++
					*v = id
					model[h] = id
					ever = append(ever, h)
				}
			case 1, 2: // a handle that was given once
				if len(ever) == 0 {
					continue
				}
				h := ever[int(arg)%len(ever)]
				want, live := model[h]
				got := tab.Lookup(h)
				if live != (got != nil) || live && *got != want {
					t.Fatalf("%v: %v, want %d, %v", h, got, want, live)
				}
				if !live {
					stale++
				} else if op%4 == 1 {
					tab.Put(h)
					delete(model, h)
				}
			case 3: // an invented one
				h := uring.Handle(arg) | uring.Handle(op/4)<<24 | uring.Handle(arg%7)<<56
				want, live := model[h]
				if got := tab.Lookup(h); live != (got != nil) || live && *got != want {
					t.Fatalf("invented %v: %v, want %d, %v", h, got, want, live)
				}
				if !live {
					stale++
				}
			}
			if tab.Used() != len(model) || tab.Stale() != stale {
				t.Fatalf("%d used, want %d; %d stale, want %d", tab.Used(), len(model), tab.Stale(), stale)
			}
		}
		for h, v := range tab.All() {
			if model[h] != *v {
				t.Fatalf("%v: %d, want %d", h, *v, model[h])
			}
			delete(model, h)
		}
		if len(model) != 0 {
			t.Fatalf("not visited: %v", model)
		}
	})
}
