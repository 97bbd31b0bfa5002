package spdkgo_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	maxFileLines   = 800
	maxLineColumns = 120
)

// dependency is a foreign module that the core's go.mod may require directly.
type dependency struct {
	path string
	only string // the program, or the folder of programs, that alone may import it; if empty, importTable says where
}

// directDependencies is all that the core's go.mod may require directly.
var directDependencies = []dependency{
	{path: "golang.org/x/sys"},
	{path: "github.com/cilium/ebpf"},
	{path: "github.com/google/go-cmp"},
	// Command lines have more corner cases than it seems, and a well-kept library has met them all. Only programs have
	// a command line: who uses the rooms as a library shall neither get flags nor build what parses them.
	{path: "github.com/spf13/pflag", only: "app"},
	// Some sixty commands made from the RPCs, each with flags, help and completion in three shells: cobra does what is the
	// same for all of them, and its completion scripts alone are more than the rest of spdk_rpc.
	{path: "github.com/spf13/cobra", only: "app/spdk_rpc"},
	// A screen of text that is drawn again only where it has changed, on every terminal, with keys, popups and lines to
	// type in. Only spdk_top has one.
	{path: "github.com/rivo/tview", only: "app/spdk_top"},
	{path: "github.com/gdamore/tcell/v2", only: "app/spdk_top"},
	// A distribution over nine orders of magnitude, in fixed memory and without allocation, so that a reactor can record
	// it, in the form in which others publish theirs. Only programs that measure have one.
	{path: "github.com/HdrHistogram/hdrhistogram-go", only: "app"},
	// Prometheus's formats, and what it is used to hear of the Go run-time. Only app/metrics speaks them: who builds an
	// application without it has neither this nor an HTTP server in the program.
	{path: "github.com/prometheus/client_golang", only: "app"},
	{path: "github.com/prometheus/common", only: "app"},
}

// room is a row of the import table: what the files at and below dir may import, apart from the standard library and
// what lies below the same room. A trailing "/..." means everything below.
type room struct {
	dir string
	may []string
}

const (
	everything  = "..."
	allInternal = "internal/..."
	xsys        = "golang.org/x/sys/..."
)

// importTable is the house's plan. The first row that matches counts. An arrow that is missing here is missing on
// purpose: think twice before you add one, and never add one that points back.
var importTable = []room{
	// Programs for the kernel are put together, loaded and read in one place; who wants their results asks it.
	{"internal/ebpfmon", []string{xsys, "github.com/cilium/ebpf/..."}},
	{"internal", []string{xsys}},
	{"mempool", []string{"internal/sys"}},
	{"reactor", []string{"mempool", "internal/sys", "internal/uring", xsys}},
	{"iochannel", []string{"reactor", "mempool", "internal/sys"}},
	{"iobuf", []string{"reactor", "iochannel", "mempool"}},
	{"fsdev/fsdevtest", []string{"fsdev", "iochannel", "reactor", "reactor/reactortest", xsys}},
	{"fsdev", []string{"iochannel", "iobuf", "reactor", "mempool"}},
	{"fuse_dispatcher/dispatchertest", []string{
		"fuse_dispatcher", "fsdev", "internal/fuseabi", "iochannel", "reactor", "reactor/reactortest",
	}},
	{"fuse_dispatcher", []string{"fsdev", "internal/fuseabi", "iochannel", "reactor", "mempool", "log"}},
	{"modules", []string{
		"fsdev", "internal/uring", "internal/sys", "internal/locks", "iochannel", "iobuf", "reactor", "mempool", "rpc",
		xsys,
	}},
	{"transport", []string{
		"fuse_dispatcher", "fsdev", "iochannel", "iobuf", "reactor", "mempool", "log", allInternal, xsys,
	}},
	{"rpc", []string{"reactor"}},
	{"trace", []string{"reactor", "internal/sys"}},
	{"log", []string{"reactor"}},
	{"app", []string{everything}},
	{"examples", []string{
		"mempool", "reactor", "iochannel", "iobuf", "fsdev", "fuse_dispatcher",
		"modules/...", "transport/...", "rpc", "trace", "log", "app", "app/appflags", "app/fsclient",
	}},
	{"test", []string{everything}},
}

// checkImports holds the files of the core module to the import table. Tests may import any room, since Go forbids
// cycles by itself, and of foreign code what go.mod may require.
func checkImports(s *source) []string {
	if s.nested {
		return nil
	}
	var problems []string
	for _, spec := range s.ast.Imports {
		target := strings.Trim(spec.Path.Value, `"`)
		if target == "C" {
			problems = append(problems, s.problemf(spec.Pos(), "cgo is not used here: write it in Go"))
			continue
		}
		if isStd(target) || mayImport(s, target) {
			continue
		}
		problems = append(problems, s.problemf(spec.Pos(),
			"%s may not import %s: move the code to the room that may, or pass what is needed in as an interface "+
				"(the tables are importTable and directDependencies in tidy_rules_test.go)", roomOf(s), target))
	}
	return problems
}

// roomOf names the room of a file for messages.
func roomOf(s *source) string {
	if s.dir() == "." {
		return "the root package"
	}
	return s.dir()
}

func isStd(target string) bool {
	first, _, _ := strings.Cut(target, "/")
	return !strings.Contains(first, ".")
}

func mayImport(s *source, target string) bool {
	inner, isOurs := strings.CutPrefix(target, modulePath+"/")
	if !isOurs {
		inner = target
	}
	for _, d := range directDependencies {
		if below(target, d.path) && d.only != "" {
			return strings.HasPrefix(s.dir(), d.only+"/") || s.dir() == d.only && d.only != "app"
		}
	}
	if s.isTest() {
		return isOurs || slices.ContainsFunc(directDependencies, func(d dependency) bool { return below(target, d.path) })
	}
	if isOurs && inner == s.dir() {
		return true
	}
	for _, r := range importTable {
		if !s.in(r.dir) {
			continue
		}
		// modules and transports are many rooms under one roof: they do not know each other
		if isOurs && below(inner, r.dir) && r.dir != "modules" && r.dir != "transport" {
			return true
		}
		if isOurs && (r.dir == "modules" || r.dir == "transport") && below(inner, s.dir()) {
			return true
		}
		for _, may := range r.may {
			tree, isTree := strings.CutSuffix(may, "/...")
			switch {
			case may == everything && (isOurs || below(target, "golang.org/x/sys")),
				inner == may,
				isTree && below(inner, tree):
				return true
			}
		}
		return false
	}
	return false // a folder that the table does not know imports nothing but the standard library
}

// below says whether p is dir or lies below it.
func below(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

var rawSyscall = regexp.MustCompile(`^(Raw)?(V?)Syscall(N|6|9|NoError)?$`)

// checkUnsafe keeps what the compiler cannot check in files that say so, in the rooms that exist for it.
func checkUnsafe(s *source) []string {
	var problems []string
	isUnsafeFile := strings.HasSuffix(s.path, "_unsafe.go") || strings.HasSuffix(s.path, "_unsafe_test.go")
	for _, spec := range s.ast.Imports {
		if spec.Path.Value == `"unsafe"` && !(s.in("internal") && isUnsafeFile) {
			problems = append(problems, s.problemf(spec.Pos(),
				"unsafe is imported only in *_unsafe.go files under internal/: move the lines that need it there"))
		}
	}
	for _, group := range s.ast.Comments {
		for _, c := range group.List {
			if strings.HasPrefix(c.Text, "//go:linkname") {
				problems = append(problems, s.problemf(c.Pos(), "linkname is not used here: find a supported way"))
			}
		}
	}
	if s.in("internal") {
		return problems
	}
	names := map[string]bool{}
	for _, spec := range s.ast.Imports {
		target := strings.Trim(spec.Path.Value, `"`)
		if target != "syscall" && target != "golang.org/x/sys/unix" {
			continue
		}
		if spec.Name != nil {
			names[spec.Name.Name] = true
		} else {
			names[path.Base(target)] = true
		}
	}
	ast.Inspect(s.ast, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok || !rawSyscall.MatchString(sel.Sel.Name) {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && names[x.Name] {
			problems = append(problems, s.problemf(sel.Pos(),
				"%s.%s: raw system calls live under internal/: use the typed wrapper or add one to internal/sys",
				x.Name, sel.Sel.Name))
		}
		return true
	})
	return problems
}

// checkAssembly allows .s files in internal/sys only.
func checkAssembly(s *source) []string {
	if path.Ext(s.path) != ".s" || s.in("internal/sys") {
		return nil
	}
	return []string{fmt.Sprintf("%s: assembly lives only in internal/sys: move it there behind a Go function", s.path)}
}

// portedRooms hold what is ported from SPDK and say of each identifier where it comes from.
var portedRooms = []string{"mempool", "reactor", "iochannel", "iobuf", "fsdev", "fuse_dispatcher"}

// ownRooms lie inside ported rooms but are not ports.
var ownRooms = []string{"reactor/reactortest", "fsdev/fsdevtest", "fuse_dispatcher/dispatchertest"}

// stdMethods implement interfaces of the standard library; their meaning and origin are given.
var stdMethods = []string{"String", "Error", "Unwrap", "Is", "As", "GoString", "Format", "MarshalJSON", "UnmarshalJSON",
	"MarshalText", "UnmarshalText"}

var originLine = regexp.MustCompile(`\bSPDK: |\bNot\s+in\s+SPDK\b`)

// checkDocs wants a doc comment on every exported identifier of a public package, and in a ported package an origin.
func checkDocs(s *source) []string {
	if s.isTest() || !s.isPublic() || s.isGenerated() {
		return nil
	}
	inAny := func(dirs []string) bool { return slices.ContainsFunc(dirs, s.in) }
	ported := inAny(portedRooms) && !inAny(ownRooms)
	var problems []string
	check := func(pos token.Pos, name string, docs ...*ast.CommentGroup) {
		var text strings.Builder
		for _, d := range docs {
			text.WriteString(d.Text())
			text.WriteByte('\n')
		}
		switch {
		case strings.TrimSpace(text.String()) == "":
			problems = append(problems, s.problemf(pos, "%s has no doc comment: say what it does, units, ownership, "+
				"which thread may call it and which errnos it returns", name))
		case ported && !originLine.MatchString(text.String()):
			problems = append(problems, s.problemf(pos, "%s does not say where it comes from: end its doc comment with "+
				"\"SPDK: spdk_...\", or \"Not in SPDK\" and why", name))
		}
	}
	for _, decl := range s.ast.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if name, ok := exportedFunc(d); ok {
				check(d.Pos(), name, d.Doc)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch sp := spec.(type) {
				case *ast.TypeSpec:
					if sp.Name.IsExported() {
						check(sp.Pos(), sp.Name.Name, d.Doc, sp.Doc)
					}
				case *ast.ValueSpec:
					// the comment of a group covers its members
					if i := slices.IndexFunc(sp.Names, (*ast.Ident).IsExported); i >= 0 {
						check(sp.Pos(), sp.Names[i].Name, d.Doc, sp.Doc)
					}
				}
			}
		}
	}
	return problems
}

// exportedFunc returns the name of a function or method that users of the package can call and must be told about.
func exportedFunc(d *ast.FuncDecl) (string, bool) {
	if !d.Name.IsExported() {
		return "", false
	}
	if d.Recv == nil {
		return d.Name.Name, true
	}
	if slices.Contains(stdMethods, d.Name.Name) {
		return "", false
	}
	typ := receiverType(d)
	return typ + "." + d.Name.Name, ast.IsExported(typ)
}

// receiverType names the type that d is a method of, without pointers and type parameters.
func receiverType(d *ast.FuncDecl) string {
	typ := d.Recv.List[0].Type
	for {
		switch x := typ.(type) {
		case *ast.StarExpr:
			typ = x.X
		case *ast.IndexExpr:
			typ = x.X
		case *ast.IndexListExpr:
			typ = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// checkPackageDocs wants one package comment per package, programs included.
func checkPackageDocs(sources []*source) []string {
	documented := map[string]bool{}
	for _, s := range sources {
		if s.ast != nil && !s.isTest() {
			documented[s.dir()] = documented[s.dir()] || s.ast.Doc.Text() != ""
		}
	}
	var problems []string
	for dir, ok := range documented {
		if !ok {
			problems = append(problems, dir+": no package comment: say in doc.go what the package is for, "+
				"its error rule and its concurrency rule")
		}
	}
	slices.Sort(problems)
	return problems
}

// checkSkips wants every skip to go through a helper that takes a typed reason and so can decide that the machine
// should have been able to run the test.
func checkSkips(s *source) []string {
	if !s.isTest() {
		return nil
	}
	var problems []string
	for _, decl := range s.ast.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || isSkipHelper(fn) {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, sel.Sel.Name) {
				problems = append(problems, s.problemf(call.Pos(), "bare %s: skip through a helper, func skip(t testing.TB, "+
					"reason skipReason), that fails where the machine could have run the test", sel.Sel.Name))
			}
			return true
		})
	}
	return problems
}

// isSkipHelper says whether fn is such a helper: named skip..., with a parameter of a type called ...Reason.
func isSkipHelper(fn *ast.FuncDecl) bool {
	if !strings.HasPrefix(strings.ToLower(fn.Name.Name), "skip") {
		return false
	}
	return slices.ContainsFunc(fn.Type.Params.List, func(p *ast.Field) bool {
		id, ok := p.Type.(*ast.Ident)
		return ok && strings.HasSuffix(strings.ToLower(id.Name), "reason")
	})
}

var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)

// checkNotes finds notes to self.
func checkNotes(s *source) []string {
	var problems []string
	for _, group := range s.ast.Comments {
		for _, c := range group.List {
			if m := unfinished.FindString(c.Text); m != "" {
				problems = append(problems, s.problemf(c.Pos(), "%s left behind: finish it, or open an issue", m))
			}
		}
	}
	return problems
}

// checkSize keeps files readable in one sitting and side by side.
func checkSize(s *source) []string {
	if s.isGenerated() {
		return nil
	}
	var problems []string
	lines := strings.Split(strings.TrimSuffix(s.text, "\n"), "\n")
	if len(lines) > maxFileLines {
		problems = append(problems, fmt.Sprintf("%s: %d lines, more than %d: split it by what its parts are about",
			s.path, len(lines), maxFileLines))
	}
	for i, line := range lines {
		if n := utf8.RuneCountInString(line); n > maxLineColumns {
			problems = append(problems, fmt.Sprintf("%s:%d: %d columns, more than %d: wrap the line",
				s.path, i+1, n, maxLineColumns))
		}
	}
	return problems
}

var requireLine = regexp.MustCompile(`^(?:require\s+)?(\S+\.\S+/\S+)\s+v\S+\s*(//.*)?$`)

// checkGoMod holds the direct requirements of a go.mod to directDependencies.
func checkGoMod(name, text string) []string {
	var problems []string
	for i, line := range strings.Split(text, "\n") {
		m := requireLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil || strings.Contains(m[2], "indirect") ||
			slices.ContainsFunc(directDependencies, func(d dependency) bool { return d.path == m[1] }) {
			continue
		}
		problems = append(problems, fmt.Sprintf("%s:%d: %s is not among the core's dependencies: do without it, or put "+
			"what needs it into a module of its own", name, i+1, m[1]))
	}
	return problems
}
