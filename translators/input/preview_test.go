package input

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

func sortedChange(c Changed) string {
	slices.SortFunc(c.IDs, ID.Compare)
	slices.SortFunc(c.Questions, func(a, b Question) int {
		if a.form != b.form {
			return int(a.form) - int(b.form)
		}
		return a.id.Compare(b.id)
	})
	return fmt.Sprint(c.IDs, slices.Compact(c.Questions))
}

// Whatever is edited: a preview answers as the store does after Apply, tells what
// Apply tells, and leaves the store as it was.
func TestPreviewIsWhatApplyComesTo(t *testing.T) {
	for seed := range uint64(15) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := StoreOf(nil, Settings{Complete: seed%7 == 0})
		if seed%2 == 0 {
			everything(s.Reader()) // so that there are tables
		}
		for range 30 {
			var edits []Edit
			for range 1 + r.IntN(3) {
				edits = append(edits, drawEdit(r))
			}
			before, tables := fmt.Sprint(s.Objects()), len(s.tables)
			p := s.Preview(edits)
			if tables == len(s.tables) && fmt.Sprint(s.Objects()) != before {
				t.Fatalf("seed %d: the store is another one", seed)
			}
			asked := everything(p.Reader(NewMemory(), nil))
			under := map[ID]string{}
			for _, e := range edits {
				under[e.ID] = fmt.Sprint(p.Under(e.ID))
			}
			told := sortedChange(p.Changed())
			if tables < len(s.tables) { // now there is a table of which only the next preview tells
				told = sortedChange(s.Preview(edits).Changed())
			}
			if fmt.Sprint(s.Objects()) != before {
				t.Fatalf("seed %d: the store is another one", seed)
			}
			if want := sortedChange(s.Apply(edits)); told != want {
				t.Fatalf("seed %d: the preview tells\n%s\nwant\n%s", seed, told, want)
			}
			if want := everything(s.Reader()); !maps.Equal(asked, want) {
				t.Fatalf("seed %d: the preview answers\n%v\nwant\n%v", seed, asked, want)
			}
			for id, got := range under {
				if want := fmt.Sprint(s.Under(id)); got != want {
					t.Fatalf("seed %d: under %v is %s, want %s", seed, id, got, want)
				}
			}
		}
	}
}

// A derived answer is taken over unless it is stale, made once otherwise, and what
// was remembered before stays.
func TestPreviewDerives(t *testing.T) {
	made := 0
	d := Derivation{Name: "value", Make: func(r Reader, id ID) any {
		made++
		o, _ := r.Get(id)
		return o.Value.(*splitSpec).Service
	}}
	a, b := splitObject("shop", "a", "x"), splitObject("shop", "b", "x")
	s, m := StoreOf([]Object{a, b}, Settings{}), NewMemory()
	for _, o := range []Object{a, b} {
		d.Of(s.TrackIn(m), o.ID)
	}
	edits := []Edit{{ID: a.ID, Objects: []Object{splitObject("shop", "a", "y")}}}
	r := s.Preview(edits).Reader(m, map[Question]bool{d.question(a.ID): true})
	for range 2 {
		if got := fmt.Sprintf("%v %v", d.Of(r, a.ID), d.Of(r, b.ID)); got != "y x" {
			t.Errorf("derived %s", got)
		}
	}
	if got := d.Of(s.TrackIn(m), a.ID); got != "x" || made != 3 {
		t.Errorf("of the store %v is derived, after %d times", got, made)
	}
}

// Previews beside each other, of a store whose tables are still to be made.
func TestPreviewsBesideEachOther(t *testing.T) {
	s := StoreOf([]Object{splitObject("shop", "a", "x")}, Settings{})
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			o := splitObject("shop", fmt.Sprint("n", i), "x")
			p := s.Preview([]Edit{{ID: o.ID, Objects: []Object{o}}})
			if n := len(p.Reader(NewMemory(), nil).Lookup(byService, "x")); n != 2 {
				t.Errorf("%d objects", n)
			}
		})
	}
	group.Wait()
}
