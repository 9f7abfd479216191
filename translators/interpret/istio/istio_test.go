package istio_test

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret/istio"
	backend "github.com/meshknot/meshknot/translators/istio"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/verify"
)

func load(t *testing.T) []golden.Case {
	t.Helper()
	return golden.Cases(t, "../../../test/cases")
}

// Every request of every case is decided as it is meant to be, or as the table
// says that it is not: by proxies of either kind, whatever the mesh is called.
func TestCases(t *testing.T) {
	targets := []translators.Target{
		{}, {Version: "1.26"},
		{TrustDomain: "mesh.example", Options: map[string]string{"cluster-domain": "example.org"}},
		{Options: map[string]string{"root-namespace": "shop"}},
	}
	for _, c := range load(t) {
		run := golden.Do(c)
		for _, target := range targets {
			target.Backend = "istio"
			result, err := run.Verify(c, backend.New(), target, istio.New)
			if target.Options["root-namespace"] != "" {
				// There a selector catches pods of every namespace, which is reported as an
				// error at the workload that does.
				result.Differences = slices.DeleteFunc(result.Differences, func(d verify.Difference) bool { return d.Effect == report.Denies })
			}
			golden.Explained(t, fmt.Sprintf("%s, %v", c.Name, target), result, err)
		}
	}
}

// idle are the fields that decide nothing that is asked here, and why.
var idle = map[string]string{
	"metadata.annotations.*":               "for people",
	"metadata.labels.*":                    "for people",
	"spec.exportTo":                        "unset means everywhere too",
	"spec.gateways":                        "unset means every sidecar too",
	"spec.http.name":                       "for people",
	"spec.http.retries.attempts":           "how often a call is tried again is not decided",
	"spec.http.match.authority.exact":      "without it any host will do, and a request for another host comes to no route",
	"spec.http.match.queryParams.*.regex":  "its one case has another parameter beside it, and what just misses misses both",
	"spec.http.match.queryParams.*.prefix": "what just misses a prefix begins with it too",
	"spec.tcp.match.port":                  "no case routes the TCP ports of one Service differently",
	"spec.action":                          "unset means ALLOW too",
	"spec.mtls.mode":                       "who proves no identity is allowed by no policy beside it either",
}

// named are the fields below which names stand.
var named = regexp.MustCompile(`(^metadata\.labels|^metadata\.annotations|matchLabels)\..*|(match\.headers|queryParams|\.set|\.add)\.[^.]+`)

// field is a field, whatever the names in it are.
func field(r golden.Removed) string { return named.ReplaceAllString(r.Field, "$1$2.*") }

// What is left out of an object is noticed, of every field that decides anything.
func TestRemovals(t *testing.T) {
	golden.Leaves{Cases: load(t), Backend: "istio", Read: istio.New, Tries: 25}.Account(t, idle, field, 150)
}
