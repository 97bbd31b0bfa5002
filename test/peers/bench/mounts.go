package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const (
	mountTimeout = 10 * time.Second
	stopTimeout  = 20 * time.Second
)

// mounted is a peer at work, or the directory itself.
type mounted struct {
	name string
	src  string // what it passes through
	dir  string // where
	cmd  *exec.Cmd
	log  bytes.Buffer
	done chan struct{}
}

// device returns the number of the file system at path.
func device(path string) (uint64, error) {
	var st syscall.Stat_t
	err := syscall.Stat(path, &st)
	return st.Dev, err
}

// mount starts a peer's program and waits until something is mounted.
func mount(c *config, p *peer, prog, mode, src, dir string) (*mounted, error) {
	for _, d := range []string{src, dir} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	before, err := device(dir)
	if err != nil {
		return nil, err
	}
	m := &mounted{name: p.name, src: src, dir: dir, done: make(chan struct{})}
	m.cmd = exec.Command(prog, p.args[mode](c, src, dir)...)
	m.cmd.Stdout, m.cmd.Stderr = &m.log, &m.log
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt from the terminal is not for it
	if err := m.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = m.cmd.Wait()
		close(m.done)
	}()
	for end := time.Now().Add(mountTimeout); time.Now().Before(end); {
		if now, err := device(dir); err == nil && now != before {
			return m, nil
		}
		select {
		case <-m.done:
			return nil, fmt.Errorf("%v ended: %s", m.cmd.Args, m.log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil, errors.Join(fmt.Errorf("%v: nothing is mounted after %v: %s", m.cmd.Args, mountTimeout, m.log.String()),
		m.stop())
}

// stop unmounts, and ends the program if that does not.
func (m *mounted) stop() error {
	if m.cmd == nil {
		return nil
	}
	err := syscall.Unmount(m.dir, 0)
	if err != nil {
		err = fmt.Errorf("unmount %s: %w", m.dir, err)
		_ = syscall.Unmount(m.dir, syscall.MNT_DETACH)
	}
	_ = m.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-m.done:
	case <-time.After(stopTimeout):
		_ = m.cmd.Process.Kill()
		<-m.done
		err = errors.Join(err, fmt.Errorf("%v had to be killed", m.cmd.Args))
	}
	return err
}

// bench is where everything takes place.
type bench struct {
	c     *config
	dir   string            // temporary
	progs map[string]string // of the peers that are there
	tmpfs string
}

func newBench(c *config) (*bench, error) {
	if _, err := exec.LookPath("fio"); err != nil {
		return nil, fmt.Errorf("%w: apt-get install fio", err)
	}
	dir, err := os.MkdirTemp(c.disk, "bench-peers-")
	if err != nil {
		return nil, err
	}
	b := &bench{c: c, dir: dir, progs: map[string]string{}, tmpfs: filepath.Join(dir, "tmpfs")}
	for i := range peers {
		p := &peers[i]
		if !c.peers.MatchString(p.name) {
			continue
		}
		if prog, err := p.find(c, dir); err == nil {
			b.progs[p.name] = prog
		} else {
			fmt.Fprintf(os.Stderr, "bench: there is no %s: %s (%v)\n", p.name, p.how, err)
		}
	}
	if err := os.Mkdir(b.tmpfs, 0o755); err != nil {
		return nil, err
	}
	if err := syscall.Mount("tmpfs", b.tmpfs, "tmpfs", 0, "size=4g"); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return b, nil
}

func (b *bench) close() error {
	err := syscall.Unmount(b.tmpfs, 0)
	return errors.Join(err, os.RemoveAll(b.dir))
}

// place returns the directory on a kind of file system.
func (b *bench) place(name string) (string, error) {
	switch name {
	case "tmpfs":
		return b.tmpfs, nil
	case "disk":
		return filepath.Join(b.dir, "disk"), nil
	}
	return "", fmt.Errorf("there is no such place, but tmpfs and disk")
}

// start mounts every peer that has the mode.
func (b *bench) start(place, mode string) (all []*mounted, err error) {
	base, err := b.place(place)
	if err != nil {
		return nil, err
	}
	src := filepath.Join(base, raw)
	if err := os.MkdirAll(src, 0o755); err != nil {
		return nil, err
	}
	all = append(all, &mounted{name: raw, src: src, dir: src})
	for i := range peers {
		p := &peers[i]
		prog, ok := b.progs[p.name]
		if p.args[mode] == nil || !ok {
			continue
		}
		m, err := mount(b.c, p, prog, mode, filepath.Join(base, p.name), filepath.Join(b.dir, "mnt-"+p.name))
		if err != nil {
			return all, err
		}
		all = append(all, m)
	}
	return all, nil
}
