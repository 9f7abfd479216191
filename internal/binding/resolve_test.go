package binding_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/labels"
	"pgregory.net/rapid"

	"github.com/meshknot/meshknot/internal/binding"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// bound makes a binding of "name backend age access" with a selector; age 0 is unknown.
func bound(text string, selector string) binding.Binding {
	var name, backend, access string
	var age int
	if _, err := fmt.Sscan(text, &name, &backend, &age, &access); err != nil {
		panic(err)
	}
	s, err := labels.Parse(selector)
	if err != nil {
		panic(err)
	}
	b := binding.Binding{Name: name, Selector: s, Access: access, Dialect: "spec", Target: translators.Target{Backend: backend, Name: name}}
	if age > 0 {
		b.Created = time.Unix(int64(age), 0)
	}
	return b
}

var three = map[string]map[string]string{"a": {"mesh": "x"}, "b": {"mesh": "y"}, "c": {}}

// text writes a table so that a test can show it.
func text(t binding.Table) string {
	var b strings.Builder
	for _, one := range t.Bounds {
		fmt.Fprintf(&b, "%s own=%s calls=%s\n", one.Name, strings.Join(slices.Sorted(maps.Keys(one.Scope.Own)), ","),
			strings.Join(slices.Sorted(maps.Keys(one.Scope.Calls)), ","))
	}
	for _, n := range slices.Sorted(maps.Keys(t.Conflicts)) {
		fmt.Fprintf(&b, "%s conflicts: %s\n", n, t.Conflicts[n])
	}
	return b.String()
}

func TestResolve(t *testing.T) {
	for _, tt := range []struct {
		name     string
		bindings []binding.Binding
		want     string
	}{
		{"nobody", nil, ""},
		{"all", []binding.Binding{bound("all istio 1 selected", "")}, "all own=a,b,c calls=\n"},
		{"two meshes", []binding.Binding{bound("x istio 1 selected", "mesh=x"), bound("y linkerd 2 strict", "mesh=y")},
			"x own=a calls=b,c\ny own=b calls=a,c\n"},
		{"one mesh in two bindings: the older has the other calls", []binding.Binding{bound("x istio 2 selected", "mesh=x"), bound("y istio 1 selected", "mesh=y")},
			"x own=a calls=\ny own=b calls=c\n"},
		{"while it moves", []binding.Binding{bound("x istio 1 selected", "mesh=x"), bound("y linkerd 2 selected", "mesh=x")},
			"x own=a calls=b,c\ny own=a calls=b,c\n"},
		{"the older has it", []binding.Binding{bound("new istio 2 selected", ""), bound("old istio 1 selected", "mesh in (x,y)")},
			"new own=c calls=\nold own=a,b calls=\nnew conflicts: namespace a is bound to istio by the older old; and so with 1 more\n"},
		{"of one age the name decides", []binding.Binding{bound("z istio 1 selected", ""), bound("y istio 1 selected", "")},
			"y own=a,b,c calls=\nz conflicts: namespace a is bound to istio by the older y; and so with 2 more\n"},
		{"of no age is young", []binding.Binding{bound("a istio 0 selected", ""), bound("b istio 9 selected", "")},
			"b own=a,b,c calls=\na conflicts: namespace a is bound to istio by the older b; and so with 2 more\n"},
		{"other access", []binding.Binding{bound("x istio 1 selected", "mesh=x"), bound("y linkerd 2 strict", "")},
			"x own=a calls=b,c\ny own=b,c calls=a\ny conflicts: namespace a has access selected, not strict, by the older x\n"},
		{"nobody selected: no calls either", []binding.Binding{bound("x istio 1 selected", "mesh=x"), bound("y linkerd 2 strict", "mesh=z")},
			"x own=a calls=b,c\n"},
		{"by name", []binding.Binding{bound("x istio 1 selected", "kubernetes.io/metadata.name=c")}, "x own=c calls=a,b\n"},
		{"not by name", []binding.Binding{bound("x istio 1 selected", "kubernetes.io/metadata.name!=c")}, "x own=a,b calls=c\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, text(binding.Resolve(tt.bindings, three, time.Time{}))); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestResolveSettings(t *testing.T) {
	table := binding.Resolve([]binding.Binding{bound("x istio 1 strict", "mesh=x")}, three, time.Time{})
	workloads := map[string]map[string]string{"a/b": {"c": "d"}}
	got := table.With(input.Settings{Access: "off", Complete: true, Workloads: workloads})
	want := map[string]input.Settings{"a": {Access: "strict", Dialect: "spec", Complete: true, Workloads: workloads}}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestResolveWaivers(t *testing.T) {
	now := time.Unix(1000, 0)
	b := bound("x istio 1 strict", "")
	for i, at := range []int64{0, 900, 1000, 1001, 2000} {
		w := binding.Waiver{Waiver: feature.Waiver{Reason: fmt.Sprint(i)}}
		if at > 0 {
			w.Expires = time.Unix(at, 0)
		}
		b.Waivers = append(b.Waivers, w)
	}
	table := binding.Resolve([]binding.Binding{b}, three, now)
	var got []string
	for _, w := range table.Bounds[0].Waivers {
		got = append(got, w.Reason)
	}
	if !slices.Equal(got, []string{"0", "3", "4"}) || !table.Next.Equal(time.Unix(1001, 0)) {
		t.Errorf("got %v, next %v", got, table.Next)
	}
}

// Each namespace has at most one owner of each back end; calls and what is owned
// cover all namespaces once for each back end in use; whoever lacks what it selects
// is in conflict; the order in which bindings are given does not matter.
func TestResolveAny(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var bindings []binding.Binding
		for i := range rapid.IntRange(0, 6).Draw(t, "bindings") {
			bindings = append(bindings, bound(fmt.Sprintf("b%d %s %d %s", i, rapid.SampledFrom([]string{"istio", "envoy", "grpc"}).Draw(t, "backend"),
				rapid.IntRange(0, 3).Draw(t, "age"), rapid.SampledFrom([]string{"selected", "strict"}).Draw(t, "access")),
				rapid.SampledFrom([]string{"", "mesh=x", "mesh=y", "mesh in (x,y)", "!mesh", "mesh=none"}).Draw(t, "selector")))
		}
		namespaces := map[string]map[string]string{}
		for i := range rapid.IntRange(0, 5).Draw(t, "namespaces") {
			namespaces[fmt.Sprint("n", i)] = rapid.SampledFrom([]map[string]string{nil, {"mesh": "x"}, {"mesh": "y"}}).Draw(t, "labels")
		}
		table := binding.Resolve(bindings, namespaces, time.Time{})
		covered := map[string]map[string]int{}
		for _, b := range table.Bounds {
			if covered[b.Backend] == nil {
				covered[b.Backend] = map[string]int{}
			}
			for n := range b.Scope.Own {
				covered[b.Backend][n]++
			}
			for n := range b.Scope.Calls {
				covered[b.Backend][n]++
			}
			if !slices.Equal(slices.Sorted(maps.Keys(b.Scope.Own)), table.Namespaces[b.Name]) || len(b.Scope.Own) == 0 {
				t.Fatalf("%s has %v, and it is said %v", b.Name, b.Scope.Own, table.Namespaces[b.Name])
			}
		}
		for backend, c := range covered {
			for n := range namespaces {
				if c[n] != 1 {
					t.Fatalf("namespace %s is covered %d times by %s:\n%s", n, c[n], backend, text(table))
				}
			}
		}
		for _, b := range bindings {
			lacks := false
			for n, l := range namespaces {
				if b.Selector.Matches(labels.Set(l)) != slices.Contains(table.Namespaces[b.Name], n) {
					lacks = true
				}
			}
			if _, said := table.Conflicts[b.Name]; said != lacks {
				t.Fatalf("%s lacks something: %v, and is in conflict: %v\n%s", b.Name, lacks, said, text(table))
			}
		}
		if d := cmp.Diff(text(table), text(binding.Resolve(rapid.Permutation(bindings).Draw(t, "order"), namespaces, time.Time{}))); d != "" {
			t.Fatalf("in another order:\n%s", d)
		}
	})
}

// A binding that lacks what it selects is named, with a code of its own.
func TestFound(t *testing.T) {
	table := binding.Resolve([]binding.Binding{bound("old istio 1 strict", ""), bound("new istio 2 strict", "mesh=x"), bound("other envoy 3 strict", "")}, three, time.Time{})
	got := table.Found()
	if len(got) != 1 || got[0].Code != report.BindingConflict || got[0].Severity != report.Error || got[0].Hint == "" ||
		got[0].Source != (report.Ref{Group: "meshknot.io", Kind: "MeshBinding", Name: "new", Field: "spec.namespaceSelector"}) ||
		got[0].Message != table.Conflicts["new"] {
		t.Errorf("got %+v", got)
	}
}
