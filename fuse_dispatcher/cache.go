package fusedispatcher

import (
	"fmt"
	"time"

	. "github.com/spdk-go/spdk-go/internal/fuseabi" //nolint:staticcheck // the kernel's names
)

// CachePolicy says what the client's kernel may cache.
//
// Not in SPDK, which forces direct IO on every file so that shared mappings fail.
type CachePolicy int

// The cache policies. Not in SPDK; they are those of virtiofsd.
const (
	// CacheAuto lets data and attributes be cached for a second, and drops a file's data
	// at open if it has changed: right when others change the file system too.
	CacheAuto CachePolicy = iota
	// CacheNone asks the file system every time.
	CacheNone
	// CacheAlways lets everything be cached without end, and writes be held back: right
	// when the client is the only one to use the file system.
	CacheAlways
)

var cachePolicyNames = [...]string{CacheAuto: "auto", CacheNone: "none", CacheAlways: "always"}

// String returns the policy's name on a command line.
func (p CachePolicy) String() string { return cachePolicyNames[p] }

// ParseCachePolicy returns the policy called "none", "auto" or "always". Not in SPDK.
func ParseCachePolicy(name string) (CachePolicy, error) {
	for p, n := range cachePolicyNames {
		if n == name {
			return CachePolicy(p), nil
		}
	}
	return 0, fmt.Errorf("cache policy %q: want none, auto or always", name)
}

// timeout is how long the client may keep something, as FUSE writes it.
type timeout struct {
	sec  uint64
	nsec uint32
}

// or returns what the policy says, unless d says something else.
func (t timeout) or(d time.Duration) timeout {
	switch {
	case d == 0:
		return t
	case d < 0:
		return timeout{}
	}
	return timeout{uint64(d / time.Second), uint32(d % time.Second)}
}

// cacheRules are what a policy means in the protocol.
type cacheRules struct {
	valid     timeout // names and attributes
	negative  bool    // names that do not exist are cached as well
	openFlags uint32  // FOPEN_* of files
	dirFlags  uint32  // FOPEN_* of directories
	want      uint64  // INIT flags
	backed    bool    // data of the host's files may be the host's kernel's to keep, see Backing
}

func (p CachePolicy) rules() cacheRules {
	switch p {
	case CacheNone:
		return cacheRules{
			openFlags: FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES,
			want:      FUSE_DIRECT_IO_ALLOW_MMAP,
		}
	case CacheAlways:
		return cacheRules{
			valid:     timeout{sec: 24 * 3600},
			negative:  true,
			backed:    true,
			openFlags: FOPEN_KEEP_CACHE,
			dirFlags:  FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR,
			want: FUSE_WRITEBACK_CACHE | FUSE_CACHE_SYMLINKS |
				FUSE_NO_OPEN_SUPPORT | FUSE_NO_OPENDIR_SUPPORT,
		}
	default:
		return cacheRules{valid: timeout{sec: 1}, backed: true, want: FUSE_AUTO_INVAL_DATA}
	}
}
