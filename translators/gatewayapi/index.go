package gatewayapi

import (
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/kube"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
)

// routesByService finds routes by the Services that are their parents.
var routesByService = input.Index{Name: "gateway-api/routes-by-service", Keys: func(o input.Object) []string {
	var keys []string
	for _, name := range serviceParents(o) {
		keys = append(keys, name.String())
	}
	return keys
}}

// routesByBackend finds routes by the Services that they send to.
var routesByBackend = input.Index{Name: "gateway-api/routes-by-backend", Keys: func(o input.Object) []string {
	var keys []string
	for _, b := range backendRefs(o) {
		keys = append(keys, b.name.String())
	}
	return keys
}}

// serviceKeys lists the Services that a route is attached to or sends to.
func serviceKeys(o input.Object) []ir.Key {
	var keys []ir.Key
	for _, name := range serviceParents(o) {
		keys = append(keys, ir.Key{Kind: ir.KindService, Namespace: name.Namespace, Name: name.Name})
	}
	for _, b := range backendRefs(o) {
		keys = append(keys, ir.Key{Kind: ir.KindService, Namespace: b.name.Namespace, Name: b.name.Name})
	}
	return keys
}

// serviceParents returns the Services that are parents of a route.
func serviceParents(o input.Object) []ir.Name {
	var out []ir.Name
	common, _, _ := routeOf(o)
	for _, ref := range common.ParentRefs {
		if name, ok := serviceParent(o.Namespace, ref); ok {
			out = append(out, name)
		}
	}
	return out
}

// serviceParent returns the Service that a parentRef names; false for another kind.
func serviceParent(namespace string, ref gatewayv1.ParentReference) (ir.Name, bool) {
	name := ir.Name{Namespace: string(value(ref.Namespace, gatewayv1.Namespace(namespace))), Name: string(ref.Name)}
	return name, value(ref.Group, Group) == "" && value(ref.Kind, KindGateway) == kube.KindService && name.Name != ""
}

// sending is a place where a route sends requests to a Service.
type sending struct {
	name  ir.Name
	port  int32
	field string
}

// backendRefs returns where a route sends requests, mirrors included.
func backendRefs(o input.Object) []sending {
	s := senders{namespace: o.Namespace}
	switch v := o.Value.(type) {
	case *HTTPRoute:
		if v != nil {
			s.http(v.Spec.Rules)
		}
	case *GRPCRoute:
		if v != nil {
			s.grpc(v.Spec.Rules)
		}
	case *TCPRoute:
		if v != nil {
			s.tcp(v.Spec.Rules)
		}
	}
	return s.out
}

// senders collects the places where a route sends requests.
type senders struct {
	namespace string    // INPUT
	out       []sending // OUTPUT
}

func (s *senders) ref(ref gatewayv1.BackendObjectReference, field string) {
	if to := backendID(s.namespace, ref); to.Group == "" && to.Kind == kube.KindService && to.Name != "" {
		s.out = append(s.out, sending{ir.Name{Namespace: to.Namespace, Name: to.Name}, value(ref.Port, ir.AnyPort), field})
	}
}

func (s *senders) http(rules []gatewayv1.HTTPRouteRule) {
	for i, r := range rules {
		at := input.Element("spec.rules", i)
		for j, b := range r.BackendRefs {
			s.ref(b.BackendObjectReference, input.Element(input.Field(at, "backendRefs"), j))
		}
		s.mirrors(r.Filters, at)
	}
}

func (s *senders) mirrors(filters []gatewayv1.HTTPRouteFilter, at string) {
	for i, f := range filters {
		if f.RequestMirror != nil {
			s.ref(f.RequestMirror.BackendRef, input.Element(input.Field(at, "filters"), i)+".requestMirror.backendRef")
		}
	}
}

func (s *senders) grpc(rules []gatewayv1.GRPCRouteRule) {
	for i, r := range rules {
		at := input.Element("spec.rules", i)
		for j, b := range r.BackendRefs {
			s.ref(b.BackendObjectReference, input.Element(input.Field(at, "backendRefs"), j))
		}
		s.mirrors(grpcFilters(r.Filters), at)
	}
}

func (s *senders) tcp(rules []gatewayv1.TCPRouteRule) {
	for i, r := range rules {
		for j, b := range r.BackendRefs {
			s.ref(b.BackendObjectReference, input.Element(input.Field(input.Element("spec.rules", i), "backendRefs"), j))
		}
	}
}
