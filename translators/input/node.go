package input

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
)

// kind is what a node of a document is, in the terms of JSON.
type kind uint8

const (
	null kind = iota
	boolean
	number
	text
	list
	object
)

func (k kind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "a list", "an object"}[k]
}

// node is one value of a document and the place where it stands. YAML and JSON
// both become nodes, aliases and merge keys resolved, and everything else works
// on these.
type node struct {
	kind         kind
	line, column int32
	// scalar is the text of a string, or the JSON literal of another scalar.
	scalar string
	// keys are those of an object, in order; items are its values, or the
	// elements of a list.
	keys  []key
	items []*node
}

type key struct {
	name         string
	line, column int32
}

// get returns the value under a key of an object, or nil.
func (n *node) get(name string) *node {
	if i := n.find(name); i >= 0 {
		return n.items[i]
	}
	return nil
}

// find returns the index of the last key with the name, or -1.
func (n *node) find(name string) int {
	if n == nil {
		return -1
	}
	for i := len(n.keys) - 1; i >= 0; i-- {
		if n.keys[i].name == name {
			return i
		}
	}
	return -1
}

// str returns the string under a key of an object, or "".
func (n *node) str(name string) string {
	if v := n.get(name); v != nil && v.kind == text {
		return v.scalar
	}
	return ""
}

// describe names a value for a message: "the number 12", "a list".
func (n *node) describe() string {
	switch n.kind {
	case text:
		return "the string " + shorten(quote(n.scalar))
	case number:
		return "the number " + shorten(n.scalar)
	case boolean:
		return "the boolean " + n.scalar
	}
	return n.kind.String()
}

// json renders the node as JSON, keys in the order written, with null for each
// of the nodes without.
func (n *node) json(without map[*node]bool) []byte {
	var b bytes.Buffer
	b.Grow(512) // which most have room in
	n.write(&b, false, without)
	return b.Bytes()
}

// canonical renders the node as JSON with its keys sorted, so that equal
// contents are equal bytes.
func (n *node) canonical() []byte {
	var b bytes.Buffer
	n.write(&b, true, nil)
	return b.Bytes()
}

func (n *node) write(b *bytes.Buffer, sorted bool, without map[*node]bool) {
	switch {
	case without[n]:
		b.WriteString("null")
	case n.kind == text:
		writeQuoted(b, n.scalar)
	case n.kind == list:
		b.WriteByte('[')
		for i, item := range n.items {
			comma(b, i)
			item.write(b, sorted, without)
		}
		b.WriteByte(']')
	case n.kind == object:
		b.WriteByte('{')
		order := n.order(sorted)
		for i := range n.keys {
			k := i
			if order != nil {
				k = order[i]
			}
			comma(b, i)
			writeQuoted(b, n.keys[k].name)
			b.WriteByte(':')
			n.items[k].write(b, sorted, without)
		}
		b.WriteByte('}')
	default:
		b.WriteString(n.scalar)
	}
}

// walk visits the node and everything in it.
func (n *node) walk(visit func(*node)) {
	visit(n)
	for _, item := range n.items {
		item.walk(visit)
	}
}

// order returns the indexes of an object's keys sorted by name, or nil for those as
// written.
func (n *node) order(sorted bool) []int {
	if !sorted {
		return nil
	}
	out := make([]int, len(n.keys))
	for i := range out {
		out[i] = i
	}
	slices.SortStableFunc(out, func(a, b int) int { return strings.Compare(n.keys[a].name, n.keys[b].name) })
	return out
}

func comma(b *bytes.Buffer, i int) {
	if i > 0 {
		b.WriteByte(',')
	}
}

// writeQuoted writes a string as JSON does. Most have nothing in them that is
// written otherwise.
func writeQuoted(b *bytes.Buffer, s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || strings.IndexByte(`"\<>&`, c) >= 0 {
			b.WriteString(quote(s))
			return
		}
	}
	b.WriteByte('"')
	b.WriteString(s)
	b.WriteByte('"')
}

// quote renders a string as JSON does.
func quote(s string) string {
	if plain(s) {
		return `"` + s + `"`
	}
	out, err := json.Marshal(s)
	if err != nil { // a string always has a JSON form
		return `""`
	}
	return string(out)
}

// shorten keeps a value that a message quotes to a readable length.
func shorten(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "..."
	}
	return s
}
