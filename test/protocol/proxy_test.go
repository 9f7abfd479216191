package protocol

import (
	"fmt"
	"slices"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
)

// proxy does on a stream what Envoy does: it asks for all clusters, for the
// endpoints of those that it is told of, then for all listeners and for the routes
// that these name; it accepts what it is sent in order. Whatever it is sent it
// asks itself whether each route in use still leads somewhere.
type proxy struct {
	*client
	// broken is the first thing that a caller of the proxy would have noticed.
	broken string
	// holds, when set, says which responses are not answered yet; held are these.
	holds func(response) bool
	held  []response
}

func (s *stage) proxy() *proxy {
	p := &proxy{client: s.connect()}
	p.subscribe(CDS)
	return p
}

// until runs the proxy until a condition holds.
func (p *proxy) until(what string, ok func() bool) {
	for end := time.Now().Add(p.wait); !ok(); {
		r, came := p.poll(time.Until(end))
		if !came {
			fail("%s", what)
		}
		p.step(r)
	}
}

// step deals with a response.
func (p *proxy) step(r response) {
	why := ""
	if p.refuses != nil {
		why = p.refuses(r)
	}
	if p.holds != nil && p.holds(r) {
		p.held = append(p.held, r)
		return
	}
	p.follow(r, why)
}

// release answers what was held.
func (p *proxy) release() {
	held := p.held
	p.held, p.holds = nil, nil
	for _, r := range held {
		p.step(r)
	}
}

// follow answers a response and asks for what it names.
func (p *proxy) follow(r response, refused string) {
	had := names(p.has[CDS])
	p.answer(r, refused)
	if refused != "" {
		return
	}
	if r.typeURL == CDS && p.broken == "" {
		p.broken = mixed(had, names(p.has[CDS]))
	}
	switch r.typeURL {
	case CDS:
		p.want(EDS, p.services())
		if len(p.services()) == 0 {
			p.listen()
		}
	case EDS:
		p.listen()
	case LDS:
		p.want(RDS, p.routes())
	}
	if p.broken == "" {
		p.broken = p.check()
	}
}

// mixed says whether clusters came and went in one response.
func mixed(had, has []string) string {
	lost := slices.ContainsFunc(had, func(n string) bool { return !slices.Contains(has, n) })
	won := slices.ContainsFunc(has, func(n string) bool { return !slices.Contains(had, n) })
	if lost && won {
		return "a response takes one cluster away and brings another"
	}
	return ""
}

// listen asks for listeners, once.
func (p *proxy) listen() {
	if p.asked[LDS] == nil {
		p.subscribe(LDS)
	}
}

// want sees that just these names of a type are asked for.
func (p *proxy) want(typeURL string, now []string) {
	var add, remove []string
	for _, n := range now {
		if !p.of(typeURL).names[n] {
			add = append(add, n)
		}
	}
	for n := range p.of(typeURL).names {
		if !slices.Contains(now, n) {
			remove = append(remove, n)
		}
	}
	if len(add)+len(remove) > 0 {
		p.change(typeURL, add, remove)
	}
}

// services are the names under which clusters look for their endpoints.
func (p *proxy) services() []string {
	var out []string
	for _, b := range p.has[CDS] {
		if name := service(b); name != "" && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

func service(b body) string {
	var c clusterv3.Cluster
	decode(b, &c)
	if c.GetType() != clusterv3.Cluster_EDS {
		return ""
	}
	if n := c.GetEdsClusterConfig().GetServiceName(); n != "" {
		return n
	}
	return c.GetName()
}

// routes are the names under which listeners look for their routes.
func (p *proxy) routes() []string {
	var out []string
	for _, b := range p.has[LDS] {
		var l listenerv3.Listener
		decode(b, &l)
		for _, chain := range l.GetFilterChains() {
			for _, f := range chain.GetFilters() {
				var h hcmv3.HttpConnectionManager
				if f.GetTypedConfig().UnmarshalTo(&h) == nil && h.GetRds() != nil && !slices.Contains(out, h.GetRds().GetRouteConfigName()) {
					out = append(out, h.GetRds().GetRouteConfigName())
				}
			}
		}
	}
	slices.Sort(out)
	return out
}

// check says which route in use leads to a cluster that is not there, or not warm.
func (p *proxy) check() string {
	for _, name := range p.routes() {
		b, ok := p.has[RDS][name]
		if !ok {
			continue
		}
		var r routev3.RouteConfiguration
		decode(b, &r)
		for _, to := range r.GetVirtualHosts()[0].GetRoutes() {
			c, ok := p.has[CDS][to.GetRoute().GetCluster()]
			if !ok {
				return fmt.Sprintf("route %s leads to cluster %s, which is not there", name, to.GetRoute().GetCluster())
			}
			if s := service(c); s != "" {
				if _, ok := p.has[EDS][s]; !ok {
					return fmt.Sprintf("route %s leads to cluster %s, which has not heard of its endpoints", name, to.GetRoute().GetCluster())
				}
			}
		}
	}
	return ""
}

// unbroken fails when a caller would have noticed anything.
func (p *proxy) unbroken() {
	if p.broken != "" {
		fail("%s", p.broken)
	}
}

// uses reports whether a content is in use.
func (p *proxy) uses(m proto.Message) bool {
	b, ok := p.has[typeOf(m)][nameOf(m)]
	return ok && b.is(m)
}

func (p *proxy) lacks(typeURL, name string) bool { _, ok := p.has[typeURL][name]; return !ok }

func decode(b body, m proto.Message) {
	if err := proto.Unmarshal(b.value, m); err != nil {
		fail("a resource cannot be read")
	}
}

func names(of map[string]body) []string {
	var out []string
	for n := range of {
		out = append(out, n)
	}
	return out
}
