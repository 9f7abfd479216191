package istio

import (
	"math"
	"slices"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// nowhere is a host that can never exist: what is sent there is closed.
const nowhere = "missing-backend.meshknot.invalid"

// service makes the VirtualService of a Service that is routed anywhere but to
// itself. All its HTTP ports are in it, for Istio would retry on the others.
func (m mesh) service(s ir.Service) ([]translators.Artifact, report.Report) {
	if !slices.ContainsFunc(s.Ports, func(p ir.Port) bool { return routed(s, p) }) {
		return nil, nil
	}
	var http, tcp []any
	var found report.Report
	refs := []report.Ref{s.Ref}
	for _, p := range s.Ports {
		switch {
		case p.Protocol.IsHTTP():
			routes, f := m.httpRoutes(p)
			http, found = append(http, routes...), append(found, f...)
		case p.Protocol == ir.TCP && routed(s, p):
			routes, f := m.tcpRoutes(p)
			tcp, found = append(tcp, routes...), append(found, f...)
		}
		refs = append(refs, routeRefs(p)...)
	}
	spec := everySidecar(object{"hosts": []any{m.host(nameOfService(s))}})
	if len(http) > 0 {
		spec["http"] = http
	}
	if len(tcp) > 0 {
		spec["tcp"] = tcp
	}
	a := artifact(networking, "VirtualService", s.Namespace, s.Name, spec, refs)
	a.Rank, a.Refs = rankRoute, refs
	return []translators.Artifact{a}, found
}

func nameOfService(s ir.Service) ir.Name { return ir.Name{Namespace: s.Namespace, Name: s.Name} }

// routed reports whether some route of a port leads anywhere but to the Service
// itself. UDP does not pass the proxies.
func routed(s ir.Service, p ir.Port) bool {
	if p.Protocol == ir.UDP {
		return false
	}
	return slices.ContainsFunc(p.Routes, func(r ir.Route) bool { return len(r.Matches) > 0 && !home(s, p, r) })
}

// home reports whether a route leads to the called port of the Service itself.
func home(s ir.Service, p ir.Port, r ir.Route) bool {
	good, missing, total := shares(r)
	return total > 0 && missing == 0 && !slices.ContainsFunc(good, func(b ir.Backend) bool {
		return b.Service != nameOfService(s) || b.Port != p.Number && b.Port != ir.AnyPort
	})
}

func routeRefs(p ir.Port) []report.Ref {
	var refs []report.Ref
	for _, r := range p.Routes {
		refs = append(refs, r.Ref)
		for _, m := range r.Matches {
			refs = append(refs, m.Ref)
		}
		for _, b := range r.Backends {
			refs = append(refs, b.Ref)
		}
	}
	return slices.DeleteFunc(refs, report.Ref.IsZero)
}

// httpRoutes writes the routes of a port in their order, up to the first that
// holds for everything.
func (m mesh) httpRoutes(p ir.Port) ([]any, report.Report) {
	var out []any
	var found report.Report
	for _, r := range p.Routes {
		matches, everything, f := requests(r, p.Number)
		found = append(found, f...)
		if len(matches) == 0 && !everything {
			continue
		}
		route, f := m.httpRoute(r, p)
		found = append(found, f...)
		if len(matches) > 0 {
			route["match"] = matches
		}
		if out = append(out, route); everything {
			break
		}
	}
	return out, found
}

// httpRoute writes where a route's requests go. The share of backends that are
// not there fails with status 500: a fault takes that share out first, the rest
// is shared as before.
func (m mesh) httpRoute(r ir.Route, p ir.Port) (object, report.Report) {
	good, missing, total := shares(r)
	route := object{"name": r.Name}
	if len(good) == 0 {
		route["directResponse"] = object{"status": int64(500)}
		return route, nil
	}
	route["retries"] = noRetries()
	destinations, found := m.destinations(good, p)
	route["route"] = destinations
	if missing > 0 {
		percent, exact := percentage(missing, total)
		route["fault"] = object{"abort": object{"httpStatus": int64(500), "percentage": object{"value": percent}}}
		if !exact {
			found = append(found, rounded(r.Ref, "the share of the missing backends is rounded to 0.0001 percent"))
		}
	}
	return route, found
}

// tcpRoutes writes the one route of a port whose connections cannot be told
// apart. The share of backends that are not there is sent to where nobody is.
func (m mesh) tcpRoutes(p ir.Port) ([]any, report.Report) {
	i := slices.IndexFunc(p.Routes, func(r ir.Route) bool { return slices.ContainsFunc(r.Matches, ir.Match.IsAll) })
	if i < 0 {
		return nil, nil
	}
	good, missing, _ := shares(p.Routes[i])
	if missing > 0 || len(good) == 0 {
		good = append(good, ir.Backend{Invalid: nowhere, Weight: uint32(max(missing, 1)), Ref: p.Routes[i].Ref})
	}
	destinations, found := m.destinations(good, p)
	route := object{"route": destinations}
	if p.Number != ir.AnyPort {
		route["match"] = []any{object{"port": int64(p.Number)}}
	}
	return []any{route}, found
}

// shares separates the backends that get requests from the weight of those
// that are not there. Istio leaves a weight of zero out, and so do we.
func shares(r ir.Route) (good []ir.Backend, missing, total uint64) {
	for _, b := range r.Backends {
		total += uint64(b.Weight)
		switch {
		case b.Weight == 0:
		case b.Invalid != "":
			missing += uint64(b.Weight)
		default:
			good = append(good, b)
		}
	}
	return good, missing, total
}

func (m mesh) destinations(backends []ir.Backend, p ir.Port) ([]any, report.Report) {
	weights, exact := int32Weights(backends)
	var found report.Report
	if !exact {
		found = append(found, rounded(backends[0].Ref, "the weights are scaled down to Istio's range, so their ratio is rounded"))
	}
	var out []any
	for i, b := range backends {
		d := object{"destination": m.destination(b, p)}
		if len(backends) > 1 {
			d["weight"] = weights[i]
		}
		out = append(out, d)
	}
	return out, found
}

func (m mesh) destination(b ir.Backend, p ir.Port) object {
	if b.Invalid != "" {
		return object{"host": b.Invalid}
	}
	port := b.Port
	if port == ir.AnyPort {
		port = p.Number
	}
	d := object{"host": m.host(b.Service)}
	if port != ir.AnyPort {
		d["port"] = object{"number": int64(port)}
	}
	return d
}

// int32Weights brings weights into Istio's range, in which their sum has to stay
// too. It reports whether their ratio is kept; a share never becomes nothing.
func int32Weights(backends []ir.Backend) ([]int64, bool) {
	var divisor, total uint64
	for _, b := range backends {
		divisor, total = gcd(uint64(b.Weight), divisor), total+uint64(b.Weight)
	}
	out := make([]int64, len(backends))
	if total <= math.MaxInt32 {
		divisor = 1
	}
	exact := total/divisor <= math.MaxInt32
	room := math.MaxInt32 - uint64(len(backends)) // for the shares that are rounded up to 1
	for i, b := range backends {
		w := uint64(b.Weight) / divisor
		if !exact && b.Weight > 0 {
			w = max(1, uint64(b.Weight)*room/total)
		}
		out[i] = int64(w)
	}
	return out, exact
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// percentage writes a share of requests in percent, in the steps of a millionth
// that Istio rounds down to, never all and never none of them. It reports
// whether that is the share itself.
func percentage(part, total uint64) (percent float64, exact bool) {
	const million = 1_000_000
	steps := min(max((part*million+total/2)/total, 1), million-1)
	percent = float64(steps) / 10_000
	if uint64(percent*10_000) < steps {
		percent = (float64(steps) + 0.1) / 10_000
	}
	return percent, part*million%total == 0 && part*million/total == steps
}

func rounded(at report.Ref, message string) report.Finding {
	return report.New(report.WeightRounded, at, message).WithClass(report.Approximated)
}
