package gatewayapi

import (
	"fmt"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/kube"
	"github.com/meshknot/meshknot/translators/report"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// backend resolves a reference to a backend. One that is broken or not permitted
// keeps its weight, and its share of the requests fails.
func (l *lowering) backend(o input.Object, ref gatewayv1.BackendRef, field string) ir.Backend {
	to := backendID(o.Namespace, ref.BackendObjectReference)
	b := ir.Backend{Service: ir.Name{Namespace: to.Namespace, Name: to.Name}, Port: value(ref.Port, ir.AnyPort),
		Weight: weight(ref), Ref: o.Ref(field)}
	switch {
	case to.Group != "" || to.Kind != kube.KindService:
		l.invalid(&b, report.BadBackendKind, kindOf(to)+" "+b.Service.String()+" is no Service")
		return b
	case l.gateway && !permitted(l.r, o.ID, to):
		l.invalid(&b, report.NotPermitted, fmt.Sprintf("no ReferenceGrant in namespace %s lets an %s of namespace %s name Service %s",
			to.Namespace, o.Kind, o.Namespace, to.Name))
		return b
	}
	s, ok := kube.FindService(l.r, b.Service)
	if !ok {
		if l.r.Complete(to.Namespace) {
			l.invalid(&b, report.MissingBackend, "Service "+b.Service.String()+" does not exist")
		}
		return b
	}
	p, has := s.Port(b.Port)
	switch {
	case s.External != "":
		l.invalid(&b, report.BadBackendKind, "Service "+b.Service.String()+" stands for "+s.External+", outside the cluster")
	case !has || p.Protocol == ir.UDP:
		l.invalid(&b, report.MissingBackend, fmt.Sprintf("Service %s has no port %d", b.Service, b.Port))
	default:
		b.Servers = kube.Behind(l.r, to.Namespace, s)
	}
	return b
}

// invalid marks a backend whose share fails. Where it has no weight nothing does.
func (l *lowering) invalid(b *ir.Backend, code report.Code, why string) {
	b.Invalid = why
	f := report.New(code, b.Ref, why+", so its share of the requests fails")
	if b.Weight == 0 {
		f.Message = why + "; it has no weight, so nothing is sent there"
		if code == report.MissingBackend { // mostly one that is about to be made
			f.Severity = report.Info
		}
	}
	l.add(f)
}

// backendID is what a reference names.
func backendID(namespace string, ref gatewayv1.BackendObjectReference) input.ID {
	return input.ID{
		Group: string(value(ref.Group, "")), Kind: string(value(ref.Kind, kube.KindService)),
		Namespace: string(value(ref.Namespace, gatewayv1.Namespace(namespace))), Name: string(ref.Name),
	}
}

func kindOf(id input.ID) string {
	if id.Group == "" {
		return id.Kind
	}
	return id.Kind + "." + id.Group
}

// weight of a reference, 1 where it says none.
func weight(ref gatewayv1.BackendRef) uint32 {
	return uint32(max(0, value(ref.Weight, 1))) //nolint:gosec // not negative
}
