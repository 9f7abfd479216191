package smi

import (
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators/input"
)

// The schemas do what they are for when documents are read with them.
func TestSchemasRead(t *testing.T) {
	const (
		target = "apiVersion: access.smi-spec.io/v1alpha3\nkind: TrafficTarget\nmetadata: {name: t, namespace: shop}\nspec:\n  destination: {kind: ServiceAccount, name: b%s}\n  sources: [{kind: ServiceAccount, name: a}]\n  rules: [{kind: HTTPRouteGroup, name: g}]\n"
		specs  = "apiVersion: specs.smi-spec.io/"
	)
	tests := []struct {
		name, text string
		found      []string
		hint       string
	}{
		{"what a cluster adds", strings.Replace(target, "%s", "", 1) + "status: {conditions: [{type: Accepted, status: 'True'}]}", nil, ""},
		{"a status where the Go types are SMI's", specs + "v1alpha1\nkind: TCPRoute\nmetadata: {name: r}\nstatus: {}", nil, ""},
		{"the port that v1alpha3 lost", strings.Replace(target, "%s", ", port: 80", 1), []string{"error MK1002 spec.destination.port"}, "TCPRoute"},
		{"matches where they used to be", specs + "v1alpha4\nkind: HTTPRouteGroup\nmetadata: {name: r}\nmatches: [{name: m}]", []string{"error MK1002 matches"}, `"matches" belongs at spec.matches`},
		{"a split's service as an object", "apiVersion: split.smi-spec.io/v1alpha4\nkind: TrafficSplit\nmetadata: {name: s}\nspec: {service: {name: a}, backends: [{service: b, weight: 1}]}",
			[]string{"error MK1003 spec.service"}, ""},
		{"matches of a TCPRoute as a list", specs + "v1alpha4\nkind: TCPRoute\nmetadata: {name: r}\nspec: {matches: [{ports: [1]}]}", []string{"error MK1003 spec.matches"}, "one object"},
		{"headers in v1alpha1", specs + "v1alpha1\nkind: HTTPRouteGroup\nmetadata: {name: r}\nmatches: [{name: m, headers: {a: b}}]", []string{"error MK1002 matches[0].headers"}, ""},
		{"a group in v1alpha3", strings.Replace(target, "%s", ", group: access.smi-spec.io", 1), []string{"error MK1002 spec.destination.group"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, found := input.Read([]string{"-"}, input.Options{Schemas: Schemas(), Stdin: strings.NewReader(tt.text)})
			checkSaid(t, found, tt.found...)
			if tt.hint != "" && !strings.Contains(found[0].Hint, tt.hint) {
				t.Errorf("hint %q does not contain %q", found[0].Hint, tt.hint)
			}
			if len(set.Objects)+len(set.Rejected) != 1 || (len(set.Objects) == 1) != (len(tt.found) == 0) {
				t.Errorf("read %d objects, rejected %d", len(set.Objects), len(set.Rejected))
			}
		})
	}
}

// A target in error still says which account it closes.
func TestRejectedTargetNamesItsDestination(t *testing.T) {
	const text = "apiVersion: access.smi-spec.io/v1alpha2\nkind: TrafficTarget\nmetadata: {name: t, namespace: shop}\nspec:\n" +
		"  destination: {kind: ServiceAccount, name: b, namespace: far}\n  sources: everyone\n  colour: red\n"
	set, _ := input.Read([]string{"-"}, input.Options{Schemas: Schemas(), Stdin: strings.NewReader(text)})
	if len(set.Rejected) != 1 {
		t.Fatalf("rejected %d objects, want 1", len(set.Rejected))
	}
	checkValue(t, set.Rejected[0].Value, &Target{Destination: sa("b", "far", "spec.destination"), RulesField: "spec.rules", SourcesField: "spec.sources"})
}
