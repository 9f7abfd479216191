// Package semantics says what a policy means: whether a call is allowed, where
// it goes and which objects decide. It knows the model only; every mesh is
// judged by it, and it shares no code with any translator.
package semantics

import (
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// Model is the units of a mesh, ready to be asked.
type Model struct {
	services   map[ir.Name]*ir.Service
	workloads  map[ir.Name]*ir.Workload
	namespaces map[string]*ir.Namespace
	gateways   map[ir.Name]*ir.Gateway
	hosts      map[listening]map[string]*ir.VirtualHost
}

// New makes a model of units. It keeps references to them and changes nothing.
func New(units []ir.Unit) Model {
	m := Model{map[ir.Name]*ir.Service{}, map[ir.Name]*ir.Workload{}, map[string]*ir.Namespace{},
		map[ir.Name]*ir.Gateway{}, map[listening]map[string]*ir.VirtualHost{}}
	for _, u := range units {
		switch {
		case u.Service != nil:
			m.services[ir.Name{Namespace: u.Service.Namespace, Name: u.Service.Name}] = u.Service
		case u.Workload != nil:
			m.workloads[ir.Name{Namespace: u.Workload.Namespace, Name: u.Workload.Account}] = u.Workload
		case u.Namespace != nil:
			m.namespaces[u.Namespace.Name] = u.Namespace
		case u.Gateway != nil:
			m.gateways[ir.Name{Namespace: u.Gateway.Namespace, Name: u.Gateway.Name}] = u.Gateway
		case u.VirtualHost != nil:
			m.listen(u.VirtualHost)
		}
	}
	return m
}

// Request is one call. Exactly one of Service, Workload and Gateway is the callee.
type Request struct {
	// From is the caller; nil is a caller without an identity, in plain text.
	From *ir.Identity
	// Service is called by a client, through the routes of Port.
	Service ir.Name
	// Workload, an account, is called straight at the pods' own Port.
	Workload ir.Name
	// Gateway is called from outside at Port, for the host that the header "host"
	// names.
	Gateway ir.Name
	Port    int32
	// Raw: no HTTP request is made, as to a database.
	Raw    bool
	Method string
	// Path is the request target as sent, query included.
	Path string
	// Headers by lower-case name; each line of a repeated header is an element.
	Headers map[string][]string
}

// Verdict of a decision.
type Verdict string

// The verdicts.
const (
	// Allow: every share of the call is allowed. A share that fails for want
	// of a backend counts as allowed: nobody denies it.
	Allow Verdict = "allow"
	// Deny: no share is.
	Deny Verdict = "deny"
	// Mixed: some shares are allowed, some denied.
	Mixed Verdict = "mixed"
	// Answer: no backend is asked, the proxy answers by itself.
	Answer Verdict = "answer"
	// UnknownPort: the callee has no such port.
	UnknownPort Verdict = "unknown-port"
)

// Decision is the meaning of a policy for one request.
type Decision struct {
	Verdict Verdict
	// Route is the name of the route taken; empty when no Service was called.
	Route string
	// Shares are the backends with weight, in order of their names.
	Shares []Share
	// Status that the proxy answers with by itself; 0 where backends are asked.
	Status int
	// Location is where a redirect leads.
	Location string
	// Sent is what backends are asked, after rewriting.
	Sent Sent
	// Mirrors are those who get a copy, in order of their names; Percent is of
	// all requests.
	Mirrors []Share
	// Timeout is what the route says of time, or zero.
	Timeout ir.Timeout
	// Because are the places that decide, the most telling first.
	Because []report.Ref
}

// Sent is a request as backends see it.
type Sent struct {
	Host string
	// Path with the query.
	Path string
	// Headers are the request's, edited by the route; a share may edit them further.
	Headers map[string][]string
	// Response is what is done to the headers of the answer, by the route.
	Response *ir.HeaderEdit
}

// Share is the part of the calls that one backend gets.
type Share struct {
	Service ir.Name
	Port    int32
	// Percent of the requests, 0 to 100.
	Percent float64
	// Invalid is the reason why the share fails, or empty; Status is what it then
	// fails with, 500 where the policy decides.
	Invalid string
	Status  int
	Allowed bool
	// Partly: the backend leads to several accounts of which some allow the
	// call and some do not. Which pod answers is luck, so Allowed is false.
	Partly bool
	// Request and Response are the share's own edits of headers.
	Request, Response *ir.HeaderEdit
	Because           []report.Ref
}

// Decide says what happens to a request.
func (m Model) Decide(q Request) Decision {
	if q.Workload != (ir.Name{}) {
		allowed, because := m.admits(q.Workload, q.Port, ir.ServicePort{}, q)
		return Decision{Verdict: verdict(allowed), Because: because}
	}
	if q.Gateway != (ir.Name{}) {
		return m.decideGateway(q)
	}
	s, ok := m.services[q.Service]
	if !ok {
		return m.decideUnknown(q)
	}
	port, ok := portOf(s, q.Port)
	if !ok {
		return Decision{Verdict: UnknownPort, Because: []report.Ref{s.Ref}}
	}
	namespace := ""
	if q.From != nil {
		namespace = q.From.Namespace
	}
	return m.route(port.RoutesFor(namespace), port.Protocol.IsHTTP() && !q.Raw, q, port.Ref)
}

// route decides by the first route that holds.
func (m Model) route(routes []ir.Route, http bool, q Request, at report.Ref) Decision {
	route, match, ok := take(routes, http, q)
	switch {
	case !ok && http: // the route for all else is among those that a mesh cannot say
		return Decision{Verdict: Answer, Status: 404, Route: "unmatched", Because: []report.Ref{at}}
	case !ok:
		return Decision{Verdict: Deny, Because: []report.Ref{at}}
	}
	d := Decision{Route: route.Name, Because: []report.Ref{match.Ref}}
	var weight uint64
	for _, b := range route.Backends {
		weight += uint64(b.Weight)
	}
	switch {
	case route.Redirect != nil:
		d.Verdict, d.Status, d.Location = Answer, route.Redirect.Status, location(*route.Redirect, match, q)
		return d
	case route.Status != 0:
		d.Verdict, d.Status = Answer, route.Status
		return d
	case weight == 0:
		d.Verdict, d.Status = Answer, 500
		return d
	}
	q = d.send(route, match, q)
	d.Shares = m.shares(route, q)
	d.Mirrors = m.mirrors(route, q)
	if route.Timeout != nil {
		d.Timeout = *route.Timeout
	}
	return d.conclude()
}

// decideUnknown decides a call to a Service that no unit speaks of: nothing
// routes it, and nobody is known behind it, so its namespace decides.
func (m Model) decideUnknown(q Request) Decision {
	closed, because := m.closed(q.Service.Namespace)
	share := Share{Service: q.Service, Port: q.Port, Percent: 100, Allowed: !closed, Because: because}
	d := Decision{Verdict: verdict(!closed), Route: "default", Shares: []Share{share}, Because: because}
	d.send(ir.Route{}, ir.Match{}, q)
	return d
}

// closed reports whether a namespace denies calls to those in it of whom nothing
// else is known, and the place that says so.
func (m Model) closed(namespace string) (bool, []report.Ref) {
	if m.namespaces[namespace] == nil {
		return false, nil
	}
	return true, []report.Ref{{Kind: "Namespace", Name: namespace}}
}

func portOf(s *ir.Service, number int32) (ir.Port, bool) {
	for _, p := range s.Ports {
		if p.Number == number || p.Number == ir.AnyPort {
			return p, true
		}
	}
	return ir.Port{}, false
}

func take(routes []ir.Route, http bool, q Request) (ir.Route, ir.Match, bool) {
	for _, r := range routes {
		for _, m := range r.Matches {
			if m.IsAll() || http && Fulfils(q, m) {
				return r, m, true
			}
		}
	}
	return ir.Route{}, ir.Match{}, false
}

// Fulfils reports whether a request fulfils a match.
func Fulfils(q Request, m ir.Match) bool {
	if !m.Path.Matches(NormalisePath(q.Path)) {
		return false
	}
	if !m.AnyMethod() && !slices.Contains(m.Methods, q.Method) {
		return false
	}
	if slices.ContainsFunc(m.Query, func(p ir.QueryMatch) bool {
		value, ok := parameter(q.Path, p.Name)
		return !ok || !p.Value.Matches(value)
	}) {
		return false
	}
	return !slices.ContainsFunc(m.Headers, func(h ir.HeaderMatch) bool {
		return !slices.ContainsFunc(q.Headers[h.Name], h.Value.Matches)
	})
}

// parameter returns the first occurrence of a query parameter, as written.
func parameter(target, name string) (string, bool) {
	target, _, _ = strings.Cut(target, "#")
	_, query, _ := strings.Cut(target, "?")
	for _, pair := range strings.Split(query, "&") {
		if key, value, _ := strings.Cut(pair, "="); key == name && pair != "" {
			return value, true
		}
	}
	return "", false
}

func (m Model) shares(r ir.Route, q Request) []Share {
	var total float64
	for _, b := range r.Backends {
		total += float64(b.Weight)
	}
	var out []Share
	for _, b := range r.Backends {
		if b.Weight == 0 {
			continue
		}
		s := Share{Service: b.Service, Port: b.Port, Percent: 100 * float64(b.Weight) / total, Invalid: b.Invalid,
			Request: b.RequestHeaders, Response: b.ResponseHeaders}
		if s.Port == ir.AnyPort {
			s.Port = q.Port
		}
		if b.Invalid != "" {
			s.Status = 500
		}
		if s.Allowed = true; b.Invalid == "" {
			sent := q
			sent.Headers = edit(q.Headers, b.RequestHeaders)
			m.admitShare(&s, b.Servers, sent)
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Share) int { return a.Service.Compare(b.Service) })
	return out
}

// admitShare decides a share at the workloads behind its backend.
func (m Model) admitShare(s *Share, servers []ir.Identity, q Request) {
	if len(servers) == 0 {
		closed, because := m.closed(s.Service.Namespace)
		s.Allowed, s.Because = !closed, because
		return
	}
	denied := 0
	for _, id := range servers {
		name := ir.Name{Namespace: id.Namespace, Name: id.Account}
		called := ir.ServicePort{Service: s.Service, Port: s.Port}
		ok, why := m.admits(name, m.targetPort(name, called), called, q)
		switch {
		case ok && denied == 0:
			s.Because = append(s.Because, why...)
		case !ok:
			if denied++; denied == 1 {
				s.Because = why
			}
		}
	}
	s.Allowed, s.Partly = denied == 0, denied > 0 && denied < len(servers)
}

// conclude derives the verdict of a routed call from its shares.
func (d Decision) conclude() Decision {
	denied, partly := 0, false
	for _, s := range d.Shares {
		if !s.Allowed {
			denied++
			d.Because = append(slices.Clone(s.Because), d.Because...)
		}
		partly = partly || s.Partly
	}
	switch {
	case denied == 0 && len(d.Shares) > 0:
		d.Verdict = Allow
		for _, s := range d.Shares {
			d.Because = append(d.Because, s.Because...)
		}
	case denied == len(d.Shares) && !partly:
		d.Verdict = Deny
	default:
		d.Verdict = Mixed
	}
	d.Because = distinct(d.Because)
	return d
}

func distinct(refs []report.Ref) []report.Ref {
	var out []report.Ref
	for _, r := range refs {
		if !r.IsZero() && !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out
}

func verdict(allowed bool) Verdict {
	if allowed {
		return Allow
	}
	return Deny
}
