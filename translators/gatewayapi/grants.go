package gatewayapi

import (
	"slices"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/meshknot/meshknot/translators/input"
)

// grantsIn finds ReferenceGrants by their namespace, which is that of what they
// let others name.
var grantsIn = input.Index{Name: "gatewayapi/grants-in", Keys: func(o input.Object) []string {
	if _, ok := o.Value.(*ReferenceGrant); !ok || o.Rejected {
		return nil
	}
	return []string{o.Namespace}
}}

// permitted reports whether one object may name another: both stand in one
// namespace, or a ReferenceGrant beside the one that is named allows it.
func permitted(r input.Reader, from, to input.ID) bool {
	if from.Namespace == to.Namespace {
		return true
	}
	for _, o := range r.Lookup(grantsIn, to.Namespace) {
		g := o.Value.(*ReferenceGrant).Spec
		trusted := slices.ContainsFunc(g.From, func(f gatewayv1.ReferenceGrantFrom) bool {
			return string(f.Group) == from.Group && string(f.Kind) == from.Kind && string(f.Namespace) == from.Namespace
		})
		opened := slices.ContainsFunc(g.To, func(t gatewayv1.ReferenceGrantTo) bool {
			return string(t.Group) == to.Group && string(t.Kind) == to.Kind && (value(t.Name, "") == "" || string(*t.Name) == to.Name)
		})
		if trusted && opened {
			return true
		}
	}
	return false
}
