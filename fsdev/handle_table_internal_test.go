package fsdev

import "testing"

func TestHandleTableGenerationWraps(t *testing.T) {
	ht := NewHandleTable[int](1)
	first, _ := ht.Alloc(new(int))
	ht.Free(first)
	ht.slot(0).gen.Store(1<<32 - 4) // as after 2^31-2 uses
	var handles []uint64
	for range 4 {
		v := new(int)
		h, ok := ht.Alloc(v)
		if !ok || h>>32 == 0 || ht.Get(h) != v {
			t.Fatalf("handle %#x, %v", h, ok)
		}
		for _, old := range handles {
			if ht.Get(old) != nil {
				t.Errorf("stale handle %#x works again after %d uses", old, len(handles))
			}
		}
		if ht.Free(h) != v || ht.Get(h) != nil {
			t.Fatalf("handle %#x is not freed", h)
		}
		handles = append(handles, h)
	}
	if handles[2] != first {
		t.Errorf("after all generations came %#x, not the first again, %#x", handles[2], first)
	}
}
