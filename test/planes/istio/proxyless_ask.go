package istio

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	xdscreds "google.golang.org/grpc/credentials/xds"
	"google.golang.org/grpc/status"
	goxds "google.golang.org/grpc/xds"
	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	plainplane "github.com/meshknot/meshknot/test/planes/grpc"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

type (
	resource = proto.Message
	hcm      = *hcmv3.HttpConnectionManager
)

// answers is what is known of the routes that a caller has to a Service.
type answers struct {
	// cannot says why no gRPC client does what the routes say.
	cannot string
	// statuses are those of the routes that answer by themselves.
	statuses map[int]bool
}

// talk is what calls on a connection have in common.
type talk struct{ from, target, authority string }

// learn looks at the routes that istiod gives the application of a caller.
func (p *Proxyless) learn(s *scene, one *pod, on planes.Scene) error {
	names := map[string]outward{}
	for _, q := range on.Requests {
		if q.From != nil && *q.From == one.identity() && q.Service != (ir.Name{}) {
			names[fmt.Sprintf("outbound|%d||%s", q.Port, hostOf(q.Service))] = outward{*q.From, ir.ServicePort{Service: q.Service, Port: q.Port}}
		}
	}
	if len(names) == 0 {
		return nil
	}
	told, err := inquire(p, one, &routev3.RouteConfiguration{}, slices.Sorted(maps.Keys(names)))
	if err != nil {
		return err
	}
	for name, out := range names {
		if c := told[name]; c != nil {
			s.routes[out] = s.read(c, hostOf(out.to.Service))
		}
	}
	return nil
}

// read says what a gRPC client makes of routes to a host.
func (s *scene) read(c *routev3.RouteConfiguration, host string) answers {
	out := answers{statuses: map[int]bool{}}
	for _, v := range c.GetVirtualHosts() {
		if !slices.ContainsFunc(v.GetDomains(), func(d string) bool { return d == host || strings.HasPrefix(d, host+":") }) {
			continue
		}
		for _, r := range v.GetRoutes() {
			if d := r.GetDirectResponse(); d != nil {
				out.statuses[int(d.GetStatus())] = true
			}
			if why := s.foreign(r); why != "" {
				out.cannot = why
			}
		}
	}
	return out
}

// foreign says what a route does that no gRPC client does.
func (s *scene) foreign(r *routev3.Route) string {
	to, weighted := r.GetRoute(), r.GetRoute().GetWeightedClusters().GetClusters()
	clusters := []string{to.GetCluster()}
	edits := len(r.GetRequestHeadersToAdd()) + len(r.GetRequestHeadersToRemove()) + len(r.GetResponseHeadersToAdd()) + len(r.GetResponseHeadersToRemove())
	for _, w := range weighted {
		edits += len(w.GetRequestHeadersToAdd()) + len(w.GetRequestHeadersToRemove()) + len(w.GetResponseHeadersToAdd()) + len(w.GetResponseHeadersToRemove())
		clusters = append(clusters, w.GetName())
	}
	switch {
	case r.GetRedirect() != nil:
		return "a gRPC client is not redirected"
	case edits > 0 || to.GetPrefixRewrite() != "" || to.GetRegexRewrite() != nil || to.GetHostRewriteSpecifier() != nil:
		return "a gRPC client changes no request"
	case len(to.GetRequestMirrorPolicies()) > 0:
		return "a gRPC client sends no copies"
	}
	for _, h := range r.GetMatch().GetHeaders() {
		if strings.HasPrefix(h.GetName(), ":") {
			return "a gRPC client compares no " + h.GetName()
		}
	}
	silent := map[bool]bool{}
	for _, name := range clusters {
		if name == "" {
			continue
		}
		parts := strings.Split(name, "|")
		if len(parts) != 4 || !s.plays(parts[3]) {
			return "the routes speak of a cluster that is not there"
		}
		for _, process := range s.processesBehind(parts[1], parts[3]) {
			if why := s.unsaid[process]; why != "" {
				return why
			}
			silent[s.silent[process]] = true
		}
	}
	if len(silent) == 2 {
		return "some of those that a route leads to are open, for " + unheard
	}
	return ""
}

// unheard is what Istio lacks for gRPC servers.
const unheard = "istiod tells gRPC servers nothing of a policy that allows nothing"

// processesBehind are the names of those that answer at a port of a Service.
func (s *scene) processesBehind(port, host string) []string {
	var out []string
	for _, sv := range s.cast.services {
		for _, p := range sv.ports {
			if fmt.Sprint(p.Number) != port || hostOf(sv.name) != host {
				continue
			}
			for _, t := range s.cast.behind(sv, p) {
				out = append(out, planes.Process(t.pod.workload(), t.port))
			}
		}
	}
	return out
}

// Ask implements planes.Plane.
func (p *Proxyless) Ask(q semantics.Request) planes.Answer {
	s := p.on
	if s == nil {
		return planes.Answer{Cannot: "nothing is shown"}
	}
	if why := s.cannot(q); why != "" {
		return planes.Answer{Cannot: why}
	}
	routed := q.Workload == (ir.Name{}) && q.From != nil && q.From.SPIFFE == ""
	target, refusal := s.target(q, routed)
	if refusal != "" {
		return planes.Answer{Cannot: refusal}
	}
	conn, err := p.connect(q, target, routed)
	if err != nil {
		return planes.Answer{Err: err}
	}
	a, said := plainplane.Call(conn, q, !routed)
	return s.understood(q, a, said)
}

// cannot says why a request cannot be made here.
func (s *scene) cannot(q semantics.Request) string {
	path := q.Path
	host := q.Headers["host"]
	switch why := plainplane.Unspeakable(q); {
	case q.Gateway != (ir.Name{}):
		return "gateways are not translated for Istio"
	case why != "":
		return why
	case path != semantics.NormalisePath(path) || strings.ContainsAny(path, "{}%"):
		return "no proxy is there to bring a path into its normal form"
	case q.Service != (ir.Name{}) && len(host) > 0 && !slices.Equal(host, []string{hostOf(q.Service)}):
		return "a gRPC client asks for the Service that it calls"
	}
	return ""
}

// target finds where a request goes, or says why it cannot be made.
func (s *scene) target(q semantics.Request, routed bool) (target, cannot string) {
	at := ir.ServicePort{Service: q.Service, Port: q.Port}
	if routed {
		sv := s.cast.service(q.Service)
		r, known := s.routes[outward{*q.From, at}]
		if sv == nil || !known {
			return "", "istiod tells the caller nothing of that port of the Service"
		}
		i := slices.IndexFunc(sv.ports, func(p ir.Port) bool { return p.Number == q.Port })
		if i < 0 || !sv.ports[i].Protocol.IsHTTP() {
			return "", "the process on that port speaks another protocol"
		}
		return fmt.Sprintf("xds:///%s:%d", hostOf(q.Service), q.Port), r.cannot
	}
	return s.straight(q)
}

// straight is target for a caller without xDS, who calls an address.
func (s *scene) straight(q semantics.Request) (target, cannot string) {
	workload, port := q.Workload, q.Port
	if q.Service != (ir.Name{}) {
		sv := s.cast.service(q.Service)
		if sv == nil || s.routed[q.Service] {
			return "", "a caller without xDS is not routed"
		}
		i := slices.IndexFunc(sv.ports, func(p ir.Port) bool { return p.Number == q.Port })
		if i < 0 {
			return "", "no such port"
		}
		behind := s.cast.behind(sv, sv.ports[i])
		if len(behind) != 1 {
			return "", "several pods answer, and no proxy chooses"
		}
		workload, port = behind[0].pod.workload(), behind[0].port
	}
	if why := s.unsaid[planes.Process(workload, port)]; why != "" {
		return "", why
	}
	if q.From == nil && (!s.closed[workload] || s.probed(workload, port, q)) {
		return "", "Istio knows no gRPC server that takes mTLS and plain text"
	}
	for _, one := range s.cast.pods {
		address := fmt.Sprintf("%s:%d", one.ip, port)
		if made := s.servers[address]; one.workload() == workload && made != nil {
			if why, _ := made.refusal.Load().(string); why != "" {
				return "", "gRPC refuses what istiod tells the server"
			}
			return "passthrough:///" + address, ""
		}
	}
	return "", "istiod tells no gRPC server of that port"
}

// connect opens the connection for a request, or takes the one that is open.
func (p *Proxyless) connect(q semantics.Request, target string, routed bool) (*grpc.ClientConn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	authority := lab.AnyHost
	if h := withHost(q).Headers["host"]; len(h) > 0 { // by which a client finds its routes
		authority = h[0]
	}
	at := talk{fmt.Sprint(q.From), target, authority}
	if c := p.on.clients[at]; c != nil {
		return c, nil
	}
	options := []grpc.DialOption{grpc.WithAuthority(authority), grpc.WithContextDialer(p.on.dial)}
	var creds credentials.TransportCredentials
	switch {
	case routed:
		config, err := p.bootstrap(p.on.cast.callers[*q.From])
		if err != nil {
			return nil, err
		}
		resolver, err := goxds.NewXDSResolverWithConfigForTesting(config)
		if err != nil {
			return nil, err
		}
		options = append(options, grpc.WithResolvers(resolver))
		if creds, err = xdscreds.NewClientCredentials(xdscreds.ClientOptions{FallbackCreds: insecure.NewCredentials()}); err != nil {
			return nil, err
		}
	case q.From == nil:
		creds = insecure.NewCredentials()
	default:
		config, err := p.Plane.client(q.From.URI("cluster.local"), "h2")
		if err != nil {
			return nil, err
		}
		creds = credentials.NewTLS(config)
	}
	conn, err := grpc.NewClient(target, append(options, grpc.WithTransportCredentials(creds))...)
	if err != nil {
		return nil, err
	}
	p.on.clients[at] = conn
	return conn, nil
}

// dial leads the address of a pod to where it is played.
func (s *scene) dial(ctx context.Context, address string) (net.Conn, error) {
	for _, one := range s.cast.pods {
		for port, at := range one.listens {
			if address == fmt.Sprintf("%s:%d", one.ip, port) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", lab.Local(at))
			}
		}
	}
	return nil, fmt.Errorf("the address %s is nobody's", address)
}

// understood is an answer in the words of the policy. Of a route that answers by
// itself a gRPC client knows only that it cannot do what the route says; the
// status is then that of the route, where all that answer give the same.
func (s *scene) understood(q semantics.Request, a planes.Answer, said error) planes.Answer {
	if s.silent[a.App] {
		return planes.Answer{Cannot: "the server is open, for " + unheard}
	}
	if a.Status != http.StatusServiceUnavailable || !strings.Contains(status.Convert(said).Message(), "supported route action") {
		return a
	}
	r := s.routes[outward{*q.From, ir.ServicePort{Service: q.Service, Port: q.Port}}]
	statuses := slices.Sorted(maps.Keys(r.statuses))
	switch len(statuses) {
	case 0:
		return a
	case 1:
		a.Status = statuses[0]
		return a
	}
	return planes.Answer{Cannot: "a gRPC client does not say with which status a route answers"}
}
