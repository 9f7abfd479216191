package linkerd_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/linkerd"
)

func load(t *testing.T) []golden.Case {
	t.Helper()
	cases, err := golden.Load("../../../test/cases")
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// What the back end makes is told to Linkerd of either order of precedence: the
// routes mean the same with both.
func TestGolden(t *testing.T) {
	for name, read := range map[string]interpret.New{"method last": linkerd.New, "method first": linkerd.MethodFirst} {
		for _, c := range load(t) {
			found, err := golden.Verify(c, "linkerd", read)
			if err != nil {
				t.Errorf("%s, %s: %v", name, c.Name, err)
			}
			for _, d := range found.Differences {
				if d.Shown == nil {
					t.Errorf("%s, %s: %s: %s %s %v", name, c.Name, d.Unit, d.Request, d.Difference, d.By)
				}
			}
		}
	}
}

// idle are the fields that decide nothing, each with its reason.
var idle = map[string]string{
	"metadata.labels.app.kubernetes.io/managed-by": "for people",
	"metadata.annotations.meshknot.io/source":      "for people",
	"spec.parentRefs.port":                         "without it a route is for all ports, and most Services have one",
}

// alike are values that decide what is filled in decides, each with its reason.
var alike = map[string]string{
	"spec.proxyProtocol=opaque":                   "a connection is let in alike, and requests are not asked where none are seen",
	"spec.rules.filters.requestRedirect.port=443": "where HTTP's own port was asked the scheme's follows by itself",
}

// filledIn are the values that stand for themselves where a field is left out;
// "." is the namespace of the object.
var filledIn = map[string]any{
	"spec.parentRefs.namespace":                     ".",
	"spec.rules.backendRefs.group":                  "",
	"spec.rules.backendRefs.kind":                   "Service",
	"spec.rules.backendRefs.namespace":              ".",
	"spec.rules.backendRefs.weight":                 1.0,
	"spec.rules.matches.path.type":                  "PathPrefix",
	"spec.rules.matches.path.value":                 "/",
	"spec.rules.matches.headers.type":               "Exact",
	"spec.rules.matches.queryParams.type":           "Exact",
	"spec.rules.filters.requestRedirect.statusCode": 302.0,
	"spec.proxyProtocol":                            "unknown",
	"spec.accessPolicy":                             "deny",
}

func decidesNothing(r golden.Removal) bool {
	namespace, name, _ := strings.Cut(r.ID().Name, "/")
	value, known := filledIn[r.Field]
	if value == "." {
		value = namespace
	}
	switch {
	case idle[r.Field] != "", alike[fmt.Sprintf("%s=%v", r.Field, r.Value())] != "", known && fmt.Sprint(value) == fmt.Sprint(r.Value()):
		return true
	case strings.Contains(name, "-rest-") && strings.HasPrefix(r.Field, "spec.parentRefs"):
		return true // what no route speaks of is denied as well, but with another status
	case strings.HasPrefix(r.Field, "spec.podSelector"):
		return true // few cases have pods that a wider selector would catch: TestServers has
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
	left, tried, err := golden.Unnoticed(load(t), "linkerd", linkerd.New, 12, 1, decidesNothing)
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
