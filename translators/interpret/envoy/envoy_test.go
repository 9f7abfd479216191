package envoy_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/translators"
	back "github.com/meshknot/meshknot/translators/envoy"
	"github.com/meshknot/meshknot/translators/interpret/envoy"
	"github.com/meshknot/meshknot/translators/ir"
)

func load(t *testing.T) []golden.Case {
	t.Helper()
	cases, err := golden.Load("../../../test/cases")
	if err != nil {
		t.Fatal(err)
	}
	return cases
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
		asked += check(t, c)
		asked += check(t, placed(c))
	}
	t.Logf("%d questions", asked)
	if asked < 50_000 {
		t.Errorf("only %d questions were asked", asked)
	}
}

func check(t *testing.T, c golden.Case) int {
	t.Helper()
	result, err := golden.Verify(c, "envoy", envoy.New)
	if err != nil {
		t.Errorf("%s: %v", c.Name, err)
	}
	for _, d := range result.Differences {
		if d.Shown == nil {
			t.Errorf("%s: %s: %s %s by %v", c.Name, d.Unit, d.Request, d.Difference, d.By)
		}
	}
	return result.Asked
}

// Every row that is said to show itself does, in the case that proves it.
func TestClaimsShow(t *testing.T) {
	cases := map[string]golden.Case{}
	for _, c := range load(t) {
		cases[c.Name] = c
	}
	for _, row := range back.New().Supports(translators.Target{Backend: "envoy"}) {
		for _, s := range row.Shows {
			result, err := golden.Verify(placed(cases[row.Case]), "envoy", envoy.New)
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
	noticed, tried, err := golden.Noticed(cases, "envoy", envoy.New, 12, 1)
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
