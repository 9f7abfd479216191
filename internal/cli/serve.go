package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/internal/watch"
	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// serving is a running "meshknot serve".
type serving struct {
	app    *app
	in     inputFlags
	server *xds.Server
	engine *engine.Engine
	find   findingFlags
	// units are shown at /debug/units.
	units atomic.Pointer[[]ir.Unit]
	// behind: the server lacks something that the engine has handed out.
	behind bool
}

func serveCommand(a *app) *cobra.Command {
	s := serving{app: a, find: findingFlags{color: "auto"}, behind: true}
	var to targetFlags
	var xdsListen, adminListen string
	var watched bool
	var tls xds.TLSFiles
	var insecure bool
	c := &cobra.Command{
		Use:   "serve -f FILE --xds-listen ADDR",
		Short: "Serve the policies to Envoy and proxyless gRPC over xDS",
		Long: `Serve translates policies and serves them over ADS. With --watch it follows
changes of the files. What cannot be decoded changes nothing: proxies keep
what they have. Beyond loopback it wants mTLS.`,
		Example: "  meshknot serve -f examples/bookstore --watch --xds-listen 127.0.0.1:18000",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if len(to.to) == 0 {
				to.to = []string{"envoy", "grpc"}
			}
			targets, err := to.targets()
			if err != nil {
				return err
			}
			waivers, err := to.waivers()
			if err != nil {
				return err
			}
			if _, err := s.in.settings(); err != nil {
				return err
			}
			o := xds.Options{TrustDomain: to.trustDomain, Insecure: insecure, Units: s.shown}
			if tls != (xds.TLSFiles{}) {
				o.TLS = &tls
			}
			s.server, s.engine = xds.New(o), engine.New(all.Pipeline(), targets, waivers)
			ctx, stop := untilInterrupted(c.Context())
			defer stop()
			return s.run(ctx, xdsListen, adminListen, watched)
		},
	}
	s.in.register(c)
	to.register(c, false)
	fl := c.Flags()
	fl.StringVar(&xdsListen, "xds-listen", "127.0.0.1:18000", "address of the ADS server")
	fl.StringVar(&adminListen, "admin-listen", "127.0.0.1:18001", "address of /healthz, /readyz, /status and /debug/units; empty for none")
	fl.BoolVar(&watched, "watch", false, "follow changes of the files")
	fl.StringVar(&tls.Cert, "tls-cert", "", "certificate of the server, PEM; read again when it changes")
	fl.StringVar(&tls.Key, "tls-key", "", "its key, PEM")
	fl.StringVar(&tls.CA, "tls-ca", "", "authority of the proxies' certificates, PEM")
	fl.BoolVar(&insecure, "insecure", false, "serve plaintext beyond loopback, where anybody may claim to be anyone")
	return c
}

// run serves until the context ends. These things can happen: the files change;
// a server ends, which ends everything; the context ends.
func (s *serving) run(ctx context.Context, xdsListen, adminListen string, watched bool) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Watched before they are read: an edit in between must not be missed.
	var changes <-chan struct{}
	if watched {
		changes = watch.Changes(ctx, s.in.files, watch.Options{})
	}
	if err := s.reload(); err != nil {
		return err
	}
	ended := make(chan error, 2)
	n := 0
	start := func(what, addr string, serve func(context.Context, net.Listener) error) error {
		lis, err := net.Listen("tcp", addr)
		if err != nil {
			return status{exitCannot, err}
		}
		n++
		go func() { ended <- serve(ctx, lis) }()
		fmt.Fprintf(s.app.err, "Serving %s on %s.\n", what, lis.Addr())
		return nil
	}
	if err := start("xDS", xdsListen, s.server.Serve); err != nil {
		return err
	}
	if adminListen != "" {
		if err := start("status", adminListen, s.server.ServeAdmin); err != nil {
			return err
		}
	}
	var failed error
	for n > 0 {
		select {
		case _, ok := <-changes:
			if !ok {
				changes = nil
			} else if err := s.reload(); err != nil {
				fmt.Fprintf(s.app.err, "Nothing was changed: proxies keep what they have. (%v)\n", err)
			}
		case err := <-ended:
			n--
			failed = errors.Join(failed, err)
			stop()
		}
	}
	if failed != nil {
		return status{exitCannot, failed}
	}
	return nil
}

// reload brings the proxies to the state of the files. It fails, and changes
// nothing, when the files cannot be decoded; what is understood and refused is
// reported and served without it, for that only denies more.
func (s *serving) reload() error {
	set, store, found, err := s.in.load(s.app)
	if err != nil {
		return err
	}
	if unread(found) {
		if err := s.app.show(set, found, s.find, report.Warning); err != nil {
			return err
		}
		return status{exitCannot, errors.New("the input cannot be decoded")}
	}
	step := s.engine.Update(store)
	res := s.engine.Result()
	said := append(found, res.Findings...)
	served := 0
	for _, o := range res.Outputs {
		said = append(said, o.Findings...)
		served += len(o.Artifacts)
	}
	if err := errors.Join(s.hand(step, res), s.app.show(set, said, s.find, report.Warning)); err != nil {
		return status{exitCannot, err}
	}
	s.units.Store(&res.Units)
	opened(s.app.err, s.in.access, res.Units)
	fmt.Fprintf(s.app.err, "%d units, %d compiled; %d resources.\n", len(res.Units), len(res.Recompiled), served)
	return nil
}

// hand hands the server what a step changed or, where it lacks more than that,
// everything. Of a back end whose output is withheld proxies keep what they have.
func (s *serving) hand(step engine.Step, res engine.Result) error {
	whole := s.behind
	s.behind = true
	if whole {
		state := xds.State{Artifacts: map[string][]translators.Artifact{}}
		for _, o := range res.Outputs {
			if !o.Withheld {
				state.Artifacts[o.Target.Backend] = o.Artifacts
			}
		}
		if err := s.server.Update(state); err != nil {
			return err
		}
	} else if err := s.server.Apply(step.Changed); err != nil {
		return err
	}
	s.behind = false
	return nil
}

// shown returns the units at /debug/units.
func (s *serving) shown() []ir.Unit {
	if u := s.units.Load(); u != nil {
		return *u
	}
	return nil
}
