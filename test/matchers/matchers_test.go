package matchers

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

var seed = flag.Uint64("seed", 20, "of the random conditions and strings")

// backendName is the Service that requests go to that fulfil a condition.
const backendName = "v1"

// reader reads what a back end has made as its mesh does.
type reader struct {
	route, access func([]translators.Artifact) condition
	// beside reports a value that a grant may leave out, though it speaks of it,
	// for the table says that less is let through.
	beside func(part, string) bool
}

func nothing(part, string) bool { return false }

// joinable is what lines of a header may come to where a mesh joins them: what is
// not let through then, for nobody can tell whether it was one line.
func joinable(in part, s string) bool { return in == inHeader && strings.Contains(s, ",") }

var readers = map[string]reader{
	"envoy":   {xdsRoute, xdsAccess, nothing},
	"grpc":    {xdsRoute, xdsAccess, joinable},
	"istio":   {istioRoute, istioAccess, nothing},
	"consul":  {consulRoute, consulAccess, joinable},
	"linkerd": {linkerdRoute, linkerdAccess, func(in part, s string) bool { return in == inPath && spelledOtherwise(s) }},
	// who may call is no matter of Gateway API's
	"gateway-api": {gatewayRoute, nil, nothing},
}

// counts are how many conditions a back end took, and how many comparisons were made.
type counts struct{ asked, taken, compared int }

// Every back end's matchers accept exactly what the source means.
func TestMatchers(t *testing.T) {
	sources, values, least := 2600, 120, 1_000_000
	if testing.Short() {
		sources, least = 100, 20_000
	}
	r := rand.New(rand.NewPCG(*seed, 1))
	t.Logf("-seed %d", *seed)
	total := 0
	made, wrong := map[string]*counts{}, map[string]bool{}
	for range sources {
		s, ok := drawSource(r)
		if !ok {
			continue
		}
		strings := s.strings(r, values)
		for _, b := range all.Pipeline().Backends {
			if !wrong[b.Name()] { // one example of each will do
				n, ok := check(t, s, strings, b, r, made)
				total, wrong[b.Name()] = total+n, !ok
			}
		}
	}
	for _, b := range all.Pipeline().Backends {
		for _, side := range []string{"route", "access"} {
			c := made[b.Name()+" "+side]
			if c == nil {
				c = &counts{}
			}
			t.Logf("%s %s: %d of %d conditions, %d comparisons", b.Name(), side, c.taken, c.asked, c.compared)
			if c.taken == 0 && !(side == "access" && readers[b.Name()].access == nil) {
				t.Errorf("%s says nothing of what is asked for: %s", b.Name(), side)
			}
		}
	}
	if t.Logf("%d comparisons", total); total < least {
		t.Errorf("%d comparisons, want %d", total, least)
	}
}

// strings lists distinct values around a source.
func (s source) strings(r *rand.Rand, n int) []string {
	seen := map[string]bool{}
	for range 3 * n {
		if v := s.around(r); possible(v, s.part) && len(seen) < n {
			seen[v] = true
		}
	}
	var out []string
	for v := range seen {
		out = append(out, v)
	}
	slices.Sort(out)
	return out
}

func check(t *testing.T, s source, values []string, b translators.Backend, r *rand.Rand, made map[string]*counts) (n int, ok bool) {
	target := translators.Target{Backend: b.Name()}
	if versions := b.Versions(); len(versions) > 0 {
		target.Version = pick(r, versions)
	}
	for _, side := range []struct {
		name string
		unit ir.Unit
		read func([]translators.Artifact) condition
	}{{"route", s.service(), readers[b.Name()].route}, {"access", s.workload(), readers[b.Name()].access}} {
		if side.read == nil || side.name == "access" && s.part == inQuery {
			continue
		}
		c := made[b.Name()+" "+side.name]
		if c == nil {
			c = &counts{}
			made[b.Name()+" "+side.name] = c
		}
		c.asked++
		out, complete := translate(side.unit, b, target)
		if complete {
			c.taken++
		} else if side.name == "route" {
			continue // what is left may well route less
		}
		holds, err := read(side.read, out)
		if err != nil {
			t.Errorf("%s %s, %s: %v\nmade %s", b.Name(), target.Version, s, err, written(out))
			return n, false
		}
		compared, same := s.compare(t, b.Name()+" "+target.Version+" "+side.name, values, holds, !complete,
			func(v string) bool { return side.name == "access" && readers[b.Name()].beside(s.part, v) })
		c.compared, n = c.compared+compared, n+compared
		if !same {
			t.Logf("made %s", written(out))
			return n, false
		}
	}
	return n, true
}

// compare asks for every value, and for none at all. Where some of what was asked
// for was refused, less may be let through, and never more.
func (s source) compare(t *testing.T, where string, values []string, holds condition, less bool, beside func(string) bool) (n int, same bool) {
	for _, v := range values {
		n++
		if got, want := holds(ask(s.part, v)), s.means(v); got != want && (got || !less && !beside(v)) {
			t.Errorf("%s, %s: %q %v, want %v", where, s, v, got, want)
			return n, false
		}
	}
	if s.part != inPath && holds(request{path: "/other"}) {
		t.Errorf("%s, %s: holds without the %s", where, s, s.part)
		return n, false
	}
	return n, true
}

// translate makes a back end's artifacts of a unit, and reports whether all of
// it could be said.
func translate(u ir.Unit, b translators.Backend, target translators.Target) ([]translators.Artifact, bool) {
	v := feature.Check(u, b.Name(), b.Supports(target), nil)
	out, pieces := translators.Make([]ir.Unit{u}, b, target, nil)
	complete := !out.Withheld && matches(v.Unit) == matches(u)
	for _, f := range pieces[0].Findings[len(v.Findings):] {
		complete = complete && f.Class != report.Dropped && f.Class != report.Narrowed
	}
	return out.Artifacts, complete
}

// matches counts the conditions that a unit is asked with.
func matches(u ir.Unit) int {
	n := 0
	if u.Service != nil {
		for _, r := range u.Service.Ports[0].Routes {
			n += len(r.Matches)
		}
	}
	if u.Workload != nil {
		for _, g := range u.Workload.Grants {
			n += len(g.Matches)
		}
	}
	return n
}

// written shows the artifacts that a person would look at.
func written(out []translators.Artifact) string {
	var b strings.Builder
	for _, a := range out {
		switch p := a.Payload.(type) {
		case proto.Message:
			if text, err := protojson.Marshal(p); err == nil && (strings.Contains(a.ID.Type, "Route") || strings.Contains(a.ID.Type, "Listener")) {
				fmt.Fprintf(&b, "\n%s: %s", a.ID.Name, text)
			}
		default:
			if text, err := json.Marshal(p); err == nil {
				fmt.Fprintf(&b, "\n%s: %s", a.ID.Name, text)
			}
		}
	}
	return b.String()
}

// read interprets artifacts; what the mesh would refuse is an error.
func read(read func([]translators.Artifact) condition, out []translators.Artifact) (c condition, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return read(out), nil
}

var ref = report.Ref{Kind: "HTTPRouteGroup", Namespace: "shop", Name: "g"}

// conditions of the model, one match for each alternative.
func (s source) conditions() []ir.Match {
	var out []ir.Match
	for _, one := range s.model {
		m := ir.MatchAll(ref)
		switch s.part {
		case inPath:
			m.Path, m.PathRef = one, ref
		case inHeader:
			m.Headers = []ir.HeaderMatch{{Name: headerName, Value: one, Ref: ref}}
		case inQuery:
			m.Query = []ir.QueryMatch{{Name: queryName, Value: one, Ref: ref}}
		}
		out = append(out, m)
	}
	return out
}

// service sends what fulfils the source to the backend, and keeps the rest.
func (s source) service() ir.Unit {
	to := func(name string) []ir.Backend {
		return []ir.Backend{{Service: ir.Name{Namespace: "shop", Name: name}, Port: 80, Weight: 1, Ref: ref,
			Servers: []ir.Identity{{Namespace: "shop", Account: name}}}}
	}
	return ir.Unit{Service: &ir.Service{Namespace: "shop", Name: "reviews", Ref: ref, Addresses: []string{"10.0.0.1"}, Ports: []ir.Port{{
		Number: 80, Name: "http", Protocol: ir.HTTP, Ref: ref, Routes: []ir.Route{
			{Name: "hit", Ref: ref, Matches: s.conditions(), Backends: to(backendName)},
			{Name: "default", Ref: ref, Matches: []ir.Match{ir.MatchAll(ref)}, Backends: to("reviews")},
		}}}}}
}

// workload lets in what fulfils the source, and nothing else.
func (s source) workload() ir.Unit {
	return ir.Unit{Workload: &ir.Workload{
		Namespace: "shop", Account: "bookstore", Ref: ref, Enforced: true,
		Pods:  []ir.PodClass{{Labels: map[string]string{"app": "bookstore"}}},
		Ports: []ir.WorkloadPort{{Number: 8080, Protocol: ir.HTTP, Services: []ir.ServicePort{{Service: ir.Name{Namespace: "shop", Name: "bookstore"}, Port: 80}}}},
		Grants: []ir.Grant{{
			Name: ir.Name{Namespace: "shop", Name: "g"}, Ref: ref, Ports: []ir.GrantPort{{Number: 8080, Ref: ref}}, Matches: s.conditions(),
			Sources: []ir.Source{{Identity: ir.Identity{Namespace: "shop", Account: "web"}, Services: []ir.Name{{Namespace: "shop", Name: "web"}}, Ref: ref}},
		}},
	}}
}
