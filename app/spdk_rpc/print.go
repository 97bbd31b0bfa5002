package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// output writes text; that it cannot be written is not the command line's fault.
func output(w io.Writer, text []byte) error {
	if _, err := w.Write(text); err != nil {
		return &failure{exitRefused, err}
	}
	return nil
}

// print writes a result: as JSON, or for people, who get nothing to read if all that is to be said is that it is done.
func (p *program) print(w io.Writer, result json.RawMessage) error {
	if p.json {
		text, err := encode(result, "  ")
		if err != nil {
			return &failure{exitLost, err}
		}
		return output(w, append(text, '\n'))
	}
	n, err := parse(result)
	if err != nil {
		return &failure{exitLost, fmt.Errorf("the result makes no sense: %w", err)}
	}
	if n.kind == boolNode && n.text == "true" {
		return nil
	}
	var b strings.Builder
	writeNode(&b, n, "")
	return output(w, []byte(b.String()))
}

// writeNode writes a value as lines.
func writeNode(b *strings.Builder, n *node, indent string) {
	switch {
	case n.leaf():
		fmt.Fprintf(b, "%s%s\n", indent, printable(n.text))
	case n.flat():
		for _, e := range n.elements {
			fmt.Fprintf(b, "%s%s\n", indent, printable(e.text))
		}
	case n.kind == objectNode:
		writeObject(b, n, indent)
	case !writeTable(b, n, indent):
		for i, e := range n.elements {
			if i > 0 {
				b.WriteByte('\n')
			}
			writeNode(b, e, indent)
		}
	}
}

// writeObject writes the members that have one value, one to a line, and below them the arrays.
func writeObject(b *strings.Builder, n *node, indent string) {
	var simple, tables []member
	width := 0
	for _, m := range n.flatten("") {
		if m.value.kind == arrayNode && !m.value.flat() {
			tables = append(tables, m)
			continue
		}
		simple = append(simple, m)
		width = max(width, utf8.RuneCountInString(m.name))
	}
	for _, m := range simple {
		fmt.Fprintf(b, "%s%-*s  %s\n", indent, width, printable(m.name), m.value.inline())
	}
	for _, m := range tables {
		fmt.Fprintf(b, "%s%s:\n", indent, printable(m.name))
		writeNode(b, m.value, indent+"  ")
	}
}

// writeTable writes an array of objects, a line for each, unless something in them has no place in a line.
func writeTable(b *strings.Builder, n *node, indent string) bool {
	var columns []string
	known := map[string]int{}
	var rows [][]string
	number := map[int]bool{}
	for _, e := range n.elements {
		if e.kind != objectNode {
			return false
		}
		row := map[int]string{}
		for _, m := range e.flatten("") {
			if m.value.kind == arrayNode && !m.value.flat() {
				return false
			}
			i, ok := known[m.name]
			if !ok {
				i = len(columns)
				known[m.name] = i
				columns = append(columns, printable(m.name))
			}
			row[i] = m.value.inline()
			number[i] = number[i] || m.value.kind == numberNode
		}
		cells := make([]string, len(columns))
		for i := range cells {
			cells[i] = "-"
			if text, ok := row[i]; ok {
				cells[i] = text
			}
		}
		rows = append(rows, cells)
	}
	rows = append([][]string{columns}, rows...)
	for i := range rows {
		for len(rows[i]) < len(columns) {
			rows[i] = append(rows[i], "-")
		}
	}
	widths := make([]int, len(columns))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			if i > 0 {
				line.WriteString("  ")
			}
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if number[i] {
				line.WriteString(pad + cell)
			} else {
				line.WriteString(cell + pad)
			}
		}
		fmt.Fprintf(b, "%s%s\n", indent, strings.TrimRight(line.String(), " "))
	}
	return true
}
