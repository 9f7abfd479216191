package xds

import (
	"testing"

	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

func exact(v string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_Exact{Exact: v}}
}

func regex(v string) *matcherv3.StringMatcher {
	return &matcherv3.StringMatcher{MatchPattern: &matcherv3.StringMatcher_SafeRegex{SafeRegex: &matcherv3.RegexMatcher{Regex: v}}}
}

// An expression holds for the whole string, alternatives and anchors included.
func TestExpressionsAreWhole(t *testing.T) {
	for _, c := range []struct {
		expr, s string
		want    bool
	}{
		{"/api", "/api", true}, {"/api", "/api/x", false}, {"/api", "x/api", false},
		{"/a|/ab", "/ab", true}, {"/re/a|/re/ab", "/re/ab", true}, {"^/a$", "/a", true}, {"/a.*", "/a\n", false},
	} {
		holds, err := StringMatcher(regex(c.expr))
		if err != nil || holds(c.s) != c.want {
			t.Errorf("%q on %q: %v, want %v", c.expr, c.s, err, c.want)
		}
	}
	for _, bad := range []*matcherv3.StringMatcher{regex("a(?=b)"), regex("a)(b"), regex(""), {}, {MatchPattern: &matcherv3.StringMatcher_Prefix{}}} {
		if _, err := StringMatcher(bad); err == nil {
			t.Errorf("%v is not refused", bad)
		}
	}
}

// A header that is not there fulfils no comparison, not even an inverted one, but
// where it counts as empty. Each line is compared; inverted, none may hold.
func TestHeaders(t *testing.T) {
	is := &routev3.HeaderMatcher_StringMatch{StringMatch: exact("a")}
	for _, c := range []struct {
		name  string
		m     *routev3.HeaderMatcher
		lines []string
		want  bool
	}{
		{"equal", &routev3.HeaderMatcher{HeaderMatchSpecifier: is}, []string{"a"}, true},
		{"absent", &routev3.HeaderMatcher{HeaderMatchSpecifier: is}, nil, false},
		{"inverted, absent", &routev3.HeaderMatcher{HeaderMatchSpecifier: is, InvertMatch: true}, nil, false},
		{"inverted, absent is empty", &routev3.HeaderMatcher{HeaderMatchSpecifier: is, InvertMatch: true, TreatMissingHeaderAsEmpty: true}, nil, true},
		{"one of two lines", &routev3.HeaderMatcher{HeaderMatchSpecifier: is}, []string{"b", "a"}, true},
		{"inverted, one of two lines", &routev3.HeaderMatcher{HeaderMatchSpecifier: is, InvertMatch: true}, []string{"b", "a"}, false},
		{"present", &routev3.HeaderMatcher{HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{PresentMatch: true}}, []string{""}, true},
		{"present, inverted", &routev3.HeaderMatcher{HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{PresentMatch: true}, InvertMatch: true}, nil, true},
		{"absent asked for", &routev3.HeaderMatcher{HeaderMatchSpecifier: &routev3.HeaderMatcher_PresentMatch{}}, nil, true},
		{"a name alone", &routev3.HeaderMatcher{}, []string{"x"}, true},
	} {
		c.m.Name = "X-A"
		h, err := HeaderMatcher(c.m)
		if err != nil || h.Name != "x-a" || h.Holds(c.lines) != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// Of a repeated parameter the first counts, undecoded; "?e" and "?e=" are one.
// Segments end at slashes; letter case counts unless it is said not to.
func TestRouteMatch(t *testing.T) {
	query := func(m *matcherv3.StringMatcher) *routev3.RouteMatch {
		p := &routev3.QueryParameterMatcher{Name: "e", QueryParameterMatchSpecifier: &routev3.QueryParameterMatcher_StringMatch{StringMatch: m}}
		return &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{}, QueryParameters: []*routev3.QueryParameterMatcher{p}}
	}
	segments := &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: "/v2"}}
	whole := &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Path{Path: "/V2"}, CaseSensitive: wrapperspb.Bool(false)}
	prefix := &routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_Prefix{Prefix: "/v2"}}
	for _, c := range []struct {
		m           *routev3.RouteMatch
		path, query string
		want        bool
	}{
		{query(exact("1")), "/", "e=1&e=2", true}, {query(exact("2")), "/", "e=1&e=2", false},
		{query(exact("")), "/", "e", true}, {query(exact("a b")), "/", "e=a%20b", false}, {query(exact("1")), "/", "", false},
		{segments, "/v2", "", true}, {segments, "/v2/x", "", true}, {segments, "/v2x", "", false},
		{prefix, "/v2x", "", true}, {prefix, "/V2", "", false}, {whole, "/v2", "", true}, {whole, "/v2/", "", false},
	} {
		m, err := RouteMatch(c.m)
		if err != nil || m.Holds(Call{Path: c.path, Query: c.query, Lines: func(string) []string { return nil }}) != c.want {
			t.Errorf("%v on %s?%s: %v, want %v", c.m, c.path, c.query, err, c.want)
		}
	}
	for _, bad := range []string{"/v2/", "/", "v2", "/a?b"} { // Envoy refuses them
		if _, err := RouteMatch(&routev3.RouteMatch{PathSpecifier: &routev3.RouteMatch_PathSeparatedPrefix{PathSeparatedPrefix: bad}}); err == nil {
			t.Errorf("path_separated_prefix %s is not refused", bad)
		}
	}
}

// Rules without policies let nobody in, or everybody where they deny. A principal
// without a name is whoever has shown a certificate.
func TestRules(t *testing.T) {
	anyone := &rbacv3.Principal{Identifier: &rbacv3.Principal_Authenticated_{Authenticated: &rbacv3.Principal_Authenticated{}}}
	nobody := &rbacv3.Principal{Identifier: &rbacv3.Principal_NotId{NotId: anyone}}
	path := &rbacv3.Permission{Rule: &rbacv3.Permission_UrlPath{UrlPath: &matcherv3.PathMatcher{Rule: &matcherv3.PathMatcher_Path{Path: exact("/a")}}}}
	rules := func(action rbacv3.RBAC_Action, who *rbacv3.Principal, what *rbacv3.Permission) *rbacv3.RBAC {
		return &rbacv3.RBAC{Action: action, Policies: map[string]*rbacv3.Policy{"p": {Permissions: []*rbacv3.Permission{what}, Principals: []*rbacv3.Principal{who}}}}
	}
	for _, c := range []struct {
		name string
		r    *rbacv3.RBAC
		a    Arrival
		want bool
	}{
		{"no policies", &rbacv3.RBAC{}, Arrival{Certified: true}, false},
		{"nothing denied", &rbacv3.RBAC{Action: rbacv3.RBAC_DENY}, Arrival{}, true},
		{"logged", rules(rbacv3.RBAC_LOG, anyone, path), Arrival{}, true},
		{"certified", rules(rbacv3.RBAC_ALLOW, anyone, path), Arrival{Certified: true, Call: Call{Path: "/a"}}, true},
		{"not certified", rules(rbacv3.RBAC_ALLOW, anyone, path), Arrival{Call: Call{Path: "/a"}}, false},
		{"nobody", rules(rbacv3.RBAC_ALLOW, nobody, path), Arrival{Call: Call{Path: "/a"}}, true},
		{"denied", rules(rbacv3.RBAC_DENY, anyone, path), Arrival{Certified: true, Call: Call{Path: "/a"}}, false},
		{"a connection has no path", rules(rbacv3.RBAC_ALLOW, anyone, path), Arrival{Certified: true, Connection: true, Call: Call{Path: "/a"}}, false},
	} {
		rule, err := Rules(c.r)
		if err != nil || rule(c.a) != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if _, err := Rules(rules(rbacv3.RBAC_ALLOW, &rbacv3.Principal{}, path)); err == nil {
		t.Error("a principal that nobody understands is taken")
	}
}

// A proxy gets the narrowest that it is in the audience of.
func TestIndex(t *testing.T) {
	x := Index[int]{}
	for i, a := range []ir.Audience{{}, {Namespace: "shop"}, {Namespace: "shop", Account: "web"}} {
		x.Add(translators.Artifact{ID: translators.ID{Name: "n"}, Audience: a}, i)
	}
	for _, c := range []struct {
		proxy ir.Identity
		want  int
	}{{ir.Identity{}, 0}, {ir.Identity{Namespace: "other", Account: "web"}, 0}, {ir.Identity{Namespace: "shop", Account: "a"}, 1}, {ir.Identity{Namespace: "shop", Account: "web"}, 2}} {
		if got, ok := x.For("n", c.proxy); !ok || got.Value != c.want {
			t.Errorf("%v gets %d, want %d", c.proxy, got.Value, c.want)
		}
	}
	if _, ok := x.For("other", ir.Identity{}); ok {
		t.Error("a name that nobody has is found")
	}
}
