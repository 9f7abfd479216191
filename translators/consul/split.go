package consul

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
	"github.com/meshknot/meshknot/translators/report"
)

// missing begins the names of services that nobody is: what is sent there fails
// with status 503.
const missing = "meshknot-missing"

// service makes what callers of a Service need to know: what it speaks and, where
// anything of it is routed anywhere but to itself, how.
func (m mesh) service(s ir.Service) ([]translators.Artifact, report.Report) {
	s.Ports = slices.DeleteFunc(slices.Clone(s.Ports), func(p ir.Port) bool { return p.Protocol == ir.UDP })
	if len(s.Ports) == 0 {
		return nil, nil
	}
	var spoken []ir.Protocol
	for _, p := range s.Ports {
		spoken = append(spoken, p.Protocol)
	}
	c := chain{mesh: m, service: s, name: m.name(nameOfService(s)), protocol: protocolOf(spoken)}
	c.out = []translators.Artifact{m.serviceDefaults(c.name, c.protocol, c.part())}
	refs := []report.Ref{s.Ref}
	switch why := oneWay(s); {
	case !slices.ContainsFunc(s.Ports, func(p ir.Port) bool { return routed(s, p) }):
		// A policy that leads where calls go anyway still means that they have no timeout.
		aimless := slices.IndexFunc(s.Ports, func(p ir.Port) bool { return len(p.Routes) > 1 })
		if aimless >= 0 && c.protocol != "tcp" {
			c.route(s.Ports[aimless].Routes)
		}
	case why != "":
		f := report.New(report.Lossy, s.Ref, why).WithClass(report.Dropped)
		for _, p := range s.Ports {
			f = f.With(routeRefs(p)...)
		}
		c.found = append(c.found, f)
	case c.protocol == "tcp":
		c.lead(s.Ports[0].Routes)
	default:
		c.route(s.Ports[0].Routes)
	}
	for _, p := range s.Ports {
		refs = append(refs, routeRefs(p)...)
	}
	return referring(c.out, refs), c.found
}

func nameOfService(s ir.Service) ir.Name { return ir.Name{Namespace: s.Namespace, Name: s.Name} }

// oneWay says why the routes of a Service cannot be those of a Consul service,
// which has one port.
func oneWay(s ir.Service) string {
	for _, p := range s.Ports[1:] {
		if p.Protocol != s.Ports[0].Protocol {
			return "a service has one port in Consul, and these speak different protocols: none of them is routed"
		}
		if alike(p) != alike(s.Ports[0]) {
			return "a service has one port in Consul, and these are routed differently: none of them is routed"
		}
	}
	return ""
}

// alike renders the routes of a port without the ports and places that they name,
// and without the backends that get nothing.
func alike(p ir.Port) string {
	routes := slices.Clone(p.Routes)
	for i := range routes {
		if routes[i].Ref == p.Ref {
			routes[i].Ref = report.Ref{}
		}
		routes[i].Matches = slices.Clone(routes[i].Matches)
		for j := range routes[i].Matches {
			routes[i].Matches[j].Ref = report.Ref{}
		}
		routes[i].Backends = slices.DeleteFunc(slices.Clone(routes[i].Backends), func(b ir.Backend) bool { return b.Weight == 0 })
		for j := range routes[i].Backends {
			routes[i].Backends[j].Port, routes[i].Backends[j].Ref = ir.AnyPort, report.Ref{}
		}
	}
	text, err := json.Marshal(routes)
	if err != nil { // plain data always has a form
		return err.Error()
	}
	return string(text)
}

// routed reports whether what comes to a port goes anywhere but to the Service
// itself, or anything is done with it on the way.
func routed(s ir.Service, p ir.Port) bool {
	return slices.ContainsFunc(p.Routes, func(r ir.Route) bool { return len(r.Matches) > 0 && !home(s, r) })
}

func home(s ir.Service, r ir.Route) bool {
	good, missing := shares(r)
	onTheWay := r.Rewrite != nil || r.RequestHeaders != nil || r.ResponseHeaders != nil || r.Timeout != nil && r.Timeout.Request > 0
	return !r.Answers() && !onTheWay && missing == 0 && len(good) > 0 && !slices.ContainsFunc(good, func(b ir.Backend) bool {
		return b.Service != nameOfService(s) || b.RequestHeaders != nil || b.ResponseHeaders != nil
	})
}

func routeRefs(p ir.Port) []report.Ref {
	var refs []report.Ref
	for _, r := range p.Routes {
		refs = append(refs, r.Refs()...)
	}
	return refs
}

// shares separates the backends that get requests from the weight of those
// that are not there.
func shares(r ir.Route) (good []ir.Backend, missing uint64) {
	for _, b := range r.Backends {
		switch {
		case b.Weight == 0:
		case b.Invalid != "":
			missing += uint64(b.Weight)
		default:
			good = append(good, b)
		}
	}
	return good, missing
}

// chain is the entries of one Service on their way.
type chain struct {
	mesh     mesh // INPUT
	service  ir.Service
	name     string
	protocol string
	out      []translators.Artifact // OUTPUT
	found    report.Report
}

func (c *chain) part() string { return ir.Unit{Service: &c.service}.Key().String() }

// madeUp says once what a service of the chain speaks that nobody is: what all
// services of it speak.
func (c *chain) madeUp(name string) {
	if !slices.ContainsFunc(c.out, func(a translators.Artifact) bool { return a.Rank == rankProtocol && nameIn(a) == name }) {
		c.out = append(c.out, c.mesh.madeUp(name, c.protocol, c.part()))
	}
}

// meets notes that calls lead on to a backend, which has to speak as the chain
// does: what its own Service says of that counts, and is compared with this.
func (c *chain) meets(backends []ir.Backend) {
	for _, b := range backends {
		name, part := c.mesh.name(b.Service), met+c.part()
		known := func(a translators.Artifact) bool { return a.Part == part && nameIn(a) == name }
		if name != c.name && !slices.ContainsFunc(c.out, known) {
			c.out = append(c.out, c.mesh.madeUp(name, c.protocol, part))
		}
	}
}

// route writes the router, up to the first route that holds for everything.
func (c *chain) route(routes []ir.Route) {
	var entries []any
	for _, r := range routes {
		destination := c.destination(r)
		for _, m := range r.Matches {
			entries = append(entries, c.entries(r, m, destination)...)
		}
		if r.MatchesAll() {
			break
		}
	}
	a := c.mesh.artifact(kindRouter, c.name, object{"Routes": entries})
	a.Rank = rankRoute
	c.out = append(c.out, a)
}

// lead writes the resolver of a Service whose connections all go elsewhere. They
// cannot be told apart, nor shared out: a route that would is not given to us.
func (c *chain) lead(routes []ir.Route) {
	i := slices.IndexFunc(routes, ir.Route.MatchesAll)
	if i < 0 || home(c.service, routes[i]) {
		return
	}
	good, _ := shares(routes[i])
	good = c.merged(good)
	to := ""
	switch {
	case routes[i].Answers() || len(good) == 0:
		to = c.nobody()
	case len(good) == 1:
		to = c.mesh.name(good[0].Service)
		c.meets(good)
	default:
		c.found = append(c.found, report.New(report.Lossy, routes[i].Ref, noTCP).WithClass(report.Dropped))
		return
	}
	a := c.mesh.artifact(kindResolver, c.name, object{"Redirect": object{"Service": to}})
	a.Rank = rankSplit
	c.out = append(c.out, a)
}

// entries writes one match of a route.
func (c *chain) entries(r ir.Route, m ir.Match, destination object) []any {
	conditions, ok := requested(m)
	if !ok {
		c.found = append(c.found, report.New(report.Lossy, m.MethodsRef,
			"Consul takes the nine standard methods only, the match is left out").WithClass(report.Dropped))
	}
	var out []any
	for _, q := range conditions {
		to := destination
		if r.Rewrite != nil {
			if prefix, ok := rewritten(r.Rewrite.Path, m.Path, q); ok {
				to = object{}
				for k, v := range destination {
					to[k] = v
				}
				to["PrefixRewrite"] = prefix
			}
		}
		if q["PathExact"] == nil && q["PathPrefix"] == nil && q["PathRegex"] == nil {
			q["PathPrefix"] = "/"
		}
		out = append(out, object{"Match": object{"HTTP": q}, "Destination": to})
	}
	return out
}

// destination writes where a route's requests go and what is done on the way.
// There are no retries, which is what saying nothing means.
func (c *chain) destination(r ir.Route) object {
	out := object{"RequestTimeout": off, "IdleTimeout": off}
	if r.Timeout != nil && r.Timeout.Request > 0 {
		out["RequestTimeout"] = r.Timeout.Request.String()
	}
	if r.Status != 0 && r.Status != 404 && r.Status != 500 && r.Status != 503 {
		c.found = append(c.found, report.New(report.Lossy, r.Ref,
			fmt.Sprintf("Consul answers with status 503, not with %d", r.Status)).WithClass(report.Dropped))
	}
	good, lost := shares(r)
	good = c.merged(good)
	c.meets(good)
	if r.Answers() || len(good) == 0 {
		out["Service"] = c.nobody()
		return out
	}
	if len(good) == 1 && lost == 0 {
		out["Service"] = c.mesh.name(good[0].Service)
		return edits(out, then(r.RequestHeaders, good[0].RequestHeaders), then(r.ResponseHeaders, good[0].ResponseHeaders))
	}
	// Envoy edits for the share before it edits for the route, so both are done for the share.
	own := slices.ContainsFunc(good, func(b ir.Backend) bool { return b.RequestHeaders != nil || b.ResponseHeaders != nil })
	if own {
		for i := range good {
			good[i].RequestHeaders = then(r.RequestHeaders, good[i].RequestHeaders)
			good[i].ResponseHeaders = then(r.ResponseHeaders, good[i].ResponseHeaders)
		}
	} else {
		edits(out, r.RequestHeaders, r.ResponseHeaders)
	}
	out["Service"] = c.split(r, good, lost)
	return out
}

// merged joins the backends that are one service in Consul, whichever port they name.
func (c *chain) merged(backends []ir.Backend) []ir.Backend {
	var out []ir.Backend
	for _, b := range backends {
		i := slices.IndexFunc(out, func(o ir.Backend) bool { return c.mesh.name(o.Service) == c.mesh.name(b.Service) })
		if i < 0 {
			out = append(out, b)
			continue
		}
		out[i].Weight += b.Weight
		if !same(b.RequestHeaders, out[i].RequestHeaders) || !same(b.ResponseHeaders, out[i].ResponseHeaders) {
			c.found = append(c.found, report.New(report.Lossy, b.Ref,
				"the share goes to the same service in Consul as one before it, whose edits of headers hold for both").WithClass(report.Dropped))
		}
	}
	return out
}

// nobody returns the service that fails what is sent to it.
func (c *chain) nobody() string {
	name := missing + "-" + c.protocol
	c.madeUp(name)
	return name
}

// split makes a service of a route's shares, and returns its name.
func (c *chain) split(r ir.Route, good []ir.Backend, lost uint64) string {
	name := nameOf(c.service.Name+"-"+r.Name, c.service.Namespace, c.service.Name, r.Name)
	weights := make([]uint64, 0, len(good)+1)
	splits := make([]object, 0, len(good)+1)
	for _, b := range good {
		weights = append(weights, uint64(b.Weight))
		splits = append(splits, edits(object{"Service": c.mesh.name(b.Service)}, b.RequestHeaders, b.ResponseHeaders))
	}
	if lost > 0 {
		weights, splits = append(weights, lost), append(splits, object{"Service": c.nobody()})
	}
	shares, exact := apportion(weights)
	if shares == nil {
		c.found = append(c.found, report.New(report.Lossy, r.Ref,
			fmt.Sprintf("Consul shares requests between %d services at most, so these fail", steps)).WithClass(report.Narrowed))
		return c.nobody()
	}
	if !exact {
		c.found = append(c.found, rounded(r.Ref, good, lost, shares))
	}
	for i := range splits {
		splits[i]["Weight"] = float64(shares[i]) / 100
	}
	c.madeUp(name)
	a := c.mesh.artifact(kindSplitter, name, object{"Splits": manifest.Anys(splits)})
	a.Rank = rankSplit
	c.out = append(c.out, a)
	return name
}

func rounded(at report.Ref, good []ir.Backend, lost uint64, shares []int) report.Finding {
	total := lost
	for _, b := range good {
		total += uint64(b.Weight)
	}
	worst, off := 0, 0.0
	for i, b := range good {
		d := float64(shares[i])/100 - 100*float64(b.Weight)/float64(total)
		if max(d, -d) > off {
			worst, off = i, max(d, -d)
		}
	}
	return report.New(report.WeightRounded, at, fmt.Sprintf("Consul keeps shares in steps of 0.01 percent, and not all of them: %s gets %.2f percent instead of %.4f",
		good[worst].Service, float64(shares[worst])/100, 100*float64(good[worst].Weight)/float64(total))).WithClass(report.Approximated)
}
