package grpc

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	xdscreds "google.golang.org/grpc/credentials/xds"
	"google.golang.org/grpc/resolver"
	goxds "google.golang.org/grpc/xds"

	"github.com/meshknot/meshknot/test/planes"
	backendgrpc "github.com/meshknot/meshknot/translators/grpc"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
	"github.com/meshknot/meshknot/translators/xds"
)

// scene is a policy that is in use.
type scene struct {
	plane *Plane
	world interpret.World
	// nacks is how much was refused before.
	nacks uint64
	// places are the processes that serve, by port of their workload.
	places map[ir.ServicePort]string
	// behind are the ports of workloads that ports of Services lead to.
	behind map[ir.ServicePort][]ir.ServicePort
	// names are what clients can ask for, and lacks the clusters that are spoken of
	// by the routes of a name though there are none.
	names map[string]bool
	lacks map[string]string
	// answers are the names of which routes answer some calls by themselves.
	answers map[string]bool
	// leads are the clusters that the routes of a name lead to.
	leads map[string]map[string]bool
	// asked are the accounts whose grants ask for a header that clients add.
	asked map[ir.Name]string

	mu      sync.Mutex
	callers map[calling]*caller
	direct  map[string]credentials.TransportCredentials
	lines   map[lineTo]*line
}

// lineTo is what the calls of a connection have in common.
type lineTo struct {
	calling
	authority string
}

// calling is who calls which name.
type calling struct {
	from ir.Identity
	host string
}

// perConnection is how many calls a connection to a name makes before another is
// opened: a call costs 18 ms of processor time with a connection of its own, and
// within a scene nothing changes that a connection could outlive. Shares are drawn
// for each call. A caller without xDS has a connection for each call.
const perConnection = 20

// line is a connection, with how many calls were begun on it and still run.
type line struct {
	*gogrpc.ClientConn
	begun, running int
}

// caller is an application that asks the xDS server for a name. Its first
// connection is kept so that it asks once.
type caller struct {
	resolver resolver.Builder
	kept     *gogrpc.ClientConn
}

func newScene(p *Plane, shown planes.Showing, nacks uint64) *scene {
	s := &scene{plane: p, world: shown.World, nacks: nacks, places: map[ir.ServicePort]string{}, names: map[string]bool{}, lacks: map[string]string{}, answers: map[string]bool{}, leads: map[string]map[string]bool{},
		callers: map[calling]*caller{}, direct: map[string]credentials.TransportCredentials{}, lines: map[lineTo]*line{}}
	clusters := map[string]bool{}
	for _, a := range shown.Output.Artifacts {
		switch a.ID.Type {
		case xds.TypeListener:
			s.names[a.ID.Name] = true
		case xds.TypeCluster:
			clusters[a.ID.Name] = true
		}
	}
	for at, process := range p.servers {
		if s.names[fmt.Sprintf(backendgrpc.ServerListenerTemplate(process.id), process.address())] {
			s.places[at] = process.address()
		}
	}
	for _, a := range shown.Output.Artifacts {
		if routes, ok := a.Payload.(*routev3.RouteConfiguration); ok {
			s.learn(a.ID.Name, routes, clusters)
		}
	}
	var units []ir.Unit
	for _, piece := range shown.Pieces {
		units = append(units, piece.Unit)
	}
	s.behind, s.asked = behind(units), AskedFor(units)
	return s
}

// learn notes where the routes of a name lead, of the clusters that there are.
func (s *scene) learn(name string, routes *routev3.RouteConfiguration, clusters map[string]bool) {
	if s.leads[name] == nil {
		s.leads[name] = map[string]bool{}
	}
	for _, c := range clustersOf(routes) {
		s.leads[name][c] = true
		s.answers[name] = s.answers[name] || c == xds.Blackhole
		if !clusters[c] {
			s.lacks[name] = c
		}
	}
}

func clustersOf(c *routev3.RouteConfiguration) []string {
	var out []string
	for _, v := range c.GetVirtualHosts() {
		for _, r := range v.GetRoutes() {
			out = append(out, r.GetRoute().GetCluster())
			for _, w := range r.GetRoute().GetWeightedClusters().GetClusters() {
				out = append(out, w.GetName())
			}
		}
	}
	return slices.DeleteFunc(out, func(s string) bool { return s == "" })
}

func (s *scene) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.callers {
		c.kept.Close() //nolint:errcheck // nothing hangs on it any more
	}
	for _, l := range s.lines {
		l.Close() //nolint:errcheck // nor on this
	}
	s.callers, s.lines = nil, nil
}

// host is the name by which clients ask for a port of a Service.
func (s *scene) host(q semantics.Request) (string, bool) {
	for _, port := range []int32{q.Port, ir.AnyPort} {
		if host := xds.Host(q.Service, port); s.names[host] {
			return host, true
		}
	}
	return "", false
}

// straight says whether a caller has no xDS, so that it calls an address.
func straight(q semantics.Request) bool {
	return q.Workload != (ir.Name{}) || q.From == nil || q.From.SPIFFE != ""
}

// dial opens a connection for a request, or takes the one that is open. What it
// returns has to be called when the call is over.
func (s *scene) dial(q semantics.Request, authority string) (*gogrpc.ClientConn, func(), error) {
	if straight(q) {
		creds, err := s.plain(q.From)
		if err != nil {
			return nil, nil, err
		}
		conn, err := gogrpc.NewClient(s.address(q), gogrpc.WithTransportCredentials(creds), gogrpc.WithAuthority(authority))
		return conn, func() { _ = conn.Close() }, err
	}
	host, _ := s.host(q)
	at := lineTo{calling{*q.From, host}, authority}
	c, err := s.caller(at.calling)
	if err != nil {
		return nil, nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lines[at]
	if l == nil {
		conn, err := c.dial(host, authority)
		if err != nil {
			return nil, nil, err
		}
		l = &line{ClientConn: conn}
		s.lines[at] = l
	}
	l.running++
	if l.begun++; l.begun == perConnection {
		delete(s.lines, at)
	}
	return l.ClientConn, func() { s.hangUp(l) }, nil
}

// hangUp ends a connection with the last of its calls.
func (s *scene) hangUp(l *line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l.running--; l.running == 0 && l.begun == perConnection {
		_ = l.Close()
	}
}

func (c *caller) dial(host, authority string) (*gogrpc.ClientConn, error) {
	creds, err := xdscreds.NewClientCredentials(xdscreds.ClientOptions{FallbackCreds: insecure.NewCredentials()})
	if err != nil {
		return nil, err
	}
	return gogrpc.NewClient("xds:///"+host, gogrpc.WithResolvers(c.resolver), gogrpc.WithTransportCredentials(creds), gogrpc.WithAuthority(authority))
}

// address is where a call that is not routed goes: to the pod or, as for any
// client that knows the Service by its address, to one of its pods.
func (s *scene) address(q semantics.Request) string {
	if q.Workload != (ir.Name{}) {
		return s.places[ir.ServicePort{Service: q.Workload, Port: q.Port}]
	}
	for _, at := range s.behind[ir.ServicePort{Service: q.Service, Port: q.Port}] {
		if address := s.places[at]; address != "" {
			return address
		}
	}
	return ""
}

// plain are the credentials of a caller without xDS: a certificate, or nothing.
func (s *scene) plain(from *ir.Identity) (credentials.TransportCredentials, error) {
	if from == nil {
		return insecure.NewCredentials(), nil
	}
	uri := from.URI(trustDomain)
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.direct[uri]; c != nil {
		return c, nil
	}
	config, err := s.plane.lab.Client(uri, "h2")
	if err != nil {
		return nil, err
	}
	s.direct[uri] = credentials.NewTLS(config)
	return s.direct[uri], nil
}

// caller returns the application that calls a name as somebody.
func (s *scene) caller(who calling) (*caller, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.callers == nil {
		return nil, errors.New("the scene is over")
	}
	if c := s.callers[who]; c != nil {
		return c, nil
	}
	config, err := s.plane.bootstrap(who.from, "")
	if err != nil {
		return nil, err
	}
	c := &caller{}
	if c.resolver, err = goxds.NewXDSResolverWithConfigForTesting(config); err != nil {
		return nil, err
	}
	if c.kept, err = c.dial(who.host, who.host); err != nil {
		return nil, err
	}
	c.kept.Connect()
	s.callers[who] = c
	return c, nil
}
