package grpc

import (
	"errors"
	"fmt"
	"strings"
	"time"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/meshknot/meshknot/translators/interpret/xds"
)

// routes is a route configuration: the virtual hosts in their order.
type routes []virtualHost

type virtualHost struct {
	domains []string
	routes  []route
}

// route is one entry.
type route struct {
	xds.Match
	// unsupported: calls fail that the route holds for.
	unsupported bool
	// serves: the call is the server's own.
	serves  bool
	shares  []share
	timeout *time.Duration
}

type share struct {
	cluster string
	weight  uint32
	abort   int // status of a fault, or zero
}

func readRoutes(c *routev3.RouteConfiguration) (routes, error) {
	var out routes
	for _, v := range c.GetVirtualHosts() {
		host := virtualHost{}
		for _, d := range v.GetDomains() {
			if d == "" || strings.Contains(strings.Trim(d, "*"), "*") {
				return nil, fmt.Errorf("the domain %q is refused", d)
			}
			host.domains = append(host.domains, strings.ToLower(d))
		}
		for _, r := range v.GetRoutes() {
			one, ok, err := readRoute(r)
			if err != nil {
				return nil, fmt.Errorf("route %s: %w", r.GetName(), err)
			}
			if ok {
				host.routes = append(host.routes, one)
			}
		}
		out = append(out, host)
	}
	return out, nil
}

// of returns the routes for an authority: those of the virtual host with the
// domain that is closest, a whole name before an end before a beginning before
// any, and the longer before the shorter.
func (r routes) of(authority string) []route {
	authority = strings.ToLower(authority)
	var best []route
	rank := -1
	for _, v := range r {
		for _, d := range v.domains {
			if n := closeness(d, authority); n > rank {
				best, rank = v.routes, n
			}
		}
	}
	return best
}

// closeness orders the domains that match; it is negative for one that does not.
func closeness(domain, authority string) int {
	const kind = 1 << 16
	end, isEnd := strings.CutPrefix(domain, "*")
	begin, isBegin := strings.CutSuffix(domain, "*")
	switch {
	case domain == authority:
		return 3 * kind
	case domain == "*":
		return 0
	case isEnd && strings.HasSuffix(authority, end):
		return 2*kind + len(domain)
	case isBegin && strings.HasPrefix(authority, begin):
		return kind + len(domain)
	}
	return -1
}

// readRoute reads an entry. It reports false for one that clients leave out.
func readRoute(r *routev3.Route) (route, bool, error) {
	out := route{}
	var err error
	if out.Match, err = xds.RouteMatch(r.GetMatch()); err != nil {
		return out, false, err
	}
	if out.BySegments {
		return out, false, errors.New("path_separated_prefix is refused")
	}
	if out.AsksQuery() {
		return out, false, nil
	}
	if err := checkFilters(r.GetTypedPerFilterConfig()); err != nil {
		return out, false, err
	}
	switch a := r.GetAction().(type) {
	case *routev3.Route_Route:
		err = out.readAction(a.Route)
	case *routev3.Route_NonForwardingAction:
		out.serves = true
	default:
		out.unsupported = true
	}
	return out, true, err
}

func (r *route) readAction(a *routev3.RouteAction) error {
	if a.GetRetryPolicy() != nil && a.GetRetryPolicy().GetNumRetries() != nil && a.GetRetryPolicy().GetNumRetries().GetValue() < 1 {
		return errors.New("a retry_policy without retries is refused")
	}
	switch c := a.GetClusterSpecifier().(type) {
	case *routev3.RouteAction_Cluster:
		r.shares = []share{{cluster: c.Cluster, weight: 1}}
	case *routev3.RouteAction_WeightedClusters:
		if err := r.readShares(c.WeightedClusters); err != nil {
			return err
		}
	default:
		return fmt.Errorf("a cluster chosen by %T is not understood", c)
	}
	if m := a.GetMaxStreamDuration(); m != nil {
		d := m.GetMaxStreamDuration().AsDuration()
		if m.GetGrpcTimeoutHeaderMax() != nil {
			d = m.GetGrpcTimeoutHeaderMax().AsDuration()
		}
		r.timeout = &d
	}
	return nil
}

func (r *route) readShares(w *routev3.WeightedCluster) error {
	var total uint64
	for _, c := range w.GetClusters() {
		total += uint64(c.GetWeight().GetValue())
		if c.GetWeight().GetValue() == 0 {
			continue
		}
		if err := checkFilters(c.GetTypedPerFilterConfig()); err != nil {
			return err
		}
		s := share{cluster: c.GetName(), weight: c.GetWeight().GetValue()}
		if config := c.GetTypedPerFilterConfig()[xds.FaultFilter]; config != nil {
			var err error
			if s.abort, err = xds.Fault(config); err != nil {
				return err
			}
		}
		r.shares = append(r.shares, s)
	}
	return xds.Total(total)
}

// checkFilters refuses the configuration of a filter that nobody knows.
func checkFilters(all map[string]*anypb.Any) error {
	for name, config := range all {
		if !config.MessageIs(&faultv3.HTTPFault{}) {
			return fmt.Errorf("a configuration of filter %s is refused", name)
		}
	}
	return nil
}
