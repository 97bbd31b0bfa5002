package fusedispatcher_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	fusedispatcher "github.com/spdk-go/spdk-go/fuse_dispatcher"
)

// spdkHandlers are the entries of SPDK's table of handlers, fuse_ll_ops.
var spdkHandlers = []string{
	"LOOKUP", "FORGET", "GETATTR", "SETATTR", "READLINK", "SYMLINK", "MKNOD", "MKDIR", "UNLINK", "RMDIR", "RENAME", "LINK",
	"OPEN", "READ", "WRITE", "STATFS", "RELEASE", "FSYNC", "SETXATTR", "GETXATTR", "LISTXATTR", "REMOVEXATTR", "FLUSH",
	"INIT", "OPENDIR", "READDIR", "RELEASEDIR", "FSYNCDIR", "GETLK", "SETLK", "SETLKW", "ACCESS", "CREATE", "INTERRUPT",
	"BMAP", "DESTROY", "IOCTL", "POLL", "NOTIFY_REPLY", "BATCH_FORGET", "FALLOCATE", "READDIRPLUS", "RENAME2",
	"COPY_FILE_RANGE", "SETUPMAPPING", "REMOVEMAPPING", "SYNCFS",
}

// TestEveryHandlerIsTested wants a line of the table, and a test of that name, for every opcode
// that the dispatcher or SPDK's knows.
func TestEveryHandlerIsTested(t *testing.T) {
	tests := handlerTests(t)
	lines := map[string]int{}
	for i := range handlers {
		lines[name(handlers[i].op)]++
	}
	var known []string
	for op := range uint32(1 << 13) {
		n := name(op)
		if n == "UNKNOWN" {
			continue
		}
		known = append(known, n)
		if lines[n] != 1 {
			t.Errorf("%s has %d lines in the table of handlers, want one", n, lines[n])
		}
		if want := "Test" + camel(n); tests["FUSE_"+n] != want {
			t.Errorf("there is no func %s(t *testing.T) { run(t, FUSE_%s) }", want, n)
		}
	}
	for _, n := range spdkHandlers {
		if !slices.Contains(known, n) {
			t.Errorf("SPDK handles %s, and nobody here", n)
		}
	}
	if want := len(known) + 2; len(tests) != want { // and two without a handler
		t.Errorf("%d tests of handlers, want %d", len(tests), want)
	}
	if n := fusedispatcher.OpcodeName(1 << 13); n != "UNKNOWN" {
		t.Errorf("there is an opcode %s beyond what is looked at", n)
	}
}

// handlerTests maps what is handed to run, as it is written, to the test that does.
func handlerTests(t *testing.T) map[string]string {
	file, err := parser.ParseFile(token.NewFileSet(), "handlers_test.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]string{}
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		ast.Inspect(fn, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok && fmt.Sprint(call.Fun) == "run" {
				switch x := call.Args[1].(type) {
				case *ast.Ident:
					tests[x.Name] = fn.Name.Name
				case *ast.BasicLit:
					tests[x.Value] = fn.Name.Name
				}
			}
			return true
		})
	}
	return tests
}

// camel is BatchForget for BATCH_FORGET.
func camel(name string) (c string) {
	for word := range strings.SplitSeq(name, "_") {
		c += word[:1] + strings.ToLower(word[1:])
	}
	return c
}
