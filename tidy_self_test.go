package spdkgo_test

import (
	"strings"
	"testing"
)

// TestTidyRules proves of each rule that it can fail, and that it lets the neighbouring good case pass.
func TestTidyRules(t *testing.T) {
	const own = `"github.com/spdk-go/spdk-go/`
	long := "// " + strings.Repeat("x", maxLineColumns)
	tests := []struct {
		name  string
		check func(s *source) []string
		path  string
		text  string
		want  string // part of the one problem that is expected; empty if the file is good
	}{
		{"unsafe in a public room", checkUnsafe, "reactor/ring_unsafe.go", `package reactor; import "unsafe"`, "unsafe is"},
		{"unsafe in a plain file", checkUnsafe, "internal/sys/map.go", `package sys; import "unsafe"`, "unsafe is"},
		{"unsafe where it belongs", checkUnsafe, "internal/sys/map_unsafe.go", `package sys; import "unsafe"`, ""},
		{"unsafe in a test where it belongs", checkUnsafe, "internal/sys/x_unsafe_test.go",
			`package sys; import "unsafe"`, ""},
		{"raw syscall", checkUnsafe, "modules/aio/a.go",
			"package aio; import \"syscall\"; func f() { syscall.Syscall(1, 2, 3, 4) }", "raw system calls"},
		{"raw unix syscall", checkUnsafe, "modules/aio/a.go",
			"package aio; import u \"golang.org/x/sys/unix\"; func f() { u.RawSyscall6(1, 2, 3, 4, 5, 6, 7) }", "raw system"},
		{"typed unix call", checkUnsafe, "modules/aio/a.go",
			"package aio; import \"golang.org/x/sys/unix\"; func f() { unix.Close(3) }", ""},
		{"raw syscall where it belongs", checkUnsafe, "internal/uring/a.go",
			"package uring; import \"golang.org/x/sys/unix\"; func f() { unix.Syscall(1, 2, 3, 4) }", ""},
		{"linkname", checkUnsafe, "internal/sys/a.go",
			"package sys\n\n//go:linkname f runtime.f\nfunc f()", "linkname"},

		{"cgo", checkImports, "internal/sys/a.go", `package sys; import "C"`, "cgo"},
		{"arrow that points back", checkImports, "mempool/a.go",
			`package mempool; import ` + own + `reactor"`, "may not import"},
		{"fsdev and a transport", checkImports, "fsdev/a.go",
			`package fsdev; import ` + own + `transport/loopback"`, "may not"},
		{"module and a transport", checkImports, "modules/memfs/a.go",
			`package memfs; import ` + own + `transport/fusedev"`, "may not import"},
		{"module and another module", checkImports, "modules/memfs/a.go",
			`package memfs; import ` + own + `modules/null"`, "may not import"},
		{"transport and another transport", checkImports, "transport/fusedev/a.go",
			`package fusedev; import ` + own + `transport/loopback"`, "may not import"},
		{"example and an internal room", checkImports, "examples/hello/main.go",
			`package main; import ` + own + `internal/sys"`, "may not import"},
		{"internal and a public room", checkImports, "internal/sys/a.go",
			`package sys; import ` + own + `mempool"`, "may not"},
		{"foreign code in the core", checkImports, "reactor/a.go",
			`package reactor; import "golang.org/x/net/http2"`, "may not"},
		{"foreign code in a test", checkImports, "reactor/a_test.go",
			`package reactor; import "github.com/stretchr/testify/assert"`, "may not import"},
		{"unknown folder", checkImports, "utils/a.go", `package utils; import ` + own + `mempool"`, "may not import"},
		{"arrow of the table", checkImports, "fsdev/a.go", `package fsdev; import ` + own + `iochannel"`, ""},
		{"module and fsdev", checkImports, "modules/memfs/a.go", `package memfs; import ` + own + `fsdev"`, ""},
		{"transport and internal", checkImports, "transport/fusedev/a.go",
			`package fusedev; import ` + own + `internal/sys"`, ""},
		{"internal and internal", checkImports, "internal/uring/a.go", `package uring; import ` + own + `internal/sys"`, ""},
		{"own subfolder", checkImports, "app/a.go", `package app; import ` + own + `app/config"`, ""},
		{"go-cmp in a test", checkImports, "fsdev/a_test.go", `package fsdev; import "github.com/google/go-cmp/cmp"`, ""},
		{"go-cmp outside tests", checkImports, "fsdev/a.go",
			`package fsdev; import "github.com/google/go-cmp/cmp"`, "may not"},
		{"pflag in a program", checkImports, "app/spdk_tgt/a.go", `package main; import "github.com/spf13/pflag"`, ""},
		{"pflag in a program's test", checkImports, "app/spdk_tgt/a_test.go",
			`package main; import "github.com/spf13/pflag"`, ""},
		{"pflag in the framework", checkImports, "app/a.go", `package app; import "github.com/spf13/pflag"`, "may not"},
		{"pflag in the core", checkImports, "reactor/a.go",
			`package reactor; import "github.com/spf13/pflag"`, "may not"},
		{"pflag in a test of the core", checkImports, "reactor/a_test.go",
			`package reactor; import "github.com/spf13/pflag"`, "may not"},
		{"pflag in the integration tests", checkImports, "test/integration/a_test.go",
			`package integration; import "github.com/spf13/pflag"`, "may not"},
		{"pflag at the root", checkImports, "a.go", `package spdkgo; import "github.com/spf13/pflag"`, "may not"},
		{"cobra in the program with commands", checkImports, "app/spdk_rpc/a.go",
			`package main; import "github.com/spf13/cobra"`, ""},
		{"tview elsewhere", checkImports, "app/spdk_rpc/a.go",
			`package main; import "github.com/rivo/tview"`, "may not"},
		{"another foreign flag library", checkImports, "app/spdk_tgt/a.go",
			`package main; import "github.com/spf13/cobra"`, "may not"},

		{"no doc", checkDocs, "modules/memfs/a.go", "package memfs\nfunc New() {}", "no doc comment"},
		{"no doc on a method", checkDocs, "app/a.go",
			"package app\n// T is.\ntype T struct{}\nfunc (t *T) F() {}", "T.F has no"},
		{"doc without origin", checkDocs, "reactor/a.go", "package reactor\n// F does.\nfunc F() {}", "where it comes from"},
		{"method of a generic type without origin", checkDocs, "fsdev/a.go",
			"package fsdev\n// T is. Not in SPDK.\ntype T[X any] struct{}\n// F does.\nfunc (t *T[X]) F() {}", "T.F does"},
		{"const group without origin", checkDocs, "fsdev/a.go", "package fsdev\n// Bits.\nconst (\n\tA = 1\n)", "where it"},
		{"const group with origin", checkDocs, "fsdev/a.go",
			"package fsdev\n// Bits.\n//\n// SPDK: FOO\nconst (\n\tA = 1\n)", ""},
		{"origin in the sentence", checkDocs, "reactor/a.go",
			"package reactor\n// F does. SPDK: spdk_f\nfunc F() {}", ""},
		{"origin", checkDocs, "reactor/a.go", "package reactor\n// F does.\n//\n// SPDK: spdk_f\nfunc F() {}", ""},
		{"stated reason", checkDocs, "reactor/a.go", "package reactor\n// F does. Not in\n// SPDK, since.\nfunc F() {}", ""},
		{"methods of fmt and errors", checkDocs, "reactor/a.go",
			"package reactor\ntype e int\nfunc (e) Error() string {return \"\"}", ""},
		{"no origin in the test harness", checkDocs, "reactor/reactortest/a.go",
			"package reactortest\n// F does.\nfunc F() {}", ""},
		{"not exported", checkDocs, "reactor/a.go", "package reactor\nfunc f() {}\ntype t int\nfunc (t) F() {}", ""},
		{"program", checkDocs, "app/spdk_tgt/main.go", "package main\nfunc F() {}", ""},

		{"bare skip", checkSkips, "fsdev/a_test.go",
			"package fsdev\nfunc TestA(t *testing.T) { t.Skip(\"no\") }", "bare Skip"},
		{"bare skip in a subtest", checkSkips, "fsdev/a_test.go",
			"package fsdev\nfunc TestA(t *testing.T) { t.Run(\"\", func(t *testing.T) { t.Skipf(\"no\") }) }", "bare Skipf"},
		{"helper without a type", checkSkips, "fsdev/a_test.go",
			"package fsdev\nfunc skip(t testing.TB, why string) { t.Skip(why) }", "bare Skip"},
		{"helper", checkSkips, "fsdev/a_test.go",
			"package fsdev\nfunc skip(t testing.TB, why skipReason) { t.Skip(why) }", ""},

		{"note to self", checkNotes, "fsdev/a.go", "package fsdev\n// TO" + "DO: later", "left behind"},
		{"no note to self", checkNotes, "fsdev/a.go", "package fsdev\n// TODOS is a name.\nconst TODOS = 1", ""},

		{"long line", checkSize, "fsdev/a.go", "package fsdev\n" + long, "wrap the line"},
		{"long file", checkSize, "fsdev/a.go", "package fsdev\n" + strings.Repeat("\n", maxFileLines), "split it"},
		{"generated", checkSize, "fsdev/a.go", "// Code generated by x. DO NOT EDIT.\n\npackage fsdev\n" + long, ""},
		{"neither", checkSize, "fsdev/a.go", "package fsdev\n", ""},

		{"assembly", checkAssembly, "reactor/a.s", "TEXT", "only in internal/sys"},
		{"assembly where it belongs", checkAssembly, "internal/sys/a.s", "TEXT", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := parseSource(tt.path, tt.text)
			if err != nil {
				t.Fatal(err)
			}
			wantProblem(t, tt.check(s), tt.want)
		})
	}
}

// TestTidyGoModRule does the same for the check of go.mod.
func TestTidyGoModRule(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"foreign", "module m\n\nrequire example.com/x v1.0.0\n", "example.com/x is not"},
		{"foreign in a block", "require (\n\tgolang.org/x/sys v0.1.0\n\texample.com/x v1.0.0\n)\n", "go.mod:3: ex"},
		{"indirect", "require (\n\tgolang.org/x/sys v0.1.0\n\texample.com/x v1.0.0 // indirect\n)\n", ""},
		{"agreed", "module github.com/spdk-go/spdk-go\n\ngo 1.26\n\nrequire github.com/google/go-cmp v0.7.0\n", ""},
		{"agreed for programs", "module github.com/spdk-go/spdk-go\n\nrequire github.com/spf13/pflag v1.1.0\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantProblem(t, checkGoMod("go.mod", tt.text), tt.want)
		})
	}
}

// TestTidyPackageDocsRule does the same for the check of package comments.
func TestTidyPackageDocsRule(t *testing.T) {
	bare, err := parseSource("fsdev/a.go", "package fsdev")
	if err != nil {
		t.Fatal(err)
	}
	documented, err := parseSource("fsdev/doc.go", "// Package fsdev is.\npackage fsdev")
	if err != nil {
		t.Fatal(err)
	}
	wantProblem(t, checkPackageDocs([]*source{bare}), "fsdev: no package comment")
	wantProblem(t, checkPackageDocs([]*source{bare, documented}), "")
}

func wantProblem(t *testing.T, got []string, want string) {
	t.Helper()
	switch {
	case want == "" && len(got) > 0:
		t.Errorf("good case reported: %q", got)
	case want != "" && (len(got) != 1 || !strings.Contains(got[0], want)):
		t.Errorf("got %q, want one problem with %q", got, want)
	}
}
