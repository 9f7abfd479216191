package engine_test

import (
	"fmt"
	"testing"

	"github.com/meshknot/meshknot/test/scale"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
)

// measured counts what a reader answers.
type measured struct {
	input.Reader
	largest, objects int
	index            string
}

func (m *measured) Lookup(index input.Index, key string) []input.Object {
	out := m.Reader.Lookup(index, key)
	if m.objects += len(out); len(out) > m.largest {
		m.largest, m.index = len(out), index.Name+" "+key
	}
	return out
}

// widest returns the largest list that anybody gets who says which units there are, or
// who makes one.
func widest(objects []input.Object) (size int, what string) {
	p := all.Pipeline()
	s := input.StoreOf(objects, input.Settings{})
	note := func(who string, ask func(input.Reader)) {
		m := &measured{Reader: s.Reader()}
		if ask(m); m.largest > size {
			size, what = m.largest, fmt.Sprintf("%s gets %d of %s", who, m.largest, m.index)
		}
	}
	for _, o := range objects {
		note("the keys of "+o.Ref("").String(), func(r input.Reader) {
			for _, f := range p.Frontends {
				f.Keys(o, r)
			}
		})
	}
	for _, k := range p.Keys(objects, s.Reader()) {
		note(k.String(), func(r input.Reader) { p.Compile(k, r) })
	}
	return size, what
}

// Nothing is made of something as large as the mesh: routes on a host, callers and
// classes of pods are what a unit gets, and there are as many of those in a mesh of
// any size.
func TestNothingIsMadeOfTheWholeMesh(t *testing.T) {
	size := number(t, "MESHKNOT_FANIN", 500)
	objects := read(t, scale.Edge{Routes: size, Hosts: size / 50}.YAML())
	objects = append(objects, read(t, scale.Join(scale.Mesh{Services: size, Splits: true, Routes: 1, Neighbours: 3, Addressed: true, Endpoints: 2}.Documents()))...)
	if n, what := widest(objects); n > 50 {
		t.Errorf("of %d objects: %s", len(objects), what)
	}
}
