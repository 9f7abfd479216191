package input

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	v1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshknot/meshknot/translators/report"
)

// fields are those that an object has in JSON, by name.
type fields map[string]reflect.Type

// wires remembers the fields of the Go types that documents are checked against:
// of structs, and of whole documents.
type wires struct {
	structs, roots map[reflect.Type]fields
	// suggestions is how many more will be looked for: they cost more than all
	// other checks, and nobody reads thousands.
	suggestions int
}

func newWires() *wires {
	return &wires{map[reflect.Type]fields{}, map[reflect.Type]fields{}, 1000}
}

var (
	unmarshaler = reflect.TypeFor[json.Unmarshaler]()
	objectMeta  = reflect.TypeFor[v1.ObjectMeta]()
	byteSlice   = reflect.TypeFor[[]byte]()
)

// fields returns the fields that a struct has in JSON, by name.
func (w *wires) fields(t reflect.Type) fields {
	if known, ok := w.structs[t]; ok {
		return known
	}
	out := fields{}
	w.structs[t] = out
	for i := range t.NumField() {
		f := t.Field(i)
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		inner := pointed(f.Type)
		switch {
		case tag == "-" && options == "" || !f.IsExported() && !f.Anonymous:
		case inner.Kind() == reflect.Struct && (f.Anonymous && tag == "" || slices.Contains(strings.Split(options, ","), "inline")):
			for name, typ := range w.fields(inner) {
				if _, ok := out[name]; !ok {
					out[name] = typ
				}
			}
		case tag == "":
			out[f.Name] = f.Type
		default:
			out[tag] = f.Type
		}
	}
	return out
}

// root returns the fields of a document: those of its wire type, and what every
// object has.
func (w *wires) root(wire any) fields {
	t := reflect.TypeOf(wire)
	if known, ok := w.roots[t]; ok {
		return known
	}
	out := fields{}
	w.roots[t] = out
	if t != nil && pointed(t).Kind() == reflect.Struct {
		for name, typ := range w.fields(pointed(t)) {
			out[name] = typ
		}
	}
	out["apiVersion"], out["kind"], out["metadata"] = reflect.TypeFor[string](), reflect.TypeFor[string](), objectMeta
	return out
}

func pointed(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// mismatch is a place where a document does not fit its schema.
type mismatch struct {
	node          *node
	code          report.Code
	parent, key   string // the key is set for an unknown field
	where         key
	message, hint string
}

func (m mismatch) field() string {
	if m.key == "" {
		return m.parent
	}
	return Field(m.parent, m.key)
}

// checker compares one document with its schema.
type checker struct {
	wires *wires
	loose []string
	root  fields
	found []mismatch
	// brief: only whether anything is found is asked for, so no path is made.
	brief bool
}

// check returns where a document does not fit its schema.
func (w *wires) check(n *node, s Schema) []mismatch {
	c := &checker{wires: w, loose: s.Loose, root: w.root(s.Wire)}
	c.object(n, "", "", c.root)
	return c.found
}

// ok reports whether a document fits its schema. Of one that does not it is no use to
// know where: check says all there is to be said.
func (w *wires) ok(n *node, s Schema) bool {
	c := &checker{wires: w, loose: s.Loose, root: w.root(s.Wire), brief: true}
	c.object(n, "", "", c.root)
	return len(c.found) == 0
}

// field and element return the paths of what is in a value, where they are asked for.
func (c *checker) field(path, name string) string {
	if c.brief {
		return ""
	}
	return Field(path, name)
}

func (c *checker) element(path string, i int) string {
	if c.brief {
		return ""
	}
	return Element(path, i)
}

// inField and inList return the patterns, which are there to be compared with those
// that are loose.
func (c *checker) inField(pattern, name string) string {
	if len(c.loose) == 0 && c.brief {
		return ""
	}
	return Field(pattern, name)
}

func (c *checker) inList(pattern string) string {
	if len(c.loose) == 0 && c.brief {
		return ""
	}
	return pattern + "[]"
}

// value checks a value at a path; pattern is the path with its indexes left out.
func (c *checker) value(n *node, path, pattern string, t reflect.Type) {
	if n.kind == null || slices.Contains(c.loose, pattern) {
		return
	}
	t = pointed(t)
	if reflect.PointerTo(t).Implements(unmarshaler) || t.Kind() == reflect.Interface {
		return
	}
	if !fits(n, t) {
		c.found = append(c.found, mismatch{node: n, code: report.WrongType, parent: path, message: "found " + n.describe() + ", expected " + expected(t)})
		return
	}
	switch t.Kind() {
	case reflect.Struct:
		c.object(n, path, pattern, c.wires.fields(t))
	case reflect.Map:
		for i, k := range n.keys {
			c.value(n.items[i], c.field(path, k.name), c.inField(pattern, k.name), t.Elem())
		}
	case reflect.Slice, reflect.Array:
		c.list(n, path, pattern, t)
	}
}

func (c *checker) list(n *node, path, pattern string, t reflect.Type) {
	if t == byteSlice {
		return
	}
	for i, item := range n.items {
		if item.kind == null && t.Elem().Kind() != reflect.Pointer && t.Elem().Kind() != reflect.Interface {
			c.found = append(c.found, mismatch{node: item, code: report.WrongType, parent: Element(path, i), message: "found null, expected an element of the list"})
			continue
		}
		c.value(item, c.element(path, i), c.inList(pattern), t.Elem())
	}
}

func (c *checker) object(n *node, path, pattern string, of fields) {
	for i, k := range n.keys {
		if t, ok := of[k.name]; ok {
			c.value(n.items[i], c.field(path, k.name), c.inField(pattern, k.name), t)
			continue
		}
		if slices.Contains(c.loose, c.inField(pattern, k.name)) {
			continue
		}
		if c.brief {
			c.found = append(c.found, mismatch{})
			return
		}
		m := mismatch{node: n.items[i], code: report.UnknownField, parent: path, key: k.name, where: k, message: "unknown field " + shorten(quote(k.name))}
		m.hint = c.suggest(k.name, Field(pattern, k.name), of)
		c.found = append(c.found, m)
	}
}

// closest suggests a word for a misspelt one, as long as there are suggestions.
func (w *wires) closest(word string, candidates []string) string {
	if w.suggestions--; w.suggestions < 0 {
		return ""
	}
	return Closest(word, candidates)
}

// suggest says which field may be meant by an unknown one: one with a similar
// name beside it, or one of that name elsewhere in the schema.
func (c *checker) suggest(name, pattern string, of fields) string {
	var names []string
	for f := range of {
		names = append(names, f)
	}
	if f := c.wires.closest(name, names); f != "" {
		return fmt.Sprintf("did you mean %q?", f)
	}
	if c.wires.suggestions <= 0 {
		return ""
	}
	if places := c.places(name, pattern); len(places) > 0 {
		return fmt.Sprintf("%q belongs at %s", name, strings.Join(places, " or "))
	}
	return ""
}

// places returns the paths of the fields with a name, metadata left out.
func (c *checker) places(name, except string) []string {
	var out []string
	var walk func(of fields, path string, depth int)
	walk = func(of fields, path string, depth int) {
		for f, t := range of {
			at := Field(path, f)
			if f == name && at != except {
				out = append(out, at)
			}
			for t = pointed(t); t.Kind() == reflect.Slice; t = pointed(t.Elem()) {
				at += "[]"
			}
			if t.Kind() == reflect.Struct && t != objectMeta && depth < 4 && !reflect.PointerTo(t).Implements(unmarshaler) {
				walk(c.wires.fields(t), at, depth+1)
			}
		}
	}
	walk(c.root, "", 0)
	slices.SortFunc(out, func(a, b string) int { return cmpPath(a, b) })
	return out[:min(len(out), 2)]
}

// cmpPath puts short paths first.
func cmpPath(a, b string) int {
	if d := strings.Count(a, ".") - strings.Count(b, "."); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

// fits reports whether a value can be decoded into a type.
func fits(n *node, t reflect.Type) bool {
	switch t.Kind() {
	case reflect.String:
		return n.kind == text
	case reflect.Bool:
		return n.kind == boolean
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		_, err := strconv.ParseInt(n.scalar, 10, t.Bits())
		return n.kind == number && err == nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		_, err := strconv.ParseUint(n.scalar, 10, t.Bits())
		return n.kind == number && err == nil
	case reflect.Float32, reflect.Float64:
		return n.kind == number
	case reflect.Struct, reflect.Map:
		return n.kind == object
	case reflect.Slice, reflect.Array:
		if t == byteSlice {
			return n.kind == text
		}
		return n.kind == list
	}
	return true
}

// expected says what a type is decoded from.
func expected(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "a boolean"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return fmt.Sprintf("a whole number of %d bits", t.Bits())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprintf("a whole number of %d bits, not negative", t.Bits())
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Struct, reflect.Map:
		return "an object"
	case reflect.Slice, reflect.Array:
		if t == byteSlice {
			return "a string in base64"
		}
		return "a list"
	}
	return t.String()
}
