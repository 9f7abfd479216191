package grpc_test

import (
	"testing"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/translators/interpret/grpc"
)

func load(t *testing.T) []golden.Case {
	t.Helper()
	return golden.Cases(t, "../../../test/cases")
}

// What is made of every case decides as the policy does, or a table says how not.
func TestCases(t *testing.T) {
	asked := 0
	for _, c := range load(t) {
		result, err := golden.Verify(c, "grpc", grpc.New)
		asked += golden.Explained(t, c.Name, result, err)
	}
	t.Logf("%d questions", asked)
	if asked < 25_000 {
		t.Errorf("only %d questions were asked", asked)
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
	golden.Leaves{Cases: load(t), Backend: "grpc", Read: grpc.New, Tries: 12}.Account(t, idle, golden.ByEnd(idle), 150)
}
