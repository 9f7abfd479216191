package input

import (
	"strconv"
	"strings"

	"github.com/meshknot/meshknot/translators/report"
)

// Field returns the path of a key of the object at base: "spec.service". A key
// that is no plain name is quoted: `metadata.labels["a.b/c"]`.
func Field(base, key string) string {
	switch {
	case !plain(key):
		return base + "[" + strconv.Quote(key) + "]"
	case base == "":
		return key
	}
	return base + "." + key
}

// Element returns the path of an element of the list at base: "spec.backends[1]".
func Element(base string, i int) string { return base + "[" + strconv.Itoa(i) + "]" }

// plain reports whether a key can stand in a path without quotes.
func plain(key string) bool {
	for _, c := range key {
		if ok := c == '-' || c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'; !ok {
			return false
		}
	}
	return key != ""
}

// step is one step of a path: a key, or an index where key is unset.
type step struct {
	key   string
	index int
}

// steps takes a path apart. What cannot be read ends it.
func steps(field string) []step {
	var out []step
	for field != "" {
		var s step
		var ok bool
		s, field, ok = nextStep(field)
		if !ok {
			break
		}
		out = append(out, s)
	}
	return out
}

func nextStep(field string) (step, string, bool) {
	if !strings.HasPrefix(field, "[") {
		field = strings.TrimPrefix(field, ".")
		end := strings.IndexAny(field, ".[")
		if end < 0 {
			end = len(field)
		}
		return step{key: field[:end]}, field[end:], end > 0
	}
	field = field[1:]
	if q, err := strconv.QuotedPrefix(field); err == nil {
		name, err := strconv.Unquote(q)
		rest, ok := strings.CutPrefix(field[len(q):], "]")
		return step{key: name}, rest, ok && err == nil && name != ""
	}
	digits, rest, ok := strings.Cut(field, "]")
	i, err := strconv.Atoi(digits)
	return step{index: i}, rest, ok && err == nil && i >= 0
}

// home is where an object stands: a file and its nodes there. Without nodes
// only the file is known.
type home struct {
	file string
	root *node
}

// at returns the position of the value at a path or, where it does not exist,
// of its nearest existing parent.
func (h home) at(field string) report.Position {
	if h.root == nil {
		return report.Position{File: h.file, Line: 1, Column: 1}
	}
	n := h.root
	for _, s := range steps(field) {
		next := n.child(s)
		if next == nil {
			break
		}
		n = next
	}
	return report.Position{File: h.file, Line: int(n.line), Column: int(n.column)}
}

// atKey returns the position of the key that a path ends in, or what at returns
// where there is none.
func (h home) atKey(parent, name string) report.Position {
	n := h.root
	for _, s := range steps(parent) {
		if n = n.child(s); n == nil {
			return h.at(parent)
		}
	}
	i := n.find(name)
	if i < 0 {
		return h.at(parent)
	}
	return report.Position{File: h.file, Line: int(n.keys[i].line), Column: int(n.keys[i].column)}
}

func (n *node) child(s step) *node {
	switch {
	case n == nil:
		return nil
	case s.key != "":
		return n.get(s.key)
	case n.kind == list && s.index < len(n.items):
		return n.items[s.index]
	}
	return nil
}
