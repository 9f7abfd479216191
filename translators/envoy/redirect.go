package envoy

import (
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/xds"
)

// redirectCodes are the statuses of redirects, in Envoy's words.
var redirectCodes = map[int]routev3.RedirectAction_RedirectResponseCode{
	301: routev3.RedirectAction_MOVED_PERMANENTLY,
	302: routev3.RedirectAction_FOUND,
	303: routev3.RedirectAction_SEE_OTHER,
	307: routev3.RedirectAction_TEMPORARY_REDIRECT,
	308: routev3.RedirectAction_PERMANENT_REDIRECT,
}

// wellKnown are the ports that a scheme implies.
var wellKnown = map[string]int32{"http": 80, "https": 443}

// withPort matches a host that is asked for together with a port.
func withPort() *routev3.HeaderMatcher {
	return xds.HeaderMatch(ir.HeaderMatch{Name: "host", Value: ir.StringMatch{Kind: ir.MatchRegex, Value: `.*:[0-9]+`}})
}

// redirect answers an entry's requests with another place. Where that place is at
// the port that its scheme implies, Envoy would keep the port of the host that is
// asked for: so a host that is known is said, and a host that came with a port
// has an entry of its own, which says the port.
func (o router) redirect(r ir.Redirect, entry *routev3.Route) []*routev3.Route {
	action := &routev3.RedirectAction{HostRedirect: r.Host, ResponseCode: redirectCodes[r.Status]}
	scheme, port := r.Scheme, r.Port
	if scheme == "" {
		scheme = "http"
		if port == 0 {
			port = o.port
		}
	} else {
		action.SchemeRewriteSpecifier = &routev3.RedirectAction_SchemeRedirect{SchemeRedirect: scheme}
	}
	implied := port == 0 || port == wellKnown[scheme]
	switch {
	case !implied:
		action.PortRedirect = uint32(port)
	case r.Host == "":
		action.HostRedirect = o.host
	}
	if r.Path != nil {
		elsewhere(*r.Path, entry.GetMatch(), action)
	}
	entry.Action = &routev3.Route_Redirect{Redirect: action}
	if !implied || action.HostRedirect != "" {
		return []*routev3.Route{entry}
	}
	said := proto.CloneOf(entry)
	said.Match.Headers = append(said.Match.Headers, withPort())
	said.GetRedirect().PortRedirect = uint32(wellKnown[scheme])
	return []*routev3.Route{said, entry}
}

// elsewhere says which path is to be asked for.
func elsewhere(e ir.PathEdit, m *routev3.RouteMatch, a *routev3.RedirectAction) {
	if !e.Prefix && e.Value != "" {
		a.PathRewriteSpecifier = &routev3.RedirectAction_PathRedirect{PathRedirect: e.Value}
		return
	}
	prefix, regex := swap(e, m)
	if regex != nil {
		a.PathRewriteSpecifier = &routev3.RedirectAction_RegexRewrite{RegexRewrite: regex}
	} else if prefix != "" {
		a.PathRewriteSpecifier = &routev3.RedirectAction_PrefixRewrite{PrefixRewrite: prefix}
	}
}
