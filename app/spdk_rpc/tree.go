package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// node is a JSON value, the members of objects in the order in which they came.
type node struct {
	kind     nodeKind
	text     string // of a leaf
	members  []member
	elements []*node
}

type member struct {
	name  string
	value *node
}

type nodeKind int

const (
	nullNode nodeKind = iota
	boolNode
	numberNode
	textNode
	arrayNode
	objectNode
)

// maxDepth is that of requests, see package rpc; no result comes near.
const maxDepth = 64

// parse reads one JSON value.
func parse(raw []byte) (*node, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	n, err := parseNode(dec, 0)
	if err == nil && dec.More() {
		return nil, fmt.Errorf("there is more behind the value")
	}
	return n, err
}

func parseNode(dec *json.Decoder, depth int) (*node, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch v := tok.(type) {
	case nil:
		return &node{kind: nullNode, text: "null"}, nil
	case bool:
		return &node{kind: boolNode, text: strconv.FormatBool(v)}, nil
	case json.Number:
		return &node{kind: numberNode, text: v.String()}, nil
	case string:
		return &node{kind: textNode, text: v}, nil
	}
	if depth == maxDepth {
		return nil, fmt.Errorf("more than %d levels", maxDepth)
	}
	n := &node{kind: arrayNode}
	if tok == json.Delim('{') {
		n.kind = objectNode
	}
	for dec.More() {
		var m member
		if n.kind == objectNode {
			name, err := dec.Token()
			if err != nil {
				return nil, err
			}
			m.name, _ = name.(string) // anything else is a syntax error
		}
		if m.value, err = parseNode(dec, depth+1); err != nil {
			return nil, err
		}
		if n.kind == objectNode {
			n.members = append(n.members, m)
		} else {
			n.elements = append(n.elements, m.value)
		}
	}
	_, err = dec.Token()
	return n, err
}

// member returns what an object has of that name, or nil.
func (n *node) member(name string) *node {
	for _, m := range n.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// leaf says whether there is nothing in it to walk over.
func (n *node) leaf() bool { return n.kind < arrayNode }

// flat says whether it is an array of leaves.
func (n *node) flat() bool {
	for _, e := range n.elements {
		if !e.leaf() {
			return false
		}
	}
	return n.kind == arrayNode
}

// flatten lists the members of an object and of the objects in it, a.b being the b of a.
func (n *node) flatten(prefix string) []member {
	var list []member
	for _, m := range n.members {
		if m.value.kind == objectNode && len(m.value.members) > 0 {
			list = append(list, m.value.flatten(prefix+m.name+".")...)
		} else {
			list = append(list, member{prefix + m.name, m.value})
		}
	}
	return list
}

// inline returns a value for the middle of a line.
func (n *node) inline() string {
	switch {
	case n.leaf():
		return printable(n.text)
	case n.kind == objectNode: // an empty one, the others are flattened
		return "-"
	}
	all := make([]string, len(n.elements))
	for i, e := range n.elements {
		all[i] = e.inline()
	}
	if len(all) == 0 {
		return "-"
	}
	return strings.Join(all, ",")
}

// printable returns text with what a terminal would not show, or obey, escaped. New lines stay.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r == '\n' || strconv.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRuneToASCII(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}
