package istio

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
	"github.com/meshknot/meshknot/translators/verify"
)

// few draws true now and then.
func few(t *rapid.T, label string) bool { return rapid.IntRange(0, 3).Draw(t, label) == 0 }

func drawEdit(t *rapid.T, label string, names ...string) *ir.HeaderEdit {
	if !few(t, label) {
		return nil
	}
	e := &ir.HeaderEdit{}
	for _, n := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 3, rapid.ID[string]).Draw(t, "names") {
		value := rapid.SampledFrom([]string{"v", "100%", "%REQ(x)%"}).Draw(t, "value")
		switch how := rapid.IntRange(0, 2).Draw(t, "how"); {
		case how == 0 || n == "host":
			e.Set = append(e.Set, ir.Header{Name: n, Value: value})
		case how == 1:
			e.Add = append(e.Add, ir.Header{Name: n, Value: value})
		default:
			e.Remove = append(e.Remove, n)
		}
	}
	return e
}

func drawPathEdit(t *rapid.T) *ir.PathEdit {
	if rapid.Bool().Draw(t, "path stays") {
		return nil
	}
	return &ir.PathEdit{Prefix: rapid.Bool().Draw(t, "prefix"), Value: rapid.SampledFrom([]string{"/", "/new", "/new/", `/n\1`}).Draw(t, "new path")}
}

// drawMatches draws matches; where a prefix is replaced they have one.
func drawMatches(t *rapid.T, e *ir.PathEdit) []ir.Match {
	all := rapid.SliceOfN(rapid.Custom(drawMatch), 0, 2).Draw(t, "matches")
	if e != nil && e.Prefix {
		all = slices.DeleteFunc(all, func(m ir.Match) bool {
			return slices.Contains([]ir.MatchKind{ir.MatchRegex, ir.MatchContains, ir.MatchSuffix}, m.Path.Kind)
		})
	}
	for i := range all {
		if few(t, "query") {
			q := drawString(t, "parameter", values)
			all[i].Query = []ir.QueryMatch{{Name: rapid.SampledFrom([]string{"p", "q"}).Draw(t, "query name"), Value: q}}
		}
	}
	return all
}

func drawRoute(t *rapid.T) ir.Route {
	r := ir.Route{Name: "r"}
	switch rapid.IntRange(0, 5).Draw(t, "answer") {
	case 0:
		r.Status = rapid.SampledFrom([]int{404, 500}).Draw(t, "status")
		r.Matches = drawMatches(t, nil)
	case 1:
		e := drawPathEdit(t)
		r.Redirect = &ir.Redirect{Path: e, Status: rapid.SampledFrom([]int{301, 302, 307}).Draw(t, "code"),
			Scheme: rapid.SampledFrom([]string{"", "http", "https"}).Draw(t, "scheme"),
			Host:   rapid.SampledFrom([]string{"", "other.example"}).Draw(t, "to host"),
			Port:   rapid.SampledFrom([]int32{0, 80, 443, 8443}).Draw(t, "to port")}
		r.Matches = drawMatches(t, e)
	default:
		drawForward(t, &r)
	}
	if few(t, "everything") {
		r.Matches = append(r.Matches, all())
	}
	return r
}

func drawForward(t *rapid.T, r *ir.Route) {
	var e *ir.PathEdit
	if few(t, "rewrite") {
		e = drawPathEdit(t)
		r.Rewrite = &ir.Rewrite{Path: e, Host: rapid.SampledFrom([]string{"", "inner.example"}).Draw(t, "host")}
	}
	r.Matches = drawMatches(t, e)
	r.RequestHeaders = drawEdit(t, "request", "x-a", "x-b", "host")
	r.ResponseHeaders = drawEdit(t, "response", "x-a", "server", "host")
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"v1", "v2", "reviews"}), 1, 3, rapid.ID[string]).Draw(t, "backends") {
		b := to(name, rapid.SampledFrom([]int32{0, 9080}).Draw(t, "port"), rapid.Uint32Range(0, 5).Draw(t, "weight"))
		if few(t, "missing") {
			b.Invalid = "missing"
		}
		b.RequestHeaders = drawEdit(t, "own request", "x-a", "x-b", "host")
		b.ResponseHeaders = drawEdit(t, "own response", "x-a", "x-b")
		r.Backends = append(r.Backends, b)
	}
	if few(t, "mirror") {
		r.Mirrors = []ir.Mirror{{Backend: to("copies", 9080, 1), Numerator: rapid.Uint32Range(0, 3).Draw(t, "numerator"), Denominator: 3}}
	}
	if few(t, "timeout") {
		times := rapid.SampledFrom([]time.Duration{0, time.Second, 1500 * time.Millisecond, time.Microsecond})
		r.Timeout = &ir.Timeout{Request: times.Draw(t, "request timeout"), Backend: times.Draw(t, "backend timeout")}
	}
}

func drawService(t *rapid.T) ir.Service {
	protocol := rapid.SampledFrom([]ir.Protocol{ir.HTTP, ir.GRPC, ir.TCP}).Draw(t, "protocol")
	routes := rapid.SliceOfN(rapid.Custom(drawRoute), 0, 3)
	s := reviews(9080, protocol, routes.Draw(t, "routes")...)
	p := &s.Ports[0]
	if rapid.Bool().Draw(t, "closed end") {
		p.Routes[len(p.Routes)-1] = ir.Route{Name: "unmatched", Matches: []ir.Match{all()}, Status: 404}
	}
	if few(t, "view") {
		view := routes.Draw(t, "view routes")
		p.Views = []ir.View{{Namespace: "front", Routes: append(view, ir.Route{Name: "unmatched", Matches: []ir.Match{all()}, Status: 404})}}
	}
	return s
}

// placed gives everything that a finding may be about a place of its own, as front
// ends do: what is said of one explains nothing about another.
func placed(p ir.Port) {
	lists := [][]ir.Route{p.Routes}
	for _, v := range p.Views {
		lists = append(lists, v.Routes)
	}
	for i, routes := range lists {
		for j := range routes {
			at := func(format string, args ...any) report.Ref {
				return ref("HTTPRoute", fmt.Sprintf("r%d-%d", i, j), "spec.rules[0]"+fmt.Sprintf(format, args...))
			}
			r := &routes[j]
			r.Ref = at("")
			for k := range r.Matches {
				r.Matches[k].Ref = at(".matches[%d]", k)
			}
			for k := range r.Backends {
				r.Backends[k].Ref = at(".backendRefs[%d]", k)
			}
			for k := range r.Mirrors {
				r.Mirrors[k].Ref = at(".filters[%d]", k)
			}
		}
	}
}

// Requests become what the model makes of them: they go where it sends them, in
// its shares, with its headers, or are answered as it says; or the table says that
// they do not, in a row that the unit makes use of.
func TestSameRoutes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := drawService(rt)
		placed(s.Ports[0])
		u := ir.Unit{Service: &s}
		target := rapid.SampledFrom(targets()).Draw(rt, "target")
		target.Backend = "istio"
		out, pieces := translators.Make([]ir.Unit{u}, New(), target, nil)
		piece := pieces[0]
		made(t, piece.Unit, target)
		requests := semantics.Classes([]ir.Unit{u})
		written, mesh := semantics.New([]ir.Unit{piece.Unit}), reading(t, target, out.Artifacts, piece.Unit)
		said := verify.NewExplainer(out, pieces)
		for _, q := range requests {
			if !sent(q) {
				continue
			}
			want, got := written.Decide(q), mesh.Route(q)
			want.Timeout = shortest(want.Timeout)
			for _, d := range semantics.Differences(q, want, got.Decision, 0.001) {
				one := verify.Difference{Unit: u.Key(), Request: q, Difference: d, By: got.By, Because: want.Because}
				if said.Explain(one).Shown == nil {
					rt.Fatalf("%+v from %v: %v\n%s", q, q.From, d, encode(t, out.Artifacts))
				}
			}
		}
	})
}

// shortest is the one timeout that Istio has, of a millisecond or more.
func shortest(meant ir.Timeout) ir.Timeout {
	var out ir.Timeout
	for _, t := range []time.Duration{meant.Request, meant.Backend} {
		t = max(t, time.Millisecond*min(t, 1))
		if t > 0 && (out.Request == 0 || t < out.Request) {
			out.Request = t
		}
	}
	return out
}
