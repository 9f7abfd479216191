// Package linkerd reads objects as Linkerd 2.20 does: its policy controller, and
// the proxies that it tells. What is said here of them is from Linkerd's source
// and documentation; no controller and no proxy runs.
//
// Outbound. A route is attached to a Service's port, or to all of its ports. One
// in the Service's namespace is everybody's; one in another namespace is for the
// callers there, who have the former besides. Where there are GRPCRoutes the HTTPRoutes
// do not count, and where these are a TCPRoute does not. The rule with the most
// specific match is taken: by the length of the path that matched, of whatever
// type, then by the number of headers, of parameters, and by the method; of equals
// the first rule of the oldest object. Nothing matched is status 404. A path is
// compared as it was sent, but for the slash at its end where a prefix is asked for.
//
// Inbound. A Server selects a port of pods by their labels, and closes it but for
// its accessPolicy. Where HTTPRoutes are attached to it the one with the most
// specific match decides, and whatever is authorised at the Server is at each of
// them. A port without a Server follows the cluster's default. Which of two Servers
// on one port of a pod counts is luck: only what both let in is let in.
//
// Assumptions. Addresses of callers are not known, so whoever calls is inside every
// network that a NetworkAuthentication names. Age is metadata.creationTimestamp.
// Objects of kinds that the translators never make (ServiceProfile's overrides,
// named ports of a Server, GRPCRoutes at a Server) are an error where they would
// change an answer, rather than passed over.
package linkerd

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/routes"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// New reads artifacts. The options of the target are those of the installation:
// control-plane-namespace and default-inbound-policy.
func New(w interpret.World, t translators.Target, artifacts []translators.Artifact) (interpret.Mesh, error) {
	return read(w, t, artifacts, false)
}

// MethodFirst reads as New does, by the order of other releases, in which the
// method of a match counts before its headers and parameters.
func MethodFirst(w interpret.World, t translators.Target, artifacts []translators.Artifact) (interpret.Mesh, error) {
	return read(w, t, artifacts, true)
}

// mesh is Linkerd with some objects. Nothing in it changes once it is read.
type mesh struct {
	world      interpret.World
	order      order
	identities identities
	policy     string // of ports without a Server
	outbound   outbound
	inbound    inbound
	authentications
}

func read(w interpret.World, t translators.Target, artifacts []translators.Artifact, methodFirst bool) (interpret.Mesh, error) {
	m := &mesh{
		world: w, order: order{methodFirst}, policy: cmp.Or(t.Options["default-inbound-policy"], "all-unauthenticated"),
		identities: identities{cmp.Or(t.Options["control-plane-namespace"], "linkerd"), cmp.Or(t.TrustDomain, "cluster.local")},
		outbound:   outbound{attached: map[ir.ServicePort][]*routes.Route{}, profiles: map[ir.Name]translators.ID{}},
		inbound: inbound{servers: map[place][]*server{}, routes: map[ir.Name][]*routes.Route{},
			policies: map[target][]*authorization{}},
		authentications: authentications{map[ir.Name]*authentication{}, map[ir.Name]*authentication{}},
	}
	if _, ok := policies[m.policy]; !ok {
		return nil, fmt.Errorf("there is no default-inbound-policy %q", m.policy)
	}
	for _, a := range artifacts {
		if err := m.add(a); err != nil {
			return nil, err
		}
	}
	m.outbound.sort()
	return m, m.inbound.settle()
}

// add reads one object.
func (m *mesh) add(a translators.Artifact) error {
	version, kind := routes.Kind(a)
	group, _, _ := strings.Cut(version, "/")
	switch {
	case routes.Of(a):
		return m.addRoute(a)
	case group == "linkerd.io" && kind == "ServiceProfile":
		return m.outbound.addProfile(a)
	case group == policyGroup && kind == "Server":
		return m.inbound.addServer(a)
	case group == policyGroup && kind == "AuthorizationPolicy":
		return m.inbound.addPolicy(a)
	case group == policyGroup && kind == meshTLS:
		return m.addMeshTLS(a)
	case group == policyGroup && kind == network:
		return m.addNetwork(a)
	}
	return fmt.Errorf("%s %s: Linkerd knows no %s %s, or it is not known here", a.ID.Type, a.ID.Name, version, kind)
}

// served are the versions of the routes that Linkerd watches.
var served = map[string]string{
	routes.HTTPRoute: routes.Group + "/v1", routes.GRPCRoute: routes.Group + "/v1", routes.TCPRoute: routes.Group + "/v1alpha2",
}

func (m *mesh) addRoute(a translators.Artifact) error {
	version, kind := routes.Kind(a)
	if version != served[kind] && version != routes.Group+"/v1beta1" {
		return fmt.Errorf("%s %s: Linkerd watches %s of %s", a.ID.Type, a.ID.Name, served[kind], kind)
	}
	r, err := routes.Read(a, Regex)
	if err != nil {
		return err
	}
	for _, rule := range r.Rules {
		if err := takes(rule); err != nil {
			return fmt.Errorf("%s %s: %w", a.ID.Type, a.ID.Name, err)
		}
		for _, m := range rule.Matches {
			searched(m.Headers)
		}
	}
	for _, p := range r.Parents {
		switch {
		case p.IsService():
			m.outbound.attach(r, p)
		case p.Group == policyGroup && p.Kind == "Server":
			if r.Kind != routes.HTTPRoute || p.Port != 0 || p.Section != "" || p.Name.Namespace != r.Name.Namespace {
				return fmt.Errorf("%s %s: attached to Server %s by kind, port, section or from another namespace", a.ID.Type, a.ID.Name, p.Name)
			}
			m.inbound.routes[p.Name] = append(m.inbound.routes[p.Name], r)
		}
	}
	return readTimeouts(r)
}

// takes reports what keeps Linkerd from taking a route as a whole.
func takes(r routes.Rule) error {
	if r.Rewrite != nil || len(r.Mirrors) > 0 {
		return fmt.Errorf("it rewrites or mirrors, so the route is not installed")
	}
	if r.Redirect != nil && r.Redirect.Path != nil && r.Redirect.Path.Prefix {
		return fmt.Errorf("proxies refuse to replace a prefix in a redirect")
	}
	if len(r.Backends) > 0 && len(routes.Shares(r.Backends, func(routes.Backend) (string, int) { return "", 0 })) == 0 {
		return fmt.Errorf("no backend has a weight, which proxies refuse")
	}
	return nil
}

// Route says where the proxy of the caller sends a request. Gateways are not
// Linkerd's.
func (m *mesh) Route(q semantics.Request) interpret.Routed {
	if q.Gateway != (ir.Name{}) {
		return interpret.Routed{Decision: semantics.Decision{Verdict: semantics.UnknownPort}}
	}
	port, known := m.world.Port(ir.ServicePort{Service: q.Service, Port: q.Port})
	if known && port.Protocol == ir.UDP || m.world.Services[q.Service].Headless {
		return m.straight(q) // past the proxy, or by an address that is no Service's
	}
	all := m.outbound.of(q)
	switch {
	case len(all) == 0:
		return m.straight(q)
	case q.Raw && all[0].Kind != routes.TCPRoute: // no request is seen
		return m.straight(q)
	case all[0].Kind == routes.TCPRoute:
		return m.send(q, all, all[0], &all[0].Rules[0])
	}
	route, rule := m.order.find(all, q)
	if rule == nil {
		return interpret.Routed{Decision: semantics.Decision{Verdict: semantics.Answer, Status: 404}, By: ids(all)}
	}
	return m.send(q, all, route, rule)
}

func ids(all []*routes.Route) []translators.ID {
	var out []translators.ID
	for _, r := range all {
		out = append(out, r.ID)
	}
	return out
}

// straight is a call that no route speaks of.
func (m *mesh) straight(q semantics.Request) interpret.Routed {
	return interpret.Routed{Decision: semantics.Decision{Verdict: semantics.Allow, Shares: self(q), Sent: routes.Sent(q, &routes.Rule{}, "")}}
}

func self(q semantics.Request) []semantics.Share {
	return []semantics.Share{{Service: q.Service, Port: q.Port, Percent: 100, Allowed: true}}
}

// send says what becomes of a request by a rule of a route, the others being those
// that it was preferred to. A rule without backends leads to the Service that was called.
func (m *mesh) send(q semantics.Request, all []*routes.Route, route *routes.Route, rule *routes.Rule) interpret.Routed {
	out := interpret.Routed{By: []translators.ID{route.ID}}
	for _, r := range all {
		if r != route {
			out.By = append(out.By, r.ID)
		}
	}
	if rule.Redirect != nil {
		if location, status := redirect(q, *rule.Redirect); location != "" {
			out.Decision = semantics.Decision{Verdict: semantics.Answer, Status: status, Location: location}
			return out
		}
	}
	out.Decision = semantics.Decision{Verdict: semantics.Allow, Route: route.Name.Name, Sent: routes.Sent(q, rule, ""),
		Shares: routes.Shares(rule.Backends, m.missing), Timeout: ir.Timeout{Request: rule.Timeout.Request}}
	if len(rule.Backends) == 0 {
		out.Shares = self(q)
	}
	return out
}

// missing says whether the share of a backend fails: the controller knows whether a
// Service exists, and only the balancer that nobody is behind a port.
func (m *mesh) missing(b routes.Backend) (string, int) {
	there, hasPort := routes.Exists(m.world, b.Service, b.Port)
	switch {
	case !b.IsService():
		return "not a Service", 500
	case !there:
		return "there is no such Service", 500
	case !hasPort:
		return "there is no such port", 503
	}
	return "", 0
}

// redirect returns where a request is told to ask, and with which status; nothing
// where that is the place that it asked. The authority of a request has its port
// unless that is HTTP's own.
func redirect(q semantics.Request, r routes.Redirect) (location string, status int) {
	asked := "http://" + routes.Authority("http", routes.Host(q), q.Port) + q.Path
	scheme := cmp.Or(r.Scheme, "http")
	authority := routes.Authority("http", routes.Host(q), q.Port)
	switch {
	case r.Host != "" && r.Port != 0: // as it is written
		authority = fmt.Sprintf("%s:%d", r.Host, r.Port)
		if r.Port == routes.WellKnown[scheme] {
			authority = r.Host // RFC 3986 6.2.3: the same place
		}
	case r.Host != "" && q.Port != 80: // the port that was asked, unless it is the scheme's
		authority = routes.Authority(scheme, r.Host, q.Port)
	case r.Host != "":
		authority = r.Host
	case r.Port != 0:
		authority = routes.Authority(scheme, routes.Host(q), r.Port)
	}
	path := q.Path
	if r.Path != nil {
		path = r.Path.Value // the query is lost
	}
	if location = scheme + "://" + authority + path; location == asked {
		return "", 0
	}
	return location, cmp.Or(r.Status, 302) // what the API server fills in
}
