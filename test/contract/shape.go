package contract

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Shape lists the fields of a JSON value with their types, without values: ".threads[].id:number". The elements of an
// array are taken together.
func Shape(text string) (map[string]bool, error) {
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		return nil, err
	}
	s := map[string]bool{}
	addShape(s, "", v)
	return s, nil
}

func addShape(s map[string]bool, path string, v any) {
	kind := ""
	switch v := v.(type) {
	case nil:
		kind = "null"
	case bool:
		kind = "boolean"
	case float64:
		kind = "number"
	case string:
		kind = "string"
	case []any:
		kind = "array"
		for _, e := range v {
			addShape(s, path+"[]", e)
		}
	case map[string]any:
		kind = "object"
		for name, e := range v {
			addShape(s, path+"."+name, e)
		}
	}
	s[path+":"+kind] = true
}

// Differences compares two shapes. What is in an array counts only if both have elements; optional has the last names
// of fields that need not be there.
func Differences(want, got map[string]bool, optional ...string) []string {
	var list []string
	missing := func(a, b map[string]bool, text string) {
		for field := range a {
			path := field[:strings.LastIndexByte(field, ':')]
			name := path[strings.LastIndexByte(path, '.')+1:]
			if !b[field] && !slices.Contains(optional, name) && !underEmpty(path, b) {
				list = append(list, fmt.Sprintf("%s %s", text, field))
			}
		}
	}
	missing(want, got, "there is no")
	missing(got, want, "there was no")
	slices.Sort(list)
	return list
}

// underEmpty says whether path is in an array that has no elements in s.
func underEmpty(path string, s map[string]bool) bool {
	for i := range path {
		if !strings.HasPrefix(path[i:], "[]") || !s[path[:i]+":array"] {
			continue
		}
		element := path[:i+2]
		if !slices.ContainsFunc([]string{"null", "boolean", "number", "string", "array", "object"},
			func(kind string) bool { return s[element+":"+kind] }) {
			return true
		}
	}
	return false
}
