package matchers

import (
	"fmt"
	"strings"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	httprbacv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshknot/meshknot/translators"
)

// The interpreter of Envoy's matchers, which gRPC reads alike.

// xdsRoute: the first route that holds leads to the backend.
func xdsRoute(out []translators.Artifact) condition {
	type row struct {
		holds condition
		there bool
	}
	var rows []row
	for _, a := range out {
		rc, ok := a.Payload.(*routev3.RouteConfiguration)
		if !ok || !strings.HasPrefix(rc.Name, "reviews.shop") {
			continue
		}
		for _, r := range rc.VirtualHosts[0].Routes {
			rows = append(rows, row{routeMatch(r.Match), strings.HasPrefix(r.GetRoute().GetCluster(), backendName+".")})
		}
	}
	return func(q request) bool {
		for _, r := range rows {
			if r.holds(q) {
				return r.there
			}
		}
		return false
	}
}

func routeMatch(m *routev3.RouteMatch) condition {
	var all []condition
	switch p := m.PathSpecifier.(type) {
	case *routev3.RouteMatch_Prefix:
		all = append(all, on(inPath, func(s string) bool { return strings.HasPrefix(s, p.Prefix) }))
	case *routev3.RouteMatch_Path:
		all = append(all, on(inPath, func(s string) bool { return s == p.Path }))
	case *routev3.RouteMatch_SafeRegex:
		all = append(all, on(inPath, full(p.SafeRegex.Regex)))
	case *routev3.RouteMatch_PathSeparatedPrefix:
		all = append(all, on(inPath, func(s string) bool {
			rest, ok := strings.CutPrefix(s, p.PathSeparatedPrefix)
			return ok && (rest == "" || rest[0] == '/')
		}))
	default:
		panic(fmt.Sprintf("a path compared as %T", p))
	}
	for _, h := range m.Headers {
		all = append(all, headerMatch(h))
	}
	for _, p := range m.QueryParameters {
		if p.GetPresentMatch() {
			all = append(all, on(inQuery, func(string) bool { return true }))
			continue
		}
		all = append(all, on(inQuery, stringMatch(p.GetStringMatch())))
	}
	return every(all)
}

// full is RE2's FullMatch. What does not compile is refused as a whole.
func full(expr string) func(string) bool {
	re, err := compile(expr)
	if err != nil {
		panic(fmt.Sprintf("the proxy refuses %q: %v", expr, err))
	}
	return re.whole
}

func stringMatch(m *matcherv3.StringMatcher) func(string) bool {
	if m.IgnoreCase {
		panic("letter case is ignored")
	}
	switch p := m.MatchPattern.(type) {
	case *matcherv3.StringMatcher_Exact:
		return func(s string) bool { return s == p.Exact }
	case *matcherv3.StringMatcher_Prefix:
		return func(s string) bool { return strings.HasPrefix(s, p.Prefix) }
	case *matcherv3.StringMatcher_Suffix:
		return func(s string) bool { return strings.HasSuffix(s, p.Suffix) }
	case *matcherv3.StringMatcher_Contains:
		return func(s string) bool { return strings.Contains(s, p.Contains) }
	case *matcherv3.StringMatcher_SafeRegex:
		return full(p.SafeRegex.Regex)
	}
	panic(fmt.Sprintf("a string compared as %T", m.MatchPattern))
}

// headerMatch: an absent header never holds, and never fails to hold where the
// condition is inverted by its present_match alone.
func headerMatch(h *routev3.HeaderMatcher) condition {
	in := inHeader
	switch h.Name {
	case headerName:
	case ":path":
		in = inPath
	case ":method":
		return always
	default:
		panic("a header nobody asked for: " + h.Name)
	}
	var c condition
	switch m := h.HeaderMatchSpecifier.(type) {
	case *routev3.HeaderMatcher_StringMatch:
		c = on(in, stringMatch(m.StringMatch))
		if h.InvertMatch {
			return on(in, func(s string) bool { return !c(ask(in, s)) })
		}
		return c
	case *routev3.HeaderMatcher_PresentMatch:
		c = on(in, func(string) bool { return true })
	default:
		panic(fmt.Sprintf("a header compared as %T", m))
	}
	if h.InvertMatch {
		return not(c)
	}
	return c
}

// xdsAccess: some policy of the filter for HTTP holds.
func xdsAccess(out []translators.Artifact) condition {
	var all []condition
	for _, a := range out {
		m, ok := a.Payload.(proto.Message)
		if !ok {
			continue
		}
		for _, f := range filters(m.ProtoReflect()) {
			for _, p := range f.Rules.GetPolicies() {
				var any []condition
				for _, perm := range p.Permissions {
					any = append(any, permission(perm))
				}
				all = append(all, some(any))
			}
			if f.Rules.GetAction() != rbacv3.RBAC_ALLOW {
				panic("a filter that denies")
			}
		}
	}
	return some(all)
}

// filters finds the filters of requests in a message and in what is packed in it.
func filters(m protoreflect.Message) []*httprbacv3.RBAC {
	var out []*httprbacv3.RBAC
	switch v := m.Interface().(type) {
	case *httprbacv3.RBAC:
		return []*httprbacv3.RBAC{v}
	case *anypb.Any:
		if inner, err := v.UnmarshalNew(); err == nil {
			return filters(inner.ProtoReflect())
		}
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil || f.IsMap():
		case f.IsList():
			for i := range v.List().Len() {
				out = append(out, filters(v.List().Get(i).Message())...)
			}
		default:
			out = append(out, filters(v.Message())...)
		}
		return true
	})
	return out
}

func permission(p *rbacv3.Permission) condition {
	each := func(s *rbacv3.Permission_Set) []condition {
		var all []condition
		for _, one := range s.Rules {
			all = append(all, permission(one))
		}
		return all
	}
	switch r := p.Rule.(type) {
	case *rbacv3.Permission_Any:
		return always
	case *rbacv3.Permission_AndRules:
		return every(each(r.AndRules))
	case *rbacv3.Permission_OrRules:
		return some(each(r.OrRules))
	case *rbacv3.Permission_NotRule:
		return not(permission(r.NotRule))
	case *rbacv3.Permission_UrlPath:
		return on(inPath, stringMatch(r.UrlPath.GetPath()))
	case *rbacv3.Permission_Header:
		return headerMatch(r.Header)
	case *rbacv3.Permission_DestinationPort:
		return always
	}
	panic(fmt.Sprintf("a permission by %T", p.Rule))
}
