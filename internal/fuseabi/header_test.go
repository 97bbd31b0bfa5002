package fuseabi_test

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/internal/fuseabi"
)

// abiStructs pairs the structures with their names in the header. TestEveryStructIsListed keeps
// it complete.
var abiStructs = []struct {
	c string
	t reflect.Type
}{
	{"fuse_in_header", reflect.TypeFor[fuseabi.InHeader]()},
	{"fuse_out_header", reflect.TypeFor[fuseabi.OutHeader]()},
	{"fuse_attr", reflect.TypeFor[fuseabi.Attr]()},
	{"fuse_sx_time", reflect.TypeFor[fuseabi.SxTime]()},
	{"fuse_statx", reflect.TypeFor[fuseabi.Statx]()},
	{"fuse_kstatfs", reflect.TypeFor[fuseabi.Kstatfs]()},
	{"fuse_file_lock", reflect.TypeFor[fuseabi.FileLock]()},
	{"fuse_entry_out", reflect.TypeFor[fuseabi.EntryOut]()},
	{"fuse_forget_in", reflect.TypeFor[fuseabi.ForgetIn]()},
	{"fuse_forget_one", reflect.TypeFor[fuseabi.ForgetOne]()},
	{"fuse_batch_forget_in", reflect.TypeFor[fuseabi.BatchForgetIn]()},
	{"fuse_getattr_in", reflect.TypeFor[fuseabi.GetattrIn]()},
	{"fuse_attr_out", reflect.TypeFor[fuseabi.AttrOut]()},
	{"fuse_statx_in", reflect.TypeFor[fuseabi.StatxIn]()},
	{"fuse_statx_out", reflect.TypeFor[fuseabi.StatxOut]()},
	{"fuse_mknod_in", reflect.TypeFor[fuseabi.MknodIn]()},
	{"fuse_mkdir_in", reflect.TypeFor[fuseabi.MkdirIn]()},
	{"fuse_rename_in", reflect.TypeFor[fuseabi.RenameIn]()},
	{"fuse_rename2_in", reflect.TypeFor[fuseabi.Rename2In]()},
	{"fuse_link_in", reflect.TypeFor[fuseabi.LinkIn]()},
	{"fuse_setattr_in", reflect.TypeFor[fuseabi.SetattrIn]()},
	{"fuse_open_in", reflect.TypeFor[fuseabi.OpenIn]()},
	{"fuse_create_in", reflect.TypeFor[fuseabi.CreateIn]()},
	{"fuse_open_out", reflect.TypeFor[fuseabi.OpenOut]()},
	{"fuse_release_in", reflect.TypeFor[fuseabi.ReleaseIn]()},
	{"fuse_flush_in", reflect.TypeFor[fuseabi.FlushIn]()},
	{"fuse_read_in", reflect.TypeFor[fuseabi.ReadIn]()},
	{"fuse_write_in", reflect.TypeFor[fuseabi.WriteIn]()},
	{"fuse_write_out", reflect.TypeFor[fuseabi.WriteOut]()},
	{"fuse_statfs_out", reflect.TypeFor[fuseabi.StatfsOut]()},
	{"fuse_fsync_in", reflect.TypeFor[fuseabi.FsyncIn]()},
	{"fuse_setxattr_in", reflect.TypeFor[fuseabi.SetxattrIn]()},
	{"fuse_getxattr_in", reflect.TypeFor[fuseabi.GetxattrIn]()},
	{"fuse_getxattr_out", reflect.TypeFor[fuseabi.GetxattrOut]()},
	{"fuse_lk_in", reflect.TypeFor[fuseabi.LkIn]()},
	{"fuse_lk_out", reflect.TypeFor[fuseabi.LkOut]()},
	{"fuse_access_in", reflect.TypeFor[fuseabi.AccessIn]()},
	{"fuse_init_in", reflect.TypeFor[fuseabi.InitIn]()},
	{"fuse_init_out", reflect.TypeFor[fuseabi.InitOut]()},
	{"cuse_init_in", reflect.TypeFor[fuseabi.CuseInitIn]()},
	{"cuse_init_out", reflect.TypeFor[fuseabi.CuseInitOut]()},
	{"fuse_interrupt_in", reflect.TypeFor[fuseabi.InterruptIn]()},
	{"fuse_bmap_in", reflect.TypeFor[fuseabi.BmapIn]()},
	{"fuse_bmap_out", reflect.TypeFor[fuseabi.BmapOut]()},
	{"fuse_ioctl_in", reflect.TypeFor[fuseabi.IoctlIn]()},
	{"fuse_ioctl_iovec", reflect.TypeFor[fuseabi.IoctlIovec]()},
	{"fuse_ioctl_out", reflect.TypeFor[fuseabi.IoctlOut]()},
	{"fuse_poll_in", reflect.TypeFor[fuseabi.PollIn]()},
	{"fuse_poll_out", reflect.TypeFor[fuseabi.PollOut]()},
	{"fuse_notify_poll_wakeup_out", reflect.TypeFor[fuseabi.NotifyPollWakeupOut]()},
	{"fuse_fallocate_in", reflect.TypeFor[fuseabi.FallocateIn]()},
	{"fuse_dirent", reflect.TypeFor[fuseabi.Dirent]()},
	{"fuse_direntplus", reflect.TypeFor[fuseabi.Direntplus]()},
	{"fuse_notify_inval_inode_out", reflect.TypeFor[fuseabi.NotifyInvalInodeOut]()},
	{"fuse_notify_inval_entry_out", reflect.TypeFor[fuseabi.NotifyInvalEntryOut]()},
	{"fuse_notify_delete_out", reflect.TypeFor[fuseabi.NotifyDeleteOut]()},
	{"fuse_notify_store_out", reflect.TypeFor[fuseabi.NotifyStoreOut]()},
	{"fuse_notify_retrieve_out", reflect.TypeFor[fuseabi.NotifyRetrieveOut]()},
	{"fuse_notify_retrieve_in", reflect.TypeFor[fuseabi.NotifyRetrieveIn]()},
	{"fuse_notify_prune_out", reflect.TypeFor[fuseabi.NotifyPruneOut]()},
	{"fuse_backing_map", reflect.TypeFor[fuseabi.BackingMap]()},
	{"fuse_lseek_in", reflect.TypeFor[fuseabi.LseekIn]()},
	{"fuse_lseek_out", reflect.TypeFor[fuseabi.LseekOut]()},
	{"fuse_copy_file_range_in", reflect.TypeFor[fuseabi.CopyFileRangeIn]()},
	{"fuse_copy_file_range_out", reflect.TypeFor[fuseabi.CopyFileRangeOut]()},
	{"fuse_setupmapping_in", reflect.TypeFor[fuseabi.SetupmappingIn]()},
	{"fuse_removemapping_in", reflect.TypeFor[fuseabi.RemovemappingIn]()},
	{"fuse_removemapping_one", reflect.TypeFor[fuseabi.RemovemappingOne]()},
	{"fuse_syncfs_in", reflect.TypeFor[fuseabi.SyncfsIn]()},
	{"fuse_secctx", reflect.TypeFor[fuseabi.Secctx]()},
	{"fuse_secctx_header", reflect.TypeFor[fuseabi.SecctxHeader]()},
	{"fuse_ext_header", reflect.TypeFor[fuseabi.ExtHeader]()},
	{"fuse_supp_groups", reflect.TypeFor[fuseabi.SuppGroups]()},
	{"fuse_uring_ent_in_out", reflect.TypeFor[fuseabi.UringEntInOut]()},
	{"fuse_uring_req_header", reflect.TypeFor[fuseabi.UringReqHeader]()},
	{"fuse_uring_cmd_req", reflect.TypeFor[fuseabi.UringCmdReq]()},
}

// field is one member of a structure: its name without case and underscores, offset and size.
type field struct {
	Name         string
	Offset, Size uint64
	Signed       bool
}

// header is what could be learned of linux/fuse.h by reading it; the numbers come from compiling.
type header struct {
	path    string
	minor   int
	fields  map[string][]string // by structure, in order, without flexible arrays
	signed  map[string]bool     // by "structure.field"
	consts  []string            // macros and enumerators with an integer value
	compile string
}

// The kernel's own names; the rest of the header's macros are functions or not numbers.
var constRE = regexp.MustCompile(`^(FUSE|CUSE|FATTR|FOPEN)_[A-Z0-9_]+$`)

// notConstants are macros of the header that need an argument, another header, or are names of
// other macros this package words differently.
var notConstants = []string{
	"FUSE_REC_ALIGN", "FUSE_DIRENT_ALIGN", "FUSE_DIRENT_SIZE", "FUSE_DIRENTPLUS_SIZE",
	"FUSE_REMOVEMAPPING_MAX_ENTRY", // depends on PAGE_SIZE
	"FUSE_KERNEL_MINOR_VERSION",    // compared as a lower bound
}

// skipReason is what a machine lacks.
type skipReason string

const (
	noHeader   skipReason = "no kernel header to compare with: install linux-libc-dev"
	noCompiler skipReason = "no C compiler to evaluate the kernel header with: install gcc"
)

// skip ends a test that cannot run here. Where CI runs, both the header and a compiler are there.
func skip(t testing.TB, reason skipReason) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(reason)
	}
	t.Skip(string(reason))
}

// readHeader finds the header and a compiler. FUSE_H names another header than the installed one,
// such as include/uapi/linux/fuse.h of a kernel tree.
func readHeader(t *testing.T) *header {
	t.Helper()
	h := &header{path: os.Getenv("FUSE_H"), fields: map[string][]string{}, signed: map[string]bool{}}
	if h.path == "" {
		h.path = "/usr/include/linux/fuse.h"
	}
	src, err := os.ReadFile(h.path)
	if err != nil {
		skip(t, noHeader)
	}
	for _, cc := range []string{"cc", "gcc", "clang"} {
		if p, err := exec.LookPath(cc); err == nil {
			h.compile = p
			break
		}
	}
	if h.compile == "" {
		skip(t, noCompiler)
	}

	text := regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAllString(string(src), "")
	text = strings.ReplaceAll(text, "\\\n", " ")
	minor := regexp.MustCompile(`#define\s+FUSE_KERNEL_MINOR_VERSION\s+(\d+)`).FindStringSubmatch(text)
	if minor == nil {
		t.Fatalf("%s: no FUSE_KERNEL_MINOR_VERSION", h.path)
	}
	h.minor, _ = strconv.Atoi(minor[1])

	member := regexp.MustCompile(`(\w+)\s+(\w+)\s*(\[[^\]]*\])?\s*;`)
	for _, m := range regexp.MustCompile(`(?s)struct\s+(\w+)\s*\{(.*?)\}`).FindAllStringSubmatch(text, -1) {
		for _, f := range member.FindAllStringSubmatch(m[2], -1) {
			if f[3] == "[]" {
				continue
			}
			h.fields[m[1]] = append(h.fields[m[1]], f[2])
			h.signed[m[1]+"."+f[2]] = strings.HasPrefix(f[1], "int")
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^#define\s+(\w+)(\(?)`).FindAllStringSubmatch(text, -1) {
		if m[2] == "" {
			h.consts = append(h.consts, m[1])
		}
	}
	for _, m := range regexp.MustCompile(`(?s)enum\s+\w+\s*\{(.*?)\}`).FindAllStringSubmatch(text, -1) {
		for _, e := range regexp.MustCompile(`(\w+)\s*=`).FindAllStringSubmatch(m[1], -1) {
			h.consts = append(h.consts, e[1])
		}
	}
	h.consts = slices.DeleteFunc(h.consts, func(s string) bool {
		return !constRE.MatchString(s) || slices.Contains(notConstants, s)
	})
	if len(h.fields) < 50 || len(h.consts) < 100 {
		t.Fatalf("%s: only %d structures and %d constants were recognised", h.path, len(h.fields), len(h.consts))
	}
	return h
}

// run compiles a program with the given statements in main and returns its output, by line.
func (h *header) run(t *testing.T, statements string) []string {
	t.Helper()
	dir := t.TempDir()
	src := filepath.Join(dir, "probe.c")
	path, err := filepath.Abs(h.path)
	if err != nil {
		t.Fatal(err)
	}
	prog := fmt.Sprintf("#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n#include <sys/ioctl.h>\n"+
		"#include %q\nint main(void) {\n%sreturn 0;\n}\n", path, statements)
	if err := os.WriteFile(src, []byte(prog), 0o600); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "probe")
	if out, err := exec.Command(h.compile, "-o", bin, src).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", h.compile, err, out)
	}
	out, err := exec.Command(bin).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

func plain(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

// TestStructsMatchHeader compares sizes, and name, offset and size of every field.
func TestStructsMatchHeader(t *testing.T) {
	h := readHeader(t)
	var stmts strings.Builder
	for _, s := range abiStructs {
		fields, ok := h.fields[s.c]
		if !ok {
			continue
		}
		fmt.Fprintf(&stmts, "printf(\"%s . 0 %%zu\\n\", sizeof(struct %s));\n", s.c, s.c)
		for _, f := range fields {
			fmt.Fprintf(&stmts, "printf(\"%s %s %%zu %%zu\\n\", offsetof(struct %s, %s), sizeof(((struct %s *)0)->%s));\n",
				s.c, f, s.c, f, s.c, f)
		}
	}
	want := map[string][]field{}
	for _, line := range h.run(t, stmts.String()) {
		var c, f string
		var off, size uint64
		if _, err := fmt.Sscan(line, &c, &f, &off, &size); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		want[c] = append(want[c], field{plain(f), off, size, h.signed[c+"."+f]})
	}
	for _, s := range abiStructs {
		if want[s.c] == nil {
			if h.minor >= fuseabi.FUSE_KERNEL_MINOR_VERSION {
				t.Errorf("%s (7.%d) does not know struct %s", h.path, h.minor, s.c)
			}
			t.Logf("%s (7.%d) does not know struct %s", h.path, h.minor, s.c)
			continue
		}
		got := []field{{".", 0, uint64(s.t.Size()), false}}
		for f := range s.t.Fields() {
			if f.Name != "_" {
				signed := f.Type.Kind() >= reflect.Int && f.Type.Kind() <= reflect.Int64
				got = append(got, field{plain(f.Name), uint64(f.Offset), uint64(f.Type.Size()), signed})
			}
		}
		// An older header may have had less to say about the same bytes.
		if h.minor < fuseabi.FUSE_KERNEL_MINOR_VERSION {
			got, want[s.c] = dropRenamed(s.c, got, want[s.c])
		}
		if diff := cmp.Diff(want[s.c], got); diff != "" {
			t.Errorf("struct %s differs (-%s, +%v):\n%s", s.c, h.path, s.t, diff)
		}
	}
}

// TestEveryStructOfTheHeaderIsThere finds structures that the package lacks.
func TestEveryStructOfTheHeaderIsThere(t *testing.T) {
	h := readHeader(t)
	for name := range h.fields {
		if !slices.ContainsFunc(abiStructs, func(s struct {
			c string
			t reflect.Type
		}) bool {
			return s.c == name
		}) {
			t.Errorf("struct %s is missing", name)
		}
	}
}

// TestRecordSizesMatchHeader compares the functions that stand for macros with an argument.
func TestRecordSizesMatchHeader(t *testing.T) {
	h := readHeader(t)
	var stmts strings.Builder
	stmts.WriteString("for (unsigned n = 0; n < 300; n++) {\n" +
		"struct fuse_dirent d = {.namelen = n};\nstruct fuse_direntplus p = {.dirent = {.namelen = n}};\n" +
		"printf(\"%u %zu %zu %zu %zu\\n\", n, (size_t)FUSE_REC_ALIGN(n), (size_t)FUSE_DIRENT_ALIGN(n), " +
		"(size_t)FUSE_DIRENT_SIZE(&d), (size_t)FUSE_DIRENTPLUS_SIZE(&p));\n}\n")
	lines := h.run(t, stmts.String())
	for _, line := range lines {
		var n int
		var want [4]int
		if _, err := fmt.Sscan(line, &n, &want[0], &want[1], &want[2], &want[3]); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		got := [4]int{fuseabi.RecAlign(n), fuseabi.DirentAlign(n), fuseabi.DirentSize(n), fuseabi.DirentplusSize(n)}
		if got != want {
			t.Errorf("of %d bytes: %v, want %v", n, got, want)
		}
	}
	if len(lines) != 300 {
		t.Errorf("%d lines", len(lines))
	}
}

// dropRenamed removes the fields that newer minors cut out of what were reserved bytes: those
// which start at or after the first reserved field whose name the two no longer share.
func dropRenamed(c string, got, want []field) ([]field, []field) {
	grown := map[string]string{
		"fuse_init_in":   "flags2",      // 7.36
		"fuse_init_out":  "flags2",      // 7.36, 7.40, 7.43
		"fuse_open_out":  "backingid",   // 7.40
		"fuse_in_header": "totalextlen", // 7.38
		"fuse_attr":      "flags",       // 7.32
		"fuse_open_in":   "openflags",   // 7.33
		"fuse_create_in": "openflags",   // 7.33
	}
	first, ok := grown[c]
	if !ok {
		return got, want
	}
	i := slices.IndexFunc(got, func(f field) bool { return f.Name == first })
	if c == "fuse_init_out" && i >= 0 && len(want) > i && want[i].Name == first {
		i++ // flags2 is known; what follows may still be reserved
	}
	if i < 0 || len(want) < i || slices.Equal(got, want) {
		return got, want
	}
	return got[:i], want[:i]
}

// goConsts evaluates the constants of this package that carry the kernel's names.
func goConsts(t *testing.T) map[string]uint64 {
	t.Helper()
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "_unsafe.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	conf := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
	pkg, err := conf.Check("fuseabi", fset, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]uint64{}
	for _, name := range pkg.Scope().Names() {
		c, ok := pkg.Scope().Lookup(name).(*types.Const)
		if !ok || !constRE.MatchString(name) {
			continue
		}
		v, exact := constant.Uint64Val(constant.ToInt(c.Val()))
		if !exact {
			t.Fatalf("%s = %v is not an unsigned integer", name, c.Val())
		}
		values[name] = v
	}
	return values
}

// TestConstantsMatchHeader compares the value of every constant that the header and the package
// both know, and finds those of the header that the package lacks.
func TestConstantsMatchHeader(t *testing.T) {
	h := readHeader(t)
	var stmts strings.Builder
	for _, c := range h.consts {
		// int constants are sign-extended: what matters is the 32-bit pattern.
		fmt.Fprintf(&stmts, "printf(\"%s %%llu\\n\", sizeof(%s) == 4 ? (unsigned long long)(uint32_t)(%s) : "+
			"(unsigned long long)(%s));\n", c, c, c, c)
	}
	got := goConsts(t)
	if got["FUSE_KERNEL_MINOR_VERSION"] < uint64(h.minor) {
		t.Errorf("%s is version 7.%d, this package 7.%d: update it", h.path, h.minor, got["FUSE_KERNEL_MINOR_VERSION"])
	}
	compared := 0
	for _, line := range h.run(t, stmts.String()) {
		var name string
		var want uint64
		if _, err := fmt.Sscan(line, &name, &want); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		v, ok := got[name]
		switch {
		case !ok:
			t.Errorf("%s = %#x is missing", name, want)
		case v != want:
			t.Errorf("%s = %#x, want %#x", name, v, want)
		}
		compared++
	}
	t.Logf("%d constants compared with %s (7.%d)", compared, h.path, h.minor)
}

// origin is how what a header may not know yet says since when there is such a thing.
var origin = regexp.MustCompile(`7\.\d+, Linux \d+\.\d+|Kernel internal: `)

// TestWhatIsNewerSaysSinceWhen wants the version of the protocol and of the kernel in the comment of
// everything that the installed header, the oldest that is in use, does not know.
func TestWhatIsNewerSaysSinceWhen(t *testing.T) {
	h := readHeader(t)
	known := map[string]bool{"FUSE_KERNEL_MINOR_VERSION": true}
	for _, name := range h.consts {
		known[name] = true
	}
	for _, s := range abiStructs {
		known[s.t.Name()] = h.fields[s.c] != nil
	}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range names {
		if strings.HasSuffix(file, "_test.go") || strings.HasSuffix(file, "_unsafe.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range gen.Specs {
				name, comment := "", gen.Doc.Text()
				switch sp := spec.(type) {
				case *ast.ValueSpec:
					name = sp.Names[0].Name
					comment += sp.Doc.Text() + sp.Comment.Text()
					if !constRE.MatchString(name) || slices.Contains(notConstants, name) {
						continue
					}
				case *ast.TypeSpec:
					name = sp.Name.Name
				default:
					continue
				}
				if !known[name] && !origin.MatchString(strings.ReplaceAll(comment, "\n", " ")) {
					t.Errorf("%s: %s is not in %s (7.%d), and its comment does not say \"7.nn, Linux n.nn\"",
						file, name, h.path, h.minor)
				}
			}
		}
	}
}

// TestEveryStructIsListed finds structures of the package that the comparison leaves out.
func TestEveryStructIsListed(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "structs.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared, listed []string
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.TypeSpec); ok {
			declared = append(declared, s.Name.Name)
		}
		return true
	})
	for _, s := range abiStructs {
		listed = append(listed, s.t.Name())
	}
	slices.Sort(declared)
	slices.Sort(listed)
	if diff := cmp.Diff(declared, listed); diff != "" {
		t.Errorf("structs.go and abiStructs differ (-declared, +listed):\n%s", diff)
	}
}

// TestNoImplicitPadding checks that the fields of every structure fill it.
func TestNoImplicitPadding(t *testing.T) {
	for _, s := range abiStructs {
		var sum uintptr
		for f := range s.t.Fields() {
			if f.Name == "_" && f.Type.Size() != 0 {
				t.Errorf("%v has a blank field of %d bytes: stores may leave it out", s.t, f.Type.Size())
			}
			sum += f.Type.Size()
		}
		if sum != s.t.Size() {
			t.Errorf("%v: the fields take %d bytes of %d", s.t, sum, s.t.Size())
		}
	}
}
