package istio

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

const toV1 = `retries: {attempts: 0}, route: [{destination: {host: v1.shop.svc.cluster.local, port: {number: 9080}}}]`

func segments(value string) ir.Match { return path(ir.MatchSegments, value) }

func prefixEdit(value string) *ir.PathEdit { return &ir.PathEdit{Prefix: true, Value: value} }

func TestFilters(t *testing.T) {
	to1 := func(change func(*ir.Route), matches ...ir.Match) ir.Route {
		r := route("r", matches, to("v1", 9080, 1))
		change(&r)
		return r
	}
	answer := func(change func(*ir.Route), matches ...ir.Match) ir.Route {
		r := to1(change, matches...)
		r.Backends = nil
		return r
	}
	rewrite := func(w ir.Rewrite) func(*ir.Route) { return func(r *ir.Route) { r.Rewrite = &w } }
	redirect := func(d ir.Redirect) func(*ir.Route) { return func(r *ir.Route) { d.Status, r.Redirect = 302, &d } }
	query := all()
	query.Query = []ir.QueryMatch{{Name: "a", Value: ir.StringMatch{Kind: ir.MatchExact, Value: "1"}},
		{Name: "b", Value: ir.StringMatch{Kind: ir.MatchPrefix, Value: "x"}}, {Name: "c", Value: ir.StringMatch{Kind: ir.MatchRegex, Value: "[0-9]+"}},
		{Name: "d", Value: ir.StringMatch{Kind: ir.MatchAny}}}
	tests := []struct {
		name  string
		route ir.Route
		want  string // of spec.http, without the last route
	}{
		{"path segments", to1(func(*ir.Route) {}, segments("/v2")),
			`[{name: r, match: [{port: 9080, uri: {exact: /v2}}, {port: 9080, uri: {prefix: /v2/}}], ` + toV1 + `}]`},
		{"query parameters", to1(func(*ir.Route) {}, query),
			`[{name: r, match: [{port: 9080, queryParams: {a: {exact: "1"}, b: {prefix: x}, c: {regex: "[0-9]+"}, d: {}}}], ` + toV1 + `}]`},
		{"status", answer(func(r *ir.Route) { r.Status = 404 }, segments("/v2")),
			`[{name: r, match: [{port: 9080, uri: {exact: /v2}}, {port: 9080, uri: {prefix: /v2/}}], directResponse: {status: 404}}]`},
		{"prefix rewritten", to1(rewrite(ir.Rewrite{Path: prefixEdit("/new/")}), segments("/v2"), method("PUT")),
			`[{name: r, match: [{port: 9080, uri: {exact: /v2}}], rewrite: {uri: /new}, ` + toV1 + `},
			  {name: r, match: [{port: 9080, uri: {prefix: /v2/}}], rewrite: {uri: /new/}, ` + toV1 + `},
			  {name: r, match: [{port: 9080, uri: {prefix: /}, method: {exact: PUT}}], rewrite: {uri: /new/}, ` + toV1 + `}]`},
		{"prefix removed", to1(rewrite(ir.Rewrite{Path: prefixEdit("/")}), segments("/v2"), method("PUT")),
			`[{name: r, match: [{port: 9080, uri: {exact: /v2}}], rewrite: {uri: /}, ` + toV1 + `},
			  {name: r, match: [{port: 9080, uri: {prefix: /v2/}}], rewrite: {uri: /}, ` + toV1 + `},
			  {name: r, match: [{port: 9080, method: {exact: PUT}}], ` + toV1 + `}]`},
		{"what a string-wise prefix and an exact path leave", to1(rewrite(ir.Rewrite{Path: prefixEdit("/n")}), path(ir.MatchPrefix, "/a"), path(ir.MatchExact, "/b")),
			`[{name: r, match: [{port: 9080, uri: {prefix: /a}}], rewrite: {uri: /n/a}, ` + toV1 + `},
			  {name: r, match: [{port: 9080, uri: {exact: /b}}], rewrite: {uri: /n/b}, ` + toV1 + `}]`},
		{"whole path and host rewritten", to1(rewrite(ir.Rewrite{Path: &ir.PathEdit{Value: `/n\1`}, Host: "h"}), segments("/v2")),
			`[{name: r, match: [{port: 9080, uri: {exact: /v2}}, {port: 9080, uri: {prefix: /v2/}}],
			  rewrite: {authority: h, uriRegexRewrite: {match: "/.*", rewrite: '/n\\1'}}, ` + toV1 + `}]`},
		{"whole path that is known", to1(rewrite(ir.Rewrite{Path: &ir.PathEdit{Value: "/n"}}), path(ir.MatchExact, "/a"), path(ir.MatchExact, "/b")),
			`[{name: r, match: [{port: 9080, uri: {exact: /a}}, {port: 9080, uri: {exact: /b}}], rewrite: {uri: /n}, ` + toV1 + `}]`},
		{"redirect: nothing changes", answer(redirect(ir.Redirect{}), method("GET")),
			`[{name: r, match: [{port: 9080, method: {exact: GET}}], redirect: {redirectCode: 302, derivePort: FROM_REQUEST_PORT}}]`},
		{"redirect: scheme", answer(redirect(ir.Redirect{Scheme: "https"}), method("GET")),
			`[{name: r, match: [{port: 9080, method: {exact: GET}}], redirect: {redirectCode: 302, scheme: https, derivePort: FROM_PROTOCOL_DEFAULT}}]`},
		{"redirect: host, port and path", answer(redirect(ir.Redirect{Host: "h", Port: 8443, Scheme: "https", Path: &ir.PathEdit{Value: "/n"}}), segments("/v2")),
			`[{name: r, match: [{port: 9080, uri: {exact: /v2}}, {port: 9080, uri: {prefix: /v2/}}],
			  redirect: {redirectCode: 302, scheme: https, authority: h, port: 8443, uri: /n}}]`},
		{"redirect: prefix", answer(redirect(ir.Redirect{Path: prefixEdit("/n")}), segments("/v2")),
			`[{name: r, match: [{port: 9080, uri: {exact: /v2}}], redirect: {redirectCode: 302, derivePort: FROM_REQUEST_PORT, uri: /n}},
			  {name: r, match: [{port: 9080, uri: {prefix: /v2/}}], redirect: {redirectCode: 302, derivePort: FROM_REQUEST_PORT, prefixRewrite: /n/}}]`},
		{"redirect: a header of the answer", answer(func(r *ir.Route) {
			redirect(ir.Redirect{})(r)
			r.RequestHeaders, r.ResponseHeaders = &ir.HeaderEdit{Remove: []string{"a"}}, &ir.HeaderEdit{Remove: []string{"b"}}
		}, method("GET")),
			`[{name: r, match: [{port: 9080, method: {exact: GET}}], headers: {response: {remove: [b]}},
			  redirect: {redirectCode: 302, derivePort: FROM_REQUEST_PORT}}]`},
		{"mirrors", to1(func(r *ir.Route) {
			gone := missing("gone", 1)
			r.Mirrors = []ir.Mirror{{Backend: to("m1", 0, 0), Numerator: 1, Denominator: 1}, {Backend: to("m2", 81, 0), Numerator: 1, Denominator: 8},
				{Backend: to("m3", 81, 0), Denominator: 1}, {Backend: gone, Numerator: 1, Denominator: 1}}
		}, method("GET")),
			`[{name: r, match: [{port: 9080, method: {exact: GET}}], mirrors: [
			  {destination: {host: m1.shop.svc.cluster.local, port: {number: 9080}}},
			  {destination: {host: m2.shop.svc.cluster.local, port: {number: 81}}, percentage: {value: 12.5}}], ` + toV1 + `}]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := reviews(9080, ir.HTTP, tt.route)
			out, found := made(t, ir.Unit{Service: &s}, translators.Target{})
			if len(out) != 1 || len(found) > 0 {
				t.Fatalf("%d artifacts, findings %v", len(out), found)
			}
			http := specs(out, "VirtualService")[0].(object)["http"].([]any)
			same(t, http[:len(http)-1], tt.want)
			same(t, http[len(http)-1], last)
			readable(t, out[0].Payload.(object)["spec"])
		})
	}
}

func edits(set, add, remove string) *ir.HeaderEdit {
	read := func(s string) (out []ir.Header) {
		for _, f := range strings.Fields(s) {
			name, value, _ := strings.Cut(f, "=")
			out = append(out, ir.Header{Name: name, Value: value})
		}
		return out
	}
	return &ir.HeaderEdit{Set: read(set), Add: read(add), Remove: strings.Fields(remove)}
}

// What a backend edits comes after what the route edits, though Envoy does it
// the other way round.
func TestHeaders(t *testing.T) {
	tests := []struct {
		name        string
		first, then *ir.HeaderEdit
		want        string
		joined      bool
	}{
		{"nothing", nil, nil, `{}`, false},
		{"an edit", edits("a=1", "b=100%", "c"), nil, `{request: {set: {a: "1"}, add: {b: "100%%"}, remove: [c]}}`, false},
		{"what is no header here", edits("host=h :path=p", "host=h", "host :x"), nil, `{}`, false},
		{"set after all", edits("a=1", "b=1", "c"), edits("a=2 b=2 c=2", "", ""), `{request: {set: {a: "2", b: "2", c: "2"}, remove: [c]}}`, false},
		{"add after all", edits("a=1", "b=1", "c"), edits("", "a=2 b=2 c=2", ""), `{request: {set: {a: "1"}, add: {a: "2", b: "1,2", c: "2"}, remove: [c]}}`, true},
		{"remove after all", edits("a=1", "b=1", "c"), edits("", "", "a b c"), `{request: {remove: [a, b, c]}}`, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, joined := headers(tt.first, tt.then, nil, nil)
			if same(t, got, tt.want); joined != tt.joined {
				t.Errorf("joined %v", joined)
			}
			got, _ = headers(nil, nil, tt.first, tt.then)
			same(t, got, strings.Replace(tt.want, "request", "response", 1))
		})
	}
}

// Edits stand on the route, and on every destination where one has its own.
func TestHeadersPlace(t *testing.T) {
	r := route("r", []ir.Match{all()}, to("v1", 9080, 1), to("v2", 9080, 1))
	r.RequestHeaders = edits("a=1 host=h", "", "")
	got := func() object {
		s := reviews(9080, ir.HTTP, r)
		out, _ := made(t, ir.Unit{Service: &s}, translators.Target{})
		return list(specs(out, "VirtualService")[0].(object), "http")[0]
	}
	o := got()
	same(t, o["headers"], `{request: {set: {a: "1"}}}`)
	same(t, o["rewrite"], `{authority: h}`)
	r.Backends[1].ResponseHeaders = edits("", "", "b")
	o = got()
	same(t, o["headers"], `null`)
	same(t, list(o, "route")[0]["headers"], `{request: {set: {a: "1"}}}`)
	same(t, list(o, "route")[1]["headers"], `{request: {set: {a: "1"}}, response: {remove: [b]}}`)
}

func TestTimeout(t *testing.T) {
	ms := time.Millisecond
	tests := []struct {
		request, backend time.Duration
		want             any
	}{
		{0, 0, nil}, {time.Second, 0, "1s"}, {0, 1500 * ms, "1.5s"}, {2 * time.Second, 150 * ms, "0.15s"},
		{time.Second, 2 * time.Second, "1s"}, {1, 0, "0.001s"}, {ms + 1, 0, "0.002s"}, {90 * time.Minute, 0, "5400s"},
	}
	for _, tt := range tests {
		r := route("r", []ir.Match{method("GET")}, to("v1", 9080, 1))
		r.Timeout = &ir.Timeout{Request: tt.request, Backend: tt.backend}
		s := reviews(9080, ir.HTTP, r)
		out, _ := made(t, ir.Unit{Service: &s}, translators.Target{})
		if got := list(specs(out, "VirtualService")[0].(object), "http")[0]["timeout"]; got != tt.want {
			t.Errorf("%v and %v became %v, want %v", tt.request, tt.backend, got, tt.want)
		}
	}
}

// Routes of a view stand before those of everybody and end in one for everything.
func TestView(t *testing.T) {
	s := reviews(9080, ir.HTTP)
	s.Ports[0].Views = []ir.View{{Namespace: "front", Routes: []ir.Route{route("mine", []ir.Match{segments("/v2")}, to("v1", 9080, 1))}}}
	out, _ := made(t, ir.Unit{Service: &s}, translators.Target{})
	spec := specs(out, "VirtualService")[0].(object)
	same(t, spec["http"], `[
	  {name: mine, match: [{port: 9080, sourceNamespace: front, uri: {exact: /v2}}, {port: 9080, sourceNamespace: front, uri: {prefix: /v2/}}], `+toV1+`},
	  {name: unmatched, match: [{port: 9080, sourceNamespace: front}], directResponse: {status: 404}}, `+last+`]`)

	s.Ports[0].Number = ir.AnyPort
	s.Ports[0].Views[0].Routes[0].Matches = []ir.Match{all()}
	s.Ports[0].Views[0].Routes[0].Backends[0].Port = ir.AnyPort
	out, _ = made(t, ir.Unit{Service: &s}, translators.Target{})
	same(t, list(specs(out, "VirtualService")[0].(object), "http")[0], `{name: mine, match: [{sourceNamespace: front}], retries: {attempts: 0},
	  route: [{destination: {host: v1.shop.svc.cluster.local}}]}`)
}

// A connection that is to go nowhere is sent to where nobody is, also for the
// callers of one namespace.
func TestTCPView(t *testing.T) {
	s := reviews(6379, ir.TCP)
	s.Ports[0].Views = []ir.View{{Namespace: "front", Routes: []ir.Route{{Name: "unmatched", Matches: []ir.Match{all()}, Status: 404}}}}
	out, _ := made(t, ir.Unit{Service: &s}, translators.Target{})
	same(t, specs(out, "VirtualService")[0].(object)["tcp"], `[
	  {match: [{port: 6379, sourceNamespace: front}], route: [{destination: {host: missing-backend.meshknot.invalid}}]},
	  {match: [{port: 6379}], route: [{destination: {host: reviews.shop.svc.cluster.local, port: {number: 6379}}}]}]`)
}

// What Istio would read as something else is left out and said.
func TestUnsayableMatches(t *testing.T) {
	twice, long := all(), all()
	twice.Query = []ir.QueryMatch{{Name: "a", Value: ir.StringMatch{Kind: ir.MatchExact, Value: "1"}}, {Name: "a", Value: ir.StringMatch{Kind: ir.MatchRegex, Value: ".*1"}}}
	long.Query = []ir.QueryMatch{{Name: "a", Value: ir.StringMatch{Kind: ir.MatchRegex, Value: strings.Repeat("a", maxRegex+1)}}}
	hosts, lines := header("host", ir.MatchExact, "x"), header("x-a", ir.MatchExact, "x")
	hosts.Headers = append(hosts.Headers, ir.HeaderMatch{Name: "host", Value: ir.StringMatch{Kind: ir.MatchAny}})
	lines.Headers = append(lines.Headers, ir.HeaderMatch{Name: "x-a", Value: ir.StringMatch{Kind: ir.MatchAny}})
	for _, m := range []ir.Match{header("authority", ir.MatchExact, "x"), twice, long, hosts, lines} {
		s := reviews(9080, ir.HTTP, route("r", []ir.Match{m}, to("v1", 9080, 1)))
		out, found := made(t, ir.Unit{Service: &s}, translators.Target{})
		if got := codes(found); !slices.Equal(got, []report.Code{report.Lossy}) {
			t.Errorf("findings %v", found)
		}
		same(t, specs(out, "VirtualService")[0].(object)["http"], `[`+last+`]`)
	}
	r := route("r", []ir.Match{path(ir.MatchRegex, "/a+")}, to("v1", 9080, 1))
	r.Rewrite = &ir.Rewrite{Path: prefixEdit("/n")}
	s := reviews(9080, ir.HTTP, r)
	if _, found := made(t, ir.Unit{Service: &s}, translators.Target{}); !slices.Equal(codes(found), []report.Code{report.Lossy}) {
		t.Errorf("findings %v", found)
	}
}
