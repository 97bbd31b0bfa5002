// Record mounts a memfs, has programs work on it and writes down one request of each shape that the kernel sends:
// what fuzzing the dispatcher begins with. It wants Linux, root, /dev/fuse, git and tar.
//
//	go run ./test/fuzz/record -o fuse_dispatcher/dispatchertest/requests.txt
//
// It is a transport of its own, as simple as can be, since what it is after are the bytes. With each cache policy
// the kernel asks for other things, so there is one mount for each.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
)

func main() {
	log.SetFlags(0)
	out := flag.String("o", "requests.txt", "file to write")
	work := flag.String("work", "", "be the program that works in this directory")
	lock := flag.String("lock", "", "be the program that waits for a lock on this file")
	flag.Parse()
	switch {
	case *work != "":
		check(systemCalls(*work))
	case *lock != "":
		check(waitForLock(*lock))
	default:
		check(record(*out))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// record does all there is to do.
func record(out string) error {
	dir, err := os.MkdirTemp("", "record")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(dir) }()
	seen := newShapes()
	for _, policy := range []fusedispatcher.CachePolicy{fusedispatcher.CacheAuto, fusedispatcher.CacheNone,
		fusedispatcher.CacheAlways} {
		s, err := newServer(dir, policy, seen)
		if err != nil {
			return err
		}
		done := make(chan error, 1)
		go func() { done <- workload(dir) }()
		s.run(done)
		if err := s.err; err != nil {
			return fmt.Errorf("with the policy %v: %w", policy, err)
		}
	}
	return os.WriteFile(out, seen.text(), 0o644)
}

// workload runs the programs, one after the other, and unmounts.
func workload(dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// The shell, and not this process, goes there: to start a program in a directory means to wait for it.
	const script = `set -e
cd "$0"
mkdir src
cp -r /etc/init.d /etc/passwd src/ 2>/dev/null || cp /etc/passwd src/
ln -s passwd src/link; ln src/passwd src/hard; mkfifo src/fifo; mknod src/null c 1 3
cp -a src copy; mv copy moved; ls -lR . >/dev/null; du -s . >/dev/null; stat -f . >/dev/null
tar cf all.tar src; mkdir x; tar xf all.tar -C x; rm -rf moved
chmod 600 src/passwd; chown 1:2 src/passwd; touch -d 2001-02-03 src/passwd; cat /etc/passwd >>src/hard
if command -v git >/dev/null; then
	git init -q repo; cd repo; cp ../src/passwd .; git add .
	git -c user.name=n -c user.email=e@e commit -qm m; git gc -q; git status >/dev/null; cd ..
fi
sync -f . ; rm -rf x
`
	var first error
	for _, cmd := range [][]string{{"sh", "-c", script, dir}, {self, "-work", dir}} {
		c := exec.Command(cmd[0], cmd[1:]...)
		c.Dir = "/"
		c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "HOME=/nonexistent")
		c.Stderr = os.Stderr
		if err := c.Run(); err != nil && first == nil {
			first = fmt.Errorf("%s: %w", filepath.Base(cmd[0]), err)
		}
	}
	if text, err := exec.Command("umount", dir).CombinedOutput(); err != nil && first == nil {
		first = fmt.Errorf("umount: %w: %s", err, text)
	}
	return first
}
