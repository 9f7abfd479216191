package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/meshknot/meshknot/internal/controller"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/internal/telemetry"
	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/ir"
)

// replica is a running "meshknot controller".
type replica struct {
	*controllerFlags
	cfg        *rest.Config
	log        *slog.Logger
	metrics    *telemetry.Metrics
	manager    manager.Manager
	controller *controller.Controller
}

// run runs until ctx ends: then requests and streams are let go, the lease is given
// back, and what there is to say to others is said.
func (p *replica) run(ctx context.Context) error {
	var err error
	if p.log, err = telemetry.NewLogger(p.app.err, p.logLevel, p.logFormat); err != nil {
		return err
	}
	logr := logr.FromSlogHandler(p.log.Handler())
	ctrl.SetLogger(logr)
	klog.SetLogger(logr)
	traces, err := telemetry.NewTraces(ctx, Version)
	if err != nil {
		return err
	}
	defer func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := traces.Close(bounded); err != nil {
			p.log.Warn("traces were lost", "error", err)
		}
	}()
	if p.metrics, err = telemetry.NewMetrics(ctrlmetrics.Registry); err != nil {
		return err
	}
	if err := p.manage(); err != nil {
		return err
	}
	if err := p.assemble(traces); err != nil {
		return err
	}
	p.log.Info("meshknot runs", "version", Version, "roles", p.roles)
	return p.manager.Start(ctx)
}

// manage makes the manager, which serves metrics and probes. What leads, and what
// becomes of a replica that no longer does, is no business of its.
func (p *replica) manage() error {
	noHTTP2 := func(c *tls.Config) {
		if !p.http2 {
			c.NextProtos = []string{"http/1.1"}
		}
	}
	o := metricsserver.Options{BindAddress: p.controllerFlags.metrics, SecureServing: p.metricsSecure, CertDir: p.metricsCert, TLSOpts: []func(*tls.Config){noHTTP2}}
	if p.metricsSecure {
		o.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	grace := 30 * time.Second
	var err error
	p.manager, err = manager.New(p.cfg, manager.Options{Scheme: runtime.NewScheme(), Metrics: o, HealthProbeBindAddress: p.health,
		PprofBindAddress: p.pprof, GracefulShutdownTimeout: &grace})
	if err != nil {
		return err
	}
	return p.manager.AddHealthzCheck("ping", healthz.Ping)
}

// assemble makes the parts of the replica's roles, and has the manager run them.
func (p *replica) assemble(traces *telemetry.Traces) error {
	o := controller.Options{Pipeline: all.Pipeline(), Status: all.StatusOf, LastGood: all.LastGood, Sinks: map[string]controller.Sink{}, Metrics: p.metrics, Traces: traces, Log: p.log,
		Writes: p.does(roleWriter)}
	var server *xds.Server
	if p.does(roleXDS) && p.xds != "" {
		server = p.proxies(&o)
	}
	if p.leader {
		o.Election = p.election()
	}
	if o.Writes {
		if err := p.sinks(&o); err != nil {
			return err
		}
	}
	judged, err := p.judgement(&o)
	if err != nil {
		return err
	}
	if p.controller, err = controller.New(p.cfg, o); err != nil {
		return err
	}
	if err := errors.Join(p.add(p.controller.Run), p.add(p.collectLess), p.manager.AddReadyzCheck("compiled", p.ready)); err != nil {
		return err
	}
	if p.judges() {
		err = p.judge(judged)
	}
	if server != nil {
		err = errors.Join(err, p.listen(server))
	}
	return err
}

// add has the manager run something until it stops.
func (p *replica) add(run func(context.Context) error) error {
	return p.manager.Add(manager.RunnableFunc(run))
}

// collectLess waits until the start is over.
func (p *replica) collectLess(ctx context.Context) error {
	select {
	case <-p.controller.Compiled():
		collect(afterwards)
	case <-ctx.Done():
	}
	return nil
}

// ready fails until everything was read and compiled once.
func (p *replica) ready(*http.Request) error {
	select {
	case <-p.controller.Compiled():
		return nil
	default:
		return errors.New("not everything is read and compiled yet")
	}
}

// proxies makes the server of proxies.
func (p *replica) proxies(o *controller.Options) *xds.Server {
	options := xds.Options{TrustDomain: p.trustDomain, Insecure: p.insecure}
	options.Units = func() []ir.Unit { return p.controller.World().Units() }
	if p.tls != (xds.TLSFiles{}) {
		options.TLS = &p.tls
	}
	server := xds.New(options)
	o.Server = server
	return server
}

// listen has proxies served, and their status shown on loopback.
func (p *replica) listen(server *xds.Server) error {
	for addr, serve := range map[string]func(context.Context, net.Listener) error{p.xds: server.Serve, p.admin: server.ServeAdmin} {
		if addr == "" {
			continue
		}
		lis, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		p.log.Info("listening", "address", lis.Addr().String())
		if err := p.add(func(ctx context.Context) error { return serve(ctx, lis) }); err != nil {
			return err
		}
	}
	return nil
}

// sinks makes what writes for meshes.
func (p *replica) sinks(o *controller.Options) error {
	cluster, err := sink.NewCluster(p.cfg, sink.ClusterOptions{Backends: backendNames(o.Pipeline), Version: Version})
	if err != nil {
		return err
	}
	o.Sinks[controller.SinkCluster] = cluster
	if p.consul.Address == "" {
		return nil
	}
	consul, err := sink.NewConsul(p.consul)
	if err != nil {
		return err
	}
	o.Sinks[controller.SinkConsul] = consul
	return nil
}

func (p *replica) election() *controller.Election {
	host, err := os.Hostname()
	if err != nil {
		host = "meshknot"
	}
	return &controller.Election{Namespace: p.namespace, Identity: fmt.Sprintf("%s_%d_%d", host, os.Getpid(), time.Now().UnixNano())}
}
