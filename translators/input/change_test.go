package input

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// drawObject makes one of few objects that stand under few keys, so that edits meet.
func drawObject(r *rand.Rand, id ID) Object {
	o := Object{ID: id, Rejected: r.IntN(4) == 0, Version: fmt.Sprint(r.IntN(2))}
	if r.IntN(3) > 0 {
		o.Created = time.Unix(int64(r.IntN(3)), 0)
	}
	if r.IntN(5) > 0 {
		o.Value = &splitSpec{Service: fmt.Sprint(r.IntN(3))}
	}
	return o
}

func drawEdit(r *rand.Rand) Edit {
	ids := []ID{{"split.example.io", "Split", "a", "x"}, {"split.example.io", "Split", "b", "x"}, {"split.example.io", "Split", "a", "y"},
		{"", "Service", "a", "s"}, {"", "Service", "a", "t"}, {"", "Service", "b", "s"}}
	e := Edit{ID: ids[r.IntN(len(ids))]}
	for range []int{0, 1, 1, 1, 2, 3}[r.IntN(6)] {
		e.Objects = append(e.Objects, drawObject(r, e.ID))
	}
	return e
}

// everything asks all that can be asked of the objects of drawEdit.
func everything(r Reader) map[Question]string {
	out := map[Question]string{}
	for _, kind := range []ID{{"split.example.io", "Split", "", ""}, {"", "Service", "", ""}} {
		for _, namespace := range []string{"a", "b"} {
			for _, name := range []string{"x", "y", "s", "t"} {
				id := ID{kind.Group, kind.Kind, namespace, name}
				o, ok := r.Get(id)
				out[Question{form: formGet, id: id}] = fmt.Sprint(ok, digestOf(projection(o)))
			}
			out[Question{form: formComplete, id: ID{Namespace: namespace}}] = fmt.Sprint(r.Complete(namespace))
		}
	}
	for _, key := range []string{"0", "1", "2"} {
		var digests []digest
		for _, o := range r.Lookup(byService, key) {
			digests = append(digests, digestOf(projection(o)))
		}
		out[Question{form: formLookup, id: ID{Group: byService.Name, Name: key}}] = fmt.Sprint(digests)
	}
	return out
}

// Whatever is edited: a store that was changed answers as a new one does, and says
// of exactly those answers that they changed.
func TestApplyIsANewStore(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 0))
		live := StoreOf(nil, Settings{})
		content := map[ID][]Object{}
		before := everything(live.Reader())
		for step := range 60 {
			edits := []Edit{drawEdit(r)}
			if r.IntN(4) == 0 {
				edits = append(edits, drawEdit(r), drawEdit(r))
			}
			var changed Changed
			for _, e := range edits {
				content[e.ID] = e.Objects
			}
			fresh := storeOf(content)
			if r.IntN(2) == 0 {
				changed = live.Apply(edits)
			} else {
				changed = live.Become(fresh)
			}
			after, answers := everything(fresh.Reader()), everything(live.Reader())
			for q, want := range after {
				if got := answers[q]; got != want {
					t.Fatalf("seed %d, step %d: %v is %s, want %s", seed, step, q, got, want)
				}
				if said := slices.Contains(changed.Questions, q); said != (before[q] != want) {
					t.Fatalf("seed %d, step %d: %v changed: %v, and said to: %v", seed, step, q, before[q] != want, said)
				}
			}
			if got, want := fmt.Sprint(live.Objects()), fmt.Sprint(fresh.Objects()); len(got) != len(want) {
				t.Fatalf("seed %d, step %d: objects are %s, want %s", seed, step, got, want)
			}
			if before = after; r.IntN(20) == 0 {
				live.Compact()
			}
		}
	}
}

func storeOf(content map[ID][]Object) *Store {
	var all []Object
	for _, list := range content {
		all = append(all, list...)
	}
	return StoreOf(all, Settings{})
}

// Of what settings say and what is given, an answer hangs on what decides it.
func TestCompleteHangsOnWhatDecidesIt(t *testing.T) {
	ask := func(r Reader) { r.Complete("shop") }
	service := []Object{{ID: ID{"", "Service", "shop", "s"}}}
	for _, test := range []struct {
		name     string
		was, now *Store
		again    bool
	}{
		{"a Service where everything is complete", StoreOf(nil, Settings{Complete: true}), StoreOf(service, Settings{Complete: true}), true},
		{"everything where there is a Service", StoreOf(service, Settings{}), StoreOf(service, Settings{Complete: true}), true},
		{"neither any more", StoreOf(nil, Settings{Complete: true}), StoreOf(nil, Settings{}), false},
		{"the last Service", StoreOf(service, Settings{}), StoreOf(nil, Settings{}), false},
	} {
		if got := answersAgain(test.was, test.now, ask); got != test.again {
			t.Errorf("%s: the same answer: %v", test.name, got)
		}
	}
}
