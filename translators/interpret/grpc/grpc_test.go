package grpc_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/translators"
	back "github.com/meshknot/meshknot/translators/grpc"
	"github.com/meshknot/meshknot/translators/interpret/grpc"
)

func load(t *testing.T) []golden.Case {
	t.Helper()
	cases, err := golden.Load("../../../test/cases")
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// What is made of every case decides as the policy does, or a table says how not.
func TestCases(t *testing.T) {
	asked := 0
	for _, c := range load(t) {
		result, err := golden.Verify(c, "grpc", grpc.New)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		asked += result.Asked
		for _, d := range result.Differences {
			if d.Shown == nil {
				t.Errorf("%s: %s: %s %s by %v", c.Name, d.Unit, d.Request, d.Difference, d.By)
			}
		}
	}
	t.Logf("%d questions", asked)
	if asked < 25_000 {
		t.Errorf("only %d questions were asked", asked)
	}
}

// Every row that is said to show itself does, in the case that proves it.
func TestClaimsShow(t *testing.T) {
	cases := map[string]golden.Case{}
	for _, c := range load(t) {
		cases[c.Name] = c
	}
	for _, row := range back.New().Supports(translators.Target{Backend: "grpc"}) {
		for _, s := range row.Shows {
			result, err := golden.Verify(cases[row.Case], "grpc", grpc.New)
			if err != nil {
				t.Fatal(err)
			}
			shows := false
			for _, d := range result.Differences {
				shows = shows || d.Shown != nil && d.Shown.Feature == s.Feature && slices.Equal(d.Shown.When, s.When) && d.Shown.Effect == s.Effect && d.Shown.On == s.On
			}
			if !shows {
				t.Errorf("%s %v never shows %s on %q in %s", s.Feature, s.When, s.Effect, s.On, row.Case)
			}
		}
	}
}

// idle are the fields without which the same is decided, by the end of their
// path, or by a part of it that ends in a dot, and why.
var idle = map[string]string{
	"lbEndpoints.healthStatus":                      "which addresses there are is no policy",
	"maxStreamDuration.maxStreamDuration":           "the row about timeouts explains every time; TestRoutes holds it",
	"circuitBreakers.thresholds.maxConnections":     "gRPC reads nothing of it",
	"circuitBreakers.thresholds.maxPendingRequests": "gRPC reads nothing of it",
	"circuitBreakers.thresholds.maxRequests":        "load is no matter of a single call",
	"circuitBreakers.thresholds.maxRetries":         "gRPC reads nothing of it",
	"commonLbConfig.healthyPanicThreshold":          "gRPC reads nothing of it",
	"connectTimeout":                                "gRPC reads nothing of it",
	"resourceApiVersion":                            "the stream has one version",
	"trafficDirection":                              "gRPC reads nothing of it",
	"routes.name":                                   "a name",
	"routeConfig.name":                              "a name",
	"filterChains.name":                             "a name",
}

// Whatever else is left out is noticed.
func TestRemovals(t *testing.T) {
	noticed, tried, err := golden.Noticed(load(t), "grpc", grpc.New, 12, 1)
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	total := 0
	for f, n := range tried {
		total += n
		field, why := reason(f)
		used[field] = true
		switch {
		case why == "" && noticed[f] == 0:
			t.Errorf("%s %s: left out %d times, and nobody noticed", f.Of, f.Field, n)
		case why != "" && noticed[f] > 0:
			t.Errorf("%s %s decides something, though %s", f.Of, f.Field, why)
		}
	}
	for field := range idle {
		if !used[field] {
			t.Errorf("there is no field %s", field)
		}
	}
	if total < 150 {
		t.Errorf("only %d leaves were left out", total)
	}
	t.Logf("%d leaves of %d fields were left out, %d fields were noticed", total, len(tried), len(noticed))
}

// reason finds a field in the table: the longest entry that is the end of its
// path, or that ends in a dot and is a part of it.
func reason(f golden.Removed) (field, why string) {
	path := f.Of[strings.LastIndexByte(f.Of, '.')+1:] + "." + f.Field
	for end, because := range idle {
		if len(end) > len(field) && (strings.HasSuffix(path, "."+end) || strings.HasPrefix(path, end) && strings.HasSuffix(end, ".") || strings.HasSuffix(end, ".") && strings.Contains(path, "."+end)) {
			field, why = end, because
		}
	}
	return field, why
}
