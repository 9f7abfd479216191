package smi

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshknot/meshknot/translators/feature"
)

// wireLeaves lists the generic paths of a wire type's leaves.
func wireLeaves(t reflect.Type, path string) []string {
	switch {
	case t.Kind() == reflect.Pointer:
		return wireLeaves(t.Elem(), path)
	case t == reflect.TypeFor[metav1.ObjectMeta](), t == reflect.TypeFor[json.RawMessage](), t.Kind() == reflect.Map:
		return []string{path}
	case t.Kind() == reflect.Slice:
		return wireLeaves(t.Elem(), path+"[]")
	case t.Kind() != reflect.Struct:
		return []string{path}
	}
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			out = append(out, wireLeaves(f.Type, path)...)
		case path == "":
			out = append(out, wireLeaves(f.Type, name)...)
		default:
			out = append(out, wireLeaves(f.Type, path+"."+name)...)
		}
	}
	if len(out) == 0 {
		return []string{path}
	}
	return out
}

// Each leaf of each schema has one row, and each row is about some leaf: about
// the leaf itself, or about what Decode finds below one that it takes apart.
func TestEveryLeafHasARow(t *testing.T) {
	type key struct{ group, kind, path string }
	rows := map[key]int{}
	for _, l := range Leaves() {
		rows[key{l.Group, l.Kind, l.Path}]++
	}
	used := map[key]bool{}
	for _, s := range Schemas() {
		for _, path := range wireLeaves(reflect.TypeOf(s.Wire), "") {
			k := key{s.Group, s.Kind, path}
			if rows[k] != 1 {
				t.Errorf("%s %s: %s has %d rows, want 1", s.Version, s.Kind, path, rows[k])
			}
			for r := range rows {
				used[r] = used[r] || r == k || r.group == k.group && r.kind == k.kind && strings.HasPrefix(r.path, k.path+".")
			}
		}
	}
	for r := range rows {
		if !used[r] {
			t.Errorf("no schema has the field of row %v", r)
		}
	}
}

func TestRowsAreWellFormed(t *testing.T) {
	for _, l := range Leaves() {
		if (len(l.Features) == 0) == (l.Reason == "") {
			t.Errorf("%s %s needs features or a reason, and not both", l.Kind, l.Path)
		}
		if l.Reason != "" && !slices.Contains(feature.Reasons(), l.Reason) {
			t.Errorf("%s %s: %q is no reason", l.Kind, l.Path, l.Reason)
		}
		for _, f := range l.Features {
			if !slices.ContainsFunc(feature.Specs(), func(s feature.Spec) bool { return s.Feature == f }) {
				t.Errorf("%s %s: %q is no feature", l.Kind, l.Path, f)
			}
		}
	}
}

func TestLeafOf(t *testing.T) {
	tests := []struct {
		name, group, kind, path string
		ok                      bool
		want                    feature.Leaf
	}{
		{"a leaf of a document", GroupSplit, KindTrafficSplit, "spec.backends[12].weight", true,
			feature.Leaf{Path: "spec.backends[].weight", Features: []feature.Feature{feature.RouteSplit}}},
		{"a generic path", GroupSplit, KindTrafficSplit, "spec.matches[].name", true,
			feature.Leaf{Path: "spec.matches[].name", Reason: feature.ReasonKey}},
		{"below a free-form field", GroupSpecs, KindHTTPRouteGroup, `spec.matches[0].headers[1]["x.y"]`, true,
			feature.Leaf{Path: "spec.matches[].headers", Features: []feature.Feature{feature.RouteHeader, feature.AccessHeader}}},
		{"the longest row counts", GroupSpecs, KindTCPRoute, "spec.matches.name", true,
			feature.Leaf{Path: "spec.matches.name", Reason: feature.ReasonKey}},
		{"ports", GroupSpecs, KindTCPRoute, "spec.matches.ports[0]", true,
			feature.Leaf{Path: "spec.matches", Features: []feature.Feature{feature.AccessPort, feature.AccessWhole}}},
		{"an empty list", GroupSplit, KindTrafficSplit, "spec.backends", true,
			feature.Leaf{Path: "spec.backends", Features: []feature.Feature{feature.RouteBackend, feature.RouteInvalidBackend, feature.RouteSplit}}},
		{"an empty list of keys", GroupAccess, KindTrafficTarget, "spec.rules", true,
			feature.Leaf{Path: "spec.rules", Reason: feature.ReasonKey}},
		{"a longer name is another field", GroupSplit, KindTrafficSplit, "spec.serviceName", false, feature.Leaf{}},
		{"another kind", GroupSplit, KindTCPRoute, "spec.service", false, feature.Leaf{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := LeafOf(tt.group, tt.kind, tt.path)
			if ok != tt.ok {
				t.Fatalf("found %v, want %v: %+v", ok, tt.ok, got)
			}
			if ok {
				tt.want.Group, tt.want.Kind = tt.group, tt.kind
				checkValue(t, got, tt.want)
			}
		})
	}
}
