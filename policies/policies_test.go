package policies

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshknot/meshknot/translators/report"
)

// split is a small object that rules of these tests look at.
func split(name string) Object {
	return NewObject(map[string]any{
		"apiVersion": "split.smi-spec.io/v1alpha4",
		"kind":       "TrafficSplit",
		"metadata":   map[string]any{"name": name, "namespace": "shop"},
		"spec": map[string]any{
			"service": "reviews",
			"backends": []any{
				map[string]any{"service": "reviews-v1", "weight": 90},
				map[string]any{"service": "reviews-v2", "weight": 10},
			},
		},
	})
}

func module(file, source string) Module { return Module{File: file, Source: []byte(source)} }

func TestNewObject(t *testing.T) {
	got := split("a").Ref
	want := report.Ref{Group: "split.smi-spec.io", Kind: "TrafficSplit", Namespace: "shop", Name: "a"}
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	core := NewObject(map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "s"}}).Ref
	if want := (report.Ref{Kind: "Service", Name: "s"}); core != want {
		t.Errorf("got %+v, want %+v", core, want)
	}
}

// TestShapes runs rules as they are written for other tools.
func TestShapes(t *testing.T) {
	at := split("a").Ref
	tests := []struct {
		name, rego string
		want       report.Report
	}{
		{
			name: "set of messages, as for conftest",
			rego: `package main
				deny contains msg if { input.kind == "TrafficSplit"; msg := sprintf("no %s", [input.metadata.name]) }`,
			want: report.Report{{Code: "MK4001", Severity: report.Error, Message: "main: no a", Source: at}},
		}, {
			name: "set of objects with field and hint",
			rego: `package main
				deny contains {"msg": "bad", "field": f, "hint": "better"} if {
					some i, b in input.spec.backends
					b.weight == 10
					f := sprintf("spec.backends[%d].weight", [i])
				}`,
			want: report.Report{{Code: "MK4001", Severity: report.Error, Message: "main: bad", Hint: "better", Source: at.At("spec.backends[1].weight")}},
		}, {
			name: "warn, with a suffix",
			rego: `package team.rules
				warn_split contains "hm" if input.kind == "TrafficSplit"`,
			want: report.Report{{Code: "MK4001", Severity: report.Warning, Message: "team.rules: hm", Source: at}},
		}, {
			name: "violation for Gatekeeper",
			rego: `package k8ssplits
				violation contains {"msg": msg, "details": {"field": "spec", "hint": "h"}} if {
					input.review.kind.kind == "TrafficSplit"
					input.review.kind.group == "split.smi-spec.io"
					input.review.kind.version == "v1alpha4"
					input.review.namespace == "shop"
					input.parameters == {}
					msg := input.review.object.metadata.name
				}`,
			want: report.Report{{Code: "MK4001", Severity: report.Error, Message: "k8ssplits: a", Hint: "h", Source: at.At("spec")}},
		}, {
			name: "violation for Gatekeeper in Rego v0",
			rego: `package k8sold
				violation[{"msg": msg}] { msg := object_name(input.review) }
				object_name(review) = name { name := review.object.metadata.name }`,
			want: report.Report{{Code: "MK4001", Severity: report.Error, Message: "k8sold: a", Source: at}},
		}, {
			name: "messages as keys, which deny[msg] means in Rego v1",
			rego: `package main
				deny[msg] if { some msg in ["one", "two"] }`,
			want: report.Report{
				{Code: "MK4001", Severity: report.Error, Message: "main: one", Source: at},
				{Code: "MK4001", Severity: report.Error, Message: "main: two", Source: at},
			},
		}, {
			name: "a single message",
			rego: `package main
				deny := "one"`,
			want: report.Report{{Code: "MK4001", Severity: report.Error, Message: "main: one", Source: at}},
		}, {
			name: "a truth",
			rego: `# METADATA
# title: Never
package main
deny if input.kind == "TrafficSplit"`,
			want: report.Report{{Code: "MK4001", Severity: report.Error, Message: "main: Never", Source: at}},
		}, {
			name: "a falsehood",
			rego: `package main
				default deny := false`,
		}, {
			name: "a list",
			rego: `package main
				deny := ["one", {"msg": "two", "field": "kind"}]`,
			want: report.Report{
				{Code: "MK4001", Severity: report.Error, Message: "main: one", Source: at},
				{Code: "MK4001", Severity: report.Error, Message: "main: two", Source: at.At("kind")},
			},
		}, {
			name: "nothing said",
			rego: `package main
				deny contains "x" if input.kind == "TrafficTarget"`,
		}, {
			name: "metadata, the rule's before the package's",
			rego: `# METADATA
# title: Package
# custom: {code: TEAM1234, hint: from package, severity: error}
package main

# METADATA
# custom: {severity: info}
deny contains "x"`,
			want: report.Report{{Code: "TEAM1234", Severity: report.Info, Message: "x", Hint: "from package", Source: at}},
		}, {
			name: "a number says nothing",
			rego: `package main
				deny := 7`,
			want: report.Report{{Code: "MK4002", Severity: report.Error, Message: "main gave a result that says nothing: 7 is not a message", Source: at}},
		}, {
			name: "an object without msg says nothing",
			rego: `package main
				deny contains {"message": "x"}`,
			want: report.Report{{Code: "MK4002", Severity: report.Error, Message: `main gave a result that says nothing: {"message": "x"} has no "msg"`, Source: at}},
		}, {
			name: "two values of one rule",
			rego: `package main
				deny := "a" if input.kind
				deny := "b" if input.spec`,
			want: report.Report{{Code: "MK4002", Severity: report.Error, Message: "main failed: r.rego:3: eval_conflict_error: rule data.main.deny produced conflicting values: \"a\" at r.rego:2 \"b\" at r.rego:3", Source: at}},
		}, {
			name: "an object of the shape's own names",
			rego: `package main
				deny contains "bare" if not input.review
				deny contains "review" if input.review.object`,
			want: report.Report{{Code: "MK4001", Severity: report.Error, Message: "main: review", Source: at}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := New(module("r.rego", tt.rego)).Check(t.Context(), []Object{split("a")})
			for i := range got {
				if got[i].Code == report.PolicyBroken {
					got[i].Hint = "" // the code table's
				}
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// TestBareInput: a rule that does not ask for a review gets the object and
// nothing beside it.
func TestBareInput(t *testing.T) {
	rego := `package main
		deny contains concat(",", sort([key | some key, _ in input]))`
	got := New(module("r.rego", rego)).Check(t.Context(), []Object{split("a")})
	if want := "main: apiVersion,kind,metadata,spec"; len(got) != 1 || got[0].Message != want {
		t.Errorf("got %+v, want %q", got, want)
	}
}

// TestLibraryForm: the shared library picks the object from either form, beside
// a rule that reads the object and one that reads the review itself.
func TestLibraryForm(t *testing.T) {
	rego := `package main
		import data.lib.meshknot as lib
		deny contains lib.resource.metadata.name if input.metadata.name == lib.resource.metadata.name
		warn contains {"msg": lib.resource.metadata.name} if input.review.object.kind == "TrafficSplit"`
	got := New(module("r.rego", rego)).Check(t.Context(), []Object{split("a")})
	if len(got) != 2 || got[0].Message != "main: a" || got[1].Message != "main: a" {
		t.Errorf("got %+v, want one of deny and one of warn", got)
	}
}

func TestInventory(t *testing.T) {
	rego := `package main
		deny contains sprintf("%s of %s", [name, s.spec.service]) if {
			input.kind == "TrafficSplit"
			some name, s in data.inventory.namespace.shop["split.smi-spec.io/v1alpha4"].TrafficSplit
			name != input.metadata.name
		}
		deny contains sprintf("%s %s", [input.metadata.name, n.metadata.labels.zone]) if {
			some n in data.inventory.cluster.v1.Namespace
		}`
	namespace := NewObject(map[string]any{"apiVersion": "v1", "kind": "Namespace",
		"metadata": map[string]any{"name": "shop", "labels": map[string]any{"zone": "north"}}})
	e := New(module("r.rego", rego))
	var got []string
	for _, f := range e.Check(t.Context(), []Object{split("a"), split("b"), namespace}) {
		got = append(got, f.Source.Name+" <- "+f.Message)
	}
	want := []string{"shop <- main: shop north",
		"a <- main: a north", "a <- main: b of reviews", "b <- main: a of reviews", "b <- main: b north"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	// Nothing of one check is left for the next.
	if again := e.Check(t.Context(), []Object{split("a")}); len(again) != 0 {
		t.Errorf("the inventory of another check was seen: %+v", again)
	}
}

// slow takes many seconds unless something stops it, but not for ever.
const slow = `package slow
	deny contains "done" if {
		some i in numbers.range(1, 4000)
		some j in numbers.range(1, 4000)
		i + j < 0
	}`

func TestTimeout(t *testing.T) {
	e := New(module("slow.rego", slow), module("quick.rego", "package quick\ndeny contains \"quick\""))
	e.Timeout = 30 * time.Millisecond
	var objects []Object
	for i := range patience + 2 {
		objects = append(objects, split(fmt.Sprint(i)))
	}
	begin := time.Now()
	got := e.Check(t.Context(), objects)
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("the check took %v", took)
	}
	counts := map[string]int{}
	for _, f := range got {
		if f.Code == report.PolicyTimeout && f.Severity != report.Error {
			t.Errorf("a rule that did not finish must be an error: %+v", f)
		}
		counts[string(f.Code)+" "+f.Message]++
	}
	want := map[string]int{
		"MK4001 quick: quick": patience + 2,
		"MK4003 slow did not finish within 30ms, so the object counts as refused": patience,
		"MK4003 slow was not tried: it ran out of time or memory before":          2,
	}
	if !reflect.DeepEqual(counts, want) {
		t.Errorf("got %v\nwant %v", counts, want)
	}
}

func TestCancelledCheck(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	e := New(module("slow.rego", slow))
	e.Timeout = time.Minute
	time.AfterFunc(30*time.Millisecond, cancel)
	begin := time.Now()
	got := e.Check(ctx, []Object{split("a"), split("b")})
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("the check took %v", took)
	}
	if len(got) != 1 || got[0].Code != report.PolicyTimeout || got[0].Severity != report.Error {
		t.Errorf("a check that was stopped must say so: %+v", got)
	}
}

// counted counts how often it is converted.
type counted struct{ times *atomic.Int32 }

func (c counted) MarshalJSON() ([]byte, error) { c.times.Add(1); return json.Marshal("x") }

func TestObjectIsParsedOnce(t *testing.T) {
	var times atomic.Int32
	o := split("a")
	o.Value["metadata"].(map[string]any)["annotations"] = map[string]any{"x": counted{&times}}
	reviews := module("g.rego", `package g
		violation contains {"msg": "x"} if input.review.object.metadata.annotations.x == "x"`)
	got := New(append(Shipped(), reviews)...).Check(t.Context(), []Object{o})
	if len(got) != 1 || times.Load() != 1 {
		t.Errorf("six rules converted the object %d times: %+v", times.Load(), got)
	}
}

func TestUnreadableObject(t *testing.T) {
	bad := split("bad")
	bad.Value["spec"] = func() {}
	got := New(Shipped()...).Check(t.Context(), []Object{bad, split("good")})
	if len(got) != 1 || got[0].Code != report.PolicyBroken || got[0].Source.Name != "bad" {
		t.Errorf("got %+v", got)
	}
}

func TestPreparedOnce(t *testing.T) {
	e := New(Shipped()...)
	first := e.plan()
	e.Check(t.Context(), []Object{split("a")})
	if e.plan() != first || e.plan().compiler != first.compiler {
		t.Error("rules were compiled twice")
	}
}

// TestNewIsCheap: the command line makes an engine before it knows whether one
// is needed.
func TestNewIsCheap(t *testing.T) {
	modules := Shipped()
	if n := testing.AllocsPerRun(10, func() { New(modules...) }); n > 20 {
		t.Errorf("New makes %v allocations: it compiles", n)
	}
}

func TestConcurrentChecks(t *testing.T) {
	e, objects := New(Shipped()...), world(50)
	e.Timeout = time.Minute // the machine may be busy
	want := e.Check(t.Context(), objects)
	if len(want) < 20 {
		t.Fatalf("only %d findings to compare", len(want))
	}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if got := e.Check(t.Context(), objects); !reflect.DeepEqual(got, want) {
				t.Errorf("a concurrent check gave %d findings, want %d", len(got), len(want))
			}
		})
	}
	wg.Wait()
}

func TestOrderDoesNotMatter(t *testing.T) {
	modules := append(Shipped(), module("z.rego", `package z
		deny contains sprintf("%d", [i]) if some i in numbers.range(1, 20)`))
	objects := world(50)
	want := New(modules...).Check(t.Context(), objects)
	for seed := range uint64(5) {
		r := rand.New(rand.NewPCG(seed, 1))
		r.Shuffle(len(objects), func(i, j int) { objects[i], objects[j] = objects[j], objects[i] })
		r.Shuffle(len(modules), func(i, j int) { modules[i], modules[j] = modules[j], modules[i] })
		if got := New(modules...).Check(t.Context(), objects); !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: another report for the same objects and rules", seed)
		}
	}
}

func TestObjectsAreNotChanged(t *testing.T) {
	objects := world(10)
	before, err := json.Marshal(objects)
	if err != nil {
		t.Fatal(err)
	}
	New(Shipped()...).Check(t.Context(), objects)
	if after, _ := json.Marshal(objects); string(after) != string(before) {
		t.Error("a check changed its objects")
	}
}

func TestNoObjects(t *testing.T) {
	if got := New(Shipped()...).Check(t.Context(), nil); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
	got := New(module("r.rego", "package x\ndeny contains 1 +")).Check(t.Context(), nil)
	if len(got) != 1 || !strings.Contains(string(got[0].Code), "MK4002") {
		t.Errorf("a broken rule must be told without objects too: %+v", got)
	}
}

// TestMemory: a rule that collects without end is stopped, and no other.
func TestMemory(t *testing.T) {
	greedy := module("greedy.rego", `package greedy
		deny contains "done" if count([x | some i in numbers.range(1, 3000000); x := sprintf("%d of many", [i])]) > 0`)
	e := New(greedy, module("quick.rego", "package quick\ndeny contains \"quick\""))
	e.Timeout, e.Memory = time.Minute, 32<<20
	var said []string
	for _, f := range e.Check(t.Context(), []Object{split("a"), split("b")}) {
		said = append(said, string(f.Severity)+" "+string(f.Code)+" "+f.Message)
	}
	slices.Sort(said)
	want := []string{
		"error MK4001 quick: quick", "error MK4001 quick: quick",
		"error MK4003 greedy was not tried: it ran out of time or memory before",
		"error MK4003 greedy was stopped, for it took more than 32 MiB of memory, so the object counts as refused",
	}
	if !slices.Equal(said, want) {
		t.Errorf("got %q\nwant %q", said, want)
	}
}
