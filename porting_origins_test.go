package spdkgo_test

import (
	"go/ast"
	"go/doc"
	"regexp"
	"slices"
	"strings"
)

// symbol is an exported identifier of a public package, or a group of constants with one comment.
type symbol struct {
	name string // reactor.Thread.SendMsg
	path string // of its file
	doc  string
}

// exportedSymbols lists what users of the packages can name, in the order of the sources: functions, methods, types,
// fields, constants and variables.
func exportedSymbols(sources []*source) []symbol {
	var symbols []symbol
	for _, s := range sources {
		if s.ast == nil || s.isTest() || !s.isPublic() {
			continue
		}
		add := func(name string, docs ...*ast.CommentGroup) {
			text := ""
			for _, d := range docs {
				text += d.Text()
			}
			symbols = append(symbols, symbol{s.ast.Name.Name + "." + name, s.path, text})
		}
		for _, decl := range s.ast.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.IsExported() {
					add(d.Name.Name, d.Doc)
				} else if d.Recv != nil && d.Name.IsExported() && ast.IsExported(receiverType(d)) {
					add(receiverType(d)+"."+d.Name.Name, d.Doc)
				}
			case *ast.GenDecl:
				addGroup(d, add)
			}
		}
	}
	return symbols
}

// addGroup adds what one type, const or var declares. The comment of a group in parentheses stands for all its members.
func addGroup(d *ast.GenDecl, add func(name string, docs ...*ast.CommentGroup)) {
	shared := d.Doc
	if d.Lparen.IsValid() {
		shared = nil
	}
	var members []string
	for _, spec := range d.Specs {
		switch sp := spec.(type) {
		case *ast.TypeSpec:
			if sp.Name.IsExported() {
				members = append(members, sp.Name.Name)
				add(sp.Name.Name, shared, sp.Doc)
				addFields(sp, add)
			}
		case *ast.ValueSpec:
			for _, name := range sp.Names {
				if name.IsExported() {
					members = append(members, name.Name)
					add(name.Name, shared, sp.Doc, sp.Comment)
				}
			}
		}
	}
	if d.Lparen.IsValid() && len(members) > 0 {
		name := members[0]
		if len(members) > 1 {
			name += " to " + members[len(members)-1]
		}
		add(name, d.Doc)
	}
}

// addFields adds the fields of a struct and the methods of an interface.
func addFields(sp *ast.TypeSpec, add func(name string, docs ...*ast.CommentGroup)) {
	var fields *ast.FieldList
	switch t := sp.Type.(type) {
	case *ast.StructType:
		fields = t.Fields
	case *ast.InterfaceType:
		fields = t.Methods
	default:
		return
	}
	for _, f := range fields.List {
		for _, name := range f.Names {
			if name.IsExported() {
				add(sp.Name.Name+"."+name.Name, f.Doc, f.Comment)
			}
		}
	}
}

// origin is what the doc comment of a symbol says of where it comes from.
type origin struct {
	symbol
	text  string   // what follows "SPDK:", to the end of the paragraph
	names []string // the C functions and callback types in it
	types []string // the C structures and enumerations in it
}

var (
	originStart = regexp.MustCompile(`(Not\s+in\s+)?\bSPDK:\s+`)
	// A name with a dot is a field of a C structure.
	originName  = regexp.MustCompile(`\b(struct |enum )?\b(spdk_\w+)(\.\w)?`)
	originPlain = regexp.MustCompile(`^(struct |enum )?spdk_\w+(, (struct |enum )?spdk_\w+)*\.?$`)
)

// parseOrigin returns false for a symbol that does not come from SPDK.
func parseOrigin(s symbol) (origin, bool) {
	for _, m := range originStart.FindAllStringSubmatchIndex(s.doc, -1) {
		if m[2] >= 0 {
			continue // "Not in SPDK: ..."
		}
		text, _, _ := strings.Cut(s.doc[m[1]:], "\n\n")
		o := origin{symbol: s, text: strings.Join(strings.Fields(text), " ")}
		o.doc = s.doc[:m[0]]
		for _, n := range originName.FindAllStringSubmatch(o.text, -1) {
			switch {
			case n[1] != "":
				o.types = append(o.types, n[1]+n[2])
			case n[3] == "":
				o.names = append(o.names, n[2])
			}
		}
		return o, true
	}
	return origin{}, false
}

// originsByName lists for each C name what comes from it.
func originsByName(symbols []symbol) map[string][]origin {
	byName := map[string][]origin{}
	for _, s := range symbols {
		if o, ok := parseOrigin(s); ok {
			for _, name := range slices.Concat(o.names, o.types) {
				byName[name] = append(byName[name], o)
			}
		}
	}
	return byName
}

var docLink = regexp.MustCompile(`\[\*?([A-Za-z]\w*(\.\w+)*)\]`)

// summary is the first sentence of the doc comment, and what the origin says beyond names, in Markdown.
func (o *origin) summary() string {
	text := docLink.ReplaceAllString(new(doc.Package).Synopsis(o.doc), "`$1`")
	if !originPlain.MatchString(o.text) {
		text += " *differs:* " + originName.ReplaceAllString(o.text, "`$1$2`$3")
	}
	return strings.TrimSpace(text)
}
