package uring_test

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
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/internal/uring"
)

var abiStructs = []struct {
	c string
	t reflect.Type
}{
	{"io_uring_sqe", reflect.TypeFor[uring.SQE]()},
	{"io_uring_cqe", reflect.TypeFor[uring.CQE]()},
	{"io_sqring_offsets", reflect.TypeFor[uring.SqringOffsets]()},
	{"io_cqring_offsets", reflect.TypeFor[uring.CqringOffsets]()},
	{"io_uring_params", reflect.TypeFor[uring.Params]()},
	{"io_uring_files_update", reflect.TypeFor[uring.FilesUpdate]()},
	{"io_uring_rsrc_register", reflect.TypeFor[uring.RsrcRegister]()},
	{"io_uring_rsrc_update", reflect.TypeFor[uring.RsrcUpdate]()},
	{"io_uring_rsrc_update2", reflect.TypeFor[uring.RsrcUpdate2]()},
	{"io_uring_probe_op", reflect.TypeFor[uring.ProbeOp]()},
	{"io_uring_probe", reflect.TypeFor[uring.ProbeHeader]()},
	{"io_uring_restriction", reflect.TypeFor[uring.Restriction]()},
	{"io_uring_buf", reflect.TypeFor[uring.Buf]()},
	{"io_uring_buf_reg", reflect.TypeFor[uring.BufReg]()},
	{"io_uring_buf_status", reflect.TypeFor[uring.BufStatus]()},
	{"io_uring_getevents_arg", reflect.TypeFor[uring.GeteventsArg]()},
	{"io_uring_sync_cancel_reg", reflect.TypeFor[uring.SyncCancelReg]()},
	{"io_uring_file_index_range", reflect.TypeFor[uring.FileIndexRange]()},
	{"io_uring_recvmsg_out", reflect.TypeFor[uring.RecvmsgOut]()},
	{"__kernel_timespec", reflect.TypeFor[uring.Timespec]()},
}

// otherNames are members of unions, and members that older headers call otherwise; "" is one that a
// header may lack because it gave the bytes as padding.
var otherNames = map[string][]string{
	"SQE.OpFlags":            {"rw_flags"},
	"SQE.Pad2":               {"__pad2"},
	"SqringOffsets.UserAddr": {"user_addr", "resv2"},
	"CqringOffsets.UserAddr": {"user_addr", "resv2"},
	"BufReg.Flags":           {"flags", "pad"},
	"BufReg.Resv":            {"resv", ""},
	"GeteventsArg.MinWaitUsec": {
		"min_wait_usec", "pad"},
	"SyncCancelReg.Opcode": {"opcode", ""},
	"SyncCancelReg.Pad":    {"pad", ""},
	"SyncCancelReg.Pad2":   {"pad2", ""},
}

// notWanted are structures of the header that nobody here has a use for.
var notWanted = regexp.MustCompile(`^(io_uring_notification_\w+|io_uring_attr_pi|io_uring_zcrx_\w+|zcrx_\w+|` +
	`io_timespec|io_uring_napi|io_uring_clock_register|io_uring_clone_buffers|io_uring_region_desc|` +
	`io_uring_mem_region_reg|io_uring_reg_wait|io_uring_task_restriction|io_uring_buf_ring)$`)

// The kernel's own names; the rest of the header's macros are of networking.
var constRE = regexp.MustCompile(`^(IORING|IOSQE|IO_WQ|IO_URING|IOU|SPLICE_F)_[A-Z0-9_]+$`)
var notConstants = regexp.MustCompile(`^(IORING_ZCRX_|IORING_TIMESTAMP_|IORING_OP_LAST$|IORING_REGISTER_LAST$)`)

// header is what could be learned of linux/io_uring.h by reading it; the numbers come from compiling.
type header struct {
	path    string
	text    string
	bodies  map[string]string // of structures
	consts  []string
	compile string
	newer   bool // than this package
}

// readHeader finds the header and a compiler. IO_URING_H names another header than the installed one,
// such as include/uapi/linux/io_uring.h of a kernel tree.
func readHeader(t *testing.T) *header {
	t.Helper()
	h := &header{path: os.Getenv("IO_URING_H"), bodies: map[string]string{}}
	if h.path == "" {
		h.path = "/usr/include/linux/io_uring.h"
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
	h.text = regexp.MustCompile(`(?s)/\*.*?\*/`).ReplaceAllString(string(src), "")
	h.text = strings.ReplaceAll(h.text, "\\\n", " ")
	for _, m := range regexp.MustCompile(`(?m)^struct\s+(\w+)\s*\{`).FindAllStringSubmatchIndex(h.text, -1) {
		h.bodies[h.text[m[2]:m[3]]] = h.text[m[1]:closing(h.text, m[1])]
	}
	for _, m := range regexp.MustCompile(`(?m)^#define\s+(\w+)(\(?)[^\n]`).FindAllStringSubmatch(h.text, -1) {
		if m[2] == "" {
			h.consts = append(h.consts, m[1])
		}
	}
	for _, m := range regexp.MustCompile(`enum\b[^{;]*\{`).FindAllStringIndex(h.text, -1) {
		body := h.text[m[1]:closing(h.text, m[1])]
		for _, e := range regexp.MustCompile(`(?m)^\s*(\w+)`).FindAllStringSubmatch(body, -1) {
			h.consts = append(h.consts, e[1])
		}
	}
	h.consts = slices.DeleteFunc(h.consts, func(s string) bool {
		return !constRE.MatchString(s) || notConstants.MatchString(s)
	})
	if len(h.bodies) < 15 || len(h.consts) < 150 {
		t.Fatalf("%s: only %d structures and %d constants were recognised", h.path, len(h.bodies), len(h.consts))
	}
	var last, lastReg int
	out := h.run(t, `printf("%d %d\n", IORING_OP_LAST, IORING_REGISTER_LAST);`)
	if _, err := fmt.Sscan(out[0], &last, &lastReg); err != nil {
		t.Fatal(err)
	}
	h.newer = last > uring.IORING_OP_LAST || lastReg > uring.IORING_REGISTER_LAST
	return h
}

// closing returns where the brace that was opened before from is closed.
func closing(text string, from int) int {
	depth := 1
	for i := from; i < len(text); i++ {
		switch text[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(text)
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
	prog := fmt.Sprintf("#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n#include <linux/time_types.h>\n"+
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

// cName finds what the header calls a field, or returns "".
func (h *header) cName(s, goName, body string) string {
	names := otherNames[s+"."+goName]
	if names == nil {
		names = []string{snake(goName)}
	}
	for _, n := range names {
		if n != "" && regexp.MustCompile(`\b`+n+`\b`).MatchString(body) {
			return n
		}
	}
	return names[len(names)-1]
}

// snake turns SqThreadCPU into sq_thread_cpu.
func snake(s string) string {
	var b strings.Builder
	for i, r := range s {
		if unicode.IsUpper(r) && i > 0 && !unicode.IsUpper(rune(s[i-1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// TestStructsMatchHeader compares sizes, and offset and size of every field.
func TestStructsMatchHeader(t *testing.T) {
	h := readHeader(t)
	h.bodies["__kernel_timespec"] = "tv_sec tv_nsec"
	var stmts strings.Builder
	want := map[string]string{}
	compared := 0
	for _, s := range abiStructs {
		body, ok := h.bodies[s.c]
		if !ok {
			if h.newer {
				t.Errorf("%s does not know struct %s", h.path, s.c)
			}
			t.Logf("%s does not know struct %s", h.path, s.c)
			continue
		}
		fmt.Fprintf(&stmts, "printf(\"%s. 0 %%zu\\n\", sizeof(struct %s));\n", s.c, s.c)
		want[s.c+"."] = fmt.Sprintf("0 %d", s.t.Size())
		for f := range s.t.Fields() {
			c := ""
			if f.Name != "_" {
				c = h.cName(s.t.Name(), f.Name, body)
			}
			if c == "" {
				continue
			}
			// Reserved words shrink as fields are cut out of them.
			size := fmt.Sprintf("sizeof(((struct %s *)0)->%s)", s.c, c)
			if strings.Contains(strings.ToLower(f.Name), "resv") {
				size = fmt.Sprintf("(size_t)%d", f.Type.Size())
			}
			if s.t.Name() == "SyncCancelReg" && !strings.Contains(body, "opcode") && strings.HasPrefix(f.Name, "Pad") {
				continue
			}
			if s.t.Name() == "BufReg" && f.Name == "Resv" && strings.Contains(body, "min_left") {
				continue
			}
			fmt.Fprintf(&stmts, "printf(\"%s.%s %%zu %%zu\\n\", offsetof(struct %s, %s), %s);\n", s.c, f.Name, s.c, c, size)
			want[s.c+"."+f.Name] = fmt.Sprintf("%d %d", f.Offset, f.Type.Size())
			compared++
		}
	}
	got := map[string]string{}
	for _, line := range h.run(t, stmts.String()) {
		name, numbers, _ := strings.Cut(line, " ")
		got[name] = numbers
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("offsets and sizes differ (-%s, +here):\n%s", h.path, diff)
	}
	t.Logf("%d fields compared with %s", compared, h.path)
}

// TestUnionsMatchHeader compares the places of the members of unions that [uring.SQE] has no field for.
func TestUnionsMatchHeader(t *testing.T) {
	h := readHeader(t)
	at := map[string]uintptr{}
	for f := range reflect.TypeFor[uring.SQE]().Fields() {
		at[f.Name] = f.Offset
	}
	var stmts strings.Builder
	var want []string
	for _, u := range []struct{ c, field string }{
		{"addr2", "Off"}, {"cmd_op", "Off"}, {"splice_off_in", "Addr"}, {"fsync_flags", "OpFlags"},
		{"poll32_events", "OpFlags"}, {"timeout_flags", "OpFlags"}, {"cancel_flags", "OpFlags"},
		{"open_flags", "OpFlags"}, {"statx_flags", "OpFlags"}, {"fadvise_advice", "OpFlags"},
		{"splice_flags", "OpFlags"}, {"rename_flags", "OpFlags"}, {"unlink_flags", "OpFlags"},
		{"hardlink_flags", "OpFlags"}, {"xattr_flags", "OpFlags"}, {"msg_ring_flags", "OpFlags"},
		{"uring_cmd_flags", "OpFlags"}, {"buf_group", "BufIndex"}, {"splice_fd_in", "FileIndex"}, {"cmd", "Addr3"},
	} {
		fmt.Fprintf(&stmts, "printf(\"%s %%zu\\n\", offsetof(struct io_uring_sqe, %s));\n", u.c, u.c)
		want = append(want, fmt.Sprintf("%s %d", u.c, at[u.field]))
	}
	if diff := cmp.Diff(want, h.run(t, stmts.String())); diff != "" {
		t.Errorf("unions differ (-here, +%s):\n%s", h.path, diff)
	}
}

// TestEveryStructOfTheHeaderIsThere finds structures that the package lacks.
func TestEveryStructOfTheHeaderIsThere(t *testing.T) {
	h := readHeader(t)
	var listed []string
	for _, s := range abiStructs {
		listed = append(listed, s.c)
	}
	for name := range h.bodies {
		if !slices.Contains(listed, name) && !notWanted.MatchString(name) && !h.newer {
			t.Errorf("struct %s is missing", name)
		}
	}
}

// goConsts evaluates the constants of this package that carry the kernel's names.
func goConsts(t *testing.T) map[string]int64 {
	t.Helper()
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range abiFiles {
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	conf := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
	pkg, err := conf.Check("uring", fset, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]int64{}
	for _, name := range pkg.Scope().Names() {
		c, ok := pkg.Scope().Lookup(name).(*types.Const)
		if !ok || !constRE.MatchString(name) {
			continue
		}
		v, exact := constant.Int64Val(constant.ToInt(c.Val()))
		if !exact {
			t.Fatalf("%s = %v is not an integer", name, c.Val())
		}
		values[name] = v
	}
	return values
}

// abiFiles hold what linux/io_uring.h holds.
var abiFiles = []string{"opcodes.go", "flags.go", "setup_flags.go", "register_ops.go", "structs.go"}

// TestConstantsMatchHeader compares the value of every constant that the header and the package
// both know, and finds those of the header that the package lacks.
func TestConstantsMatchHeader(t *testing.T) {
	h := readHeader(t)
	var stmts strings.Builder
	for _, c := range h.consts {
		// Flags that reach the sign bit are unsigned; the one that is negative is a descriptor.
		fmt.Fprintf(&stmts, "printf(\"%s %%lld\\n\", (long long)(%s));\n", c, c)
	}
	got := goConsts(t)
	compared := 0
	for _, line := range h.run(t, stmts.String()) {
		var name string
		var want int64
		if _, err := fmt.Sscan(line, &name, &want); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		v, ok := got[name]
		switch {
		case !ok && h.newer:
			t.Logf("%s = %#x is newer than this package", name, want)
		case !ok:
			t.Errorf("%s = %#x is missing", name, want)
		case name == "IORING_URING_CMD_MASK" && want&v == want: // grows
			compared++
		case v != want && uint32(v) != uint32(want):
			t.Errorf("%s = %#x, want %#x", name, v, want)
		default:
			compared++
		}
	}
	t.Logf("%d constants compared with %s", compared, h.path)
}

var since = regexp.MustCompile(`Linux \d+\.\d+`)

// TestWhatIsNewerSaysSinceWhen wants the version of the kernel in the comment of everything that the
// installed header, one of the oldest that are in use, does not know.
func TestWhatIsNewerSaysSinceWhen(t *testing.T) {
	h := readHeader(t)
	known := map[string]bool{"IORING_OP_LAST": true, "IORING_REGISTER_LAST": true, "IORING_CQE_BUFFER_SHIFT": true}
	for _, name := range h.consts {
		known[name] = true
	}
	for _, s := range abiStructs {
		known[s.t.Name()] = h.bodies[s.c] != "" || s.c == "__kernel_timespec"
	}
	for _, file := range abiFiles {
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
				case *ast.TypeSpec:
					name = sp.Name.Name
				default:
					continue
				}
				if !known[name] && !since.MatchString(strings.ReplaceAll(comment, "\n", " ")) {
					t.Errorf("%s: %s is not in %s, and its comment does not say \"Linux n.nn\"", file, name, h.path)
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
