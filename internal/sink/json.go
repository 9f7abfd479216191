package sink

import (
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/report"
)

// JSON prints artifacts as a list that stands so deep within a document of
// report.WriteJSON: each with its type, its name, the namespace whose proxies get it
// in place of the artifact of the same name, what it says and whom it was made of.
func JSON(w io.Writer, artifacts []translators.Artifact, depth int) error {
	if len(artifacts) == 0 {
		_, err := io.WriteString(w, "[]")
		return err
	}
	before := byte('[')
	for p := range printed(artifacts, depth+1) {
		if p.err != nil {
			return p.err
		}
		p.b[0] = before
		if _, err := w.Write(p.b); err != nil {
			return err
		}
		before = ','
	}
	_, err := io.WriteString(w, "\n"+strings.Repeat("  ", depth)+"]")
	return err
}

// printed prints artifacts, with a comma before each.
func printed(artifacts []translators.Artifact, depth int) iter.Seq[*jsonPrinter] {
	return inShares(len(artifacts), depth, func(p *jsonPrinter, from, to int) error {
		return p.share(artifacts[from:to])
	})
}

// inShares prints many things on all processors and gives the texts out in order, each
// until the next is asked for. A few are ahead of what is taken, so that the whole is
// never there as text.
func inShares(n, depth int, some func(p *jsonPrinter, from, to int) error) iter.Seq[*jsonPrinter] {
	return func(yield func(*jsonPrinter) bool) {
		var ahead []chan *jsonPrinter
		idle := &jsonPrinter{}
		for from := 0; from < n || len(ahead) > 0; {
			for from < n && len(ahead) <= runtime.GOMAXPROCS(0) {
				p, done, start, end := idle, make(chan *jsonPrinter, 1), from, min(from+share, n)
				if idle = nil; p == nil {
					p = &jsonPrinter{}
				}
				p.b, p.depth = p.b[:0], depth
				go func() { p.err = some(p, start, end); done <- p }()
				ahead, from = append(ahead, done), end
			}
			idle = <-ahead[0]
			if ahead = ahead[1:]; !yield(idle) {
				return
			}
		}
	}
}

// share is what one processor prints at a time, and long a list of which several
// take a share: one table of routes may hold those of everybody.
const share, long = 32, 128

// jsonPrinter prints values as report.WriteJSON does. It prints messages without
// making maps and lists of them first: through these and the library's encoder,
// printing takes longer than reading and translating together.
type jsonPrinter struct {
	b []byte
	// depth of what is being printed.
	depth int
	// members of the messages that are being printed, one in the other.
	members []member
	err     error
}

func (p *jsonPrinter) share(artifacts []translators.Artifact) error {
	for _, a := range artifacts {
		p.b = append(p.b, ',')
		p.line()
		if err := p.artifact(a); err != nil {
			return fmt.Errorf("%s %s: %w", a.ID.Type, a.ID.Name, err)
		}
	}
	return nil
}

func (p *jsonPrinter) artifact(a translators.Artifact) error {
	p.open('{')
	p.member("type", 0)
	p.text(a.ID.Type)
	p.member("name", 1)
	p.text(a.ID.Name)
	if a.Audience.Namespace != "" && a.Audience.Account == "" { // the callers of one namespace are nobody's audience else
		p.member("forNamespace", 1)
		p.text(a.Audience.Namespace)
	}
	p.member("payload", 1)
	if err := p.payload(a.Payload); err != nil {
		return err
	}
	p.member("refs", 1)
	if len(a.Refs) == 0 {
		p.b = append(p.b, "[]"...)
	} else {
		p.open('[')
		for i, r := range a.Refs {
			p.element(i)
			p.ref(r)
		}
		p.close(']')
	}
	p.close('}')
	return nil
}

func (p *jsonPrinter) ref(r report.Ref) {
	n := 0
	for _, f := range [...]struct{ name, value string }{
		{"group", r.Group}, {"kind", r.Kind}, {"namespace", r.Namespace}, {"name", r.Name}, {"field", r.Field},
	} {
		if f.value == "" {
			continue
		}
		if n == 0 {
			p.open('{')
		}
		p.member(f.name, n)
		p.text(f.value)
		n++
	}
	if n == 0 {
		p.b = append(p.b, "{}"...)
		return
	}
	p.close('}')
}

func (p *jsonPrinter) payload(payload any) error {
	m, ok := payload.(proto.Message)
	if !ok {
		return p.value(payload)
	}
	return p.message(m.ProtoReflect(), "type.googleapis.com/"+string(m.ProtoReflect().Descriptor().FullName()))
}

// member is one member of an object: the type that it says it is of, or a field.
type member struct {
	name  string
	field protoreflect.FieldDescriptor
	value protoreflect.Value
}

// message prints a message that says, where it is to, what it is.
func (p *jsonPrinter) message(m protoreflect.Message, says string) error {
	start := len(p.members)
	defer func() { p.members = p.members[:start] }()
	if says != "" {
		p.members = append(p.members, member{name: typeKey})
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		p.members = append(p.members, member{fd.JSONName(), fd, v})
		return true
	})
	all := p.members[start:]
	if len(all) == 0 {
		p.b = append(p.b, "{}"...)
		return nil
	}
	slices.SortFunc(all, func(a, b member) int { return strings.Compare(a.name, b.name) })
	p.open('{')
	for i, f := range all {
		p.member(f.name, i)
		if f.field == nil {
			p.text(says)
		} else if err := p.field(f.field, f.value); err != nil {
			return err
		}
	}
	p.close('}')
	return nil
}

func (p *jsonPrinter) field(fd protoreflect.FieldDescriptor, v protoreflect.Value) error {
	switch {
	case fd.IsMap():
		plain, err := plainField(fd, v)
		if err != nil {
			return err
		}
		return p.value(plain)
	case !fd.IsList():
		return p.one(fd, v)
	}
	list := v.List()
	p.open('[')
	var err error
	if list.Len() < long {
		err = p.elements(fd, list, 0, list.Len())
	} else {
		err = p.long(fd, list)
	}
	p.close(']')
	return err
}

func (p *jsonPrinter) elements(fd protoreflect.FieldDescriptor, list protoreflect.List, from, to int) error {
	for i := from; i < to; i++ {
		p.element(i)
		if err := p.one(fd, list.Get(i)); err != nil {
			return err
		}
	}
	return nil
}

// long prints a long list, on all processors.
func (p *jsonPrinter) long(fd protoreflect.FieldDescriptor, list protoreflect.List) error {
	n := list.Len()
	for q := range inShares(n, p.depth, func(q *jsonPrinter, from, to int) error { return q.elements(fd, list, from, to) }) {
		if q.err != nil {
			return q.err
		}
		if cap(p.b)-len(p.b) < len(q.b) {
			p.b = slices.Grow(p.b, max(len(q.b), len(p.b))) // twice the room: how long the rest is, no share tells
		}
		p.b = append(p.b, q.b...)
	}
	return nil
}

func (p *jsonPrinter) one(fd protoreflect.FieldDescriptor, v protoreflect.Value) error {
	switch fd.Kind() {
	case protoreflect.StringKind:
		p.text(v.String())
		return nil
	case protoreflect.MessageKind, protoreflect.GroupKind:
		m := v.Message()
		if m.Descriptor().FullName().Parent() != wellKnownPackage {
			return p.message(m, "")
		}
		if packed, ok := m.Interface().(*anypb.Any); ok {
			return p.packed(packed)
		}
	}
	plain, err := plainOne(fd, v)
	if err != nil {
		return err
	}
	return p.value(plain)
}

func (p *jsonPrinter) packed(packed *anypb.Any) error {
	inner, err := packed.UnmarshalNew()
	if err == nil && inner.ProtoReflect().Descriptor().FullName().Parent() != wellKnownPackage {
		return p.message(inner.ProtoReflect(), packed.GetTypeUrl())
	}
	plain, err := plainMessage(packed.ProtoReflect()) // which also says why it cannot be
	if err != nil {
		return err
	}
	return p.value(plain)
}

// value prints a plain value.
func (p *jsonPrinter) value(v any) error {
	switch v := v.(type) {
	case string:
		p.text(v)
		return nil
	case bool:
		p.b = strconv.AppendBool(p.b, v)
		return nil
	case float64:
		if size := math.Abs(v); size == 0 || size >= 1e-6 && size < 1e21 { // and the rest has an exponent
			p.b = strconv.AppendFloat(p.b, v, 'f', -1, 64)
			return nil
		}
	case map[string]any:
		if len(v) > 0 {
			return p.object(v)
		}
	case []any:
		if len(v) > 0 {
			return p.list(v)
		}
	}
	text, err := report.IndentedJSON(v, p.depth)
	p.b = append(p.b, text...)
	return err
}

func (p *jsonPrinter) object(v map[string]any) error {
	p.open('{')
	for i, k := range slices.Sorted(maps.Keys(v)) {
		p.member(k, i)
		if err := p.value(v[k]); err != nil {
			return err
		}
	}
	p.close('}')
	return nil
}

func (p *jsonPrinter) list(v []any) error {
	p.open('[')
	for i, item := range v {
		p.element(i)
		if err := p.value(item); err != nil {
			return err
		}
	}
	p.close(']')
	return nil
}

// text prints a string: most have nothing in them that is written otherwise.
func (p *jsonPrinter) text(s string) {
	if asItIs(s) {
		p.b = append(append(append(p.b, '"'), s...), '"')
		return
	}
	text, err := report.IndentedJSON(s, 0)
	if err != nil { // a string always has a JSON form
		text = []byte(`""`)
	}
	p.b = append(p.b, text...)
}

func asItIs(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

func (p *jsonPrinter) open(bracket byte) {
	p.b = append(p.b, bracket)
	p.depth++
}

func (p *jsonPrinter) close(bracket byte) {
	p.depth--
	p.line()
	p.b = append(p.b, bracket)
}

// element begins the i-th element of a list.
func (p *jsonPrinter) element(i int) {
	if i > 0 {
		p.b = append(p.b, ',')
	}
	p.line()
}

// member begins the i-th member of an object.
func (p *jsonPrinter) member(name string, i int) {
	p.element(i)
	p.text(name)
	p.b = append(p.b, ": "...)
}

func (p *jsonPrinter) line() {
	p.b = append(p.b, '\n')
	for range p.depth {
		p.b = append(p.b, "  "...)
	}
}
