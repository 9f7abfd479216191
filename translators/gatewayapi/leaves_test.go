package gatewayapi_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/gatewayapi"
)

// wireLeaves lists the generic paths of a wire type's leaves.
func wireLeaves(t reflect.Type, path string) []string {
	switch {
	case t.Kind() == reflect.Pointer:
		return wireLeaves(t.Elem(), path)
	case t == reflect.TypeFor[metav1.ObjectMeta](), t == reflect.TypeFor[metav1.Time](), t.Kind() == reflect.Map:
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
		at := strings.TrimPrefix(path+"."+name, ".")
		if f.Anonymous && name == "" {
			at = path
		}
		out = append(out, wireLeaves(f.Type, at)...)
	}
	return out
}

// Each leaf of each schema stands under a row, and each row has a leaf of its own.
func TestEveryLeafHasARow(t *testing.T) {
	used := map[string]bool{}
	n := 0
	for _, s := range gatewayapi.Schemas() {
		for _, path := range wireLeaves(reflect.TypeOf(s.Wire), "") {
			l, ok := gatewayapi.LeafOf(s.Group, s.Kind, path)
			if !ok || !strings.HasPrefix(path, l.Path) {
				t.Errorf("%s %s: no row for %s", s.Version, s.Kind, path)
			}
			used[l.Kind+" "+l.Path] = true
			n++
		}
	}
	if n < 500 {
		t.Errorf("only %d leaves: the walk does not see the types", n)
	}
	seen := map[string]bool{}
	for _, l := range gatewayapi.Leaves() {
		if k := l.Kind + " " + l.Path; !used[k] || seen[k] {
			t.Errorf("row %s is used: %v, given twice: %v", k, used[k], seen[k])
		}
		seen[l.Kind+" "+l.Path] = true
	}
}

func TestRowsAreWellFormed(t *testing.T) {
	for _, l := range gatewayapi.Leaves() {
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
	for _, c := range []struct {
		kind, path string
		want       feature.Leaf
	}{
		{"HTTPRoute", "spec.rules[3].matches[1].path.value", feature.Leaf{Features: []feature.Feature{feature.RoutePath}}},
		{"HTTPRoute", "spec.rules[0].backendRefs[1].weight", feature.Leaf{Features: []feature.Feature{feature.RouteSplit}}},
		{"HTTPRoute", "spec.parentRefs[0].port", feature.Leaf{Reason: feature.ReasonKey}},
		{"HTTPRoute", "spec.rules[0].timeouts", feature.Leaf{Features: []feature.Feature{feature.RouteTimeout}}},
		{"GRPCRoute", "spec.rules[0].matches[0]", feature.Leaf{Features: []feature.Feature{feature.RouteHeader, feature.RoutePath}}},
		{"Gateway", "spec.infrastructure.labels.a", feature.Leaf{Reason: feature.ReasonNotSpoken}},
		{"TLSRoute", "spec.rules", feature.Leaf{Reason: feature.ReasonNotSpoken}},
	} {
		got, ok := gatewayapi.LeafOf(gatewayapi.Group, c.kind, c.path)
		if !ok || !slices.Equal(got.Features, c.want.Features) || got.Reason != c.want.Reason {
			t.Errorf("%s %s: %+v", c.kind, c.path, got)
		}
	}
	if l, ok := gatewayapi.LeafOf(gatewayapi.Group, "HTTPRoute", "spec.hostname"); ok {
		t.Errorf("no field, and %+v", l)
	}
	if l, ok := gatewayapi.LeafOf("split.smi-spec.io", "HTTPRoute", "spec.hostnames"); ok {
		t.Errorf("another group, and %+v", l)
	}
}
