package ask

import (
	"slices"
	"testing"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

func model(t *testing.T, text string) Side {
	t.Helper()
	_, store := reading(t, input.Settings{}, text)
	return Sides(program(), store, translators.Target{})[0]
}

func TestCompare(t *testing.T) {
	before := model(t, shop)
	for _, test := range []struct {
		name  string
		after string
		want  []report.Effect
	}{
		{"the same", shop, nil},
		{"other words for it", without("weight: 3}, {service: reviews-v2, weight: 1", "weight: 75}, {service: reviews-v2, weight: 25"), nil},
		{"other weights", without("weight: 3", "weight: 4"), []report.Effect{report.Strays}},
		{"a caller more", without("sources: [", "sources: [{kind: ServiceAccount, name: ads, namespace: shop}, "), []report.Effect{report.Allows}},
		{"a caller less", without("matches: [read, write]", "matches: [read]"), []report.Effect{report.Denies}},
		{"another caller", without("name: web, namespace: shop}]", "name: ads, namespace: shop}]"), []report.Effect{report.Allows, report.Denies}},
		{"no port", without("ports: [{name: http, port: 80}]", "ports: [{name: http, port: 81}]"), []report.Effect{report.Fails}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Compare(before, model(t, test.after))
			var effects []report.Effect
			for _, c := range got.Changes {
				if !slices.Contains(effects, c.Effect) {
					effects = append(effects, c.Effect)
				}
				check(t, before, model(t, test.after), c)
			}
			for _, e := range test.want {
				if !slices.Contains(effects, e) {
					t.Errorf("got %v, want %v", effects, test.want)
				}
			}
			if len(test.want) == 0 && (len(effects) > 0 || got.Otherwise != 0) || len(test.want) > 0 && got.Otherwise == 0 || got.Kinds < 20 {
				t.Errorf("%v: %d of %d kinds", effects, got.Otherwise, got.Kinds)
			}
			if !slices.IsSortedFunc(got.Changes, func(a, b Change) int { return rank(a.Effect) - rank(b.Effect) }) {
				t.Error("what opens must come first")
			}
		})
	}
}

// check: the example of a change shows it.
func check(t *testing.T, before, after Side, c Change) {
	t.Helper()
	was, _ := before.Decide(c.Example)
	is, _ := after.Decide(c.Example)
	if !slices.Contains(semantics.Differences(c.Example, was, is, 0.01), c.Difference) {
		t.Errorf("%s does not show %s", c.Example, c.Difference)
	}
}

// TestChangesAreGrouped: one grant that changes is one change, whatever leads to
// the workload; and its cause is the grant's.
func TestChangesAreGrouped(t *testing.T) {
	got := Compare(model(t, shop), model(t, without("sources: [", "sources: [{kind: ServiceAccount, name: ads, namespace: shop}, ")))
	if len(got.Changes) != 1 {
		t.Fatalf("%+v", got.Changes)
	}
	c := got.Changes[0]
	want := []ir.Key{{Kind: ir.KindService, Namespace: "shop", Name: "reviews"}, {Kind: ir.KindService, Namespace: "shop", Name: "reviews-v2"},
		{Kind: ir.KindWorkload, Namespace: "shop", Name: "reviews"}}
	if !slices.Equal(c.Callees, want) {
		t.Errorf("%v", c.Callees)
	}
	if c.Example.From == nil || c.Example.From.Account != "ads" {
		t.Errorf("%s", c.Example)
	}
}

// TestCompareBackends: two back ends on one input; and one that cannot be asked.
func TestCompareBackends(t *testing.T) {
	_, store := reading(t, input.Settings{}, shop)
	sides := Sides(believing(false), store, translators.Target{}, translators.Target{Backend: "envoy"})
	got := Compare(sides[0], sides[1])
	if len(got.Changes) == 0 || got.Changes[0].Effect != report.Allows || len(got.Changes[0].New.By) == 0 || len(got.Changes[0].Old.By) != 0 {
		t.Errorf("%+v", got.Changes)
	}
	if Sides(program(), store, translators.Target{Backend: "gateway-api"})[0].Silent() == nil {
		t.Error("what is withheld cannot be asked")
	}
}

// A namespace that denies and is given no more opens, by the line that it stood on;
// what is called is the same, though the new input does not have it.
func TestVanishedNamespace(t *testing.T) {
	strict := input.Settings{Access: "strict"}
	_, before := reading(t, strict, "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n---\n"+
		"apiVersion: v1\nkind: Service\nmetadata: {name: app, namespace: shop}\nspec: {selector: {app: app}, ports: [{name: http, port: 80}]}\n")
	_, after := reading(t, strict, "apiVersion: v1\nkind: Namespace\nmetadata: {name: other}\n")
	got := Compare(Sides(program(), before, translators.Target{})[0], Sides(program(), after, translators.Target{})[0])
	if len(got.Changes) != 1 || got.Changes[0].Effect != report.Allows {
		t.Fatalf("%+v", got.Changes)
	}
	if at := got.Changes[0].Old.Because; len(at) == 0 || at[0] != (report.Ref{Kind: "Namespace", Name: "shop"}) {
		t.Errorf("by %v", at)
	}
}
