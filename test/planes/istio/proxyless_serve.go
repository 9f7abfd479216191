package istio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	xdscreds "google.golang.org/grpc/credentials/xds"
	goxds "google.golang.org/grpc/xds"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	plainplane "github.com/meshknot/meshknot/test/planes/grpc"
)

// inboundName begins the names of what istiod tells servers.
const inboundName = "xds.istio.io/grpc/lds/inbound/"

// server is an application at a port of a pod.
type server struct {
	*goxds.GRPCServer
	ended chan struct{}
	// decided: it serves, or gRPC has something against what it is told.
	decided atomic.Bool
	refusal atomic.Value // a string
}

func (s *server) stop() {
	s.GRPCServer.Stop()
	<-s.ended
}

// moved is a listener of loopback that says it is at a pod's address, by which
// istiod knows it and policies know its port.
type moved struct {
	net.Listener
	at *net.TCPAddr
}

func (m moved) Addr() net.Addr { return m.at }

func (m moved) Accept() (net.Conn, error) {
	c, err := m.Listener.Accept()
	return movedConn{c, m.at}, err
}

type movedConn struct {
	net.Conn
	at *net.TCPAddr
}

func (c movedConn) LocalAddr() net.Addr { return c.at }

// serveAll starts the servers of a pod that istiod knows.
func (p *Proxyless) serveAll(s *scene, one *pod, applied []object) error {
	var names []string
	ports := s.httpPorts(one)
	for _, port := range ports {
		names = append(names, fmt.Sprintf("%s%s:%d", inboundName, one.ip, port))
	}
	if len(names) == 0 {
		return nil
	}
	told, err := inquire(p, one, &listenerv3.Listener{}, names)
	if err != nil {
		return err
	}
	for _, o := range applied {
		s.closed[one.workload()] = s.closed[one.workload()] || strict(o) && selects(o, one)
	}
	for i, port := range ports {
		if header := s.asked[one.workload()]; header != "" {
			s.unsaid[planes.Process(one.workload(), port)] = plainplane.Unsaid(one.workload(), header)
		}
		l := told[names[i]]
		if l == nil {
			continue // no Service leads there, and istiod tells the server nothing
		}
		nothing := slices.ContainsFunc(applied, func(o object) bool { return allowsNothing(o) && selects(o, one) })
		if nothing && !slices.Contains(filtersOf(l), "envoy.filters.http.rbac") {
			s.silent[planes.Process(one.workload(), port)] = true
		}
		if err := p.start(s, one, port); err != nil {
			return err
		}
	}
	return nil
}

// filtersOf are the names in a listener that begin as those of filters do.
func filtersOf(l *listenerv3.Listener) []string {
	var out []string
	for _, chain := range l.GetFilterChains() {
		for _, f := range chain.GetFilters() {
			m, err := f.GetTypedConfig().UnmarshalNew()
			if h, ok := m.(hcm); ok && err == nil {
				for _, one := range h.GetHttpFilters() {
					out = append(out, one.GetName())
				}
			}
		}
	}
	return out
}

func (p *Proxyless) start(s *scene, one *pod, port int32) error {
	config, err := p.bootstrap(one)
	if err != nil {
		return err
	}
	creds, err := xdscreds.NewServerCredentials(xdscreds.ServerOptions{FallbackCreds: insecure.NewCredentials()})
	if err != nil {
		return err
	}
	inner, err := net.Listen("tcp", lab.Local(one.listens[port]))
	if err != nil {
		return err
	}
	made := &server{ended: make(chan struct{})}
	made.GRPCServer, err = goxds.NewGRPCServer(goxds.BootstrapContentsForTesting(config), grpc.Creds(creds),
		grpc.UnknownServiceHandler(plainplane.Echo(planes.Process(one.workload(), port))),
		goxds.ServingModeCallback(func(_ net.Addr, args goxds.ServingModeChangeArgs) {
			if args.Mode != connectivity.ServingModeServing {
				made.refusal.Store(fmt.Sprint(args.Err))
			}
			made.decided.Store(true)
		}))
	if err != nil {
		return errors.Join(err, inner.Close())
	}
	s.servers[fmt.Sprintf("%s:%d", one.ip, port)] = made
	go func() {
		defer close(made.ended)
		_ = made.Serve(moved{inner, &net.TCPAddr{IP: net.ParseIP(one.ip), Port: int(port)}}) // it ends when it is stopped
	}()
	return nil
}

// bootstrap is what an application in a pod is started with.
func (p *Proxyless) bootstrap(one *pod) ([]byte, error) {
	node, err := one.proxyless()
	if err != nil {
		return nil, err
	}
	text, err := protojson.Marshal(node)
	if err != nil {
		return nil, err
	}
	files, err := p.identity(one.identity().URI("cluster.local"))
	if err != nil {
		return nil, err
	}
	return json.Marshal(object{
		"xds_servers": []any{object{"server_uri": p.istiod.ADS, "channel_creds": []any{object{"type": "insecure"}}, "server_features": []any{"xds_v3"}}},
		"node":        json.RawMessage(text),
		"certificate_providers": object{"default": object{"plugin_name": "file_watcher", "config": object{"certificate_file": files.cert,
			"private_key_file": files.key, "ca_certificate_file": files.authority, "refresh_interval": "900s"}}},
		"server_listener_resource_name_template": inboundName + "%s",
	})
}

// inquire asks istiod what it tells the application in a pod of some names.
func inquire[T resource](p *Proxyless, one *pod, like T, names []string) (map[string]T, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	stream, err := p.ads.StreamAggregatedResources(ctx)
	if err != nil {
		return nil, err
	}
	node, err := one.proxyless()
	if err != nil {
		return nil, err
	}
	out, err := asked(asker{stream, node}, like, names)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", prototext.Format(node), err)
	}
	return out, nil
}
