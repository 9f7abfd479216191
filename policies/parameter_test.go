package policies

import (
	"strings"
	"testing"
)

// asking is a rule that says which parameters it got.
const asking = `# METADATA
# custom:
#   parameters:
#     n: {type: number, default: 3, description: d}
#     on: {type: boolean, default: false, description: d}
#     s: {type: string, default: a, description: d}
#     list: {type: strings, default: [x], description: d}
package team.asking

import data.lib.meshknot as lib

deny contains msg if {
	msg := sprintf("%v %v %v %v %v", [
		lib.parameter("n", 0), lib.parameter("on", 0), lib.parameter("s", 0), lib.parameter("list", 0), lib.resource.kind,
	])
}
`

func TestSet(t *testing.T) {
	for _, tt := range []struct {
		assignments []string
		want        string // the message, or after "!" part of the error
	}{
		{nil, `3 false a ["x"] TrafficSplit`},
		{[]string{"team.asking.n=4.5", "team.asking.on=true"}, `4.5 true a ["x"] TrafficSplit`},
		{[]string{"team.asking.s=b=c", "team.asking.list=y, z,"}, `3 false b=c ["y", "z"] TrafficSplit`},
		{[]string{"team.asking.list="}, `3 false a [] TrafficSplit`},
		{[]string{"team.asking.n=1", "team.asking.n=2"}, `2 false a ["x"] TrafficSplit`},
		{[]string{"team.asking.n=many"}, `!"many" is not of type number`},
		{[]string{"team.asking.n=1 2"}, "!is not of type number"},
		{[]string{"team.asking.on=1"}, "!1 is not of type boolean"},
		{[]string{"team.asking.on"}, "!want RULE.KEY=VALUE"},
		{[]string{"n=1"}, "!want RULE.KEY=VALUE"},
		{[]string{"team.asking.m=1"}, `!team.asking has no parameter "m": it has list, n, on, s`},
		{[]string{"asking.n=1"}, `!there is no rule "asking"`},
		{[]string{"open-route-match.n=1"}, "!open-route-match has no parameters"},
	} {
		e := New(append(Shipped(), module("a.rego", asking))...)
		err := e.Set(tt.assignments...)
		if wanted, fails := strings.CutPrefix(tt.want, "!"); fails {
			if err == nil || !strings.Contains(err.Error(), wanted) {
				t.Errorf("%q: got %v, want %s", tt.assignments, err, wanted)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got := e.Check(t.Context(), []Object{split("a")})
		if len(got) != 1 || got[0].Message != "team.asking: "+tt.want {
			t.Errorf("%q: got %+v, want %s", tt.assignments, got, tt.want)
		}
	}
}

// TestPrevious: a rule sees what the object takes the place of, and nothing
// where that is not known.
func TestPrevious(t *testing.T) {
	e := New(module("a.rego", `package a
		import data.lib.meshknot as lib
		deny contains sprintf("%s was %s", [lib.spec.service, lib.previous.service])
		warn contains input.review.operation`))
	objects := []Object{split("a"), split("b")}
	before := split("a")
	before.Value["spec"].(map[string]any)["service"] = "old"
	Replace(objects, []Object{before, split("c")})
	var said []string
	for _, f := range e.Check(t.Context(), objects) {
		said = append(said, f.Source.Name+" "+f.Message)
	}
	if got, want := strings.Join(said, "; "), "a a: reviews was old; a a: UPDATE; b a: CREATE"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestKinds: a rule is evaluated on the kinds that it lists, and on all where it
// lists none.
func TestKinds(t *testing.T) {
	core := NewObject(map[string]any{"apiVersion": "v1", "kind": "Service", "metadata": map[string]any{"name": "s"}})
	for kinds, want := range map[string]int{
		"[TrafficSplit.split.smi-spec.io]": 1, "[Service]": 1, "[TrafficSplit]": 0, "[Service.example.com]": 0,
		"[Service, TrafficSplit.split.smi-spec.io]": 2,
	} {
		e := New(module("a.rego", "# METADATA\n# custom: {kinds: "+kinds+"}\npackage a\n\ndeny contains \"x\"\n"))
		if got := e.Check(t.Context(), []Object{split("a"), core}); len(got) != want {
			t.Errorf("%s: %d findings, want %d: %+v", kinds, len(got), want, got)
		}
	}
}
