package demo

import (
	"fmt"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	xdscreds "google.golang.org/grpc/credentials/xds"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/xds"

	"github.com/meshknot/meshknot/internal/bootstrap"
	"github.com/meshknot/meshknot/internal/demo/ca"
	"github.com/meshknot/meshknot/translators"
)

// proxyless is a data plane of gRPC applications that speak xDS themselves.
type proxyless struct {
	files     map[string]ca.Files
	listeners map[string]net.Listener
	resolvers map[string]resolver.Builder
	servers   []*xds.GRPCServer
	serving   sync.WaitGroup
	creds     credentials.TransportCredentials
}

func newProxyless(files map[string]ca.Files) (*proxyless, error) {
	lis, err := listenAll()
	if err != nil {
		return nil, err
	}
	creds, err := xdscreds.NewClientCredentials(xdscreds.ClientOptions{FallbackCreds: insecure.NewCredentials()})
	if err != nil {
		closeAll(lis)
		return nil, fmt.Errorf("making xDS credentials: %w", err)
	}
	return &proxyless{files: files, listeners: lis, creds: creds, resolvers: map[string]resolver.Builder{}}, nil
}

func (p *proxyless) title() string { return "proxyless gRPC" }

func (p *proxyless) target() translators.Target {
	o := map[string]string{}
	for name, a := range p.reached() {
		o[fmt.Sprintf("serve.%s/%s:%d", namespace, name, targetPort)] = a.String()
	}
	return translators.Target{Backend: "grpc", Options: o}
}

func (p *proxyless) reached() map[string]address {
	out := map[string]address{}
	for name, lis := range p.listeners {
		out[name] = addressOf(lis)
	}
	return out
}

func (p *proxyless) start(addr string) error {
	for _, name := range servers {
		if err := p.serve(name, addr); err != nil {
			return fmt.Errorf("starting %s: %w", name, err)
		}
	}
	for _, name := range callers {
		config, err := bootstrap.GRPC(bootstrapFor(name, addr, p.files[name]))
		if err != nil {
			return err
		}
		if p.resolvers[name], err = xds.NewXDSResolverWithConfigForTesting(config); err != nil {
			return fmt.Errorf("starting %s: %w", name, err)
		}
	}
	return nil
}

func (p *proxyless) trouble() string { return "" }

// serve serves as an account, once the control plane has said how.
func (p *proxyless) serve(name, addr string) error {
	config, err := bootstrap.GRPC(bootstrapFor(name, addr, p.files[name]))
	if err != nil {
		return err
	}
	creds, err := xdscreds.NewServerCredentials(xdscreds.ServerOptions{FallbackCreds: insecure.NewCredentials()})
	if err != nil {
		return fmt.Errorf("making xDS credentials: %w", err)
	}
	ready := make(chan struct{})
	var once sync.Once
	s, err := xds.NewGRPCServer(xds.BootstrapContentsForTesting(config), grpc.Creds(creds),
		grpc.UnknownServiceHandler(echo(name)),
		xds.ServingModeCallback(func(_ net.Addr, args xds.ServingModeChangeArgs) {
			if args.Mode == connectivity.ServingModeServing {
				once.Do(func() { close(ready) })
			}
		}))
	if err != nil {
		return fmt.Errorf("making a server: %w", err)
	}
	p.servers = append(p.servers, s)
	p.serving.Go(func() { _ = s.Serve(p.listeners[name]) }) // it ends when it is stopped
	select {
	case <-ready:
		return nil
	case <-time.After(startTimeout):
		return fmt.Errorf("it was not told who may call it within %s", startTimeout)
	}
}

func (p *proxyless) dial(c call) (*grpc.ClientConn, error) {
	if c.straight {
		return dialPlain(p.reached()[servers[0]], false)
	}
	return grpc.NewClient(fmt.Sprintf("xds:///reviews.%s:%d", namespace, servicePort),
		grpc.WithResolvers(p.resolvers[c.from]), grpc.WithTransportCredentials(p.creds))
}

func (p *proxyless) stop() {
	for _, s := range p.servers {
		s.Stop()
	}
	p.serving.Wait()
	closeAll(p.listeners)
}
