package integration

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func init() { helpers["passthrough"] = passthroughHelper }

// TestPassthrough has the kernel read and write the files of an exported directory by itself, and looks at the
// directory on the host at the same time. The file system must behave the same with and without; the requests that
// spdk_tgt got say which of the two it was.
func TestPassthrough(t *testing.T) {
	needMount(t)
	for _, reactors := range []int{1, 2} {
		for _, cache := range []string{"auto", "always"} {
			for place, dir := range map[string]string{"tmpfs": tmpfsDir(t), "disk": t.TempDir()} {
				t.Run(fmt.Sprintf("reactors=%d/cache=%s/%s", reactors, cache, place), func(t *testing.T) {
					testPassthrough(t, targetOptions{reactors: reactors, cache: cache, export: dir})
				})
			}
		}
	}
	t.Run("off", func(t *testing.T) {
		testPassthrough(t, targetOptions{
			reactors: 2, cache: "auto", export: tmpfsDir(t), extra: []string{"--no-passthrough"},
		})
	})
	t.Run("cache=none", func(t *testing.T) {
		testPassthrough(t, targetOptions{reactors: 1, cache: "none", export: tmpfsDir(t)})
	})
}

func testPassthrough(t *testing.T, o targetOptions) {
	passes := o.cache != "none" && len(o.extra) == 0
	o.extra = append(o.extra, "--stats")
	if err := os.Chmod(o.export, 0o777); err != nil {
		t.Fatal(err)
	}
	tg := startTarget(t, o)
	j := startHelper(t, scratch, "passthrough", tg.mount, o.export, fmt.Sprint(passes))
	j.onHang = tg.abandon
	j.mustEnd(t, workloadTimeout)
	tg.stop(t)
	out := tg.output()
	for _, op := range []string{"READ", "WRITE"} {
		if sent := strings.Contains(out, "  "+op+"\n"); sent == passes {
			t.Errorf("%s was sent: %t, with passthrough: %t\n%s", op, sent, passes, out)
		}
	}
}

// bothSides is a file through the mount and on the host.
type bothSides struct {
	mount, host string
	passes      bool // the kernel reads and writes by itself
}

// passthroughHelper is the client: args are the mount, what it exports, and whether the kernel passes files through.
func passthroughHelper(args []string) error {
	unix.Umask(0)
	checks := []struct {
		name string
		run  func(f bothSides) error
	}{
		{"write", checkWriteThrough},
		{"host", checkHostWrites},
		{"opens", checkSecondOpens},
		{"sizes", checkSizes},
		{"map", checkMapping},
		{"direct", checkDirect},
		{"suid", checkSuid},
		{"names", checkNames},
		{"exec", checkExec},
		{"churn", checkChurn},
	}
	for _, c := range checks {
		f := bothSides{filepath.Join(args[0], c.name), filepath.Join(args[1], c.name), args[2] == "true"}
		if err := c.run(f); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// mustHave wants a file to hold exactly content.
func mustHave(name string, content []byte) error {
	got, err := os.ReadFile(name)
	if err == nil && !bytes.Equal(got, content) {
		err = fmt.Errorf("%s holds %s, want %s", name, digest(got), digest(content))
	}
	return err
}

// mustBeLong wants a file to have a size right now.
func mustBeLong(name string, size int64) error {
	var st unix.Stat_t
	err := unix.Stat(name, &st)
	if err == nil && st.Size != size {
		err = fmt.Errorf("%s has %d bytes, want %d", name, st.Size, size)
	}
	return err
}

// checkWriteThrough: what is written is on the host at once, and the attributes say so.
func checkWriteThrough(f bothSides) error {
	fd, err := unix.Open(f.mount, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var want []byte
	var last unix.Timespec
	for i, chunk := range [][]byte{[]byte("a"), bytes.Repeat([]byte("b"), 5000), pattern(make([]byte, 3<<20), 1, 0)} {
		if n, err := unix.Write(fd, chunk); err != nil || n != len(chunk) {
			return fmt.Errorf("write %d of %d bytes: %w", n, len(chunk), err)
		}
		want = append(want, chunk...)
		var byFD, byName, host unix.Stat_t
		if err := errors.Join(unix.Fstat(fd, &byFD), unix.Stat(f.mount, &byName), unix.Stat(f.host, &host)); err != nil {
			return err
		}
		if byFD.Size != int64(len(want)) || byName.Size != byFD.Size || host.Size != byFD.Size {
			return fmt.Errorf("after write %d: %d and %d bytes, on the host %d, want %d",
				i, byFD.Size, byName.Size, host.Size, len(want))
		}
		if byFD.Mtim != host.Mtim || byFD.Ctim != host.Ctim || byFD.Blocks != host.Blocks {
			return fmt.Errorf("after write %d: times and blocks are not the host's: %+v, %+v", i, byFD, host)
		}
		if i > 0 && (last.Sec > byFD.Mtim.Sec || last.Sec == byFD.Mtim.Sec && last.Nsec > byFD.Mtim.Nsec) {
			return fmt.Errorf("write %d has turned the time back", i)
		}
		last = byFD.Mtim
	}
	if err := unix.Fsync(fd); err != nil {
		return err
	}
	return errors.Join(mustHave(f.host, want), mustHave(f.mount, want))
}

// checkHostWrites: what the host writes is read at once by who has the file open.
func checkHostWrites(f bothSides) error {
	if !f.passes {
		return nil // the cache may be a second old, or a day
	}
	if err := os.WriteFile(f.host, []byte("old content"), 0o666); err != nil {
		return err
	}
	fd, err := unix.Open(f.mount, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	buf := make([]byte, 64)
	for i, content := range []string{"new content", "NEW CONTENT", "shorter", "longer than it has been before"} {
		if err := os.WriteFile(f.host, []byte(content), 0o666); err != nil {
			return err
		}
		n, err := unix.Pread(fd, buf, 0)
		if err != nil || string(buf[:n]) != content {
			return fmt.Errorf("round %d: read %q, %w; the host wrote %q", i, buf[:max(n, 0)], err, content)
		}
	}
	return nil
}

// checkSecondOpens: a file that is open can be opened again in every way there is.
func checkSecondOpens(f bothSides) error {
	first, err := unix.Open(f.mount, unix.O_RDWR|unix.O_CREAT, 0o666)
	if err != nil {
		return err
	}
	defer unix.Close(first)
	if _, err := unix.Write(first, []byte("0123456789")); err != nil {
		return err
	}
	for _, o := range []struct {
		flags int
		write string
		want  string // on the host, afterwards
	}{
		{unix.O_RDONLY, "", "0123456789"},
		{unix.O_WRONLY, "abc", "abc3456789"},
		{unix.O_RDWR | unix.O_APPEND, "XY", "abc3456789XY"},
		{unix.O_WRONLY | unix.O_APPEND | unix.O_CREAT, "Z", "abc3456789XYZ"},
		{unix.O_RDWR | unix.O_TRUNC, "t", "t"},
		{unix.O_RDWR | unix.O_CREAT | unix.O_TRUNC, "", ""},
		{unix.O_WRONLY | unix.O_DSYNC, "sync", "sync"},
	} {
		fd, err := unix.Open(f.mount, o.flags, 0o666)
		if err != nil {
			return fmt.Errorf("open %#x: %w", o.flags, err)
		}
		if o.write != "" {
			if _, err := unix.Write(fd, []byte(o.write)); err != nil {
				return fmt.Errorf("write by %#x: %w", o.flags, err)
			}
		}
		want := []byte(o.want)
		if err := errors.Join(unix.Close(fd), mustHave(f.host, want), mustHave(f.mount, want)); err != nil {
			return fmt.Errorf("flags %#x: %w", o.flags, err)
		}
	}
	ro, err := unix.Open(f.mount, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(ro)
	if _, err := unix.Write(ro, []byte("x")); err != unix.EBADF {
		return fmt.Errorf("a write by a descriptor that is read-only: %v", err)
	}
	return nil
}

// checkSizes: what is not passed through agrees with what is.
func checkSizes(f bothSides) error {
	fd, err := unix.Open(f.mount, unix.O_RDWR|unix.O_CREAT, 0o666)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	data := bytes.Repeat([]byte("x"), 16<<10)
	if _, err := unix.Write(fd, data); err != nil {
		return err
	}
	if err := unix.Ftruncate(fd, 10000); err != nil {
		return err
	}
	if err := errors.Join(mustBeLong(f.mount, 10000), mustHave(f.mount, data[:10000])); err != nil {
		return err
	}
	if err := unix.Ftruncate(fd, 12000); err != nil {
		return err
	}
	want := append(bytes.Clone(data[:10000]), make([]byte, 2000)...)
	if err := errors.Join(mustHave(f.mount, want), mustHave(f.host, want)); err != nil {
		return err
	}
	const punch = unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_KEEP_SIZE
	if err := unix.Fallocate(fd, punch, 0, 4096); err != nil {
		return err
	}
	clear(want[:4096])
	if err := errors.Join(mustHave(f.mount, want), mustHave(f.host, want)); err != nil {
		return err
	}
	if err := unix.Fallocate(fd, 0, 0, 20000); err != nil {
		return err
	}
	if err := mustBeLong(f.mount, 20000); err != nil {
		return err
	}
	end, err := unix.Seek(fd, 0, unix.SEEK_END)
	if err != nil || end != 20000 {
		return fmt.Errorf("the end is at %d: %w", end, err)
	}
	return nil
}

// checkMapping: shared mappings are those of the host's file.
func checkMapping(f bothSides) error {
	if err := os.WriteFile(f.mount, make([]byte, 8192), 0o666); err != nil {
		return err
	}
	fd, err := unix.Open(f.mount, unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if !f.passes {
		// The pages are read once, so that there is something to be sent.
		_, err = unix.Pread(fd, make([]byte, 8192), 0)
		return err
	}
	m, err := unix.Mmap(fd, 0, 8192, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	defer unix.Munmap(m)
	copy(m[5000:], "by mapping")
	got, err := os.ReadFile(f.host)
	if err != nil || string(got[5000:5010]) != "by mapping" {
		return fmt.Errorf("the host has %q: %w", got[5000:5010], err)
	}
	host, err := unix.Open(f.host, unix.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(host)
	if _, err := unix.Pwrite(host, []byte("by the host"), 100); err != nil {
		return err
	}
	if got := string(m[100:111]); got != "by the host" {
		return fmt.Errorf("the mapping has %q", got)
	}
	if _, err := unix.Pwrite(fd, []byte("by write"), 200); err != nil {
		return err
	}
	if got := string(m[200:208]); got != "by write" {
		return fmt.Errorf("the mapping has %q", got)
	}
	return nil
}

// checkDirect: O_DIRECT beside other opens, which is the case that the kernel is particular about.
func checkDirect(f bothSides) error {
	plain, err := unix.Open(f.mount, unix.O_RDWR|unix.O_CREAT, 0o666)
	if err != nil {
		return err
	}
	defer unix.Close(plain)
	if _, err := unix.Write(plain, bytes.Repeat([]byte("p"), 8192)); err != nil {
		return err
	}
	direct, err := unix.Open(f.mount, unix.O_RDWR|unix.O_DIRECT, 0)
	if err == unix.EINVAL {
		return nil // the host's file system has no direct IO
	}
	if err != nil {
		return err
	}
	defer unix.Close(direct)
	page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	defer unix.Munmap(page)
	for i := range page {
		page[i] = 'd'
	}
	if _, err := unix.Pwrite(direct, page, 4096); err != nil {
		return err
	}
	want := append(bytes.Repeat([]byte("p"), 4096), page...)
	if err := errors.Join(mustHave(f.mount, want), mustHave(f.host, want)); err != nil {
		return err
	}
	if n, err := unix.Pread(direct, page, 0); err != nil || n != 4096 || page[0] != 'p' {
		return fmt.Errorf("read %d bytes of %q: %w", n, page[0], err)
	}
	return nil
}

// checkSuid: a write of somebody else's takes set-user-ID away, though the server has the right to keep it.
func checkSuid(f bothSides) error {
	if !f.passes {
		return nil // it depends on what the module can do
	}
	if err := os.WriteFile(f.mount, []byte("program"), 0o666); err != nil {
		return err
	}
	// Before it has the bits: a file that has some is not passed through.
	fd, err := unix.Open(f.mount, unix.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := os.Chmod(f.mount, 0o777|os.ModeSetuid|os.ModeSetgid); err != nil {
		return err
	}
	for _, name := range []string{f.mount, f.host} { // root may keep it
		if st, err := os.Stat(name); err != nil || st.Mode()&os.ModeSetuid == 0 {
			return fmt.Errorf("%s is %v: %w", name, st.Mode(), err)
		}
	}
	cmd := exec.Command("/bin/sh", "-c", "printf x >&3")
	cmd.ExtraFiles = []*os.File{os.NewFile(uintptr(fd), f.mount)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("write as somebody else: %w\n%s", err, out)
	}
	for _, name := range []string{f.host, f.mount} {
		st, err := os.Stat(name)
		if err != nil || st.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 {
			return fmt.Errorf("%s is still %v: %w", name, st.Mode(), err)
		}
	}
	return nil
}

// checkNames: an open file is the same by whatever name, and without one.
func checkNames(f bothSides) error {
	fd, err := unix.Open(f.mount, unix.O_RDWR|unix.O_CREAT, 0o666)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := errors.Join(os.Link(f.mount, f.mount+".link"), os.Rename(f.mount, f.mount+".new")); err != nil {
		return err
	}
	link, err := unix.Open(f.mount+".link", unix.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer unix.Close(link)
	if _, err := unix.Write(link, []byte("linked")); err != nil {
		return err
	}
	if err := errors.Join(mustHave(f.mount+".new", []byte("linked")), os.Remove(f.mount+".link"),
		os.Remove(f.mount+".new")); err != nil {
		return err
	}
	if _, err := unix.Pwrite(fd, []byte("gone"), 6); err != nil {
		return err
	}
	buf := make([]byte, 16)
	if n, err := unix.Pread(link, buf, 0); err != nil || string(buf[:n]) != "linkedgone" {
		return fmt.Errorf("a file without a name holds %q: %w", buf[:max(n, 0)], err)
	}
	tmp, err := unix.Open(filepath.Dir(f.mount), unix.O_RDWR|unix.O_TMPFILE, 0o666)
	if err != nil {
		return err
	}
	defer unix.Close(tmp)
	if _, err := unix.Write(tmp, []byte("temporary")); err != nil {
		return err
	}
	if n, err := unix.Pread(tmp, buf, 0); err != nil || string(buf[:n]) != "temporary" {
		return fmt.Errorf("a temporary file holds %q: %w", buf[:max(n, 0)], err)
	}
	return nil
}

// checkExec: a program is run, and cannot be written meanwhile nor afterwards be missing.
func checkExec(f bothSides) error {
	prog, err := exec.LookPath("true")
	if err != nil {
		return err
	}
	text, err := os.ReadFile(prog)
	if err != nil {
		return err
	}
	if err := os.WriteFile(f.mount, text, 0o777); err != nil {
		return err
	}
	for range 3 {
		if out, err := exec.Command(f.mount).CombinedOutput(); err != nil {
			return fmt.Errorf("run it: %w\n%s", err, out)
		}
	}
	return nil
}

// checkChurn opens, uses and closes few files by many at once, in all modes: every open has to succeed, though the
// first and the last of them come and go all the time.
func checkChurn(f bothSides) error {
	const files, workers, rounds = 3, 8, 200
	names := make([]string, files)
	for i := range names {
		names[i] = fmt.Sprint(f.mount, i)
		if err := os.WriteFile(names[i], bytes.Repeat([]byte{byte(i)}, 4096), 0o666); err != nil {
			return err
		}
	}
	flags := []int{unix.O_RDONLY, unix.O_RDWR, unix.O_RDWR | unix.O_CREAT, unix.O_RDONLY | unix.O_NOATIME}
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			buf := make([]byte, 4096)
			for r := range rounds {
				i, fl := (w+r)%files, flags[(w*7+r)%len(flags)]
				fd, err := unix.Open(names[i], fl, 0o666)
				if err != nil {
					errs[w] = fmt.Errorf("round %d, flags %#x: open: %w", r, fl, err)
					return
				}
				n, err := unix.Pread(fd, buf, 0)
				if err == nil && (n != len(buf) || buf[100] != byte(i)) {
					err = fmt.Errorf("read %d bytes, %d", n, buf[100])
				}
				if err == nil && fl&unix.O_ACCMODE == unix.O_RDWR {
					_, err = unix.Pwrite(fd, buf, 0)
				}
				if errs[w] = errors.Join(err, unix.Close(fd)); errs[w] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
