package gamma_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/translators/interpret/gamma"
)

// load returns the cases, without any authorization: what test/golden tries with
// every mesh that can write it.
func load(t *testing.T) []golden.Case {
	t.Helper()
	cases, err := golden.Load("../../../test/cases")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		delete(c.Options, "gateway-api")
	}
	return cases
}

// What the back end makes means the same however a mesh ranks matches.
func TestGolden(t *testing.T) {
	for _, by := range gamma.Rankings() {
		for _, c := range load(t) {
			found, err := golden.Verify(c, "gateway-api", gamma.Ranked(by, nil))
			if err != nil {
				t.Errorf("%s, %s: %v", by, c.Name, err)
			}
			for _, d := range found.Differences {
				if d.Shown == nil {
					t.Errorf("%s, %s: %s: %s %s %v", by, c.Name, d.Unit, d.Request, d.Difference, d.By)
				}
			}
		}
	}
}

// idle are the fields that decide nothing, each with its reason.
var idle = map[string]string{
	"metadata.labels.app.kubernetes.io/managed-by": "for people",
	"metadata.annotations.meshknot.io/source":      "for people",
	"spec.rules.name":                   "for people",
	"spec.rules.matches.method.service": "no request asks another service for the same method",
	"spec.parentRefs.port":              "without it a route is for all ports, and most Services have one",
}

// filledIn are the values that stand for themselves where a field is left out;
// "." is the namespace of the object.
var filledIn = map[string]any{
	"spec.parentRefs.namespace":                             ".",
	"spec.rules.backendRefs.group":                          "",
	"spec.rules.backendRefs.kind":                           "Service",
	"spec.rules.backendRefs.weight":                         1.0,
	"spec.rules.filters.requestMirror.backendRef.group":     "",
	"spec.rules.filters.requestMirror.backendRef.kind":      "Service",
	"spec.rules.filters.requestMirror.fraction.denominator": 100.0,
	"spec.rules.filters.requestRedirect.statusCode":         302.0,
	"spec.rules.matches.path.type":                          "PathPrefix",
	"spec.rules.matches.path.value":                         "/",
	"spec.rules.matches.headers.type":                       "Exact",
	"spec.rules.matches.method.type":                        "Exact",
	"spec.rules.matches.queryParams.type":                   "Exact",
}

// alike are values that decide what is filled in decides, each with its reason.
var alike = map[string]string{
	"spec.rules.backendRefs.group=meshknot.io":   "the kind alone is enough to be nobody's",
	"spec.rules.backendRefs.kind=InvalidBackend": "the group alone is enough to be nobody's",
	"spec.rules.matches=map[]":                   "an empty match is every call, and so is none",
}

func decidesNothing(r golden.Removal) bool {
	namespace, _, _ := strings.Cut(r.ID().Name, "/")
	value, known := filledIn[r.Field]
	if value == "." {
		value = namespace
	}
	if idle[r.Field] != "" || alike[fmt.Sprintf("%s=%v", r.Field, r.Value())] != "" || known && fmt.Sprint(value) == fmt.Sprint(r.Value()) {
		return true
	}
	return r.Field == "spec.rules.backendRefs.weight" && alone(r)
}

// alone reports whether a leaf is that of the one backend of its rule, which has
// all requests whatever its weight.
func alone(r golden.Removal) bool {
	a, err := r.Apply()
	var rule int
	if _, scanned := fmt.Sscanf(r.Path, "spec.rules[%d]", &rule); err != nil || scanned != nil {
		return false
	}
	rules := a.Payload.(map[string]any)["spec"].(map[string]any)["rules"].([]any)
	return len(rules[rule].(map[string]any)["backendRefs"].([]any)) == 1
}

// Whatever else is left out of an object is noticed. Some leaves go unnoticed for
// what else is in a case: an arm that repeats another for the order of routes, a
// difference that a row shows anyway. Of no field are these more than half.
func TestRemovals(t *testing.T) {
	left, tried, err := golden.Unnoticed(load(t), "gateway-api", gamma.New(nil), 12, 1, decidesNothing)
	if err != nil {
		t.Fatal(err)
	}
	if len(tried) < 30 {
		t.Errorf("only %d fields were tried", len(tried))
	}
	for field, some := range left {
		if 2*len(some) > tried[field] {
			t.Errorf("%s %s: %d of %d go unnoticed: %v", field.Of, field.Field, len(some), tried[field], some)
		}
	}
}
