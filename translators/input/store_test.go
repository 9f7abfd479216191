package input

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var byService = Index{"service", func(o Object) []string {
	if v, ok := o.Value.(*splitSpec); ok {
		return []string{v.Service, v.Service}
	}
	return nil
}}

func splitObject(namespace, name, service string) Object {
	return Object{ID: ID{"split.example.io", "Split", namespace, name}, Version: "v2", Leaves: []string{"spec.service"}, Value: &splitSpec{Service: service}}
}

func TestLookupOrder(t *testing.T) {
	at := func(o Object, hour int) Object {
		o.Created = time.Date(2024, 1, 1, hour, 0, 0, 0, time.UTC)
		return o
	}
	rejected := splitObject("a", "r", "x")
	rejected.Rejected = true
	s := StoreOf([]Object{
		splitObject("b", "a", "x"), splitObject("a", "b", "x"), splitObject("a", "a", "x"), rejected,
		at(splitObject("z", "late", "x"), 2), at(splitObject("z", "early", "x"), 1), splitObject("a", "other", "y"),
		{ID: ID{Kind: "Split", Name: "nil"}},
	}, Settings{})
	if got, want := names(s.Reader().Lookup(byService, "x")), "z/early z/late a/a a/b a/r b/a"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := s.Reader().Lookup(byService, "none"); got != nil {
		t.Errorf("a miss is %v", got)
	}
}

func TestOlderFirst(t *testing.T) {
	old, young, never := Object{Created: time.Unix(1, 0)}, Object{Created: time.Unix(2, 0)}, Object{}
	for _, test := range []struct {
		name string
		a, b Object
		want int
	}{
		{"older", old, young, -1}, {"younger", young, old, 1}, {"equal", old, old, 0},
		{"with a time", young, never, -1}, {"without one", never, old, 1}, {"both without", never, never, 0},
		{"by namespace", Object{ID: ID{Namespace: "a", Name: "z"}}, Object{ID: ID{Namespace: "b", Name: "a"}}, -1},
		{"by name before kind", Object{ID: ID{Kind: "Z", Name: "a"}}, Object{ID: ID{Kind: "A", Name: "b"}}, -1},
	} {
		if got := olderFirst(test.a, test.b); got != test.want {
			t.Errorf("%s: got %d, want %d", test.name, got, test.want)
		}
	}
}

func TestReadersHideWhatNoUnitMayDependOn(t *testing.T) {
	s := StoreOf([]Object{splitObject("a", "a", "x")}, Settings{})
	for _, r := range []Reader{s.Reader(), s.Track()} {
		o, ok := r.Get(splitObject("a", "a", "").ID)
		if l := r.Lookup(byService, "x"); !ok || o.Version != "" || o.Leaves != nil || l[0].Version != "" || l[0].Leaves != nil {
			t.Errorf("got %+v and %+v", o, l)
		}
	}
	if o := s.Objects()[0]; o.Version != "v2" || len(o.Leaves) != 1 {
		t.Errorf("Objects gives %+v", o)
	}
}

func TestComplete(t *testing.T) {
	s := StoreOf([]Object{{ID: ID{"", "Service", "shop", "a"}}, {ID: ID{"other", "Service", "bank", "a"}}}, Settings{})
	for namespace, want := range map[string]bool{"shop": true, "bank": false, "": false} {
		if got := s.Reader().Complete(namespace); got != want {
			t.Errorf("%s: got %v", namespace, got)
		}
	}
	if !StoreOf(nil, Settings{Complete: true}).Reader().Complete("x") {
		t.Error("a complete input is not")
	}
}

func TestNewStoreHoldsRejected(t *testing.T) {
	set, _ := readText(start("a")+"spec: {service: x, y: 1}\n---\n"+start("b")+"---\n"+start("c")+"---\n"+start("c")+"spec: {service: q}\n", Limits{})
	s := NewStore(set, Settings{})
	if got, want := names(s.Objects()), "shop/a shop/b shop/c shop/c"; got != want {
		t.Errorf("objects %s, want %s", got, want)
	}
	a, _ := s.Reader().Get(ID{"split.example.io", "Split", "shop", "a"})
	b, _ := s.Reader().Get(ID{"split.example.io", "Split", "shop", "b"})
	c := s.Reader().Lookup(Index{"name", func(o Object) []string { return []string{o.Name} }}, "c")
	if !a.Rejected || b.Rejected || len(c) != 2 || !c[0].Rejected || !c[1].Rejected {
		t.Errorf("got %+v, %+v and %+v", a, b, c)
	}
}

// answersAgain reports whether a store that becomes another gives the answers again
// that somebody got of it.
func answersAgain(was, now *Store, ask func(Reader)) bool {
	tracked := was.Track()
	ask(tracked)
	changed := was.Become(now).Questions
	return !slices.ContainsFunc(tracked.Asked(), func(q Question) bool { return slices.Contains(changed, q) })
}

// TestBecome asks a store some questions, and tells whether the answers are
// others once it has become another.
func TestBecome(t *testing.T) {
	with := func(change func(*Object)) Object {
		o := splitObject("shop", "a", "x")
		change(&o)
		return o
	}
	kept := func(*Object) {}
	base := []Object{with(kept), splitObject("shop", "b", "y"), splitObject("shop", "c", "z")}
	first := func(o Object) []Object { return append([]Object{o}, base[1:]...) }
	get := func(r Reader) { r.Get(base[0].ID) }
	miss := func(r Reader) { r.Get(ID{Name: "none"}) }
	lookup := func(r Reader) { r.Lookup(byService, "x") }
	noLookup := func(r Reader) { r.Lookup(byService, "none") }
	complete := func(r Reader) { r.Complete("shop") }
	settings := func(r Reader) { r.Settings("shop") }
	service := Object{ID: ID{"", "Service", "shop", "s"}}
	for _, test := range []struct {
		name     string
		ask      func(Reader)
		now      []Object
		settings Settings
		want     bool
	}{
		{"nothing asked", func(Reader) {}, nil, Settings{Access: "off"}, true},
		{"nothing changed", get, base, Settings{}, true},
		{"order", get, []Object{base[2], base[0], base[1]}, Settings{}, true},
		{"another object", get, first(base[0])[:2], Settings{}, true},
		{"the object is gone", get, base[1:], Settings{}, false},
		{"its value", get, first(with(func(o *Object) { o.Value = &splitSpec{Service: "y"} })), Settings{}, false},
		{"the type of its value", get, first(with(func(o *Object) { o.Value = struct{ splitSpec }{splitSpec{Service: "x"}} })), Settings{}, false},
		{"its labels", get, first(with(func(o *Object) { o.Labels = map[string]string{"a": "b"} })), Settings{}, false},
		{"its annotations", get, first(with(func(o *Object) { o.Annotations = map[string]string{"a": "b"} })), Settings{}, false},
		{"its creation", get, first(with(func(o *Object) { o.Created = time.Unix(1, 0) })), Settings{}, false},
		{"it is rejected", get, first(with(func(o *Object) { o.Rejected = true })), Settings{}, false},
		{"its version", get, first(with(func(o *Object) { o.Version = "v1" })), Settings{}, true},
		{"its leaves", get, first(with(func(o *Object) { o.Leaves = nil })), Settings{}, true},
		{"a miss stays one", miss, base, Settings{}, true},
		{"a miss is one no more", miss, append(base, Object{ID: ID{Name: "none"}}), Settings{}, false},
		{"a list stays", lookup, base, Settings{}, true},
		{"a list grows", lookup, append(base, splitObject("shop", "d", "x")), Settings{}, false},
		{"a list shrinks", lookup, base[1:], Settings{}, false},
		{"one in a list changes", lookup, first(with(func(o *Object) { o.Labels = map[string]string{"a": "b"} })), Settings{}, false},
		{"one leaves the list", lookup, first(splitObject("shop", "a", "y")), Settings{}, false},
		{"an empty list stays", noLookup, base, Settings{}, true},
		{"an empty list grows", noLookup, append(base, splitObject("shop", "d", "none")), Settings{}, false},
		{"completeness stays", complete, base, Settings{Access: "off"}, true},
		{"a namespace gets complete", complete, append(base, service), Settings{}, false},
		{"everything gets complete", complete, base, Settings{Complete: true}, false},
		{"settings stay", settings, nil, Settings{}, true},
		{"settings change", settings, base, Settings{Workloads: map[string]map[string]string{"a/b": {"c": "d"}}}, false},
		{"settings nobody asked for", get, base, Settings{Dialect: "osm"}, true},
	} {
		if got := answersAgain(StoreOf(base, Settings{}), StoreOf(test.now, test.settings), test.ask); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestTheOrderOfALookupIsPartOfTheAnswer(t *testing.T) {
	a, b := splitObject("shop", "a", "x"), splitObject("shop", "b", "x")
	was := StoreOf([]Object{a, b}, Settings{})
	b.Created = time.Unix(1, 0)
	if answersAgain(was, StoreOf([]Object{a, b}, Settings{}), func(r Reader) { r.Lookup(byService, "x") }) {
		t.Error("another order is the same answer")
	}
}

// A value without a JSON form must not make unequal values equal.
func TestDigestOfOddValues(t *testing.T) {
	digests := map[digest]string{}
	for _, v := range []any{math.NaN(), math.Inf(1), math.Inf(-1), func() {}, "NaN", nil, "", 0, map[string]any{"a": math.NaN()}} {
		d := digestOf(projection(Object{Value: v}))
		if was, ok := digests[d]; ok {
			t.Errorf("%v and %s have one digest", v, was)
		}
		digests[d] = fmt.Sprint(v)
	}
}

func TestStoreIsSafeForConcurrentUse(t *testing.T) {
	var objects []Object
	for i := range 100 {
		objects = append(objects, splitObject("shop", fmt.Sprintf("n%d", i), "x"))
	}
	s := StoreOf(objects, Settings{})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			r := s.Track()
			if n := len(r.Lookup(byService, "x")); n != 100 || len(r.Asked()) != 1 {
				t.Errorf("%d objects", n)
			}
		})
	}
	group.Wait()
}

func TestStoreCopiesTheList(t *testing.T) {
	objects := []Object{splitObject("b", "b", "x"), splitObject("a", "a", "x")}
	StoreOf(objects, Settings{})
	if strings.Join([]string{objects[0].Name, objects[1].Name}, "") != "ba" {
		t.Error("the caller's list was sorted")
	}
}

// However many questions there are, each is taken down once, in order.
func TestQuestionsAreTakenDownOnce(t *testing.T) {
	r := StoreOf(nil, Settings{}).Track()
	for range 2 {
		for i := range 3 * few {
			r.Get(ID{Kind: "Split", Name: fmt.Sprint(i)})
		}
	}
	asked := r.Asked()
	if len(asked) != 3*few {
		t.Fatalf("%d questions, want %d", len(asked), 3*few)
	}
	for i, q := range asked {
		if q.id.Name != fmt.Sprint(i) {
			t.Errorf("question %d is for %s", i, q.id.Name)
		}
	}
}
