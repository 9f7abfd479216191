package gatewayapi

import (
	"fmt"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/kube"
	"github.com/meshknot/meshknot/translators/report"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// spoken is what is spoken on the ports that a kind of route is attached to, or
// sends to, where they do not say it themselves. A TCPRoute implies nothing.
var spoken = map[string]ir.Protocol{KindHTTPRoute: ir.HTTP, KindGRPCRoute: ir.GRPC}

// implied returns what routes imply of a Service port that does not say what it
// speaks, and the place that does. Both sides of a call ask it, so they agree.
// Who is attached to the port counts before who sends to it. A route of another
// namespace implies nothing, unless a ReferenceGrant lets it name the Service:
// a server that does not speak HTTP could be broken by it.
func implied(r input.Reader, name ir.Name, number int32, portName string) (ir.Protocol, report.Ref) {
	var best ir.Protocol
	var ref report.Ref
	id := input.ID{Kind: kube.KindService, Namespace: name.Namespace, Name: name.Name}
	say := func(o input.Object, field string) {
		if p := spoken[o.Kind]; p != "" && !o.Rejected && best != ir.GRPC && p != best && permitted(r, o.ID, id) {
			best, ref = p, o.Ref(field)
		}
	}
	for _, o := range r.Lookup(routesByService, name.String()) {
		common, _, _ := routeOf(o)
		for i, parent := range common.ParentRefs {
			if to, ok := serviceParent(o.Namespace, parent); ok && to == name && (number == ir.AnyPort || onPort(parent, number, portName)) {
				say(o, input.Element("spec.parentRefs", i))
			}
		}
	}
	if best != "" {
		return best, ref
	}
	for _, o := range r.Lookup(routesByBackend, name.String()) {
		for _, b := range backendRefs(o) {
			if b.name == name && (b.port == number || number == ir.AnyPort) {
				say(o, b.field)
			}
		}
	}
	return best, ref
}

// onPort reports whether a parentRef means a port.
func onPort(ref gatewayv1.ParentReference, number int32, name string) bool {
	return (ref.Port == nil || *ref.Port == number) && (ref.SectionName == nil || string(*ref.SectionName) == name)
}

// inferProtocols gives the ports of a Service that do not say what they speak
// what routes imply.
func (a *attaching) inferProtocols() {
	for i := range a.service.Ports {
		p := &a.service.Ports[i]
		if p.Protocol != "" {
			continue
		}
		if protocol, ref := implied(a.r, a.name, p.Number, p.Name); protocol != "" {
			p.Protocol = protocol
			a.add(report.New(report.InferredProtocol, p.Ref,
				fmt.Sprintf("port %d does not say what it speaks; %s concerns it, so it is %s", p.Number, ref.Object(), protocol)).With(ref))
		}
	}
}

// lowerWorkload says what is spoken on the ports of a workload, as the Services
// that lead there were told.
func lowerWorkload(r input.Reader, w *ir.Workload) {
	for i := range w.Ports {
		p := &w.Ports[i]
		if p.Protocol != "" {
			continue
		}
		for _, s := range p.Services {
			from, _ := kube.FindService(r, s.Service)
			port, _ := from.Port(s.Port)
			switch protocol, _ := implied(r, s.Service, s.Port, port.Name); {
			case protocol == "", protocol == p.Protocol:
			case p.Protocol == "":
				p.Protocol = protocol
			default:
				p.Protocol = ir.HTTP
			}
		}
	}
}
