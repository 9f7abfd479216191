package gatewayapi

import (
	"slices"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/kube"
	"github.com/meshknot/meshknot/translators/report"
)

// ControllerName is the name by which we take part in the statuses of routes.
const ControllerName gatewayv1.GatewayController = "meshknot.io/gateway-controller"

// RouteStatus is the status of a route.
type RouteStatus struct {
	Parents []ParentStatus `json:"parents"`
}

// ParentStatus says what became of a route at one parent.
type ParentStatus struct {
	ParentRef      gatewayv1.ParentReference   `json:"parentRef"`
	ControllerName gatewayv1.GatewayController `json:"controllerName"`
	Conditions     []Condition                 `json:"conditions"`
}

// Status computes the status of an object in the words of Gateway API. It
// reports false for one that has none: of another kind, in error, or with no
// parent of which anything is known.
func Status(r input.Reader, o input.Object) (any, bool) {
	if o.Group != Group || o.Rejected {
		return nil, false
	}
	switch o.Kind {
	case KindGateway:
		return gatewayStatus(r, o)
	case KindListenerSet:
		return listenerSetStatus(r, o)
	case KindGatewayClass:
		return classStatus(r, o)
	}
	return routeStatus(r, o)
}

func routeStatus(r input.Reader, o input.Object) (any, bool) {
	common, _, ok := routeOf(o)
	if !ok {
		return nil, false
	}
	var s RouteStatus
	for i, ref := range common.ParentRefs {
		reason, message, known := acceptance(r, o, ref, i)
		name, service := serviceParent(o.Namespace, ref)
		if service {
			reason, message, known = serviceAcceptance(r, o, name, i)
		}
		if known {
			low := &lowering{r: r, gateway: !service}
			rules := low.routeRules(o)
			s.Parents = append(s.Parents, ParentStatus{ref, ControllerName, conditions(o, reason, message, rules, low.found)})
		}
	}
	return s, len(s.Parents) > 0
}

// serviceAcceptance says what a Service makes of a route.
func serviceAcceptance(r input.Reader, o input.Object, name ir.Name, parent int) (reason, message string, ok bool) {
	u := ir.Unit{Service: &ir.Service{Namespace: name.Namespace, Name: name.Name}}
	kube.Frontend().Lower(r, &u)
	a, ok := attach(r, u.Service)
	if !ok {
		return string(noParent), "Service " + name.String() + " does not exist", r.Complete(name.Namespace)
	}
	field := input.Element("spec.parentRefs", parent)
	for _, t := range a.routes {
		if t.ID == o.ID && t.field == field {
			reason, message := a.accept(t)
			return string(reason), message, true
		}
	}
	return "", "", false
}

// broken are the findings for which a rule does not hold, and the reason that
// Gateway API has for each.
var broken = map[report.Code]gatewayv1.RouteConditionReason{
	report.UnknownFilter: gatewayv1.RouteReasonIncompatibleFilters,
	report.BadRegex:      unsupported,
}

// unresolved are the findings about references.
var unresolved = map[report.Code]gatewayv1.RouteConditionReason{
	report.BadBackendKind: gatewayv1.RouteReasonInvalidKind,
	report.MissingBackend: gatewayv1.RouteReasonBackendNotFound,
	report.NotPermitted:   gatewayv1.RouteReasonRefNotPermitted,
}

// conditions makes the conditions of a route at a parent of its rules and what
// was found in them.
func conditions(o input.Object, reason, message string, rules []lowered, found report.Report) []Condition {
	accepting := fails(condAccepted, reason, message)
	var bad []report.Finding // the first finding of each rule that holds in part, or not at all
	holding := ruleCount(o) == 0
	for i := range ruleCount(o) {
		f, ok := brokenRule(i, found)
		if ok {
			bad = append(bad, f)
		}
		holding = holding || !ok || slices.ContainsFunc(rules, func(r lowered) bool { return r.rule == i && r.route.Status == 0 })
	}
	switch {
	case reason != string(accepted):
	case !holding:
		accepting = fails(condAccepted, string(broken[bad[0].Code]), bad[0].Message)
	default:
		accepting = holds(condAccepted, reason, "")
	}
	out := []Condition{accepting, resolved(found)}
	if accepting.Status == statusTrue && len(bad) > 0 {
		var dropped []string
		for _, f := range bad {
			dropped = append(dropped, "Dropped Rule at "+f.Source.Field+": "+f.Message)
		}
		out = append(out, holds(string(gatewayv1.RouteConditionPartiallyInvalid), string(unsupported), strings.Join(dropped, "; ")))
	}
	return out
}

// resolved makes the condition about references, of the first that is broken.
func resolved(found report.Report) Condition {
	for _, f := range found {
		if reason := unresolved[f.Code]; reason != "" {
			return fails(condResolvedRefs, string(reason), f.Message)
		}
	}
	return holds(condResolvedRefs, string(gatewayv1.RouteReasonResolvedRefs), "")
}

// brokenRule returns the first finding for which a rule does not hold.
func brokenRule(i int, found report.Report) (report.Finding, bool) {
	at := input.Element("spec.rules", i) + "."
	for _, f := range found {
		if broken[f.Code] != "" && strings.HasPrefix(f.Source.Field, at) {
			return f, true
		}
	}
	return report.Finding{}, false
}

// ruleCount counts the rules of a route.
func ruleCount(o input.Object) int {
	switch v := o.Value.(type) {
	case *HTTPRoute:
		return len(v.Spec.Rules)
	case *GRPCRoute:
		return len(v.Spec.Rules)
	case *TCPRoute:
		return len(v.Spec.Rules)
	}
	return 0
}
