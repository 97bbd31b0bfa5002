package mempool

import (
	"strings"
	"testing"
)

// mustPanic calls fn and wants a panic with a message that has want in it.
func mustPanic(t *testing.T, want string, fn func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if r, _ := recover().(string); !strings.Contains(r, want) {
			t.Errorf("panic %q, want %q", r, want)
		}
	}()
	fn()
}

// TestDoublePutPanics: element 0 is free, in the place that the case says, and is put again
// in each way that there is.
func TestDoublePutPanics(t *testing.T) {
	type caches struct{ own, other *Cache[elem] }
	for _, tc := range []struct {
		name string
		free func(p *Pool[elem], c caches, e *elem) // e is element 0, held by the caller
	}{
		{"in the pool", func(p *Pool[elem], _ caches, e *elem) { p.Put(e) }},
		{"in the same cache", func(_ *Pool[elem], c caches, e *elem) { c.own.Put(e) }},
		{"in another cache", func(_ *Pool[elem], c caches, e *elem) { c.other.Put(e) }},
		{"gone from the cache to the pool", func(_ *Pool[elem], c caches, e *elem) { c.own.Put(e); c.own.Close() }},
		{"back in the cache from the pool", func(p *Pool[elem], c caches, e *elem) {
			p.Put(e)
			c.own.Put(c.own.Get())
		}},
	} {
		for name, put := range map[string]func(p *Pool[elem], c *Cache[elem], e, another *elem){
			"pool":       func(p *Pool[elem], _ *Cache[elem], e, _ *elem) { p.Put(e) },
			"pool bulk":  func(p *Pool[elem], _ *Cache[elem], e, another *elem) { p.PutBulk([]*elem{another, e}) },
			"cache":      func(_ *Pool[elem], c *Cache[elem], e, _ *elem) { c.Put(e) },
			"cache bulk": func(_ *Pool[elem], c *Cache[elem], e, another *elem) { c.PutBulk([]*elem{e, another}) },
		} {
			t.Run(tc.name+"/"+name, func(t *testing.T) {
				p := newPool(t, 16)
				p.VerifyBulk(false)
				c := caches{p.NewCache(8), p.NewCache(8)}
				e, another := p.Get(), p.Get()
				tc.free(p, c, e)
				mustPanic(t, "double put of element 0", func() { put(p, c.own, e, another) })
			})
		}
	}
}

// TestBulkDoublePutPanics: elements have been got and put in bulk, and one of them is put
// again.
func TestBulkDoublePutPanics(t *testing.T) {
	const want = "double put of element"
	setup := func(t *testing.T, verify bool) (*Cache[elem], []*elem) {
		p := newPool(t, 16)
		p.VerifyBulk(verify)
		c := p.NewCache(16)
		es := make([]*elem, 4)
		for range 3 {
			c.GetBulk(es)
			c.PutBulk(es)
		}
		return c, es
	}
	for _, verify := range []bool{false, true} {
		t.Run("the same array", func(t *testing.T) {
			c, es := setup(t, verify)
			mustPanic(t, want, func() { c.PutBulk(es) })
		})
		t.Run("the first alone", func(t *testing.T) {
			c, es := setup(t, verify)
			mustPanic(t, want, func() { c.Put(es[0]) })
		})
		t.Run("found by Close", func(t *testing.T) {
			c, es := setup(t, verify)
			mustPanic(t, want, func() { c.PutBulk(es[2:]); c.Close() })
		})
		t.Run("twice in one call", func(t *testing.T) {
			c, es := setup(t, verify)
			c.GetBulk(es)
			mustPanic(t, want, func() { c.PutBulk([]*elem{es[0], es[1], es[1]}); c.Close() })
		})
	}
	for i := range 4 {
		c, es := setup(t, true)
		mustPanic(t, want, func() { c.PutBulk(es[i : i+1]) })
		c, es = setup(t, true)
		mustPanic(t, want, func() { c.Put(es[i]) })
		c, es = setup(t, true)
		mustPanic(t, want, func() { c.pool.NewCache(4).Put(es[i]) })
	}
}

func TestForeignPutPanics(t *testing.T) {
	const want = "not one of its 4 elements"
	for _, e := range []*elem{new(elem), nil} {
		p := newPool(t, 4)
		p.VerifyBulk(false)
		mustPanic(t, want, func() { p.Put(e) })
		mustPanic(t, want, func() { p.NewCache(4).Put(e) })
		mustPanic(t, want, func() { p.NewCache(4).PutBulk([]*elem{e}) })
		mustPanic(t, want, func() {
			c := p.NewCache(4)
			c.PutBulk([]*elem{p.Get(), e})
			c.Close()
		})
		p = newPool(t, 4)
		p.VerifyBulk(true)
		mustPanic(t, want, func() { p.NewCache(4).PutBulk([]*elem{p.Get(), e}) })
	}
}

// TestRaceDetectorTurnsVerifyOn, for then a test may cost what it wants.
func TestRaceDetectorTurnsVerifyOn(t *testing.T) {
	c := newPool(t, 8).NewCache(8)
	es := make([]*elem, 3)
	c.GetBulk(es)
	c.PutBulk(es[:2])
	defer func() {
		if found := recover() != nil; found != verifyDefault {
			t.Errorf("double put of a second element found %v, verify %v", found, verifyDefault)
		}
	}()
	c.PutBulk([]*elem{es[2], es[1]})
}
