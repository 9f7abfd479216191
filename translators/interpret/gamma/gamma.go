// Package gamma reads objects as Gateway API's specification for meshes says.
//
// A route is attached to a Service's port, or to all of its ports. Routes in the
// Service's namespace are for everybody; routes in another one are for the callers
// there, who have no others then. On a port a GRPCRoute counts before an HTTPRoute
// and that before a TCPRoute. Of the matches that hold the first in the order of the
// specification is taken: an exact path, the longest prefix, then by method, headers
// and parameters; of equals the first rule of the oldest object. Nothing matched
// is status 404; a backend that is not there, or none at all, is 500.
//
// Where the specification leaves a choice, an assumption is made. An expression is
// RE2 and has to match the whole value. It stands behind every prefix, the longer
// expression first, as with Istio. A path, and a query parameter, of which the
// first counts, is compared as it was sent. Of a header that is sent in several
// lines any will do. Of the age of an object metadata.creationTimestamp tells. Who may
// call is not said: the mesh that the option "authorization" names decides that
// by the objects that are no routes to Services. Gateways are not read.
package gamma

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/routes"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// New reads artifacts whose authorization is in the form of one of the meshes
// given, by name.
func New(authorization map[string]interpret.New) interpret.New {
	return Ranked(Specification, authorization)
}

// Ranked reads as New does, and ranks matches as one of the known meshes.
func Ranked(by Ranking, authorization map[string]interpret.New) interpret.New {
	return func(w interpret.World, t translators.Target, artifacts []translators.Artifact) (interpret.Mesh, error) {
		return read(by, authorization, w, t, artifacts)
	}
}

// mesh is the routes to Services, and who decides at the servers.
type mesh struct {
	world    interpret.World
	rank     Ranking
	attached map[ir.ServicePort][]*routes.Route
	// authorization is nil where nobody says who may call.
	authorization interpret.Mesh
}

func read(by Ranking, authorization map[string]interpret.New, w interpret.World, t translators.Target, artifacts []translators.Artifact) (interpret.Mesh, error) {
	m := &mesh{world: w, rank: by, attached: map[ir.ServicePort][]*routes.Route{}}
	var others []translators.Artifact
	for _, a := range artifacts {
		mine, err := m.add(a)
		if err != nil {
			return nil, err
		}
		if !mine {
			others = append(others, a)
		}
	}
	for _, all := range m.attached {
		routes.Sort(all)
	}
	to, who := authorizer(t)
	if who == "" && len(others) > 0 {
		return nil, fmt.Errorf("%s %s: Gateway API has no such object", others[0].ID.Type, others[0].ID.Name)
	}
	if who == "" {
		return m, nil
	}
	read, ok := authorization[who]
	if !ok {
		return nil, fmt.Errorf("authorization in the form of %s is not read", who)
	}
	var err error
	m.authorization, err = read(w, to, others)
	return m, err
}

// authorizer returns the target that authorization is written for, and its mesh.
func authorizer(t translators.Target) (translators.Target, string) {
	name, version, _ := strings.Cut(t.Options["authorization"], "@")
	to := translators.Target{Backend: name, Version: version, TrustDomain: t.TrustDomain, Options: map[string]string{"form": "kubernetes"}}
	for k, v := range t.Options {
		if key, ok := strings.CutPrefix(k, "authorization."); ok {
			to.Options[key] = v
		}
	}
	return to, name
}

// add attaches a route to its Services. It reports false for an object that is
// not about them.
func (m *mesh) add(a translators.Artifact) (bool, error) {
	if !routes.Of(a) {
		return false, nil
	}
	r, err := routes.Read(a, re2)
	if err != nil {
		return false, err
	}
	mine := false
	for _, p := range r.Parents {
		if !p.IsService() {
			continue
		}
		mine = true
		at := ir.ServicePort{Service: p.Name, Port: p.Port}
		if p.Section != "" {
			return true, fmt.Errorf("%s %s: a port by name is not known here", a.ID.Type, a.ID.Name)
		}
		if !slices.Contains(m.attached[at], r) {
			m.attached[at] = append(m.attached[at], r)
		}
	}
	version, _ := routes.Kind(a)
	if mine && version != routes.Group+"/v1" {
		return true, fmt.Errorf("%s %s: the standard channel serves v1", a.ID.Type, a.ID.Name)
	}
	return mine, nil
}

// re2 compiles an expression for the whole value.
func re2(expression string) (func(string) bool, error) {
	re, err := regexp.Compile("^(?:" + expression + ")$")
	if err != nil {
		return nil, err
	}
	return re.MatchString, nil
}

// of returns the routes that count for a call, which are of one kind, in order.
func (m *mesh) of(q semantics.Request) []*routes.Route {
	all := slices.Concat(m.attached[ir.ServicePort{Service: q.Service, Port: q.Port}], m.attached[ir.ServicePort{Service: q.Service}])
	in := func(namespace string) []*routes.Route {
		return slices.DeleteFunc(slices.Clone(all), func(r *routes.Route) bool { return r.Name.Namespace != namespace })
	}
	var mine []*routes.Route
	if q.From != nil && q.From.Namespace != q.Service.Namespace {
		mine = in(q.From.Namespace)
	}
	if len(mine) == 0 {
		mine = in(q.Service.Namespace)
	}
	for _, kind := range []string{routes.GRPCRoute, routes.HTTPRoute, routes.TCPRoute} {
		some := slices.DeleteFunc(slices.Clone(mine), func(r *routes.Route) bool { return r.Kind != kind })
		if len(some) > 0 {
			routes.Sort(some)
			return some
		}
	}
	return nil
}

// Route says where a request is sent.
func (m *mesh) Route(q semantics.Request) interpret.Routed {
	if q.Gateway != (ir.Name{}) {
		return interpret.Routed{Decision: semantics.Decision{Verdict: semantics.UnknownPort}}
	}
	all := m.of(q)
	if m.world.Services[q.Service].Headless || len(all) > 0 && q.Raw && all[0].Kind != routes.TCPRoute {
		all = nil // no route is attached to what has no address; and no request is seen
	}
	if len(all) == 0 {
		return interpret.Routed{Decision: semantics.Decision{Verdict: semantics.Allow, Sent: routes.Sent(q, &routes.Rule{}, ""),
			Shares: []semantics.Share{{Service: q.Service, Port: q.Port, Percent: 100, Allowed: true}}}}
	}
	if all[0].Kind == routes.TCPRoute {
		return m.send(q, hit{route: all[0], rule: &all[0].Rules[0]})
	}
	best, ok := m.find(all, q)
	if !ok {
		out := interpret.Routed{Decision: semantics.Decision{Verdict: semantics.Answer, Status: 404}}
		for _, r := range all {
			out.By = append(out.By, r.ID)
		}
		return out
	}
	return m.send(q, best)
}

// send says what becomes of a request by a rule.
func (m *mesh) send(q semantics.Request, h hit) interpret.Routed {
	out := interpret.Routed{By: []translators.ID{h.route.ID}}
	r := h.rule
	if r.Redirect != nil {
		out.Decision = semantics.Decision{Verdict: semantics.Answer, Location: location(q, *r.Redirect, h.prefix), Status: 302}
		if r.Redirect.Status != 0 {
			out.Status = r.Redirect.Status
		}
		return out
	}
	shares := routes.Shares(r.Backends, m.missing)
	if len(shares) == 0 {
		out.Decision = semantics.Decision{Verdict: semantics.Answer, Status: 500}
		return out
	}
	out.Decision = semantics.Decision{Verdict: semantics.Allow, Route: h.route.Name.Name, Shares: shares, Timeout: r.Timeout,
		Sent: routes.Sent(q, r, h.prefix), Mirrors: m.mirrors(r.Mirrors)}
	return out
}

// missing: a share whose backend is not there fails with 500.
func (m *mesh) missing(b routes.Backend) (string, int) {
	there, hasPort := routes.Exists(m.world, b.Service, b.Port)
	switch {
	case !b.IsService():
		return "InvalidKind", 500
	case !there || !hasPort:
		return "BackendNotFound", 500
	}
	return "", 0
}

// mirrors are those who get copies: nobody is sent any who is not there.
func (m *mesh) mirrors(all []routes.Mirror) []semantics.Share {
	var out []semantics.Share
	for _, one := range all {
		if why, _ := m.missing(one.Backend); why == "" && one.Percent > 0 {
			out = append(out, semantics.Share{Service: one.Backend.Service, Port: one.Backend.Port, Percent: one.Percent, Allowed: true})
		}
	}
	slices.SortFunc(out, func(a, b semantics.Share) int { return a.Service.Compare(b.Service) })
	return out
}

// location is where a redirect leads. The port that was asked stays unless the
// redirect names a scheme or a port; one that the scheme implies is not written.
func location(q semantics.Request, r routes.Redirect, prefix string) string {
	scheme, port, host := r.Scheme, r.Port, r.Host
	if scheme == "" {
		scheme = "http"
		if port == 0 {
			port = q.Port
		}
	}
	if host == "" {
		host = routes.Host(q)
	}
	return scheme + "://" + routes.Authority(scheme, host, port) + routes.Replace(q.Path, r.Path, prefix)
}

// Admit asks the mesh that authorization is written for. Where nobody says who may
// call, everybody may.
func (m *mesh) Admit(a interpret.Arrival) interpret.Admission {
	if m.authorization == nil {
		return interpret.Admission{Allowed: true}
	}
	return m.authorization.Admit(a)
}

// Rankings are the names of the ways in which matches are ranked, sorted.
func Rankings() []Ranking { return slices.Sorted(maps.Keys(rankings)) }
