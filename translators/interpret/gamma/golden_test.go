package gamma_test

import (
	"fmt"
	"testing"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/translators/interpret/gamma"
)

// load returns the cases, without any authorization: what test/golden tries with
// every mesh that can write it.
func load(t *testing.T) []golden.Case {
	t.Helper()
	cases := golden.Cases(t, "../../../test/cases")
	for _, c := range cases {
		delete(c.Options, "gateway-api")
	}
	return cases
}

// What the back end makes means the same however a mesh ranks matches.
func TestGolden(t *testing.T) {
	for _, by := range gamma.Rankings() {
		for _, c := range load(t) {
			result, err := golden.Verify(c, "gateway-api", gamma.Ranked(by, nil))
			golden.Explained(t, fmt.Sprintf("%s, %s", by, c.Name), result, err)
		}
	}
}

// nothing are the leaves that decide nothing.
var nothing = golden.Defaults{
	Idle: map[string]string{
		"metadata.labels.app.kubernetes.io/managed-by": "for people",
		"metadata.annotations.meshknot.io/source":      "for people",
		"spec.rules.name":                   "for people",
		"spec.rules.matches.method.service": "no request asks another service for the same method",
		"spec.parentRefs.port":              "without it a route is for all ports, and most Services have one",
	},
	FilledIn: map[string]any{
		"spec.rules.backendRefs.group":                      "",
		"spec.rules.backendRefs.kind":                       "Service",
		"spec.rules.backendRefs.weight":                     1.0,
		"spec.rules.filters.requestMirror.backendRef.group": "",
		"spec.rules.filters.requestMirror.backendRef.kind":  "Service",
		"spec.rules.filters.requestRedirect.statusCode":     302.0,
		"spec.rules.matches.path.type":                      "PathPrefix",
		"spec.rules.matches.path.value":                     "/",
		"spec.rules.matches.headers.type":                   "Exact",
		"spec.rules.matches.method.type":                    "Exact",
		"spec.rules.matches.queryParams.type":               "Exact",
	},
	Alike: map[string]string{
		"spec.rules.backendRefs.group=meshknot.io":   "the kind alone is enough to be nobody's",
		"spec.rules.backendRefs.kind=InvalidBackend": "the group alone is enough to be nobody's",
		"spec.rules.matches=map[]":                   "an empty match is every call, and so is none",
	},
	Alone: "spec.rules.backendRefs.weight",
}

// Whatever else is left out of an object is noticed.
func TestRemovals(t *testing.T) {
	golden.Leaves{Cases: load(t), Backend: "gateway-api", Read: gamma.New(nil), Tries: 12}.Mostly(t, nothing, 30)
}
