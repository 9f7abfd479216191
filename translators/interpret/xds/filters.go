package xds

import (
	"errors"
	"fmt"

	rbacconfigv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
)

// Filters are what a manager does before a request is routed.
type Filters struct {
	Rules []Rule
	// Faults: shares may answer with a fault.
	Faults bool
}

// HTTPFilters reads the filters of a manager, of which the last is the router. Rules
// that enforce nothing are left out, and others are read by rules.
func HTTPFilters(all []*hcmv3.HttpFilter, rules func(*rbacconfigv3.RBAC) (Rule, error)) (Filters, error) {
	var out Filters
	routed := false
	for _, f := range all {
		message, err := Unpack(f.GetTypedConfig())
		if err != nil {
			return out, err
		}
		if routed {
			return out, fmt.Errorf("filter %s stands behind the router", f.GetName())
		}
		switch c := message.(type) {
		case *routerv3.Router:
			routed = true
		case *faultv3.HTTPFault:
			out.Faults = out.Faults || f.GetName() == FaultFilter
			if c.GetAbort() != nil || c.GetDelay() != nil {
				return out, errors.New("a fault for every route is not understood")
			}
		case *rbacv3.RBAC:
			if c.GetRules() == nil {
				continue
			}
			rule, err := rules(c.GetRules())
			if err != nil {
				return out, err
			}
			out.Rules = append(out.Rules, rule)
		default:
			return out, fmt.Errorf("filter %s, %T, is not understood", f.GetName(), c)
		}
	}
	if !routed {
		return out, errors.New("the last filter is not the router")
	}
	return out, nil
}
