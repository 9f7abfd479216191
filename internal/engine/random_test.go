package engine_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
)

// pool is what sequences draw from: the objects of the golden cases, which share
// their names, so that most IDs have many forms and refer to each other.
type pool struct {
	ids   []input.ID
	forms map[input.ID][]input.Object
	cases [][]input.Object
}

func loadPool(t *testing.T) pool {
	t.Helper()
	cases, err := golden.Load("../../test/cases")
	if err != nil || len(cases) < 100 {
		t.Fatal(len(cases), err)
	}
	p := pool{forms: map[input.ID][]input.Object{}}
	for _, c := range cases {
		var files []input.File
		for _, f := range c.Inputs {
			files = append(files, input.File{Name: f.Name, Data: f.Data})
		}
		set, _ := input.ReadFiles(files, input.Options{Schemas: all.Pipeline().Schemas()})
		objects := input.NewStore(set, c.Settings).Objects()
		p.cases = append(p.cases, objects)
		for _, o := range objects {
			if p.forms[o.ID] == nil {
				p.ids = append(p.ids, o.ID)
			}
			p.forms[o.ID] = append(p.forms[o.ID], o)
		}
	}
	return p
}

// change is a step of a sequence: edits or, where set, settings.
type change struct {
	name     string
	edits    []input.Edit
	settings *input.Settings
}

// drawing draws a sequence.
type drawing struct {
	*rand.Rand
	pool
	content map[input.ID][]input.Object
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// ids of what is there, in order.
func (d *drawing) there() []input.ID {
	var out []input.ID
	for id := range d.content {
		out = append(out, id)
	}
	slices.SortFunc(out, input.ID.Compare)
	return out
}

// sequence draws steps: a case to begin with, then changes of all kinds.
func (d *drawing) sequence(steps int) []change {
	d.content = map[input.ID][]input.Object{}
	first := change{name: "a case"}
	for _, o := range pick(d.Rand, d.cases) {
		d.content[o.ID] = append(d.content[o.ID], o)
	}
	for _, id := range d.there() {
		first.edits = append(first.edits, input.Edit{ID: id, Objects: d.content[id]})
	}
	out := []change{first}
	for len(out) < steps {
		c := d.change()
		if len(c.edits) > 0 && d.IntN(8) == 0 { // several at once
			more := d.change()
			c.name, c.edits = c.name+" and "+more.name, append(c.edits, more.edits...)
		}
		for _, e := range c.edits {
			if d.content[e.ID] = e.Objects; len(e.Objects) == 0 {
				delete(d.content, e.ID)
			}
		}
		out = append(out, c)
	}
	return out
}

// most is how many objects there are at most: a small mesh has the same
// references, and more steps fit into a test.
const most = 24

func (d *drawing) change() change {
	there := d.there()
	if len(there) == 0 {
		return d.create()
	}
	id := pick(d.Rand, there)
	list := slices.Clone(d.content[id])
	o := list[0]
	one := func(name string, o input.Object) change {
		return change{name: name, edits: []input.Edit{{ID: id, Objects: []input.Object{o}}}}
	}
	kind := d.IntN(20)
	if len(there) > most {
		kind = 0
	}
	switch kind {
	case 0, 1, 2:
		return change{name: "delete", edits: []input.Edit{{ID: id}}}
	case 3, 4, 5, 6:
		return d.create()
	case 7, 8, 9, 10, 11:
		if forms := d.forms[id]; len(forms) > 0 {
			return one("edit", pick(d.Rand, forms))
		}
		return change{name: "delete", edits: []input.Edit{{ID: id}}}
	case 12, 13:
		return d.rename(id, list)
	case 14:
		o.Created = []time.Time{{}, time.Unix(1, 0), time.Unix(2, 0), time.Unix(3, 0)}[d.IntN(4)]
		return one("reorder", o)
	case 15:
		o.Labels = []map[string]string{nil, {"team": "a"}, {"team": "b"}, {"app": "reviews", "version": "v1"}}[d.IntN(4)]
		return one("labels", o)
	case 16:
		o.Annotations = []map[string]string{nil, {"meshknot.io/smi-dialect": "osm"}, {"meshknot.io/service-account": "web"}}[d.IntN(3)]
		return one("annotations", o)
	case 17:
		o.Rejected = !o.Rejected
		return one("rejected", o)
	case 18:
		o.Rejected = true
		other := o
		if forms := d.forms[id]; len(forms) > 0 {
			other = pick(d.Rand, forms)
			other.Rejected = true
		}
		return change{name: "duplicate", edits: []input.Edit{{ID: id, Objects: []input.Object{o, other}}}}
	}
	return d.settings()
}

func (d *drawing) create() change {
	id := pick(d.Rand, d.ids)
	return change{name: "create", edits: []input.Edit{{ID: id, Objects: []input.Object{pick(d.Rand, d.forms[id])}}}}
}

// rename gives an object the name, or the namespace, of another one.
func (d *drawing) rename(id input.ID, list []input.Object) change {
	to, like := id, pick(d.Rand, d.ids)
	if to.Name = like.Name; d.IntN(3) == 0 && id.Namespace != "" && like.Namespace != "" {
		to.Name, to.Namespace = id.Name, like.Namespace
	}
	for i := range list {
		list[i].ID = to
	}
	return change{name: "rename", edits: []input.Edit{{ID: id}, {ID: to, Objects: list}}}
}

func (d *drawing) settings() change {
	s := input.Settings{Complete: d.IntN(2) == 0, Access: pick(d.Rand, []string{"selected", "strict", "off"}), Dialect: pick(d.Rand, []string{"spec", "osm", "traefik"})}
	if d.IntN(2) == 0 {
		s.Workloads = map[string]map[string]string{"shop/" + pick(d.Rand, d.ids).Name: {"app": "reviews"}}
	}
	return change{name: fmt.Sprintf("settings %+v", s), settings: &s}
}
