package envoy

import (
	"cmp"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/xds"
)

// router completes the entries of one port's routes.
type router struct {
	port int32  // that is called
	host string // that is asked for, where it is only one
}

// complete makes of an entry what its route asks of Envoy.
func (o router) complete(r ir.Route, entry *routev3.Route) []*routev3.Route {
	xds.NotTwoSlashes(entry.GetMatch())
	switch {
	case r.Redirect != nil:
		entry.ResponseHeadersToAdd, entry.ResponseHeadersToRemove = xds.Headers(r.ResponseHeaders)
		return o.redirect(*r.Redirect, entry)
	case r.Status != 0:
		entry.Action = &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: uint32(r.Status)}}
		return []*routev3.Route{entry}
	}
	action := entry.GetRoute()
	plainAction(action)
	if !xds.EditsByShare(r) {
		entry.RequestHeadersToAdd, entry.RequestHeadersToRemove = xds.Headers(r.RequestHeaders)
		entry.ResponseHeadersToAdd, entry.ResponseHeadersToRemove = xds.Headers(r.ResponseHeaders)
		if host := xds.RewrittenHost(r); host != "" {
			action.HostRewriteSpecifier = &routev3.RouteAction_HostRewriteLiteral{HostRewriteLiteral: host}
		}
	}
	if r.Rewrite != nil && r.Rewrite.Path != nil {
		action.PrefixRewrite, action.RegexRewrite = swap(*r.Rewrite.Path, entry.GetMatch())
	}
	action.RequestMirrorPolicies = o.mirrors(r.Mirrors)
	if d := ends(r.Timeout); d > 0 {
		action.Timeout = durationpb.New(d)
	}
	return []*routev3.Route{entry}
}

// swap returns what takes the place of that part of the path which an entry
// matches, or of the whole path; at most one of the two is set.
func swap(e ir.PathEdit, m *routev3.RouteMatch) (string, *matcherv3.RegexMatchAndSubstitute) {
	to := strings.TrimSuffix(e.Value, "/")
	switch m.GetPathSpecifier().(type) {
	case *routev3.RouteMatch_Path:
		if e.Prefix { // the prefix alone was asked for
			return cmp.Or(to, "/"), nil
		}
	case *routev3.RouteMatch_Prefix:
		if e.Prefix && m.GetPrefix() == "" { // "/" stands for everything: to goes in front
			return to, nil
		}
		if e.Prefix { // it ends in a slash, see xds.RouteMatches
			return to + "/", nil
		}
	}
	substitute := cmp.Or(e.Value, "/")
	if e.Prefix { // nothing says which part, so it goes in front too
		substitute = to
	}
	substitute = strings.ReplaceAll(substitute, `\`, `\\`)
	if e.Prefix {
		substitute += `\0`
	}
	return "", &matcherv3.RegexMatchAndSubstitute{Pattern: &matcherv3.RegexMatcher{Regex: "^.*$"}, Substitution: substitute}
}

// mirrors names who gets copies. They ask for the host of the original.
func (o router) mirrors(all []ir.Mirror) []*routev3.RouteAction_RequestMirrorPolicy {
	var out []*routev3.RouteAction_RequestMirrorPolicy
	for _, m := range all {
		if m.Backend.Invalid == "" && m.Numerator > 0 && m.Denominator > 0 {
			out = append(out, &routev3.RouteAction_RequestMirrorPolicy{
				Cluster:                       xds.ClusterOf(m.Backend, o.port),
				RuntimeFraction:               &corev3.RuntimeFractionalPercent{DefaultValue: fraction(m.Numerator, m.Denominator)},
				DisableShadowHostSuffixAppend: true})
		}
	}
	return out
}

// fraction is exact where one of Envoy's denominators is a multiple of the
// fraction's own, else rounded to a millionth and never to nothing.
func fraction(numerator, denominator uint32) *typev3.FractionalPercent {
	n, d := uint64(min(numerator, denominator)), uint64(denominator)
	for _, f := range []struct {
		of   uint64
		kind typev3.FractionalPercent_DenominatorType
	}{{100, typev3.FractionalPercent_HUNDRED}, {10_000, typev3.FractionalPercent_TEN_THOUSAND}} {
		if n*f.of%d == 0 {
			return &typev3.FractionalPercent{Numerator: uint32(n * f.of / d), Denominator: f.kind}
		}
	}
	const million = 1_000_000
	return &typev3.FractionalPercent{Numerator: uint32(max(1, (n*million+d/2)/d)), Denominator: typev3.FractionalPercent_MILLION}
}

// ends returns after which time a request is ended, or zero. It is tried once,
// so a time for one attempt is a time for all.
func ends(t *ir.Timeout) time.Duration {
	switch {
	case t == nil:
		return 0
	case t.Request == 0 || t.Backend == 0:
		return t.Request + t.Backend
	}
	return min(t.Request, t.Backend)
}
