package fusemount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spdk-go/spdk-go/transport/fusedev"
)

// How often, and how far apart, a busy mount is tried before it is detached, and how long the
// session may take to end after that.
const (
	unmountTries = 10
	unmountDelay = 200 * time.Millisecond
	abortTimeout = 5 * time.Second
)

// session is what is needed of a *fusedev.Session.
type session interface {
	Unmount() error
	Detach() error
	Abort() error
	Done() <-chan struct{}
	Stats() ([]fusedev.QueueStats, error)
}

// unmounter takes one mount down, whatever its users do.
type unmounter struct {
	s      session
	dir    string
	report func(text string)
	delay  time.Duration
	users  func(proc, dir string) []string // mountUsers
}

// unmount undoes the mount. If it is busy, it says once who uses it, and tries again for a
// while. Then it detaches the mount, so that the name is free, and aborts it, so that its users
// get errors. It reports whether the session has ended.
func (u *unmounter) unmount() bool {
	var err error
	for try := range unmountTries {
		if err = u.s.Unmount(); err == nil {
			return true
		}
		if !errors.Is(err, syscall.EBUSY) {
			break
		}
		if try == 0 {
			u.reportf("%s is busy%s: close what is open there within %v, or it will be detached",
				u.dir, u.usersText(), unmountTries*u.delay)
		}
		select {
		case <-u.s.Done():
			return true
		case <-time.After(u.delay):
		}
	}
	if errors.Is(err, syscall.EBUSY) {
		u.reportf("%s is still busy%s: detached, its users get errors", u.dir, u.usersText())
	} else {
		u.reportf("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	// Either may fail if the other has done it all, or somebody else has.
	detachErr := u.s.Detach()
	abortErr := u.s.Abort()
	select {
	case <-u.s.Done():
		return true
	case <-time.After(abortTimeout):
	}
	if err := errors.Join(detachErr, abortErr); err != nil {
		u.reportf("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return false
}

func (u *unmounter) reportf(format string, args ...any) { u.report(fmt.Sprintf(format, args...)) }

// usersText names the processes that use the mount, for a message.
func (u *unmounter) usersText() string {
	users := u.users("/proc", u.dir)
	if len(users) == 0 {
		return ""
	}
	more := ""
	if len(users) > 3 {
		more = fmt.Sprintf(" and %d more", len(users)-3)
		users = users[:3]
	}
	return " (used by " + strings.Join(users, ", ") + more + ")"
}

// Users lists the processes that keep a mount on dir busy, as far as this one may see them, in words. It does not touch
// the mounted file system.
func Users(dir string) []string { return mountUsers("/proc", dir) }

// mountUsers lists the processes that keep a mount on dir busy: with an open file, a working
// or root directory, or a mapping below it. It reads links in /proc, which does not
// touch the mounted file system, and sees only processes that it may look at.
func mountUsers(proc, dir string) []string {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil
	}
	if resolved, err := filepath.EvalSymlinks(filepath.Dir(dir)); err == nil {
		dir = filepath.Join(resolved, filepath.Base(dir))
	}
	var users []string
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		p := filepath.Join(proc, e.Name())
		if usesMount(p, dir) {
			comm, _ := os.ReadFile(filepath.Join(p, "comm"))
			users = append(users, fmt.Sprintf("pid %d %s", pid, strings.TrimSpace(string(comm))))
		}
	}
	return users
}

// usesMount says whether the process at p, a folder of /proc, uses a file at or below dir.
func usesMount(p, dir string) bool {
	for _, link := range []string{"cwd", "root", "exe"} {
		if linksBelow(filepath.Join(p, link), dir) {
			return true
		}
	}
	for _, sub := range []string{"fd", "map_files"} {
		links, err := os.ReadDir(filepath.Join(p, sub))
		if err != nil {
			continue
		}
		for _, l := range links {
			if linksBelow(filepath.Join(p, sub, l.Name()), dir) {
				return true
			}
		}
	}
	return false
}

func linksBelow(link, dir string) bool {
	target, err := os.Readlink(link)
	return err == nil && (target == dir || strings.HasPrefix(target, dir+"/"))
}
