package fusedev

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// mountEntry is one line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
type mountEntry struct {
	major, minor uint32 // of the device number that files on it have
	mountpoint   string
	fsType       string
	source       string
}

func (m *mountEntry) isFuse() bool {
	return m.fsType == "fuse" || m.fsType == "fuseblk" || strings.HasPrefix(m.fsType, "fuse.")
}

// findMount returns what is mounted on path, the topmost if there are several. Unlike stat(2) it does not ask the file
// system, which may hang.
func findMount(path string) (mountEntry, bool, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return mountEntry{}, false, err
	}
	defer f.Close()
	return parseMountinfo(f, path)
}

func parseMountinfo(r io.Reader, path string) (mountEntry, bool, error) {
	var found mountEntry
	ok := false
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
		left, right, _ := strings.Cut(sc.Text(), " - ")
		l, r := strings.Fields(left), strings.Fields(right)
		if len(l) < 6 || len(r) < 2 {
			return found, ok, fmt.Errorf("mountinfo: line %q has too few fields", sc.Text())
		}
		if unescapeMount(l[4]) != path {
			continue
		}
		major, minor, _ := strings.Cut(l[2], ":")
		maj, err1 := strconv.ParseUint(major, 10, 32)
		mnr, err2 := strconv.ParseUint(minor, 10, 32)
		if err1 != nil || err2 != nil {
			return found, ok, fmt.Errorf("mountinfo: device number %q", l[2])
		}
		found = mountEntry{
			major: uint32(maj), minor: uint32(mnr), mountpoint: path,
			fsType: unescapeMount(r[0]), source: unescapeMount(r[1]),
		}
		ok = true
	}
	return found, ok, sc.Err()
}

// unescapeMount undoes the octal escapes of space, tab, newline, backslash and '#'.
func unescapeMount(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(v))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// connection is the name of the mount's folder below /sys/fs/fuse/connections: the kernel's device number, major and
// minor in 12 and 20 bits.
func (m *mountEntry) connection() uint32 { return m.major<<20 | m.minor }
