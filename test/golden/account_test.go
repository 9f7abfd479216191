package golden

import (
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators"
)

// complains demands one complaint for each of some words, in their order.
func complains(t *testing.T, got []string, words ...string) {
	t.Helper()
	if !slices.EqualFunc(got, words, strings.Contains) {
		t.Errorf("%q, not about %q", got, words)
	}
}

// What nobody notices is reported, and an entry that is wrong, void or no field's.
func TestAccount(t *testing.T) {
	name := func(r Removed) string { return r.Field }
	tried := map[Removed]int{{"A", "seen"}: 1, {"A", "lost"}: 12, {"A", "idle"}: 12, {"A", "void"}: 12, {"A", "busy"}: 3, {"B", "busy"}: 12}
	noticed := map[Removed]int{{"A", "seen"}: 1, {"A", "busy"}: 1}
	idle := map[string]string{"idle": "a name", "busy": "a name", "gone": "a name", "void": ""}
	complains(t, account(noticed, tried, idle, name), "busy: it is said to decide nothing (a name), and does",
		"lost: left out 12 times, and nobody noticed", "void: left out 12 times, and nobody noticed", "gone: there is no such field")
	delete(tried, Removed{"A", "lost"})
	complains(t, account(noticed, tried, map[string]string{"idle": "a name", "void": "a name"}, name))
}

// The longest entry names a field, by whole names; a field that has none names itself.
func TestByEnd(t *testing.T) {
	of := ByEnd(map[string]string{"name": "", "routes.name": "", "options.": "", "Cluster.timeout": ""})
	for r, want := range map[Removed]string{
		{"v3.Routes", "hosts.routes.name"}: "routes.name",
		{"v3.Routes", "hosts.name"}:        "name",
		{"v3.Routes", "nickname"}:          "v3.Routes nickname",
		{"v3.Cluster", "options.a.b"}:      "options.",
		{"v3.Cluster", "tls.options.a"}:    "options.",
		{"v3.Cluster", "options"}:          "v3.Cluster options",
		{"v3.Cluster", "timeout"}:          "Cluster.timeout",
		{"v3.Listener", "timeout"}:         "v3.Listener timeout",
	} {
		if got := of(r); got != want {
			t.Errorf("%s is named %q, not %q", r, got, want)
		}
	}
}

// A field of which more than half go unnoticed is reported, and an entry that no
// leaf needs.
func TestMostly(t *testing.T) {
	d := Defaults{Idle: map[string]string{"held": "a name", "busy": "a name", "gone": "a name"}, FilledIn: map[string]any{"kind": "Service"}}
	fields := map[string]sample{"half": {2, []string{"x"}}, "more": {3, []string{"x", "y"}}}
	excused := map[string]sample{"idle held": {2, []string{"x"}}, "idle busy": {3, []string{"x"}}, "filled in kind": {3, []string{"x", "y"}}}
	complains(t, mostly(fields, excused, d), "more: 2 of 3", "filled in kind: it is said", "idle busy: it is said", "idle gone: there is no such leaf")
}

// Each kind of entry holds for its own leaves, and for no others.
func TestDefaults(t *testing.T) {
	d := Defaults{
		Idle:     map[string]string{"spec.name": "a name"},
		FilledIn: map[string]any{"spec.kind": "Service", "spec.refs.namespace": "."},
		Alike:    map[string]string{"spec.port=443": "the scheme's own"},
		Alone:    "spec.one.weight",
		Parts:    []Part{{Name: "-rest-", Field: "spec.rest", Why: "denied"}},
	}
	weight := func(n ...float64) []any {
		var out []any
		for _, w := range n {
			out = append(out, map[string]any{"weight": w})
		}
		return out
	}
	object := func(kind string, port float64, weights []any) map[string]any {
		return map[string]any{"spec": map[string]any{"kind": kind, "name": "x", "one": weights, "port": port, "rest": map[string]any{"a": "b"},
			"refs": []any{map[string]any{"namespace": "shop"}}}}
	}
	check := func(name string, payload map[string]any, want ...string) {
		t.Helper()
		removals, err := Removals(translators.Artifact{ID: translators.ID{Name: name}, Payload: payload})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, r := range removals {
			if e := d.entry(r); e != "" {
				got = append(got, e)
			}
		}
		complains(t, got, want...)
	}
	check("shop/x-rest-y", object("Service", 443, weight(7)), "filled in spec.kind", "idle spec.name", "alone spec.one.weight",
		"alike spec.port=443", "filled in spec.refs.namespace", "part -rest- spec.rest")
	check("other/x", object("Pod", 80, weight(7, 3)), "idle spec.name")
}
