package input

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/report"
)

// decoded is what a schema made of an object.
type decoded struct {
	value any
	found report.Report
	// err says why the object does not fit the schema's Wire type.
	err error
}

// decode makes an object's value, of what is not among the nodes without. It looks at
// nothing but the object.
func decode(n *node, id ID, s Schema, without map[*node]bool) *decoded {
	out := &decoded{}
	d := Document{ID: id, Version: s.Version, JSON: n.json(without)}
	if t := reflect.TypeOf(s.Wire); t != nil {
		wire := reflect.New(pointed(t))
		if d.WireErr = json.Unmarshal(d.JSON, wire.Interface()); d.WireErr == nil {
			d.Wire = wire.Interface()
		}
	}
	if s.Decode == nil {
		out.value = d.Wire
	} else {
		out.value, out.found = s.Decode(d)
	}
	out.err = d.WireErr
	return out
}

// ahead decodes a document before it is its turn, where it is an object of a kind that
// is known and nothing is wrong with it. It reads from r what does not change, so
// several goroutines may do so at once, each with wires of its own.
func (r *reading) ahead(p parsed, w *wires) *decoded {
	if p.fatal != nil || p.root.kind != object || len(p.flaws) > 0 {
		return nil
	}
	group, version, ok := strings.Cut(p.root.str("apiVersion"), "/")
	if !ok {
		group, version = "", group
	}
	schemas := r.schemas[groupKind{group, p.root.str("kind")}]
	i := slices.IndexFunc(schemas, func(s Schema) bool { return s.Version == version })
	if i < 0 || !w.ok(p.root, schemas[i]) {
		return nil
	}
	return decode(p.root, identity(p.root, group, schemas[i]), schemas[i], nil)
}
