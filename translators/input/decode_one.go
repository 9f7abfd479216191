package input

import (
	"slices"
	"strings"
	"sync"

	"github.com/meshknot/meshknot/translators/report"
)

// Decoder reads single objects as an API server hands them out, as strictly as
// Read does: where each of their fields stands is not known, for there is no
// file. Several goroutines may use one at once.
type Decoder struct {
	limits  Limits
	schemas map[groupKind][]Schema
	typed   map[string]bool
	wires   sync.Pool // of *wires, which remember types and serve one goroutine
}

// NewDecoder makes a decoder of the schemas and limits of options. Groups typed
// are those whose kinds the API server itself has: it lets no unknown field
// into them, so one that is unknown here is of a newer server and no mistake.
// Such a field is left out, with a finding of severity info.
func NewDecoder(o Options, typed ...string) *Decoder {
	d := &Decoder{limits: o.Limits.withDefaults(), schemas: newReading(o).schemas, typed: map[string]bool{}}
	for _, group := range typed {
		d.typed[group] = true
	}
	d.wires.New = func() any { return newWires() }
	return d
}

// Decode reads one object written as JSON. Findings have no position, and the
// object no Leaves: they tell a user what of a file is accounted for. Where not
// even its name can be read, or its kind is not known, the object is the zero
// value and the findings say why. A list is no object.
func (d *Decoder) Decode(data []byte) (Object, report.Report) {
	w := d.wires.Get().(*wires)
	defer d.wires.Put(w)
	w.suggestions = 20
	r := &reading{limits: d.limits, schemas: d.schemas, wires: w, found: map[ID][]candidate{}}
	o := r.one(data, d.typed)
	for i := range r.report {
		r.report[i].At = report.Position{}
	}
	return o, r.report.Sorted()
}

// one reads the object that a text is.
func (r *reading) one(data []byte, typed map[string]bool) Object {
	documents, _ := jsonDocuments(segment{text: data}, r.limits)
	switch {
	case len(documents) != 1:
		r.add(report.Undecodable, report.Position{}, report.Ref{}, "the text is not one object", "")
		return Object{}
	case documents[0].fatal != nil:
		r.problem(home{}, ID{}, documents[0].fatal)
		return Object{}
	}
	p := documents[0]
	e := entry{home: home{root: p.root}, node: p.root, flaws: p.flaws}
	if p.root.kind != object {
		r.add(report.Undecodable, report.Position{}, report.Ref{}, "an object is expected, found "+p.root.describe(), "")
		return Object{}
	}
	if !r.identified(&e) {
		return Object{}
	}
	group, version, ok := strings.Cut(e.apiVersion, "/")
	if !ok {
		group, version = "", group
	}
	schemas := r.schemas[groupKind{group, e.kind}]
	if len(schemas) == 0 {
		r.ignored(e, group, version)
		return Object{}
	}
	if typed[group] {
		r.newer(&e, version, schemas)
	}
	r.known(e, group, version, schemas)
	for _, found := range r.found { // of one object there is one
		return found[0].object
	}
	return Object{}
}

// newer takes the fields out of an object that its schema does not know.
func (r *reading) newer(e *entry, version string, schemas []Schema) {
	i := slices.IndexFunc(schemas, func(s Schema) bool { return s.Version == version })
	if i < 0 {
		return
	}
	unknown := map[*node]bool{}
	for _, m := range r.wires.check(e.node, schemas[i]) {
		if m.code != report.UnknownField {
			continue
		}
		unknown[m.node] = true
		meta := e.node.get("metadata")
		id := ID{Group: schemas[i].Group, Kind: e.kind, Namespace: meta.str("namespace"), Name: meta.name()}
		f := report.New(m.code, id.Ref(m.field()), "the API server knows a field that is not known here; it is left out")
		f.Severity, f.Hint = report.Info, ""
		r.report = append(r.report, f)
	}
	if len(unknown) > 0 {
		e.node.without(unknown)
	}
}

// without takes keys out of a node, and of everything in it, whose values are
// among those given.
func (n *node) without(values map[*node]bool) {
	if n.kind == object {
		keys, items := n.keys[:0], n.items[:0]
		for i, item := range n.items {
			if !values[item] {
				keys, items = append(keys, n.keys[i]), append(items, item)
			}
		}
		n.keys, n.items = keys, items
	}
	for _, item := range n.items {
		item.without(values)
	}
}
