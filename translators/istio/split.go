package istio

import (
	"math"
	"slices"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/manifest"
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
	a := manifest.New(networking, "VirtualService", s.Namespace, s.Name, spec, refs)
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
	return slices.ContainsFunc(p.AllRoutes(), func(r ir.Route) bool { return len(r.Matches) > 0 && !home(s, p, r) })
}

// home reports whether a route leads to the called port of the Service itself,
// and changes nothing on the way.
func home(s ir.Service, p ir.Port, r ir.Route) bool {
	good, missing, total := shares(r)
	return total > 0 && missing == 0 && untouched(r) && !slices.ContainsFunc(good, func(b ir.Backend) bool {
		return b.Service != nameOfService(s) || b.Port != p.Number && b.Port != ir.AnyPort
	})
}

func routeRefs(p ir.Port) []report.Ref {
	var refs []report.Ref
	for _, r := range p.AllRoutes() {
		refs = append(append(refs, r.Refs()...), filterRefs(r)...)
	}
	return slices.DeleteFunc(refs, report.Ref.IsZero)
}

// httpRoutes writes the routes of a port: those of each view before those of
// everybody, for Istio tries them in order.
func (m mesh) httpRoutes(p ir.Port) ([]any, report.Report) {
	var out []any
	var found report.Report
	for _, v := range p.Views {
		at := place{p.Number, v.Namespace}
		routes, complete, f := m.routesAt(v.Routes, at)
		if out, found = append(out, routes...), append(found, f...); !complete {
			out = append(out, unmatched(at))
		}
	}
	routes, _, f := m.routesAt(p.Routes, place{port: p.Number})
	return append(out, routes...), append(found, f...)
}

// routesAt writes routes in their order, up to the first that holds for
// everything. It reports whether one does.
func (m mesh) routesAt(all []ir.Route, at place) (out []any, complete bool, found report.Report) {
	for _, r := range all {
		split, f := parts(r)
		found = append(found, f...)
		for _, part := range split {
			matches, everything, f := requests(part.matches, at)
			found = append(found, f...)
			if len(matches) == 0 && !everything {
				continue
			}
			route, f := m.httpRoute(r, part, at.port)
			found = append(found, f...)
			if len(matches) > 0 {
				route["match"] = matches
			}
			if out = append(out, route); everything {
				return out, true, found
			}
		}
	}
	return out, false, found
}

// httpRoute writes what becomes of a route's requests. The share of backends
// that are not there fails with status 500: a fault takes that share out first,
// the rest is shared as before.
func (m mesh) httpRoute(r ir.Route, p part, port int32) (object, report.Report) {
	good, missing, total := shares(r)
	route := object{"name": r.Name}
	switch {
	case r.Redirect != nil:
		route["redirect"] = redirect(*r.Redirect, p.path)
		if edits, _ := headers(nil, nil, r.ResponseHeaders, nil); len(edits) > 0 {
			route["headers"] = edits
		}
		return route, nil
	case r.Status != 0:
		route["directResponse"] = object{"status": int64(r.Status)}
		return route, nil
	case len(good) == 0:
		route["directResponse"] = object{"status": int64(500)}
		return route, nil
	}
	route["retries"] = noRetries()
	destinations, found := m.destinations(good, port)
	route["route"] = destinations
	found = append(found, m.onTheWay(route, r, p, good, port)...)
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
// apart, after that of each view.
func (m mesh) tcpRoutes(p ir.Port) ([]any, report.Report) {
	var out []any
	var found report.Report
	for _, v := range append(slices.Clone(p.Views), ir.View{Routes: p.Routes}) {
		i := slices.IndexFunc(v.Routes, ir.Route.MatchesAll)
		if i < 0 {
			continue
		}
		destinations, f := m.connections(v.Routes[i], p.Number)
		found = append(found, f...)
		route, match := object{"route": destinations}, object{}
		if place := (place{p.Number, v.Namespace}); place.write(match) {
			route["match"] = []any{match}
		}
		out = append(out, route)
	}
	return out, found
}

// connections writes where connections go. The share of backends that are not
// there is sent to where nobody is, and so is what is not to go anywhere.
func (m mesh) connections(r ir.Route, port int32) ([]any, report.Report) {
	good, missing, _ := shares(r)
	if missing > 0 || len(good) == 0 {
		good = append(good, ir.Backend{Invalid: nowhere, Weight: uint32(max(missing, 1)), Ref: r.Ref})
	}
	return m.destinations(good, port)
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

func (m mesh) destinations(backends []ir.Backend, port int32) ([]any, report.Report) {
	weights, exact := int32Weights(backends)
	var found report.Report
	if !exact {
		found = append(found, rounded(backends[0].Ref, "the weights are scaled down to Istio's range, so their ratio is rounded"))
	}
	var out []any
	for i, b := range backends {
		d := object{"destination": m.destination(b, port)}
		if len(backends) > 1 {
			d["weight"] = weights[i]
		}
		out = append(out, d)
	}
	return out, found
}

func (m mesh) destination(b ir.Backend, called int32) object {
	if b.Invalid != "" {
		return object{"host": b.Invalid}
	}
	port := b.Port
	if port == ir.AnyPort {
		port = called
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
		divisor, total = manifest.CommonDivisor(uint64(b.Weight), divisor), total+uint64(b.Weight)
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
