package appflags

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/spdk-go/spdk-go/reactor"
	"github.com/spdk-go/spdk-go/rpc"
)

func parseNumber(v string, from, to int) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < from || n > to {
		return 0, fmt.Errorf("%q is not a number from %d to %d", v, from, to)
	}
	return n, nil
}

// parseLcores reads DPDK's map of lcores to CPUs, as far as an lcore has one CPU: an lcore is a reactor, which is known
// by its CPU here. What comes out is the CPUs.
func parseLcores(v string) (*reactor.Cpuset, error) {
	bad := fmt.Errorf("%q is not LCORE[@CPU], or LCORE-LCORE[@CPU-CPU], and so on, with one CPU for each", v)
	lcores, cpus := reactor.NewCpuset(), reactor.NewCpuset()
	for entry := range strings.SplitSeq(v, ",") {
		of, at, mapped := strings.Cut(entry, "@")
		if !mapped {
			at = of
		}
		first, last, err := parseRange(of)
		firstCPU, lastCPU, err2 := parseRange(at)
		if err != nil || err2 != nil || last-first != lastCPU-firstCPU {
			return nil, bad
		}
		for i := range last - first + 1 {
			if lcores.Get(first+i) || cpus.Get(firstCPU+i) {
				return nil, fmt.Errorf("%q has an lcore or a CPU twice", v)
			}
			lcores.Set(first+i, true)
			cpus.Set(firstCPU+i, true)
		}
	}
	return cpus, nil
}

// parseRange reads N or N-M, perhaps in parentheses or brackets.
func parseRange(v string) (first, last int, err error) {
	for _, pair := range []string{"()", "[]"} {
		if inner, ok := strings.CutPrefix(v, pair[:1]); ok {
			if v, ok = strings.CutSuffix(inner, pair[1:]); !ok {
				return 0, 0, errors.New("a parenthesis without its other half")
			}
		}
	}
	from, to, isRange := strings.Cut(v, "-")
	if first, err = parseNumber(from, 0, reactor.MaxCPU-1); err != nil || !isRange {
		return first, first, err
	}
	last, err = parseNumber(to, first, reactor.MaxCPU-1)
	return first, last, err
}

func (f *Flags) setSocketMode(v string) error {
	n, err := strconv.ParseUint(v, 8, 32)
	if err != nil || n == 0 || n > 0o777 {
		return fmt.Errorf("%q are not permission bits from 1 to 777", v)
	}
	f.o.RPCListen.Mode = os.FileMode(n)
	return nil
}

func setID(to *string, v string) error {
	if v == "" {
		return errors.New("the name is empty")
	}
	*to = v
	return nil
}

// ListenOptions returns whose the RPC socket is to be, for [app.Options].RPCListen: it looks users and groups up.
func (f *Flags) ListenOptions() (o rpc.ListenOptions, err error) {
	o = f.o.RPCListen
	o.Owner, err = lookUp("--rpc-socket-owner", f.owner, func(name string) (string, error) {
		u, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return u.Uid, nil
	})
	if err != nil {
		return o, err
	}
	o.Group, err = lookUp("--rpc-socket-group", f.group, func(name string) (string, error) {
		g, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return g.Gid, nil
	})
	return o, err
}

// lookUp returns the number of a user or group, nil for "".
func lookUp(flag, name string, find func(name string) (id string, err error)) (*int, error) {
	if name == "" {
		return nil, nil
	}
	id := name
	if strings.Trim(name, "0123456789") != "" {
		var err error
		if id, err = find(name); err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
	}
	n, err := strconv.ParseUint(id, 10, 32)
	if err != nil || n == 1<<32-1 {
		return nil, fmt.Errorf("%s: %q is not a number from 0 to %d", flag, id, uint32(1<<32-2))
	}
	return new(int(n)), nil
}
