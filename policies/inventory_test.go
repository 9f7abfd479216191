package policies

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/tools/txtar"

	"github.com/meshknot/meshknot/translators/report"
)

// caseObjects are the objects of a golden case that its files can be read as.
func caseObjects(t *testing.T, file string) []Object {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var objects []Object
	seen := map[report.Ref]bool{}
	for _, f := range txtar.Parse(source).Files {
		if !slices.Contains([]string{".yaml", ".json"}, filepath.Ext(f.Name)) || filepath.Dir(f.Name) != "in" {
			continue
		}
		read, err := readObjects(f.Data)
		if err != nil {
			continue // a case about what cannot be read
		}
		for _, o := range read {
			if !seen[o.Ref] {
				seen[o.Ref] = true
				objects = append(objects, o)
			}
		}
	}
	return objects
}

// about are the findings whose source is an object.
func about(found report.Report, at report.Ref) report.Report {
	return slices.DeleteFunc(slices.Clone(found), func(f report.Finding) bool { return f.Source.Object() != at })
}

// TestReviewIsCheck: what Review says of one object among others is what Check
// says of it, whether the inventory has the object already, has another one of
// its name, or does not have it.
func TestReviewIsCheck(t *testing.T) {
	files, err := filepath.Glob("../test/cases/*/*.txtar")
	if err != nil || len(files) < 100 {
		t.Fatalf("%d cases: %v", len(files), err)
	}
	sets := map[string][]Object{"world": world(60), "edge": edge(12)}
	for _, file := range files {
		sets[file] = caseObjects(t, file)
	}
	for _, r := range New(Shipped()...).Rules() {
		for _, kind := range sampleKinds {
			s, err := readSample(Files(), r.Name, kind)
			if err != nil {
				t.Fatal(err)
			}
			sets[r.Name+"/"+kind] = s.objects
		}
	}
	e := New(Shipped()...)
	if err := e.Set("split-without-grant.strict=true"); err != nil {
		t.Fatal(err)
	}
	said := 0
	for name, objects := range sets {
		want := e.Check(t.Context(), objects)
		said += len(want)
		all := NewInventory()
		if err := all.Put(objects...); err != nil {
			t.Fatal(err)
		}
		var audited report.Report
		e.ReviewAll(t.Context(), all, func(_ report.Ref, found report.Report) { audited = append(audited, found...) })
		if d := cmp.Diff(want, withoutPrevious(t, e, objects, audited), cmpopts.EquateEmpty()); d != "" {
			t.Fatalf("%s: (-Check +ReviewAll):\n%s", name, d)
		}
		for i, o := range objects {
			ways := [][]Object{objects, replaced(objects, i), slices.Delete(slices.Clone(objects), i, i+1)}
			for _, before := range ways[i%3 : i%3+1] { // each way, of other objects
				inv := NewInventory()
				if err := inv.Put(before...); err != nil {
					t.Fatal(err)
				}
				got := e.Review(t.Context(), inv, o)
				if d := cmp.Diff(about(want, o.Ref.Object()), about(got, o.Ref.Object()), cmpopts.EquateEmpty()); d != "" || len(about(got, o.Ref.Object())) != len(got) {
					t.Fatalf("%s: %s (-Check +Review):\n%s", name, o.Ref, d)
				}
			}
		}
	}
	if said < 500 {
		t.Errorf("only %d findings: hardly anything was compared", said)
	}
}

// withoutPrevious adds to what was found of objects alone what is found only beside
// those that they take the place of.
func withoutPrevious(t *testing.T, e *Engine, objects []Object, found report.Report) report.Report {
	t.Helper()
	for _, o := range objects {
		if o.Previous != nil {
			found = append(found, e.Check(t.Context(), objects)...)
			break
		}
	}
	return found.Sorted()
}

// TestReviewRemembers: what an inventory remembers of one review is right in the
// next one, of another object, of another form of the same one, and after changes.
func TestReviewRemembers(t *testing.T) {
	e := New(Shipped()...)
	if err := e.Set("split-without-grant.strict=true", "shared-identity.services=0"); err != nil {
		t.Fatal(err)
	}
	sets := map[string][]Object{}
	for _, r := range e.Rules() {
		s, err := readSample(Files(), r.Name, "fail")
		if err != nil {
			t.Fatal(err)
		}
		sets[r.Name] = s.objects
	}
	for name, objects := range sets {
		for i := range objects {
			objects[i].Previous = nil
		}
		inv := NewInventory()
		if err := inv.Put(objects...); err != nil {
			t.Fatal(err)
		}
		same := func(now []Object, which ...int) {
			t.Helper()
			want := e.Check(t.Context(), now)
			for _, i := range which {
				at := now[i].Ref
				if d := cmp.Diff(about(want, at), e.Review(t.Context(), inv, now[i]), cmpopts.EquateEmpty()); d != "" {
					t.Fatalf("%s: %s (-Check +Review):\n%s", name, at, d)
				}
			}
		}
		everyone := make([]int, len(objects))
		for i := range everyone {
			everyone[i] = i
		}
		same(objects, everyone...)
		for i := range min(len(objects), 15) {
			other := replaced(objects, i)
			same(other, i) // as it would be; the inventory stays
			if err := inv.Put(other[i]); err != nil {
				t.Fatal(err)
			}
			same(other, everyone...)
			inv.Delete(objects[i].Ref)
			left := slices.Delete(slices.Clone(objects), i, i+1)
			same(left, everyone[:len(left)]...)
			if err := inv.Put(objects[i]); err != nil {
				t.Fatal(err)
			}
			same(objects, everyone...)
		}
	}
}

// replaced is objects with another one under the i-th name, in another version.
func replaced(objects []Object, i int) []Object {
	out := slices.Clone(objects)
	other := map[string]any{}
	for k, v := range out[i].Value {
		other[k] = v
	}
	delete(other, "spec")
	if out[i].Ref.Group != "" {
		other["apiVersion"] = out[i].Ref.Group + "/v1alpha9"
	}
	out[i].Value = other
	return out
}

// TestInventoryFollows: after any changes an inventory is what one made of the
// objects that are left would be.
func TestInventoryFollows(t *testing.T) {
	objects := append(world(50), edge(5)...)
	inv := NewInventory()
	for i, o := range objects {
		if err := inv.Put(o); err != nil {
			t.Fatal(err)
		}
		_ = inv.root.Load().ast() // what is made must not outlive a change
		switch i % 3 {
		case 1:
			inv.Delete(objects[i-1].Ref)
		case 2:
			if err := inv.Put(replaced(objects, i-1)[i-1], replaced(objects, i)[i]); err != nil {
				t.Fatal(err)
			}
		}
	}
	fresh := NewInventory()
	var left []Object
	for i := range objects {
		switch {
		case i%3 == 0 && i+1 < len(objects):
		case i%3 == 1 && i+1 == len(objects) || i%3 == 0:
			left = append(left, objects[i])
		default:
			left = append(left, replaced(objects, i)[i])
		}
	}
	if err := fresh.Put(left...); err != nil {
		t.Fatal(err)
	}
	if inv.root.Load().ast().Compare(fresh.root.Load().ast()) != 0 || inv.Len() != fresh.Len() {
		t.Errorf("%d objects, want %d:\n%v\nwant\n%v", inv.Len(), fresh.Len(), inv.root.Load().ast(), fresh.root.Load().ast())
	}
	for _, o := range left {
		inv.Delete(o.Ref)
	}
	if inv.root.Load().ast().Compare(noObjects().ast()) != 0 || inv.Len() != 0 {
		t.Errorf("something is left: %v", inv.root.Load().ast())
	}
}

// TestReviewBesideWrites: reviews run while objects come and go; each sees one
// state. It has no meaning without -race.
func TestReviewBesideWrites(t *testing.T) {
	objects := world(100)
	inv, e := NewInventory(), New(Shipped()...)
	if err := inv.Put(objects...); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			for i := range 30 {
				o := objects[(i*7+w)%len(objects)]
				if w == 0 {
					inv.Delete(o.Ref)
					if err := inv.Put(o); err != nil {
						t.Error(err)
					}
					continue
				}
				e.Review(t.Context(), inv, o)
			}
		})
	}
	group.Wait()
}

// TestReviewEnds: a review whose context has ended is no verdict.
func TestReviewEnds(t *testing.T) {
	e := New(Shipped()...)
	ctx, done := contextEnded(t)
	defer done()
	found := e.Review(ctx, NewInventory(), split("a"))
	if len(found) != 1 || found[0].Code != report.PolicyTimeout || found[0].Severity != report.Error {
		t.Errorf("got %v", found)
	}
}

func BenchmarkReview10000(b *testing.B) {
	e, objects := New(Shipped()...), world(10_000)
	inv := NewInventory()
	if err := inv.Put(objects...); err != nil {
		b.Fatal(err)
	}
	for i := range 3 {
		o := objects[i]
		b.Run(fmt.Sprint(o.Ref.Kind), func(b *testing.B) {
			changed := map[string]any{}
			for k, v := range o.Value {
				changed[k] = v
			}
			changed["metadata"] = map[string]any{"name": o.Ref.Name, "namespace": o.Ref.Namespace, "generation": 2}
			for b.Loop() {
				e.Review(b.Context(), inv, Object{Ref: o.Ref, Value: changed, Previous: o.Value})
			}
		})
	}
}

func contextEnded(t *testing.T) (context.Context, func()) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}
