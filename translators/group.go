package translators

import (
	"bytes"
	"reflect"
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/meshknot/meshknot/translators/report"
)

// group is everything that is made under one ID.
type group struct {
	// parts are the artifacts of units, in order.
	parts []Artifact
	// dirty: parts have changed since they were joined.
	dirty bool
	// news are the references of the parts that say something else, or are others,
	// since something was handed out.
	news []report.Ref
	// mixed: news are of several parts, and in no order.
	mixed bool

	// made is what the parts make, in order, and runs how many of them make each.
	// References of what is joined are made when they are asked for.
	made []Artifact
	runs []int
	// found is what joining found, claimed is what is wrong with the ID as a whole,
	// for which nothing of it is emitted.
	found, claimed report.Report
	closes         bool
	handed         []Artifact
}

func (g *group) insert(a Artifact) {
	i, _ := slices.BinarySearchFunc(g.parts, a, func(x, y Artifact) int {
		if c := inOrder(x, y); c != 0 {
			return c
		}
		return -1 // behind what is equal
	})
	g.parts = slices.Insert(g.parts, i, a)
	g.changed(a)
}

func (g *group) remove(a Artifact) {
	i, ok := slices.BinarySearchFunc(g.parts, a, inOrder)
	if ok {
		g.parts = slices.Delete(g.parts, i, i+1)
	}
	g.changed(a)
}

func (g *group) changed(a Artifact) {
	g.dirty = true
	if g.news == nil { // and mostly nothing is added
		g.news = slices.Clip(a.Refs)
		return
	}
	g.news, g.mixed = append(g.news, a.Refs...), true
}

// about returns the references of what is new, in order.
func (g *group) about() []report.Ref {
	if g.mixed {
		return sortedRefs(g.news)
	}
	return g.news
}

// update puts a part in the place of the one that stands there. It reports false
// where nothing differs.
func (g *group) update(a Artifact, c comparing) bool {
	i, _ := slices.BinarySearchFunc(g.parts, a, inOrder)
	was := g.parts[i]
	if c.same(was.Payload, a.Payload) {
		a.Payload = was.Payload
		if slices.Equal(was.Refs, a.Refs) {
			return false
		}
	} else {
		g.changed(a)
	}
	g.parts[i], g.dirty = a, true
	return true
}

// join makes what the parts make: an Assembler joins those of one place.
func (g *group) join(b Backend, t Target) {
	g.made, g.runs, g.found, g.claimed, g.closes, g.dirty = nil, nil, nil, nil, false, false
	assembler, joins := b.(Assembler)
	for i := 0; i < len(g.parts); {
		first, end := g.parts[i], i+1
		if joins && first.Part != "" {
			for end < len(g.parts) && g.parts[end].Part != "" && g.parts[end].Slot() == first.Slot() {
				end++
			}
			a, found := assembler.Assemble(g.parts[i:end])
			for j := range found {
				found[j].Backend = t.Backend
			}
			g.found = append(g.found, found...)
			first.Payload, first.Part, first.Refs, first.Effects = a.Payload, "", nil, a.Effects
		}
		g.made, g.runs = append(g.made, first), append(g.runs, end-i)
		i = end
	}
	if _, completes := b.(Completer); len(g.made) > 1 && !completes {
		if two := unclaimed(g.made); len(two) < len(g.made) {
			g.refer()
			g.claimed, g.closes = claims(g.made, t.Backend)
		}
	}
}

// emitted is what is made, unless two units claim it.
func (g *group) emitted() []Artifact {
	if len(g.claimed) > 0 {
		return nil
	}
	return g.made
}

// refer makes the references of what was joined.
func (g *group) refer() {
	start := 0
	for i, n := range g.runs {
		if g.made[i].Refs == nil {
			var refs []report.Ref
			for _, p := range g.parts[start : start+n] {
				refs = append(refs, p.Refs...)
			}
			g.made[i].Refs = sortedRefs(refs)
		}
		start += n
	}
}

// comparing compares payloads. It remembers the messages that it found to differ, for
// what is joined of them is compared next.
type comparing map[[2]proto.Message]struct{}

// same reports whether two payloads say the same. Parts that two messages share are
// not looked into.
func (c comparing) same(a, b any) bool {
	x, ok := a.(proto.Message)
	if !ok {
		return reflect.DeepEqual(a, b)
	}
	y, ok := b.(proto.Message)
	return ok && (x == y || c.message(x.ProtoReflect(), y.ProtoReflect(), 1))
}

// message reports whether two messages are of one type and encoded alike. Of a
// list of messages the elements are mostly the very same ones, so those are looked at
// first, and in those that differ so many levels of lists.
func (c comparing) message(x, y protoreflect.Message, levels int) bool {
	if x.Descriptor() != y.Descriptor() {
		return false
	}
	fields, same := 0, true
	x.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		fields++
		switch {
		case !y.Has(f):
			same = false
		case f.IsList() && f.Message() != nil:
			same = c.list(v.List(), y.Get(f).List(), levels)
		default:
			same = v.Equal(y.Get(f))
		}
		return same
	})
	if !same {
		return false
	}
	y.Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool { fields--; return true })
	return fields == 0 && slices.Equal(x.GetUnknown(), y.GetUnknown())
}

func (c comparing) list(x, y protoreflect.List, levels int) bool {
	if x.Len() != y.Len() {
		return false
	}
	for i := range x.Len() {
		a, b := x.Get(i).Message(), y.Get(i).Message()
		switch {
		case a.Interface() == b.Interface():
		case levels > 0 && c.message(a, b, levels-1), levels == 0 && c.bytes(a.Interface(), b.Interface()):
		default:
			return false
		}
	}
	return true
}

// bytes compares encodings, which takes a fraction of the time of proto.Equal. It may
// call equal messages different, never the other way round.
func (c comparing) bytes(a, b proto.Message) bool {
	if _, known := c[[2]proto.Message{a, b}]; known {
		return false
	}
	how := proto.MarshalOptions{Deterministic: true}
	if proto.Size(a) == proto.Size(b) {
		x, failed := how.Marshal(a)
		y, again := how.Marshal(b)
		if failed == nil && again == nil && bytes.Equal(x, y) {
			return true
		}
	}
	c[[2]proto.Message{a, b}] = struct{}{}
	return false
}
