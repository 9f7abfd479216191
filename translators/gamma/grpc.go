package gamma

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
)

var (
	grpcService = regexp.MustCompile(`^(?i)\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$`)
	grpcMethod  = regexp.MustCompile(`^[A-Za-z_][A-Za-z_0-9]*$`)
)

// called reads a path as a gRPC service and method; both are empty for every
// call. It reports false for what a GRPCRoute cannot say.
func called(m ir.StringMatch) (service, method string, ok bool) {
	if everything(m) {
		return "", "", true
	}
	service, method, _ = strings.Cut(strings.TrimPrefix(m.Value, "/"), "/")
	switch {
	case !strings.HasPrefix(m.Value, "/") || !grpcService.MatchString(service):
		return "", "", false
	case m.Kind == ir.MatchExact:
		return service, method, grpcMethod.MatchString(method)
	case m.Kind == ir.MatchPrefix:
		return service, "", m.Value == "/"+service+"/"
	case m.Kind == ir.MatchSegments: // "/service" itself is no call
		return service, "", m.Value == "/"+service
	}
	return "", "", false
}

// asGRPC reports whether a GRPCRoute can say all that a port's routes do.
func asGRPC(p ir.Port) bool {
	return p.Protocol == ir.GRPC && !slices.ContainsFunc(p.AllRoutes(), func(r ir.Route) bool {
		return r.Redirect != nil || r.Rewrite != nil || r.Timeout != nil ||
			slices.ContainsFunc(r.Matches, func(m ir.Match) bool {
				_, _, ok := called(m.Path)
				return !ok || !m.AnyMethod() || len(m.Query) > 0
			})
	})
}

// grpcWins reports whether an arm goes before one of a later route wherever both
// hold: the longest service, the longest method, more headers.
func grpcWins(a, b arm) bool { return byCall(a, b) <= 0 }

// grpcTies reports whether it is left to the age of their objects which goes first.
func grpcTies(a, b arm) bool { return byCall(a, b) == 0 }

func byCall(a, b arm) int {
	as, am, _ := called(a.match.Path)
	bs, bm, _ := called(b.match.Path)
	return cmp.Or(cmp.Compare(len(bs), len(as)), cmp.Compare(len(bm), len(am)), byConditions(a, b))
}

// grpcMatch writes an arm for a GRPCRoute.
func grpcMatch(a arm) object {
	out := object{}
	if service, method, _ := called(a.match.Path); service != "" {
		out["method"] = object{"type": typeExact, "service": service}
		if method != "" {
			out["method"] = object{"type": typeExact, "service": service, "method": method}
		}
	}
	if len(a.match.Headers) > 0 {
		out["headers"] = headerMatches(a.match.Headers)
	}
	return out
}
