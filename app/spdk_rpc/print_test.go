package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/spdk-go/spdk-go/rpc"
)

// TestReadable has a result of each form.
func TestReadable(t *testing.T) {
	for _, tc := range []struct{ name, json, want string }{
		{"done", "true", ""},
		{"text", `"mem0"`, "mem0\n"},
		{"text that would command the terminal", `"a\u001b[31m\u0007\tb\nc"`, "a\\x1b[31m\\a\\tb\nc\n"},
		{"a large number", "18446744073709551615", "18446744073709551615\n"},
		{"nothing", "null", "null\n"},
		{"a list", `["a","b"]`, "a\nb\n"},
		{"an empty list", `[]`, ""},
		{"an object", `{"version":"1","fields":{"major":25,"a":{"b":[1,2],"c":{}}}}`, `
version       1
fields.major  25
fields.a.b    1,2
fields.a.c    -
`},
		{"a table", `[{"name":"x","n":5,"on":true},{"name":"long","n":12345,"more":{"z":"q"}}]`, `
name      n  on    more.z
x         5  true  -
long  12345  -     q
`},
		{"an object with a table", `{"tick_rate":10,"threads":[{"id":1}],"none":[]}`, `
tick_rate  10
none       -
threads:
  id
   1
`},
		{"blocks", `[{"name":"a","list":[{"x":1}]},{"name":"b","list":[]}]`, `
name  a
list:
  x
  1

name  b
list  -
`},
		{"a mixture", `[1,{"a":2},[3]]`, "1\n\na  2\n\n3\n"},
	} {
		var b strings.Builder
		if err := (&program{}).print(&b, json.RawMessage(tc.json)); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if diff := cmp.Diff(strings.TrimPrefix(tc.want, "\n"), b.String()); diff != "" {
			t.Errorf("%s: %s", tc.name, diff)
		}
	}
}

// TestInteger holds the values of flags to what a parameter can be.
func TestInteger(t *testing.T) {
	types := map[string]*rpc.Type{}
	limits := func(low int64, high uint64) *rpc.Type {
		return &rpc.Type{Kind: "integer", Minimum: &low, Maximum: &high}
	}
	types["uint8"], types["int8"] = limits(0, 255), limits(-128, 127)
	types["uint64"], types["int64"] = limits(0, 1<<64-1), limits(-1<<63, 1<<63-1)
	for _, tc := range []struct{ typ, text, want string }{
		{"uint8", "0", "0"}, {"uint8", "255", "255"}, {"uint8", "256", ""}, {"uint8", "-1", ""}, {"uint8", "-0", "0"},
		{"uint8", "0x10", "16"}, {"uint8", "0b11", "3"}, {"uint8", "1k", ""}, {"uint8", "", ""}, {"uint8", "K", ""},
		{"int8", "-128", "-128"}, {"int8", "-129", ""}, {"int8", "127", "127"}, {"int8", "128", ""}, {"int8", "--1", ""},
		{"uint64", "18446744073709551615", "18446744073709551615"}, {"uint64", "16777216T", ""},
		{"uint64", "64M", "67108864"}, {"uint64", "2g", "2147483648"}, {"uint64", "3T", "3298534883328"},
		{"uint64", "0x1T", ""}, {"uint64", "1.5", ""}, {"uint64", "1 ", ""}, {"uint64", "+1", ""},
		{"int64", "-9223372036854775808", "-9223372036854775808"}, {"int64", "9223372036854775808", ""},
	} {
		got, err := toJSON(types[tc.typ], tc.text)
		if string(got) != tc.want || (err == nil) != (tc.want != "") {
			t.Errorf("%s %q: %s, %v, want %q", tc.typ, tc.text, got, err, tc.want)
		}
	}
}

// FuzzReadable prints what an application may answer: nothing of it gets at the terminal.
func FuzzReadable(f *testing.F) {
	for _, seed := range []string{`[{"a":{"b":1}},{"a":2}]`, `{"a":[[{"b":[]}]],"\u001b":"\u0000"}`, `[[[[1]]]]`, `{}`,
		`[{"x":[{"y":1}]},3,null]`, "{\"a\":\"\\ud800\"}", `[{"a":1},{"b":[1,2]},{"a":{}}]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			return
		}
		var b strings.Builder
		if (&program{}).print(&b, raw) != nil {
			return
		}
		for _, r := range b.String() {
			if r != '\n' && !unicode.IsPrint(r) {
				t.Fatalf("%q is printed as %q", raw, b.String())
			}
		}
	})
}
