package envoy_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/translators/interpret/envoy"
	"github.com/meshknot/meshknot/translators/ir"
)

func load(t *testing.T) []golden.Case {
	t.Helper()
	return golden.Cases(t, "../../../test/cases")
}

// placed says where proxies listen for the calls of a case: at an address of its
// own for each port of a Service, and for each port of a workload. Many cases know
// no cluster address, and then nobody can say which listener is called.
func placed(c golden.Case) golden.Case {
	said := maps.Clone(c.Options["envoy"])
	if said == nil {
		said = map[string]string{}
	}
	c.Options = maps.Clone(c.Options)
	c.Options["envoy"] = said
	next := 0
	place := func() string { next++; return fmt.Sprintf("127.0.%d.%d:8000", next/200, next%200+1) }
	for _, u := range golden.Do(c).Units {
		switch {
		case u.Service != nil && !u.Service.Headless:
			for _, p := range u.Service.Ports {
				key := fmt.Sprintf("listen.%s/%s", u.Service.Namespace, u.Service.Name)
				if p.Number != ir.AnyPort {
					key += fmt.Sprintf(":%d", p.Number)
				}
				said[key] = place()
			}
		case u.Workload != nil:
			for _, n := range append(workloadPorts(*u.Workload), 1) { // 1 is what nobody names
				said[fmt.Sprintf("inbound.%s/%s:%d", u.Workload.Namespace, u.Workload.Account, n)] = place() + "," + place()
			}
		}
	}
	return c
}

func workloadPorts(w ir.Workload) []int32 {
	var out []int32
	for _, p := range w.Ports {
		out = append(out, p.Number)
	}
	for _, p := range w.Probes {
		out = append(out, p.Port)
	}
	for _, g := range w.Grants {
		for _, p := range g.Ports {
			out = append(out, p.Number)
		}
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(n int32) bool { return n == ir.AnyPort })
}

// What is made of every case decides as the policy does, or a table says how not;
// with redirection and with places to listen.
func TestCases(t *testing.T) {
	asked := 0
	for _, c := range load(t) {
		for _, c := range []golden.Case{c, placed(c)} {
			result, err := golden.Verify(c, "envoy", envoy.New)
			asked += golden.Explained(t, c.Name, result, err)
		}
	}
	t.Logf("%d questions", asked)
	if asked < 50_000 {
		t.Errorf("only %d questions were asked", asked)
	}
}

// idle are the fields without which the same is decided, by the end of their
// path, or by a part of it that ends in a dot, and why.
var idle = map[string]string{
	"endpoints.locality":                            "which addresses there are is no policy",
	"endpoints.loadBalancingWeight":                 "which addresses there are is no policy",
	"lbEndpoints.healthStatus":                      "which addresses there are is no policy",
	"circuitBreakers.thresholds.maxConnections":     "load is no matter of a single request",
	"circuitBreakers.thresholds.maxPendingRequests": "load is no matter of a single request",
	"circuitBreakers.thresholds.maxRequests":        "load is no matter of a single request",
	"circuitBreakers.thresholds.maxRetries":         "load is no matter of a single request",
	"commonLbConfig.healthyPanicThreshold":          "health is no matter of a single request",
	"connectTimeout":                                "it is about servers that do not answer",
	"listenerFiltersTimeout":                        "it is about callers that say nothing",
	"continueOnListenerFiltersTimeout":              "it is about callers that say nothing",
	"typedExtensionProtocolOptions.":                "which version of HTTP is spoken is not asked",
	"upgradeConfigs.upgradeType":                    "nobody asks for a websocket",
	"requestTimeout":                                "off is the default",
	"requestHeadersTimeout":                         "off is the default",
	"streamIdleTimeout":                             "the route says it too",
	"idleTimeout":                                   "the manager says it too, and a connection's is not asked",
	"retryPolicy.numRetries":                        "nothing is sent again unless it is said when",
	"pathWithEscapedSlashesAction":                  "to keep them is the default",
	"serverHeaderTransformation":                    "it is about a header of answers that no policy names",
	"forwardClientCertDetails":                      "it is what the process hears of the caller",
	"setCurrentClientCertDetails.uri":               "it is what the process hears of the caller",
	"useRemoteAddress":                              "it is about headers that proxies write",
	"internalAddressConfig.cidrRanges.prefixLen":    "it is about headers that proxies write",
	"generateRequestId":                             "it is about a header that proxies write",
	"suppressEnvoyHeaders":                          "it is about headers that proxies write",
	"disableShadowHostSuffixAppend":                 "what a copy says is not asked",
	"resourceApiVersion":                            "the stream has one version",
	"validateClusters":                              "the clusters are there",
	"trafficDirection":                              "it is for statistics",
	"routes.name":                                   "a name",
	"routeConfig.name":                              "a name",
	"filterChains.name":                             "a name",
	"defaultFilterChain.name":                       "a name",
	"filterChains.filterChainMatch":                 "it is empty",
	"headers.presentMatch":                          "to be there is what a name alone asks for",
	"header.presentMatch":                           "to be there is what a name alone asks for",
	"filterChains.transportSocket.typedConfig.commonTlsContext.alpnProtocols":              "callers take any",
	"filterChainMatch.applicationProtocols":                                                "nobody calls with TLS of the application's own",
	"filterChains.filters.typedConfig.rules":                                               "what these rules close leads nowhere anyway",
	"defaultFilterChain.filters.typedConfig.rules":                                         "what these rules close leads nowhere anyway",
	"defaultFilterChain.filters.typedConfig.normalizePath":                                 "who comes here has no certificate, and no grant holds",
	"defaultFilterChain.filters.typedConfig.mergeSlashes":                                  "who comes here has no certificate, and no grant holds",
	"defaultFilterChain.filters.typedConfig.routeConfig.virtualHosts.routes.route.timeout": "who comes here has no certificate, and no grant holds",
}

// Whatever else is left out is noticed.
func TestRemovals(t *testing.T) {
	var cases []golden.Case
	for _, c := range load(t) {
		cases = append(cases, placed(c), c)
	}
	golden.Leaves{Cases: cases, Backend: "envoy", Read: envoy.New, Tries: 12}.Account(t, idle, golden.ByEnd(idle), 150)
}
