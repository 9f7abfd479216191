package gatewayapi

import (
	"maps"
	"slices"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// inferred are the ports of a Service that was not given, by number.
type inferred struct {
	ports map[int32]ir.Port
	// first is the place that names the Service first.
	first report.Ref
}

// infer makes a Service of which nothing is known but that routes name it, with
// the ports that they name. Where all Services are known it does not exist.
func (a *attaching) infer() bool {
	if a.r.Complete(a.name.Namespace) {
		for _, t := range a.routes {
			a.add(report.New(report.UnknownParent, t.Ref(t.field), "Service "+a.name.String()+" does not exist, so the route has no effect there"))
		}
		return false
	}
	from := inferred{ports: map[int32]ir.Port{}}
	for _, t := range a.routes {
		if t.ref.Port != nil || t.ref.SectionName == nil { // of a name alone the number is not known
			from.named(t.Object, value(t.ref.Port, ir.AnyPort), string(value(t.ref.SectionName, "")), t.field)
		}
	}
	for _, o := range a.r.Lookup(routesByBackend, a.name.String()) {
		for _, b := range backendRefs(o) {
			if b.name == a.name && !o.Rejected {
				from.named(o, b.port, "", b.field)
			}
		}
	}
	if len(from.ports) > 1 { // a port that is known says more than that there is one
		delete(from.ports, ir.AnyPort)
	}
	if len(from.ports) == 0 {
		return false
	}
	a.service.Ref, a.service.Inferred = from.first, true
	for _, number := range slices.Sorted(maps.Keys(from.ports)) {
		a.service.Ports = append(a.service.Ports, from.ports[number])
	}
	a.add(report.New(report.InferredService, from.first, "Service "+a.name.String()+" is not given; it is taken to exist, with the ports that routes name"))
	return true
}

// named takes down that a route names a port. The kind of the route says what is
// spoken there.
func (f *inferred) named(o input.Object, number int32, name, field string) {
	p, known := f.ports[number]
	if !known {
		p = ir.Port{Number: number, Protocol: ir.TCP, Ref: o.Ref(field)}
		if f.first.IsZero() {
			f.first = p.Ref
		}
	}
	if o.Kind == KindGRPCRoute || o.Kind == KindHTTPRoute && p.Protocol == ir.TCP {
		p.Protocol = spoken[o.Kind]
	}
	if p.Name == "" {
		p.Name = name
	}
	f.ports[number] = p
}
