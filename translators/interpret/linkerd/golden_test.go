package linkerd_test

import (
	"testing"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/linkerd"
)

func load(t *testing.T) []golden.Case {
	t.Helper()
	return golden.Cases(t, "../../../test/cases")
}

// What the back end makes is told to Linkerd of either order of precedence: the
// routes mean the same with both.
func TestGolden(t *testing.T) {
	for name, read := range map[string]interpret.New{"method last": linkerd.New, "method first": linkerd.MethodFirst} {
		for _, c := range load(t) {
			result, err := golden.Verify(c, "linkerd", read)
			golden.Explained(t, name+", "+c.Name, result, err)
		}
	}
}

// nothing are the leaves that decide nothing.
var nothing = golden.Defaults{
	Idle: map[string]string{
		"metadata.labels.app.kubernetes.io/managed-by": "for people",
		"metadata.annotations.meshknot.io/source":      "for people",
		"spec.parentRefs.port":                         "without it a route is for all ports, and most Services have one",
	},
	FilledIn: map[string]any{
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
	},
	Alike: map[string]string{
		"spec.proxyProtocol=opaque":                   "a connection is let in alike, and requests are not asked where none are seen",
		"spec.rules.filters.requestRedirect.port=443": "where HTTP's own port was asked the scheme's follows by itself",
	},
	Alone: "spec.rules.backendRefs.weight",
	Parts: []golden.Part{
		{Name: "-rest-", Field: "spec.parentRefs", Why: "what no route speaks of is denied as well, but with another status"},
		{Field: "spec.podSelector", Why: "few cases have pods that a wider selector would catch: TestServers has"},
	},
}

// Whatever else is left out of an object is noticed.
func TestRemovals(t *testing.T) {
	golden.Leaves{Cases: load(t), Backend: "linkerd", Read: linkerd.New, Tries: 12}.Mostly(t, nothing, 30)
}
