package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spdk-go/spdk-go/modules/aio"
)

// aioOption is one of the options behind --aio NAME:DIR.
type aioOption struct {
	name  string
	value string // what --help calls its value; "": it has none
	help  string
	set   func(o *aio.Opts, val string) error
}

// aioToggle is an option without a value.
func aioToggle(name, help string, set func(o *aio.Opts)) aioOption {
	return aioOption{name: name, help: help, set: func(o *aio.Opts, _ string) error {
		set(o)
		return nil
	}}
}

var aioOptions = []aioOption{
	aioToggle("ro", "refuse changes", func(o *aio.Opts) { o.ReadOnly = true }),
	aioToggle("xattr", "allow extended attributes", func(o *aio.Opts) { o.Xattr = true }),
	aioToggle("writeback", "let the kernel cache writes", func(o *aio.Opts) { o.Writeback = true }),
	aioToggle("devices", "allow device files to be made", func(o *aio.Opts) { o.Devices = true }),
	{"max-write", "BYTES", "longest write request, a multiple of 4K from 4K to 1M, else what --max-write says",
		func(o *aio.Opts, val string) (err error) {
			o.MaxWrite, err = parseMaxWrite(val)
			return err
		}},
	aioToggle("notify", "have the kernel forget what others change on the host, so that it can keep things for long; "+
		"needs CAP_SYS_ADMIN, and is not for writeback or inode-file-handles", func(o *aio.Opts) { o.Notify = true }),
	{"workers", "N", "threads for what has to wait, else one per CPU and at least 4", setAioWorkers},
	aioToggle("announce-submounts", "tell clients where other file systems are mounted below the directory",
		func(o *aio.Opts) { o.AnnounceSubmounts = true }),
	{"inode-file-handles", "MODE", "hold known files by the file system's names for them, instead of by descriptors, so " +
		"that their number is not bounded: prefer (where that can be), mandatory (LOOKUP fails where it cannot) or else " +
		"never. It takes CAP_DAC_READ_SEARCH", setAioFileHandles},
	{"node-fds", "N", "descriptors to keep of such files, for those that were used last, else a quarter of what the " +
		"process may have and at most 16384", setAioNodeFDs},
	aioToggle("no-killpriv", "leave it to the kernel of the client to take set-user-ID bits and capabilities from files "+
		"that change", func(o *aio.Opts) { o.NoKillPriv = true }),
	{"xattrmap", "RULES", "what extended attributes of the client are called on the host, in virtiofsd's form, without " +
		"a comma, e.g. :map:trusted.:user.guest.: to move those of a name space, or :map::user.guest.: to move all",
		func(o *aio.Opts, val string) error {
			o.XattrMap = val
			return o.Check()
		}},
	{"posix-acl", "", "allow access control lists, which the file system of the directory keeps and obeys",
		func(o *aio.Opts, _ string) error {
			o.PosixACL = true
			return o.Check()
		}},
	aioToggle("security-label", "give files the labels that the client's security module wants them to have from the "+
		"beginning", func(o *aio.Opts) { o.SecurityLabel = true }),
	aioToggle("direct-io", "pass O_DIRECT on to the file system of the directory, unless the kernel of the client caches "+
		"writes", func(o *aio.Opts) { o.DirectIO = true }),
	aioToggle("no-open", "with --cache always and --no-passthrough, do without requests that open and close files",
		func(o *aio.Opts) { o.NoOpen = true }),
	aioToggle("skip-rw", "for benchmarks: answer reads and writes without touching data", func(o *aio.Opts) {
		o.SkipRW = true
	}),
	{"translate-uid", "RULE", "what a user of the client is on the host, and the other way round. May be repeated. RULE " +
		"is map:CLIENT:HOST:COUNT, guest:CLIENT:HOST:COUNT (only to the host), host:HOST:CLIENT:COUNT (only from it), " +
		"squash-guest:CLIENT:HOST:COUNT, squash-host:HOST:CLIENT:COUNT (COUNT to one) or forbid-guest:CLIENT:COUNT, as " +
		"virtiofsd has them, e.g. map:0:100000:65536; without one, IDs stay as they are",
		func(o *aio.Opts, val string) error {
			o.TranslateUID = append(o.TranslateUID, val)
			return o.Check()
		}},
	{"translate-gid", "RULE", "likewise for groups", func(o *aio.Opts, val string) error {
		o.TranslateGID = append(o.TranslateGID, val)
		return o.Check()
	}},
}

// setAioOption sets an option, as it stands on the command line.
func setAioOption(o *aio.Opts, opt string) error {
	name, val, hasVal := strings.Cut(opt, "=")
	i := slices.IndexFunc(aioOptions, func(known aioOption) bool { return known.name == name })
	if i < 0 || hasVal != (aioOptions[i].value != "") {
		return fmt.Errorf("%q is not an option of aio (want %s)", opt, aioOptionNames())
	}
	if err := aioOptions[i].set(o, val); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (o *aioOption) usage() string {
	if o.value == "" {
		return o.name
	}
	return o.name + "=" + o.value
}

func aioOptionNames() string {
	var names []string
	for i := range aioOptions {
		names = append(names, aioOptions[i].usage())
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// aioOptionsHelp describes the options for --help.
func aioOptionsHelp() string {
	const column = 26
	var b strings.Builder
	for i := range aioOptions {
		o := &aioOptions[i]
		fmt.Fprintf(&b, "  %-*s", column-3, o.usage())
		at := column - 1
		if len(o.usage()) > column-4 {
			at = helpColumns // on a line of its own
		}
		for word := range strings.FieldsSeq(o.help) {
			if at+1+len(word) > helpColumns {
				fmt.Fprintf(&b, "\n%*s", column-1, "")
				at = column - 1
			}
			b.WriteString(" " + word)
			at += 1 + len(word)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func setAioWorkers(o *aio.Opts, val string) error {
	n, err := strconv.ParseUint(val, 10, 10)
	if err != nil || n == 0 {
		return errors.New(strconv.Quote(val) + " is not a number from 1 to 1023")
	}
	o.Workers = int(n)
	return nil
}

func setAioFileHandles(o *aio.Opts, val string) (err error) {
	if o.InodeFileHandles, err = aio.ParseFileHandles(val); err != nil {
		return errors.New(strconv.Quote(val) + " is not never, prefer or mandatory")
	}
	return nil
}

func setAioNodeFDs(o *aio.Opts, val string) error {
	n, err := strconv.ParseUint(val, 10, 31)
	if err != nil || n == 0 {
		return errors.New(strconv.Quote(val) + " is not a number above zero")
	}
	o.NodeFDs = int(n)
	return nil
}
