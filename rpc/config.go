package rpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"unicode/utf8"
)

// Config is a configuration as SPDK keeps it in files: for each subsystem the calls that bring it to where it was.
type Config struct {
	Subsystems []SubsystemConfig `json:"subsystems"`
}

// SubsystemConfig is what configures one subsystem.
type SubsystemConfig struct {
	Subsystem string        `json:"subsystem"`
	Config    []ConfigEntry `json:"config"`
}

// ConfigEntry is one call, or several that are sent as a batch.
type ConfigEntry struct {
	Calls []ConfigCall
	Batch bool
}

// ConfigCall is one call.
type ConfigCall struct {
	Method string          `json:"method"`
	Params json.RawMessage `json:"params,omitempty"`

	Line int `json:"-"` // in the text that it was read from, from 1
}

// MarshalJSON writes the entry as files have it: an object, or an array of such.
func (e ConfigEntry) MarshalJSON() ([]byte, error) {
	if !e.Batch && len(e.Calls) == 1 {
		return marshal(e.Calls[0])
	}
	return marshal(e.Calls)
}

// configText is the text of a configuration; positions are offsets into it.
type configText struct {
	name string
	text []byte
}

// errorf says where something is wrong.
func (c *configText) errorf(pos int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s: %w", c.name, c.line(pos), fmt.Sprintf(format, args...), syscall.EINVAL)
}

func (c *configText) line(pos int) int {
	return bytes.Count(c.text[:min(pos, len(c.text))], []byte{'\n'}) + 1
}

// item is a member of an object, or an element of an array.
type item struct {
	name string
	raw  json.RawMessage
	pos  int
}

// items takes an object or array apart that begins at pos.
func (c *configText) items(raw json.RawMessage, pos int, what string) (list []item, err error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	open, err := dec.Token()
	if err != nil || open != json.Delim('{') && open != json.Delim('[') {
		return nil, c.errorf(pos, "%s should be an object or array", what)
	}
	seen := map[string]bool{}
	for dec.More() {
		var it item
		if open == json.Delim('{') {
			name, err := dec.Token()
			if err != nil {
				return nil, c.errorf(pos, "%s: %v", what, err)
			}
			it.name = name.(string)
			if seen[it.name] {
				return nil, c.errorf(pos+int(dec.InputOffset()), "%s: %q is given twice", what, it.name)
			}
			seen[it.name] = true
		}
		if err := dec.Decode(&it.raw); err != nil {
			return nil, c.errorf(pos, "%s: %v", what, err)
		}
		it.pos = pos + int(dec.InputOffset()) - len(it.raw)
		list = append(list, it)
	}
	return list, nil
}

// object takes an object apart and wants its members to be among the known.
func (c *configText) object(it item, what string, known ...string) (map[string]item, error) {
	if len(it.raw) == 0 || it.raw[0] != '{' {
		return nil, c.errorf(it.pos, "%s should be an object", what)
	}
	list, err := c.items(it.raw, it.pos, what)
	if err != nil {
		return nil, err
	}
	found := map[string]item{}
	for _, m := range list {
		ok := len(known) == 0
		for _, k := range known {
			ok = ok || k == m.name
		}
		if !ok {
			return nil, c.errorf(m.pos, "%s: what is %q?", what, m.name)
		}
		found[m.name] = m
	}
	return found, nil
}

// array takes an array apart.
func (c *configText) array(it item, what string) ([]item, error) {
	if len(it.raw) == 0 || it.raw[0] != '[' {
		return nil, c.errorf(it.pos, "%s should be an array", what)
	}
	return c.items(it.raw, it.pos, what)
}

func (c *configText) text1(it item, what string) (s string, err error) {
	if len(it.raw) == 0 || it.raw[0] != '"' || json.Unmarshal(it.raw, &s) != nil {
		return "", c.errorf(it.pos, "%s should be a string", what)
	}
	return s, nil
}

// ParseConfig reads a configuration, which may have // and /* */ comments. Errors wrap EINVAL and begin with name, the
// file's, and the line.
//
// SPDK: spdk_subsystem_load_config, the part that parses
func ParseConfig(name string, text []byte) (*Config, error) {
	c := &configText{name, text}
	plain, bad := blankComments(text)
	if bad >= 0 {
		return nil, c.errorf(bad, "a comment without an end")
	}
	if !utf8.Valid(plain) {
		return nil, fmt.Errorf("%s: this is not UTF-8: %w", name, syscall.EINVAL)
	}
	if len(bytes.TrimSpace(plain)) == 0 {
		return nil, fmt.Errorf("%s: there is nothing in it: %w", name, syscall.EINVAL)
	}
	var whole json.RawMessage
	if err := json.Unmarshal(plain, &whole); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return nil, c.errorf(int(syntax.Offset)-1, "%v", err)
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	root, err := c.object(item{raw: bytes.TrimSpace(plain), pos: bytes.Index(plain, bytes.TrimSpace(plain))},
		"the configuration")
	if err != nil {
		return nil, err
	}
	cfg := &Config{}
	subsystems, ok := root["subsystems"]
	if !ok {
		return cfg, nil
	}
	list, err := c.array(subsystems, `"subsystems"`)
	if err != nil {
		return nil, err
	}
	for _, it := range list {
		s, err := c.subsystem(it)
		if err != nil {
			return nil, err
		}
		cfg.Subsystems = append(cfg.Subsystems, s)
	}
	return cfg, nil
}

// ParseSubsystemConfig is [ParseConfig] for the configuration of one subsystem.
func ParseSubsystemConfig(name string, text []byte) (*Config, error) {
	return ParseConfig(name, fmt.Appendf(nil, `{"subsystems":[%s]}`, text))
}

func (c *configText) subsystem(it item) (s SubsystemConfig, err error) {
	const what = "a subsystem's configuration"
	m, err := c.object(it, what, "subsystem", "config")
	if err != nil {
		return s, err
	}
	for _, key := range []string{"subsystem", "config"} {
		if m[key].raw == nil {
			return s, c.errorf(it.pos, "%s has no %q", what, key)
		}
	}
	if s.Subsystem, err = c.text1(m["subsystem"], "the name of a subsystem"); err != nil {
		return s, err
	}
	if string(m["config"].raw) == "null" {
		return s, nil
	}
	list, err := c.array(m["config"], `"config"`)
	if err != nil {
		return s, err
	}
	for _, it := range list {
		e := ConfigEntry{Batch: it.raw[0] == '['}
		calls := []item{it}
		if e.Batch {
			if calls, err = c.array(it, "a batch"); err != nil {
				return s, err
			}
		}
		for _, it := range calls {
			call, err := c.call(it)
			if err != nil {
				return s, err
			}
			e.Calls = append(e.Calls, call)
		}
		s.Config = append(s.Config, e)
	}
	return s, nil
}

func (c *configText) call(it item) (call ConfigCall, err error) {
	const what = "a call"
	m, err := c.object(it, what, "method", "params")
	if err != nil {
		return call, err
	}
	if m["method"].raw == nil {
		return call, c.errorf(it.pos, "a call has no method")
	}
	if call.Method, err = c.text1(m["method"], "a method"); err != nil {
		return call, err
	}
	if params := m["params"]; params.raw != nil && string(params.raw) != "null" {
		call.Params = params.raw
	}
	call.Line = c.line(it.pos)
	return call, nil
}

// blankComments returns text with blanks in the place of comments, so that positions stay. bad is where a comment
// begins that does not end, -1 if there is none.
func blankComments(text []byte) (plain []byte, bad int) {
	plain = bytes.Clone(text)
	blank := func(from, to int) {
		for i := from; i < to; i++ {
			if plain[i] != '\n' {
				plain[i] = ' '
			}
		}
	}
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case bytes.HasPrefix(text[i:], []byte("//")):
			n := bytes.IndexByte(text[i:], '\n')
			if n < 0 {
				n = len(text) - i
			}
			blank(i, i+n)
			i += n - 1
		case bytes.HasPrefix(text[i:], []byte("/*")):
			n := bytes.Index(text[i+2:], []byte("*/"))
			if n < 0 {
				return nil, i
			}
			blank(i, i+n+4)
			i += n + 3
		}
	}
	return plain, -1
}

// Text returns the configuration as files have it, indented.
func (c *Config) Text() ([]byte, error) {
	text, err := marshal(c)
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	if err := json.Indent(&buf, text, "", "  "); err != nil {
		return nil, err
	}
	buf.WriteByte('\n')
	return buf.Bytes(), nil
}

// WriteFile writes the configuration to a file, all or nothing: what was there stays until the new text is on the disk.
// A new file is for its owner alone, since there may be secrets in it; an old one's mode is kept.
func (c *Config) WriteFile(name string) (err error) {
	text, err := c.Text()
	if err != nil {
		return err
	}
	mode := os.FileMode(0o600)
	if st, err := os.Stat(name); err == nil {
		mode = st.Mode().Perm()
	}
	// A symbolic link stays one.
	if target, err := filepath.EvalSymlinks(name); err == nil {
		name = target
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
