package istio

import (
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
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
		r.Mirrors = []ir.Mirror{{Backend: to("copies", 0, 1), Numerator: rapid.Uint32Range(0, 3).Draw(t, "numerator"), Denominator: 3}}
	}
	if few(t, "timeout") {
		times := rapid.SampledFrom([]time.Duration{0, time.Second, 1500 * time.Millisecond, time.Microsecond})
		r.Timeout = &ir.Timeout{Request: times.Draw(t, "request timeout"), Backend: times.Draw(t, "backend timeout")}
	}
}

func drawService(t *rapid.T) (ir.Service, ir.Protocol) {
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
	return s, protocol
}

// Requests become what the model makes of them: they go where it sends them, in
// its shares, with its headers, or are answered as it says. Slashes that Istio
// does not merge are left out, and so is what the tables or findings call lost.
func TestSameRoutes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s, protocol := drawService(rt)
		u := ir.Unit{Service: &s}
		target := rapid.SampledFrom(targets()).Draw(rt, "target")
		v := feature.Check(u, "istio", New().Supports(target), nil)
		out, found := made(t, v.Unit, target)
		if slices.ContainsFunc(found, func(f report.Finding) bool { return strings.Contains(f.Message, "comma") }) {
			return // two lines of a header became one
		}
		written, judge := semantics.New([]ir.Unit{v.Unit}), judgeOf(out)
		for _, q := range semantics.Classes([]ir.Unit{u}) {
			if strings.Contains(base(q.Path), "//") || !sent(q) {
				continue
			}
			q.Headers = maps.Clone(q.Headers)
			if q.Headers == nil {
				q.Headers = map[string][]string{}
			}
			got := judge.route(q, protocol.IsHTTP())
			if got == nil { // Istio's own route to the Service
				own := object{"route": []any{object{"destination": object{"host": "reviews.shop.svc.cluster.local"}}}}
				if got = connected(own, q); !q.Raw {
					got = taken(own, object{}, q)
				}
			}
			if want := modelled(written.Decide(q), q); !alike(*got, want) {
				rt.Fatalf("%+v from %v:\nmade  %+v\nmodel %+v\n%s", q, q.From, *got, want, encode(t, judge.objects))
			}
		}
	})
}

// modelled is a decision of the model in the words of the judge.
func modelled(d semantics.Decision, q semantics.Request) outcome {
	out := outcome{Status: d.Status, Location: d.Location, Path: d.Sent.Path, Host: d.Sent.Host}
	name := func(s semantics.Share) string { return meshOf(translators.Target{}).host(s.Service) + ":9080" }
	if q.Raw {
		return connection(d, name)
	}
	if d.Verdict == semantics.Deny { // nothing of what was left matches
		return outcome{Status: 404}
	}
	if d.Status != 0 {
		return out
	}
	out.Shares, out.Mirrors = map[string]share{}, map[string]float64{}
	for _, s := range d.Shares {
		one := share{s.Percent, afterwards(d.Sent.Headers, s.Request), afterwards(afterwards(answered(), d.Sent.Response), s.Response)}
		delete(one.Request, "host")
		if s.Invalid != "" {
			out.Shares["500"] = share{Percent: out.Shares["500"].Percent + s.Percent}
			continue
		}
		out.Shares[name(s)] = one
	}
	if len(out.Shares) == 1 && out.Shares["500"].Percent > 0 { // nobody is asked
		return outcome{Status: 500}
	}
	for _, m := range d.Mirrors {
		out.Mirrors[name(m)] = m.Percent
	}
	for _, t := range []time.Duration{d.Timeout.Request, d.Timeout.Backend} {
		t = max(t, time.Millisecond*min(t, 1)) // Istio's shortest
		if t > 0 && (out.Timeout == 0 || t < out.Timeout) {
			out.Timeout = t
		}
	}
	return out
}

// connection is a decision where no request is made: what fails is closed.
func connection(d semantics.Decision, name func(semantics.Share) string) outcome {
	out := outcome{Shares: map[string]share{}}
	for _, s := range d.Shares {
		to := name(s)
		if s.Invalid != "" {
			to = "500"
		}
		out.Shares[to] = share{Percent: out.Shares[to].Percent + s.Percent}
	}
	if len(d.Shares) == 0 {
		out.Shares["500"] = share{Percent: 100}
	}
	return out
}

// afterwards is headers after an edit.
func afterwards(in lines, e *ir.HeaderEdit) lines {
	out := maps.Clone(in)
	if out == nil {
		out = lines{}
	}
	if e == nil {
		return out
	}
	for _, n := range e.Remove {
		delete(out, n)
	}
	for _, h := range e.Set {
		out[h.Name] = []string{h.Value}
	}
	for _, h := range e.Add {
		out[h.Name] = append(slices.Clone(out[h.Name]), h.Value)
	}
	return out
}

func alike(got, want outcome) bool {
	if got.Status != want.Status || relocated(got.Location) != relocated(want.Location) || got.Timeout != want.Timeout ||
		got.Host != want.Host || normalised(got.Path) != normalised(want.Path) ||
		len(got.Shares) != len(want.Shares) || len(got.Mirrors) != len(want.Mirrors) {
		return false
	}
	for name, w := range want.Shares {
		g := got.Shares[name]
		if math.Abs(g.Percent-w.Percent) > 0.001 || len(w.Request) != 0 && !reflect.DeepEqual(g.Request, w.Request) ||
			!reflect.DeepEqual(g.Response, w.Response) {
			return false
		}
	}
	for name, percent := range want.Mirrors {
		if math.Abs(got.Mirrors[name]-percent) > 0.001 {
			return false
		}
	}
	return true
}

// relocated is a location with its path normalised, as a proxy does before it answers.
func relocated(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	i := strings.IndexAny(rest+"/", "/?")
	return scheme + "://" + rest[:i] + normalised(rest[i:])
}

func normalised(target string) string {
	_, query, _ := strings.Cut(target, "?")
	return semantics.NormalisePath(target) + "?" + query
}
