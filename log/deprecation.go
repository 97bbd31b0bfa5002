package log

import (
	"cmp"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Deprecations are what an application should no longer be asked for, and how often it was. Any goroutine.
//
// Not in SPDK, where they are the process's.
type Deprecations struct {
	now func() time.Duration

	mu   sync.Mutex
	list []*Deprecation // by tag
}

// NewDeprecations returns none yet. now is the time since some moment, nil for that of the kernel's monotonic clock.
func NewDeprecations(now func() time.Duration) *Deprecations {
	if now == nil {
		start := time.Now()
		now = func() time.Duration { return time.Since(start) }
	}
	return &Deprecations{now: now}
}

// Deprecation is one of them.
//
// SPDK: struct spdk_deprecation
type Deprecation struct {
	of       *Deprecations
	tag      string
	text     string
	release  string
	interval time.Duration

	mu     sync.Mutex
	hits   uint64
	next   time.Duration // when it may be logged again
	silent uint64        // hits that were not logged
}

// Register makes a deprecation known by a tag: text says what is deprecated, release when it goes. It is logged at most
// once per interval, 0 for each time. EINVAL: something is missing; EEXIST: the tag is taken.
//
// SPDK: spdk_log_deprecation_register
func (s *Deprecations) Register(tag, text, release string, interval time.Duration) (*Deprecation, error) {
	if tag == "" || text == "" || release == "" || interval < 0 {
		return nil, fmt.Errorf("log: deprecation %q (%q) in release %q: %w", tag, text, release, syscall.EINVAL)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i, taken := slices.BinarySearchFunc(s.list, tag, byTag)
	if taken {
		return nil, fmt.Errorf("log: there is a deprecation %q already: %w", tag, syscall.EEXIST)
	}
	d := &Deprecation{of: s, tag: tag, text: text, release: release, interval: interval}
	s.list = slices.Insert(s.list, i, d)
	return d, nil
}

func byTag(d *Deprecation, tag string) int { return cmp.Compare(d.tag, tag) }

// Find returns the deprecation of that tag, nil if there is none.
//
// SPDK: spdk_log_deprecation_find_by_tag
func (s *Deprecations) Find(tag string) *Deprecation {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i, ok := slices.BinarySearchFunc(s.list, tag, byTag); ok {
		return s.list[i]
	}
	return nil
}

// All iterates over those that there are now, by tag.
//
// SPDK: spdk_log_for_each_deprecation
func (s *Deprecations) All() iter.Seq[*Deprecation] {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Values(slices.Clone(s.list))
}

// Hit counts a use, and logs it unless that was done less than the interval ago; the next line says how many were left
// out. It may wait for the log: from a reactor only if nobody waits for that one, see [Async].
//
// SPDK: spdk_log_deprecated
func (d *Deprecation) Hit(l *slog.Logger) {
	d.mu.Lock()
	now := d.of.now()
	d.hits++
	if now < d.next {
		d.silent++
		d.mu.Unlock()
		return
	}
	d.next = now + d.interval
	silent := d.silent
	d.silent = 0
	d.mu.Unlock()
	args := []any{"what", d.text, "tag", d.tag, "goes in", d.release}
	if silent > 0 {
		args = append(args, "dropped_before", silent)
	}
	l.Warn("this is deprecated", args...)
}

// Tag returns the name. SPDK: spdk_deprecation_get_tag
func (d *Deprecation) Tag() string { return d.tag }

// Description says what is deprecated. SPDK: spdk_deprecation_get_description
func (d *Deprecation) Description() string { return d.text }

// RemoveRelease returns the release in which it goes. SPDK: spdk_deprecation_get_remove_release
func (d *Deprecation) RemoveRelease() string { return d.release }

// Hits returns how often it was used. SPDK: spdk_deprecation_get_hits
func (d *Deprecation) Hits() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.hits
}
