package trace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/spdk-go/spdk-go/reactor"
)

// Group is a group of tracepoints.
//
// SPDK: struct spdk_trace_register_fn
type Group struct {
	Name string
	ID   uint8 // below [reactor.TraceGroups], and no other group's
	// Register describes the tracepoints of the group, with [Trace.RegisterDescription] and what else there is. It is
	// called for every Trace.
	Register func(tr *Trace)
}

// groups is filled by init functions and read-only afterwards, in order of ID.
var groups []Group

// RegisterGroup makes a group known. Call it from an init function. It panics for a name or an ID that cannot be, or is
// taken.
//
// SPDK: spdk_trace_add_register_fn
func RegisterGroup(g Group) {
	if g.Name == "" || g.Name == allGroups || strings.ContainsAny(g.Name, ",:+") || g.ID >= reactor.TraceGroups {
		panic(fmt.Sprintf("trace: group %d cannot be named %q", g.ID, g.Name))
	}
	for _, o := range groups {
		if o.Name == g.Name || o.ID == g.ID {
			panic(fmt.Sprintf("trace: group %d, %q: there is group %d, %q", g.ID, g.Name, o.ID, o.Name))
		}
	}
	i, _ := slices.BinarySearchFunc(groups, g.ID, func(o Group, id uint8) int { return int(o.ID) - int(id) })
	groups = slices.Insert(groups, i, g)
}

// Groups returns the groups in order of ID.
//
// SPDK: spdk_trace_get_first_register_fn, spdk_trace_get_next_register_fn
func Groups() []Group { return slices.Clone(groups) }

func groupNames() (names []string) {
	for _, g := range groups {
		names = append(names, g.Name)
	}
	return names
}

// ArgType is how an argument is recorded and shown.
//
// SPDK: SPDK_TRACE_ARG_TYPE_INT, SPDK_TRACE_ARG_TYPE_PTR, SPDK_TRACE_ARG_TYPE_STR
type ArgType uint8

// Types of arguments: a number, a number in hexadecimal, a string.
//
// SPDK: SPDK_TRACE_ARG_TYPE_INT, SPDK_TRACE_ARG_TYPE_PTR, SPDK_TRACE_ARG_TYPE_STR
const (
	ArgInt ArgType = iota
	ArgPtr
	ArgStr
)

// Argument describes an argument of a tracepoint.
//
// SPDK: struct spdk_trace_argument
type Argument struct {
	Name string // up to 13 bytes, of which spdk_trace shows five
	Type ArgType
	Size uint8 // bytes: 4 or 8 of a number, and one more than the longest string
}

// Relation says that an argument of a tracepoint is the number of an object of another one.
//
// SPDK: spdk_trace_tpoint.related_objects
type Relation struct {
	ObjectType uint8
	Arg        uint8 // its place
}

// TpointOpts describe a tracepoint.
//
// SPDK: struct spdk_trace_tpoint_opts
type TpointOpts struct {
	Name       string // up to 23 bytes
	Tpoint     reactor.Tpoint
	OwnerType  uint8 // of [Trace.RegisterOwnerType], 0 for none
	ObjectType uint8 // of [Trace.RegisterObject], 0 for none
	NewObject  bool  // the life of an object begins here
	Args       []Argument
}

// RegisterDescription describes tracepoints. It panics for what cannot be described, or has been. To be called by
// [Group].Register.
//
// SPDK: spdk_trace_register_description, spdk_trace_register_description_ext
func (tr *Trace) RegisterDescription(opts ...TpointOpts) {
	for i := range opts {
		tr.registerTpoint(&opts[i])
	}
}

func (tr *Trace) registerTpoint(o *TpointOpts) {
	// Number 0 stands for no tracepoint in the file.
	if o.Tpoint == 0 || o.Tpoint >= maxTpoint || tr.descs[o.Tpoint].defined {
		panic(fmt.Sprintf("trace: tracepoint %d, %s, is one that cannot be, or is there twice", o.Tpoint, o.Name))
	}
	if o.Name == "" || len(o.Name) >= tpointNameSize || len(o.Args) > maxArgs {
		panic(fmt.Sprintf("trace: tracepoint %q: a name of %d bytes and %d arguments are too long or too many", o.Name,
			len(o.Name), len(o.Args)))
	}
	d := desc{defined: true, numArgs: uint8(len(o.Args))}
	t := tr.tpoint(o.Tpoint)
	copy(t, o.Name)
	binary.LittleEndian.PutUint16(t[tpointIDAt:], uint16(o.Tpoint))
	t[tpointOwnerAt], t[tpointObjectAt], t[tpointNumArgsAt] = o.OwnerType, o.ObjectType, d.numArgs
	if o.NewObject {
		t[tpointNewAt] = 1
	}
	total := 0
	for i, a := range o.Args {
		number := a.Type == ArgInt || a.Type == ArgPtr
		if a.Name == "" || len(a.Name) >= argNameSize || a.Type > ArgStr || a.Size == 0 ||
			number && a.Size != 4 && a.Size != 8 {
			panic(fmt.Sprintf("trace: tracepoint %s has an argument that cannot be: %+v", o.Name, a))
		}
		arg := t[tpointArgsAt+i*argSize:]
		copy(arg, a.Name)
		arg[argTypeAt], arg[argSizeAt] = uint8(a.Type), a.Size
		d.size[i] = a.Size
		d.strings = d.strings || a.Type == ArgStr
		total += int(a.Size)
	}
	if total > MaxArgsSize {
		panic(fmt.Sprintf("trace: the arguments of tracepoint %s have %d bytes, %d are too many", o.Name, total, MaxArgsSize))
	}
	tr.descs[o.Tpoint] = d
}

// tpoint returns the description of a tracepoint in the file.
func (tr *Trace) tpoint(tp reactor.Tpoint) []byte {
	at := tr.sections[sectionTpoint] + sectionHeaderSize + int(tp)*tpointSize
	return tr.mem[at : at+tpointSize]
}

// RegisterRelation has readers find the object that an argument of tp is about. It panics if there are too many. To be
// called by [Group].Register, in whatever order with the descriptions.
//
// SPDK: spdk_trace_tpoint_register_relation
func (tr *Trace) RegisterRelation(tp reactor.Tpoint, r Relation) {
	rel := tr.tpoint(tp)[tpointRelAt:]
	for i := 0; i < maxRelations*2; i += 2 {
		if rel[i] == 0 {
			rel[i], rel[i+1] = r.ObjectType, r.Arg
			return
		}
	}
	panic(fmt.Sprintf("trace: tracepoint %d has more than %d relations", tp, maxRelations))
}

// RegisterOwnerType gives owners of a type the prefix of their numbers. It panics for type 0, and if the type has one.
// To be called by [Group].Register.
//
// SPDK: spdk_trace_register_owner_type
func (tr *Trace) RegisterOwnerType(typ uint8, prefix byte) {
	tr.registerType(sectionOwnerType, typ, prefix)
}

// RegisterObject gives objects of a type the prefix of their numbers. It panics for type 0, and if the type has one. To
// be called by [Group].Register.
//
// SPDK: spdk_trace_register_object
func (tr *Trace) RegisterObject(typ uint8, prefix byte) { tr.registerType(sectionObject, typ, prefix) }

func (tr *Trace) registerType(section int, typ uint8, prefix byte) {
	t := tr.mem[tr.sections[section]+sectionHeaderSize+int(typ)*typeSize:]
	if typ == 0 || t[0] != 0 {
		panic(fmt.Sprintf("trace: type %d with prefix %q is one that cannot be, or is there twice", typ, prefix))
	}
	t[0], t[1] = typ, prefix
}

// Tpoints returns the tracepoints of a group that have been described, without their arguments.
//
// SPDK: struct spdk_trace_section_tpoint
func (tr *Trace) Tpoints(group int) (list []TpointOpts) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for n := range reactor.Tpoint(64) {
		tp := reactor.Tpoint(group)<<6 + n
		if tr.closed || tr.descOf(tp) == nil {
			continue
		}
		t := tr.tpoint(tp)
		name, _, _ := bytes.Cut(t[:tpointNameSize], []byte{0})
		list = append(list, TpointOpts{
			Name: string(name), Tpoint: tp, OwnerType: t[tpointOwnerAt], ObjectType: t[tpointObjectAt],
			NewObject: t[tpointNewAt] != 0,
		})
	}
	return list
}
