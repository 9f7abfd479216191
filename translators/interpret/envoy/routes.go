package envoy

import (
	"errors"
	"fmt"
	"regexp"
	"sort"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/meshknot/meshknot/translators/interpret/xds"
)

// defaultTimeout ends requests whose route says nothing of time.
const defaultTimeout = 15 * time.Second

// routes is a route configuration.
type routes struct {
	hosts map[string][]route // by domain without an asterisk
	// suffixes are the domains that begin with an asterisk, the longest first.
	suffixes   []suffix
	others     []route // of the domain "*"
	ignorePort bool
}

type suffix struct {
	end    string
	routes []route
}

// route is one entry.
type route struct {
	xds.Match
	status   int
	redirect *redirect
	shares   []share
	rewrite  rewrite
	mirrors  []mirror
	// request and response are the edits of the route and of what is around it, in
	// the order in which they are made.
	request, response []edit
	host              string
	timeout           time.Duration
	idle              *time.Duration
}

// share is one of those that get the requests of a route.
type share struct {
	cluster           string
	weight            uint32
	abort             int // status of a fault, or zero
	host              string
	request, response []edit
}

type mirror struct {
	cluster string
	percent float64
}

func readRoutes(c *routev3.RouteConfiguration) (routes, error) {
	out := routes{hosts: map[string][]route{}, ignorePort: c.GetIgnorePortInHostMatching()}
	outer, err := readLevel(c)
	if err != nil {
		return out, err
	}
	for _, v := range c.GetVirtualHosts() {
		if v.GetName() == "" || len(v.GetDomains()) == 0 {
			return out, errors.New("a virtual host without a name or a domain is refused")
		}
		all, err := readHost(v, outer)
		if err != nil {
			return out, fmt.Errorf("virtual host %s: %w", v.GetName(), err)
		}
		for _, d := range v.GetDomains() {
			if err := out.add(strings.ToLower(d), all); err != nil {
				return out, err
			}
		}
	}
	sort.SliceStable(out.suffixes, func(i, j int) bool { return len(out.suffixes[i].end) > len(out.suffixes[j].end) })
	return out, nil
}

func (r *routes) add(domain string, all []route) error {
	end, wild := strings.CutPrefix(domain, "*")
	switch {
	case domain == "*" && r.others == nil:
		r.others = all
		return nil
	case strings.HasSuffix(domain, "*") || domain == "":
		return fmt.Errorf("the domain %q is not understood", domain)
	case wild:
		for _, s := range r.suffixes {
			if s.end == end {
				return fmt.Errorf("two virtual hosts for %q are refused", domain)
			}
		}
		r.suffixes = append(r.suffixes, suffix{end, all})
		return nil
	}
	if _, ok := r.hosts[domain]; ok {
		return fmt.Errorf("two virtual hosts for %q are refused", domain)
	}
	r.hosts[domain] = all
	return nil
}

// of returns the routes for a host: its own, those of the longest domain that
// ends alike, or everybody's.
func (r routes) of(host string) []route {
	host = strings.ToLower(host)
	if i := strings.LastIndexByte(host, ':'); r.ignorePort && i >= 0 && !strings.HasSuffix(host, "]") {
		host = host[:i]
	}
	if all, ok := r.hosts[host]; ok {
		return all
	}
	for _, s := range r.suffixes {
		if len(host) > len(s.end) && strings.HasSuffix(host, s.end) {
			return s.routes
		}
	}
	return r.others
}

// editor is a message that edits headers.
type editor interface {
	GetRequestHeadersToAdd() []*corev3.HeaderValueOption
	GetRequestHeadersToRemove() []string
	GetResponseHeadersToAdd() []*corev3.HeaderValueOption
	GetResponseHeadersToRemove() []string
}

// level is what edits headers, and does so after what it holds.
type level struct{ request, response []edit }

func readLevel(l editor) (level, error) {
	request, err := readEdit(l.GetRequestHeadersToAdd(), l.GetRequestHeadersToRemove())
	if err != nil {
		return level{}, err
	}
	response, err := readEdit(l.GetResponseHeadersToAdd(), l.GetResponseHeadersToRemove())
	return level{[]edit{request}, []edit{response}}, err
}

// before is a level and then another one.
func (l level) before(o level) level {
	return level{append(append([]edit{}, l.request...), o.request...), append(append([]edit{}, l.response...), o.response...)}
}

func readHost(v *routev3.VirtualHost, outer level) ([]route, error) {
	host, err := readLevel(v)
	if err != nil {
		return nil, err
	}
	out := []route{}
	for _, r := range v.GetRoutes() {
		one, err := readRoute(r, host.before(outer))
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", r.GetName(), err)
		}
		out = append(out, one)
	}
	return out, nil
}

func readRoute(r *routev3.Route, outer level) (route, error) {
	own, err := readLevel(r)
	if err != nil {
		return route{}, err
	}
	edits := own.before(outer)
	out := route{request: edits.request, response: edits.response}
	if len(r.GetTypedPerFilterConfig()) > 0 {
		return out, errors.New("a filter's configuration for a route is not understood")
	}
	if out.Match, err = xds.RouteMatch(r.GetMatch()); err != nil {
		return out, err
	}
	switch a := r.GetAction().(type) {
	case *routev3.Route_Redirect:
		out.redirect, err = readRedirect(a.Redirect)
	case *routev3.Route_DirectResponse:
		if out.status = int(a.DirectResponse.GetStatus()); out.status < 200 || out.status > 599 {
			err = fmt.Errorf("status %d is refused", out.status)
		}
	case *routev3.Route_Route:
		err = out.readAction(a.Route)
	default:
		err = fmt.Errorf("an action %T is not understood", a)
	}
	return out, err
}

func (r *route) readAction(a *routev3.RouteAction) error {
	switch c := a.GetClusterSpecifier().(type) {
	case *routev3.RouteAction_Cluster:
		if c.Cluster == "" {
			return errors.New("a route to a cluster without a name is refused")
		}
		r.shares = []share{{cluster: c.Cluster, weight: 1}}
	case *routev3.RouteAction_WeightedClusters:
		if err := r.readShares(c.WeightedClusters); err != nil {
			return err
		}
	default:
		return fmt.Errorf("a cluster chosen by %T is not understood", c)
	}
	r.host, r.timeout = a.GetHostRewriteLiteral(), defaultTimeout
	if a.GetHostRewriteSpecifier() != nil && r.host == "" {
		return fmt.Errorf("a host rewritten by %T is not understood", a.GetHostRewriteSpecifier())
	}
	if a.GetTimeout() != nil {
		r.timeout = a.GetTimeout().AsDuration()
	}
	r.idle = given(a.GetIdleTimeout())
	for _, m := range a.GetRequestMirrorPolicies() {
		percent := 100.0
		if f := m.GetRuntimeFraction().GetDefaultValue(); m.GetRuntimeFraction() != nil {
			percent = xds.Percent(f)
		}
		r.mirrors = append(r.mirrors, mirror{m.GetCluster(), percent})
	}
	var err error
	r.rewrite, err = readRewrite(a.GetPrefixRewrite(), a.GetRegexRewrite())
	return err
}

func given(d *durationpb.Duration) *time.Duration {
	if d == nil {
		return nil
	}
	out := d.AsDuration()
	return &out
}

func (r *route) readShares(w *routev3.WeightedCluster) error {
	var total uint64
	for _, c := range w.GetClusters() {
		if c.GetName() == "" {
			return errors.New("a share of a cluster without a name is refused")
		}
		total += uint64(c.GetWeight().GetValue())
		edits, err := readLevel(c)
		if err != nil {
			return err
		}
		s := share{cluster: c.GetName(), weight: c.GetWeight().GetValue(), host: c.GetHostRewriteLiteral(), request: edits.request, response: edits.response}
		for name, config := range c.GetTypedPerFilterConfig() {
			if name != xds.FaultFilter {
				return fmt.Errorf("a configuration of %s for a share is not understood", name)
			}
			if s.abort, err = xds.Fault(config); err != nil {
				return err
			}
		}
		r.shares = append(r.shares, s)
	}
	return xds.Total(total)
}

// rewrite is what takes the place of a path.
type rewrite struct {
	prefix string
	regex  *regexp.Regexp
	to     string
}

func readRewrite(prefix string, m *matcherv3.RegexMatchAndSubstitute) (rewrite, error) {
	out := rewrite{prefix: prefix}
	if m == nil {
		return out, nil
	}
	if prefix != "" {
		return out, errors.New("two rewrites of a path are refused")
	}
	var err error
	if out.regex, err = regexp.Compile(m.GetPattern().GetRegex()); err != nil || m.GetPattern().GetRegex() == "" {
		return out, fmt.Errorf("the expression %q is refused", m.GetPattern().GetRegex())
	}
	out.to, err = substitution(m.GetSubstitution())
	return out, err
}

// substitution says in Go's words what RE2 calls \0 to \9.
func substitution(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '$':
			b.WriteString("$$")
		case s[i] != '\\':
			b.WriteByte(s[i])
		case i+1 < len(s) && s[i+1] == '\\':
			b.WriteByte('\\')
			i++
		case i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9':
			b.WriteString("${" + s[i+1:i+2] + "}")
			i++
		default:
			return "", fmt.Errorf("the substitution %q is refused", s)
		}
	}
	return b.String(), nil
}

// apply rewrites a path of which a part was matched.
func (r rewrite) apply(path, matched string) string {
	switch {
	case r.prefix != "":
		return r.prefix + path[len(matched):]
	case r.regex != nil:
		return r.regex.ReplaceAllString(path, r.to)
	}
	return path
}
