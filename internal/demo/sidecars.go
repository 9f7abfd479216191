package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc"

	"github.com/meshknot/meshknot/internal/bootstrap"
	"github.com/meshknot/meshknot/internal/demo/ca"
	"github.com/meshknot/meshknot/translators"
)

// sidecars is a data plane of plain gRPC applications, each behind an Envoy.
type sidecars struct {
	binary, dir string
	files       map[string]ca.Files
	apps        map[string]net.Listener // of the servers
	inbound     map[string]address      // where their Envoys listen
	outbound    map[string]address      // where those of the callers listen
	servers     []*grpc.Server
	serving     sync.WaitGroup
	envoys      []*envoy
}

func newSidecars(binary, dir string, files map[string]ca.Files) (*sidecars, error) {
	apps, err := listenAll()
	if err != nil {
		return nil, err
	}
	p := &sidecars{binary: binary, dir: dir, files: files, apps: apps,
		inbound: map[string]address{}, outbound: map[string]address{}}
	var reserved []net.Listener
	reserve := func(names []string, to map[string]address) error {
		for _, name := range names {
			lis, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return fmt.Errorf("finding a port: %w", err)
			}
			reserved = append(reserved, lis)
			to[name] = addressOf(lis)
		}
		return nil
	}
	err = errors.Join(reserve(servers, p.inbound), reserve(callers, p.outbound))
	for _, lis := range reserved { // Envoy will listen there itself
		err = errors.Join(err, lis.Close())
	}
	if err != nil {
		closeAll(apps)
		return nil, err
	}
	return p, nil
}

func (p *sidecars) title() string { return "Envoy sidecars" }

func (p *sidecars) target() translators.Target {
	o := map[string]string{}
	for name, bind := range p.inbound {
		o[fmt.Sprintf("inbound.%s/%s:%d", namespace, name, targetPort)] = bind.String() + "," + addressOf(p.apps[name]).String()
	}
	var places []string
	for _, name := range callers {
		places = append(places, namespace+"/"+name+"="+p.outbound[name].String())
	}
	o[fmt.Sprintf("listen.%s/reviews:%d", namespace, servicePort)] = strings.Join(places, ",")
	return translators.Target{Backend: "envoy", Options: o}
}

func (p *sidecars) reached() map[string]address { return p.inbound }

func (p *sidecars) start(addr string) error {
	for _, name := range servers {
		s := grpc.NewServer(grpc.UnknownServiceHandler(echo(name)))
		p.servers = append(p.servers, s)
		p.serving.Go(func() { _ = s.Serve(p.apps[name]) }) // it ends when it is stopped
	}
	for _, name := range slices.Concat(servers, callers) {
		config, err := bootstrap.Envoy(bootstrapFor(name, addr, p.files[name]))
		if err != nil {
			return err
		}
		e, err := startEnvoy(p.binary, filepath.Join(p.dir, name+".json"), config)
		if err != nil {
			return fmt.Errorf("starting the Envoy of %s: %w", name, err)
		}
		p.envoys = append(p.envoys, e)
	}
	return nil
}

func (p *sidecars) dial(c call) (*grpc.ClientConn, error) {
	if c.straight {
		return dialPlain(p.inbound[servers[0]], false)
	}
	return dialPlain(p.outbound[c.from], true)
}

// trouble is what the Envoys complain of.
func (p *sidecars) trouble() string {
	var out []string
	for _, e := range p.envoys {
		if text, err := os.ReadFile(e.log); err == nil && len(text) > 0 {
			out = append(out, strings.TrimSpace(string(text)))
		}
	}
	return strings.Join(out, "\n")
}

func (p *sidecars) stop() {
	for _, e := range p.envoys {
		e.cancel()
	}
	for _, e := range p.envoys {
		_ = e.cmd.Wait() // it was told to end
	}
	for _, s := range p.servers {
		s.Stop()
	}
	p.serving.Wait()
	closeAll(p.apps)
}

// envoy is a running Envoy.
type envoy struct {
	cmd    *exec.Cmd
	cancel context.CancelFunc
	log    string // a file
}

// startEnvoy starts an Envoy. Policies reach new connections alone, so it asks
// the others to go at once when a listener changes and ends them after a second.
func startEnvoy(binary, path string, config []byte) (*envoy, error) {
	if err := os.WriteFile(path, config, 0o600); err != nil {
		return nil, fmt.Errorf("writing a bootstrap: %w", err)
	}
	log, err := os.Create(path + ".log")
	if err != nil {
		return nil, fmt.Errorf("opening a log: %w", err)
	}
	defer log.Close() // Envoy has it open itself
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, binary, "-c", path, "--use-dynamic-base-id", "--concurrency", "1",
		"--drain-time-s", "1", "--drain-strategy", "immediate", "--log-level", "error")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Second
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	return &envoy{cmd, cancel, log.Name()}, nil
}

// findEnvoy returns the Envoy to use; none when there is none.
func findEnvoy(given string) string {
	for _, path := range []string{given, os.Getenv("MESHKNOT_ENVOY"), filepath.Join(".cache", "envoy", "bin", "envoy")} {
		if path == "" {
			continue
		}
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	return ""
}
