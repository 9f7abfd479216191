package ask

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Tried is a rule that was considered for a request.
type Tried struct {
	// Ref is the rule: the match of a route, or a grant.
	Ref report.Ref
	// What names it, such as "route reviews" or "grant shop/web-reads".
	What string
	// Decided: the rule was taken, or grants the call.
	Decided bool
	// Why says which conditions failed, or what else kept it from deciding.
	Why []string
	// Parts are the places of what decided or failed.
	Parts []report.Ref
}

// Trace is what was considered on the way to a decision, in order.
type Trace struct {
	Routes []Tried
	Grants []Tried
	// Rules are the places of all that decided: the match, the backends that get
	// a share, and the grants with their matches.
	Rules []report.Ref
}

// tracer explains decisions of a model. It asks semantics for every condition
// alone, so it cannot judge one otherwise than the decision does.
type tracer struct {
	units map[ir.Key]ir.Unit // INPUT
	out   Trace              // OUTPUT
}

func newTracer(units []ir.Unit) tracer {
	t := tracer{units: make(map[ir.Key]ir.Unit, len(units))}
	for _, u := range units {
		t.units[u.Key()] = u
	}
	return t
}

// trace lists what was considered for a request that was decided.
func (t tracer) trace(q semantics.Request, d semantics.Decision) Trace {
	t.out = Trace{}
	if q.Workload != (ir.Name{}) {
		t.grants(ir.Identity{Namespace: q.Workload.Namespace, Account: q.Workload.Name}, q.Port, ir.ServicePort{}, q)
		return t.out
	}
	routes, http, from := t.routesOf(q, d)
	taken := t.routes(routes, http, q)
	if taken == nil || len(d.Shares) == 0 {
		return t.out
	}
	sent := q
	sent.From, sent.Path, sent.Headers = from, d.Sent.Path, d.Sent.Headers
	for _, b := range taken.Backends {
		if b.Weight == 0 {
			continue
		}
		t.out.Rules = append(t.out.Rules, b.Ref)
		if b.Invalid != "" {
			continue
		}
		called := ir.ServicePort{Service: b.Service, Port: b.Port}
		if called.Port == ir.AnyPort {
			called.Port = q.Port
		}
		arrives := sent
		arrives.Headers = semantics.Edited(sent.Headers, b.RequestHeaders)
		for _, id := range b.Servers {
			t.grants(id, t.targetPort(id, called), called, arrives)
		}
	}
	return t.out
}

// routesOf returns the routes that a request has, whether they tell requests
// apart, and who calls the backends.
func (t tracer) routesOf(q semantics.Request, d semantics.Decision) ([]ir.Route, bool, *ir.Identity) {
	if q.Gateway != (ir.Name{}) {
		v := t.hostOf(q, d)
		if v == nil {
			return nil, false, nil
		}
		return v.Routes, !q.Raw, &v.Identity
	}
	u := t.units[ir.Key{Kind: ir.KindService, Namespace: q.Service.Namespace, Name: q.Service.Name}]
	if u.Service == nil {
		return nil, false, q.From
	}
	namespace := ""
	if q.From != nil {
		namespace = q.From.Namespace
	}
	for _, p := range u.Service.Ports {
		if p.Number == q.Port || p.Number == ir.AnyPort {
			return p.RoutesFor(namespace), p.Protocol.IsHTTP() && !q.Raw, q.From
		}
	}
	return nil, false, q.From
}

// hostOf returns the virtual host whose routes a decision was taken by: the one
// that has the match that decided.
func (t tracer) hostOf(q semantics.Request, d semantics.Decision) *ir.VirtualHost {
	var best *ir.VirtualHost
	for _, u := range t.units {
		v := u.VirtualHost
		if v == nil || v.Gateway != q.Gateway || v.Port != q.Port || !covers(v.Host, q) {
			continue
		}
		exact := func(h *ir.VirtualHost) bool { return !strings.HasPrefix(h.Host, "*") }
		if best == nil || exact(v) || !exact(best) && len(v.Host) > len(best.Host) {
			best = v
		}
	}
	if d.Verdict == semantics.UnknownPort {
		return nil
	}
	return best
}

// routes tries the matches in order and returns the route that is taken.
func (t *tracer) routes(routes []ir.Route, http bool, q semantics.Request) *ir.Route {
	var taken *ir.Route
	for i := range routes {
		r := &routes[i]
		for _, m := range r.Matches {
			one := Tried{Ref: m.Ref, What: "route " + r.Name}
			why, parts := failures(q, m, http)
			switch {
			case taken != nil && (taken.Ref == r.Ref && taken.Name == r.Name):
				continue // another condition of the route that is taken
			case taken != nil && len(why) == 0:
				one.Why = []string{"route " + taken.Name + " stands before it"}
			case len(why) > 0:
				one.Why, one.Parts = why, parts
			default:
				one.Decided, taken = true, r
				t.out.Rules = append(t.out.Rules, m.Ref)
			}
			t.route(one)
		}
	}
	return taken
}

// route adds a condition. A condition in the input may be several of the model:
// the one that holds counts, or that of which least is missing.
func (t *tracer) route(one Tried) {
	i := slices.IndexFunc(t.out.Routes, func(o Tried) bool { return o.Ref == one.Ref && o.What == one.What })
	switch {
	case i < 0:
		t.out.Routes = append(t.out.Routes, one)
	case one.Decided, len(one.Why) < len(t.out.Routes[i].Why):
		t.out.Routes[i] = one
	}
}

func (t tracer) targetPort(id ir.Identity, p ir.ServicePort) int32 {
	if w := t.units[ir.Key{Kind: ir.KindWorkload, Namespace: id.Namespace, Name: id.Account}].Workload; w != nil {
		for _, wp := range w.Ports {
			if slices.Contains(wp.Services, p) {
				return wp.Number
			}
		}
	}
	return p.Port
}

// grants tries the grants of a workload at a port of its pods.
func (t *tracer) grants(id ir.Identity, port int32, called ir.ServicePort, q semantics.Request) {
	w := t.units[ir.Key{Kind: ir.KindWorkload, Namespace: id.Namespace, Name: id.Account}].Workload
	if w == nil || !w.Enforced {
		return
	}
	protocol, known := ir.TCP, len(w.Ports) > 0
	for _, p := range w.Ports {
		if p.Number == port {
			protocol = p.Protocol
		}
	}
	http := (protocol.IsHTTP() || !known) && !q.Raw
	decided := false
	for _, g := range w.Grants {
		one := Tried{Ref: g.Ref, What: "grant " + g.Name.String()}
		one.Why, one.Parts = refuses(g, port, called, http, q)
		switch {
		case len(one.Why) > 0:
		case decided:
			one.Why = []string{"it would allow the call too"}
		default:
			one.Decided, decided = true, true
			t.out.Rules = append(append(t.out.Rules, g.Ref), one.Parts...)
		}
		if i := slices.IndexFunc(t.out.Grants, func(o Tried) bool { return o.Ref == one.Ref && slices.Equal(o.Parts, one.Parts) }); i < 0 {
			t.out.Grants = append(t.out.Grants, one)
		}
	}
}
