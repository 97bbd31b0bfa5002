package appflags

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ignored are SPDK's flags that have no meaning here, since there are neither huge pages nor PCI devices.
var ignored = []struct {
	name, short string
	check       func(v string) error // of the value; nil: there is none
}{
	{"single-file-segments", "g", nil},
	{"mem-channels", "n", checkNumber},
	{"mem-size", "s", checkSize},
	{"no-pci", "u", nil},
	{"pci-allowed", "A", checkAny},
	{"pci-blocked", "B", checkAny},
	{"huge-unlink", "R", nil},
	{"huge-dir", "", checkAny},
	{"iova-mode", "", checkIOVA},
	{"base-virtaddr", "", checkAddress},
	{"env-context", "", checkAny},
	{"vfio-vf-token", "", checkAny},
	{"no-huge", "", nil},
	{"enforce-numa", "", nil},
}

func (f *Flags) addIgnored() {
	for _, flag := range ignored {
		const help = "ignored: there are neither huge pages nor PCI devices here"
		note := func() {
			if !slices.Contains(f.ignored, flag.name) {
				f.ignored = append(f.ignored, flag.name)
			}
		}
		if flag.check == nil {
			f.on(flag.name, flag.short, help, func(bool) { note() })
		} else {
			f.value(flag.name, flag.short, "", help, func(v string) error {
				note()
				f.pci[0] = f.pci[0] || flag.name == "pci-allowed"
				f.pci[1] = f.pci[1] || flag.name == "pci-blocked"
				return flag.check(v)
			})
		}
		f.hide(flag.name)
	}
}

// Notice says which flags were given that have no meaning, in a line for users, "" if there are none.
func (f *Flags) Notice() string {
	if len(f.ignored) == 0 || f.quiet {
		return ""
	}
	return fmt.Sprintf("ignored, since there are neither huge pages nor PCI devices here: --%s",
		strings.Join(f.ignored, ", --"))
}

func checkAny(v string) error {
	if v == "" {
		return fmt.Errorf("the value is empty")
	}
	return nil
}

func checkNumber(v string) error {
	_, err := parseNumber(v, 0, 1<<31-1)
	return err
}

// checkSize takes a number of megabytes, or with a suffix of what that says.
func checkSize(v string) error {
	digits := strings.TrimRight(strings.TrimRight(v, "bBiI"), "kKmMgG")
	if _, err := strconv.ParseUint(digits, 10, 32); err != nil {
		return fmt.Errorf("%q is not a size in megabytes", v)
	}
	return nil
}

func checkIOVA(v string) error {
	if v != "pa" && v != "va" {
		return fmt.Errorf("%q is not pa or va", v)
	}
	return nil
}

func checkAddress(v string) error {
	if _, err := strconv.ParseUint(v, 0, 64); err != nil {
		return fmt.Errorf("%q is not an address", v)
	}
	return nil
}
