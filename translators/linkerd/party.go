package linkerd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
	"github.com/meshknot/meshknot/translators/report"
)

// party is callers who are granted the same by one object.
type party struct {
	grant ir.Name
	// object is the name of the object that names the callers.
	object     string
	identities []string
	// everyone, from some networks: the kubelet's probes have no identity.
	everyone bool
	networks []string
	// whole: whatever is said on the port is granted.
	whole bool
	// requests that are granted.
	requests []request
	refs     []report.Ref
}

// grants lists who may say what on a port of a workload, and as the last the
// probes, where they have to be named.
func (m mesh) parties(w ir.Workload, port int32, http bool) ([]party, report.Report) {
	var out []party
	var found report.Report
	for _, g := range w.Grants {
		if !slices.ContainsFunc(g.Ports, func(p ir.GrantPort) bool { return p.Number == port && len(p.Also) == 0 }) {
			continue
		}
		p, f := m.party(w, g)
		found = append(found, f...)
		if len(p.identities) == 0 {
			continue
		}
		found = append(found, p.allow(g, http)...)
		if !p.whole && len(p.requests) == 0 {
			continue
		}
		if i := slices.IndexFunc(out, func(o party) bool { return o.object == p.object }); i >= 0 {
			out[i].whole = out[i].whole || p.whole
			out[i].requests = append(out[i].requests, p.requests...)
			out[i].refs = append(out[i].refs, p.refs...)
			continue
		}
		out = append(out, p)
	}
	return out, found
}

func (m mesh) party(w ir.Workload, g ir.Grant) (party, report.Report) {
	p := party{grant: g.Name, refs: []report.Ref{g.Ref}}
	var found report.Report
	for _, s := range g.Sources {
		p.refs = append(p.refs, s.Ref)
		name, ok := m.name(s.Identity)
		if !ok {
			found = append(found, report.New(report.Refused, s.Ref, fmt.Sprintf(
				"allowed by the caller's identity: no certificate of Linkerd names %s", s.Identity.URI(m.trustDomain))).
				WithClass(report.Dropped))
			continue
		}
		if !slices.Contains(p.identities, name) {
			p.identities = append(p.identities, name)
		}
	}
	slices.Sort(p.identities)
	// An object may grant to several lists of callers, so they are in its key.
	key := append([]string{w.Account, g.Name.Namespace, g.Name.Name}, p.identities...)
	if alone(w, g.Name) {
		key = key[:3]
	}
	p.object = manifest.Name("meshknot-"+w.Account+"-"+g.Name.Name, key...)
	return p, found
}

// alone reports whether all that an object grants is granted to the same callers.
func alone(w ir.Workload, name ir.Name) bool {
	var first []ir.Source
	for _, g := range w.Grants {
		switch {
		case g.Name != name:
		case first == nil:
			first = g.Sources
		case !slices.EqualFunc(first, g.Sources, func(a, b ir.Source) bool { return a.Identity == b.Identity }):
			return false
		}
	}
	return true
}

// allow adds what a grant allows on a port. Where no request can be told from
// another only a grant of everything can be fulfilled.
func (p *party) allow(g ir.Grant, http bool) report.Report {
	var found report.Report
	for _, m := range g.Matches {
		p.refs = append(p.refs, m.Ref)
		if m.IsAll() {
			p.whole = true
			continue
		}
		if !http {
			continue
		}
		requests, unknown := requestsOf(m)
		for _, method := range unknown {
			found = append(found, refused(m.MethodsRef, "no route can name the method "+method+", which is granted to nobody"))
		}
		for _, q := range requests {
			if len(q.query) > 0 {
				found = append(found, refused(m.Ref, "a grant by query parameters is not known to policies, and grants nothing"))
				continue
			}
			p.requests = append(p.requests, q)
		}
	}
	return found
}

func refused(at report.Ref, message string) report.Finding {
	return report.New(report.Refused, at, message).WithClass(report.Narrowed)
}

// probes are the declared probes of a port. The controller lets HTTP probes
// through by itself until a route is attached to the Server, and gRPC ones never.
func (m mesh) probes(w ir.Workload, port int32) (p party, needed bool) {
	p = party{everyone: true, networks: m.probeNetworks, object: manifest.Name("meshknot-"+w.Account+"-probes", w.Account)}
	for _, probe := range w.Probes {
		if probe.Port != port {
			continue
		}
		q := request{ref: probe.Ref}
		switch probe.Protocol {
		case ir.HTTP:
			path, _, _ := strings.Cut(probe.Path, "?")
			q.method, q.path = "GET", ir.StringMatch{Kind: ir.MatchExact, Value: path}
		case ir.GRPC:
			q.method, q.path = "POST", ir.StringMatch{Kind: ir.MatchExact, Value: "/grpc.health.v1.Health/Check"}
			needed = true
		default:
			continue
		}
		p.requests = append(p.requests, q)
		p.refs = append(p.refs, probe.Ref)
	}
	return p, needed
}

// granting is a port of a workload, and what is granted there.
type granting struct {
	mesh     mesh
	workload ir.Workload
	// servers are the names of the port's Servers, one for each class of pods.
	servers []string
	port    int32
	parties []party
	sets    *sets
}

// name makes a name of something that belongs to the port.
func (g granting) name(what string, key ...string) string {
	port := strconv.Itoa(int(g.port))
	return manifest.Name("meshknot-"+g.workload.Account+"-"+port+"-"+what, append([]string{g.workload.Account, port, what}, key...)...)
}
