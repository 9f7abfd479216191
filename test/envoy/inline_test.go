package envoy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	httprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/interpret/envoy"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/xds"
)

// common are the headers of requests that people and proxies send, and those that
// Envoy has fields of its own for.
var common = []string{
	"accept", "accept-charset", "accept-encoding", "accept-language", "access-control-request-headers", "access-control-request-method",
	"authorization", "cache-control", "client-trace-id", "content-disposition", "content-encoding", "content-language", "content-location",
	"content-md5", "content-type", "cookie", "date", "dnt", "etag", "expect", "forwarded", "from", "grpc-accept-encoding", "grpc-timeout",
	"if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "max-forwards", "origin", "pragma", "priority",
	"proxy-authorization", "proxy-status", "range", "referer", "sec-fetch-mode", "sec-fetch-site", "te", "tracestate", "traceparent", "user-agent",
	"vary", "via", "warning", "x-a", "x-api-key", "x-b3-traceid", "x-client-trace-id", "x-correlation-id", "x-csrf-token",
	"x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-forwarded-client-cert", "x-original-url", "x-ot-span-context", "x-real-ip",
	"x-request-id", "x-requested-with", "x-squash-debug", "x-user", "x-version",
	"x-envoy-attempt-count", "x-envoy-decorator-operation", "x-envoy-downstream-service-cluster", "x-envoy-downstream-service-node",
	"x-envoy-expected-rq-timeout-ms", "x-envoy-external-address", "x-envoy-force-trace", "x-envoy-hedge-on-per-try-timeout",
	"x-envoy-internal", "x-envoy-ip-tags", "x-envoy-is-timeout-retry", "x-envoy-max-retries", "x-envoy-original-host", "x-envoy-original-path", "x-envoy-retry-on",
	"x-envoy-retry-grpc-on", "x-envoy-retriable-header-names", "x-envoy-retriable-status-codes", "x-envoy-upstream-alt-stat-name",
	"x-envoy-upstream-rq-per-try-timeout-ms", "x-envoy-upstream-rq-timeout-alt-response", "x-envoy-upstream-rq-timeout-ms", "x-envoy-upstream-stream-duration-ms",
}

// taken are those of which no condition can be asked of Envoy: it takes them out of
// requests, or answers requests that have them by itself.
var taken = []string{
	"te", "expect", "x-forwarded-client-cert", "x-envoy-expected-rq-timeout-ms", "x-envoy-force-trace", "x-envoy-hedge-on-per-try-timeout",
	"x-envoy-internal", "x-envoy-ip-tags", "x-envoy-max-retries", "x-envoy-retry-on", "x-envoy-retry-grpc-on", "x-envoy-retriable-header-names",
	"x-envoy-retriable-status-codes", "x-envoy-upstream-alt-stat-name", "x-envoy-upstream-rq-per-try-timeout-ms",
	"x-envoy-upstream-rq-timeout-alt-response", "x-envoy-upstream-rq-timeout-ms", "x-envoy-upstream-stream-duration-ms",
}

// TestInlineHeaders sends two lines of each common header: Envoy either compares
// each of them, or both joined by a comma. Translator and interpreter must know
// which. The rules are written without the translator, which bars commas.
func TestInlineHeaders(t *testing.T) {
	g := newGuarded(t)
	process := app(t, "app")
	var ports []ir.WorkloadPort
	var grants []ir.Grant
	at := map[string]int32{}
	for i, name := range common {
		for j, v := range []string{"1", "2", "1,2"} {
			port := int32(9000 + 3*i + j)
			at[name+"="+v] = g.place(port, process)
			ports = append(ports, ir.WorkloadPort{Number: port, Protocol: ir.HTTP})
			grants = append(grants, grant(fmt.Sprint("g", port), []int32{port}, web, withHeader(match(anyPath), name, exact(v))))
		}
	}
	g.serve(ir.Workload{Ports: ports, Grants: grants}, unbarred)
	g.proxy(reviews)
	for _, name := range common {
		said := func(v string, lines ...string) int {
			status, _ := ask(t, at[name+"="+v], g.web, "GET /\n"+name+": "+strings.Join(lines, "\n"+name+": "))
			return status
		}
		inline := feature.InlineHeader(name)
		if inline != envoy.Inline(name) {
			t.Errorf("%s: translator and interpreter disagree", name)
		}
		if alone := said("1", "1"); slices.Contains(taken, name) != (alone != 200) {
			t.Errorf("%s: one line is answered with status %d", name, alone)
		}
		if slices.Contains(taken, name) {
			continue
		}
		each, joined := map[bool]int{true: 403, false: 200}[inline], map[bool]int{true: 200, false: 403}[inline]
		got := []int{said("1", "1", "2"), said("2", "1", "2"), said("1,2", "1", "2")}
		if want := []int{each, each, joined}; !slices.Equal(got, want) {
			t.Errorf("%s: the first line, the second and both joined are answered with %v, want %v", name, got, want)
		}
	}
}

// unbarred takes out of rules what bars commas.
func unbarred(a *translators.Artifact) {
	l, ok := a.Payload.(*listenerv3.Listener)
	if !ok {
		return
	}
	for _, c := range l.GetFilterChains() {
		for _, f := range c.GetFilters() {
			m := &hcmv3.HttpConnectionManager{}
			if f.GetTypedConfig().UnmarshalTo(m) != nil {
				continue
			}
			for _, h := range m.GetHttpFilters() {
				r := &httprbacv3.RBAC{}
				if h.GetTypedConfig().UnmarshalTo(r) != nil {
					continue
				}
				for _, p := range r.GetRules().GetPolicies() {
					for _, one := range p.GetPermissions() {
						if all := one.GetAndRules(); all != nil {
							all.Rules = slices.DeleteFunc(all.GetRules(), func(p *rbacv3.Permission) bool { return p.GetNotRule() != nil })
						}
					}
				}
				h.ConfigType = &hcmv3.HttpFilter_TypedConfig{TypedConfig: xds.Any(r)}
			}
			f.ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: xds.Any(m)}
		}
	}
}
