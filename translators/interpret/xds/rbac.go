package xds

import (
	"errors"
	"fmt"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
)

// Arrival is what rules of access look at.
type Arrival struct {
	Call
	// Connection: there is no request, so conditions on one do not hold.
	Connection bool
	// Port that the connection was made to.
	Port uint32
	// Certified: the caller has shown a certificate, with Principal as its URI.
	Certified bool
	Principal string
}

// Rule reports whether an arrival fulfils a rule.
type Rule func(Arrival) bool

// Rules reads rules of access: what they let in.
func Rules(r *rbacv3.RBAC) (Rule, error) {
	var any []Rule
	for name, p := range r.GetPolicies() {
		rule, err := policy(p)
		if err != nil {
			return nil, fmt.Errorf("policy %s: %w", name, err)
		}
		any = append(any, rule)
	}
	switch r.GetAction() {
	case rbacv3.RBAC_ALLOW:
		return oneOf(any), nil
	case rbacv3.RBAC_DENY:
		return not(oneOf(any)), nil
	}
	return func(Arrival) bool { return true }, nil
}

func policy(p *rbacv3.Policy) (Rule, error) {
	if p.GetCondition() != nil || p.GetCheckedCondition() != nil {
		return nil, errors.New("a condition in CEL is not understood")
	}
	if len(p.GetPermissions()) == 0 || len(p.GetPrincipals()) == 0 {
		return nil, errors.New("a policy without permissions or principals is refused")
	}
	what, err := each(p.GetPermissions(), permission)
	if err != nil {
		return nil, err
	}
	who, err := each(p.GetPrincipals(), principal)
	if err != nil {
		return nil, err
	}
	return allOf([]Rule{oneOf(what), oneOf(who)}), nil
}

func permission(p *rbacv3.Permission) (Rule, error) {
	switch r := p.GetRule().(type) {
	case *rbacv3.Permission_Any:
		return func(Arrival) bool { return r.Any }, nil
	case *rbacv3.Permission_AndRules:
		all, err := each(r.AndRules.GetRules(), permission)
		return allOf(all), err
	case *rbacv3.Permission_OrRules:
		any, err := each(r.OrRules.GetRules(), permission)
		return oneOf(any), err
	case *rbacv3.Permission_NotRule:
		inner, err := permission(r.NotRule)
		return not(inner), err
	case *rbacv3.Permission_DestinationPort:
		return func(a Arrival) bool { return a.Port == r.DestinationPort }, nil
	case *rbacv3.Permission_Header:
		h, err := HeaderMatcher(r.Header)
		return func(a Arrival) bool { return h.Holds(a.lines(h.Name)) }, err
	case *rbacv3.Permission_UrlPath:
		holds, err := StringMatcher(r.UrlPath.GetPath())
		return func(a Arrival) bool { return !a.Connection && holds(a.Path) }, err
	}
	return nil, fmt.Errorf("a permission by %T is not understood", p.GetRule())
}

// lines of a header; a connection has none.
func (a Arrival) lines(name string) []string {
	if a.Connection {
		return nil
	}
	return a.Lines(name)
}

func principal(p *rbacv3.Principal) (Rule, error) {
	switch i := p.GetIdentifier().(type) {
	case *rbacv3.Principal_Any:
		return func(Arrival) bool { return i.Any }, nil
	case *rbacv3.Principal_AndIds:
		all, err := each(i.AndIds.GetIds(), principal)
		return allOf(all), err
	case *rbacv3.Principal_OrIds:
		any, err := each(i.OrIds.GetIds(), principal)
		return oneOf(any), err
	case *rbacv3.Principal_NotId:
		inner, err := principal(i.NotId)
		return not(inner), err
	case *rbacv3.Principal_Authenticated_:
		if i.Authenticated.GetPrincipalName() == nil {
			return func(a Arrival) bool { return a.Certified }, nil
		}
		holds, err := StringMatcher(i.Authenticated.GetPrincipalName())
		return func(a Arrival) bool { return a.Certified && holds(a.Principal) }, err
	}
	return nil, fmt.Errorf("a principal by %T is not understood", p.GetIdentifier())
}

func each[T any](all []T, read func(T) (Rule, error)) ([]Rule, error) {
	out := make([]Rule, 0, len(all))
	for _, one := range all {
		rule, err := read(one)
		if err != nil {
			return nil, err
		}
		out = append(out, rule)
	}
	if len(out) == 0 {
		return nil, errors.New("a rule made of no rules is refused")
	}
	return out, nil
}

func allOf(all []Rule) Rule {
	return func(a Arrival) bool {
		for _, r := range all {
			if !r(a) {
				return false
			}
		}
		return true
	}
}

func oneOf(any []Rule) Rule {
	return func(a Arrival) bool {
		for _, r := range any {
			if r(a) {
				return true
			}
		}
		return false
	}
}

func not(r Rule) Rule { return func(a Arrival) bool { return !r(a) } }
