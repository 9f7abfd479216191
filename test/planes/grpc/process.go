package grpc

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	gogrpc "google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	xdscreds "google.golang.org/grpc/credentials/xds"
	"google.golang.org/grpc/metadata"
	goxds "google.golang.org/grpc/xds"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshknot/meshknot/internal/bootstrap"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/xds"
)

// process is a server behind a port of a workload's pods. It listens from the
// beginning and serves once it is told to.
type process struct {
	id       ir.Identity
	name     string
	node     string
	listener net.Listener
	server   *goxds.GRPCServer // nil until it serves
	serving  atomic.Bool
	ended    chan struct{}
}

func (s *process) address() string { return s.listener.Addr().String() }

func (s *process) stop() {
	if s.server != nil {
		s.server.Stop()
		<-s.ended
	}
	s.listener.Close()
}

// cast sees that there is a process for every port that the scene's workloads
// have, and for no other. Pods of no known account have none: what they run, and
// with which bootstrap, nobody says, so no process could stand for them all. One
// that is an xDS-enabled server is told of no Listener and does not serve, which
// TestServerWithoutListener shows.
func (p *Plane) cast(units []ir.Unit) error {
	wanted := map[ir.ServicePort]bool{}
	for _, u := range units {
		if w := u.Workload; w != nil && w.Account != "" {
			for _, port := range xds.Ports(*w, func(int32) ir.Protocol { return ir.GRPC }) {
				if port.Protocol.IsHTTP() {
					wanted[ir.ServicePort{Service: ir.Name{Namespace: w.Namespace, Name: w.Account}, Port: port.Number}] = true
				}
			}
		}
	}
	for at, s := range p.servers {
		if !wanted[at] {
			s.stop()
			delete(p.servers, at)
		}
	}
	for at := range wanted {
		if p.servers[at] != nil {
			continue
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return fmt.Errorf("listening for %s: %w", at, err)
		}
		id := ir.Identity{Namespace: at.Service.Namespace, Account: at.Service.Name}
		p.servers[at] = &process{id: id, name: planes.Process(at.Service, at.Port), listener: listener,
			node: fmt.Sprintf("sidecar~%s~%d", at.Service, at.Port), ended: make(chan struct{})}
	}
	return nil
}

// serve lets the processes of a scene serve that do not yet.
func (p *Plane) serve(s *scene) error {
	for _, at := range slices.SortedFunc(maps.Keys(s.places), ir.ServicePort.Compare) {
		if process := p.servers[at]; process.server == nil {
			if err := p.run(process); err != nil {
				return fmt.Errorf("starting %s: %w", process.name, err)
			}
		}
	}
	return nil
}

func (p *Plane) run(s *process) error {
	config, err := p.bootstrap(s.id, s.node)
	if err != nil {
		return err
	}
	creds, err := xdscreds.NewServerCredentials(xdscreds.ServerOptions{FallbackCreds: insecure.NewCredentials()})
	if err != nil {
		return err
	}
	s.server, err = goxds.NewGRPCServer(goxds.BootstrapContentsForTesting(config), gogrpc.Creds(creds), gogrpc.UnknownServiceHandler(s.echo),
		goxds.ServingModeCallback(func(_ net.Addr, args goxds.ServingModeChangeArgs) {
			s.serving.Store(args.Mode == connectivity.ServingModeServing)
		}))
	if err != nil {
		return err
	}
	go func() {
		defer close(s.ended)
		_ = s.server.Serve(s.listener) // it ends when it is stopped
	}()
	return nil
}

// bootstrap issues a certificate for an identity and says so in a bootstrap.
func (p *Plane) bootstrap(id ir.Identity, node string) ([]byte, error) {
	files, err := p.lab.Files(id.URI(trustDomain))
	if err != nil {
		return nil, err
	}
	return bootstrap.GRPC(bootstrap.Options{Namespace: id.Namespace, Account: id.Account, Node: node, Server: p.ads,
		Files: bootstrap.Files(files), ServerIdentity: control.URI(trustDomain)})
}

// echo answers every method with what was heard.
func (s *process) echo(_ any, stream gogrpc.ServerStream) error {
	if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
		return err
	}
	md, _ := metadata.FromIncomingContext(stream.Context())
	method, _ := gogrpc.MethodFromServerStream(stream)
	h := lab.Heard{App: s.name, Host: strings.Join(md[":authority"], ","), Path: method, Method: "POST", Headers: map[string][]string{}}
	for name, values := range md {
		if !strings.HasPrefix(name, ":") {
			h.Headers[name] = values
		}
	}
	if d, err := time.ParseDuration(strings.Join(md["x-sleep"], "")); err == nil {
		select {
		case <-time.After(d):
		case <-stream.Context().Done():
		}
	}
	answered := metadata.MD{}
	for name, values := range lab.Answered {
		answered.Append(name, values...)
	}
	if err := stream.SetHeader(answered); err != nil {
		return err
	}
	text, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return stream.SendMsg(wrapperspb.String(string(text)))
}

// endpoints puts the processes behind every Service that leads to their ports.
func (p *Plane) endpoints(units []ir.Unit) []ir.Unit {
	behind := behind(units)
	var out []ir.Unit
	for _, u := range units {
		if u.Service == nil {
			continue
		}
		e := ir.Endpoints{Namespace: u.Service.Namespace, Name: u.Service.Name}
		for _, port := range u.Service.Ports {
			ends := ir.EndpointsPort{Number: port.Number}
			for _, at := range behind[ir.ServicePort{Service: ir.Name{Namespace: e.Namespace, Name: e.Name}, Port: port.Number}] {
				if process := p.servers[at]; process != nil {
					ends.Endpoints = append(ends.Endpoints, ir.Endpoint{Address: "127.0.0.1", Ready: true,
						Port: int32(process.listener.Addr().(*net.TCPAddr).Port)})
				}
			}
			e.Ports = append(e.Ports, ends)
		}
		out = append(out, ir.Unit{Endpoints: &e})
	}
	return out
}

// behind maps the ports of Services to the ports of workloads that they lead to.
func behind(units []ir.Unit) map[ir.ServicePort][]ir.ServicePort {
	out := map[ir.ServicePort][]ir.ServicePort{}
	for _, u := range units {
		if u.Workload == nil {
			continue
		}
		for _, port := range u.Workload.Ports {
			at := ir.ServicePort{Service: ir.Name{Namespace: u.Workload.Namespace, Name: u.Workload.Account}, Port: port.Number}
			for _, s := range port.Services {
				out[s] = append(out[s], at)
			}
		}
	}
	return out
}

// tick is what is served with the listeners of servers changed in a word that
// nobody heeds: every server is told something new, and nothing becomes different.
func tick(artifacts []translators.Artifact, n int) []translators.Artifact {
	out := slices.Clone(artifacts)
	for i, a := range out {
		if l, ok := a.Payload.(*listenerv3.Listener); ok && l.GetTrafficDirection() == corev3.TrafficDirection_INBOUND {
			l = proto.CloneOf(l)
			l.StatPrefix = fmt.Sprintf("tick %d", n)
			out[i].Payload = l
		}
	}
	return out
}
