package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/meshknot/meshknot/internal/demo/ca"
	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/internal/watch"
	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// serverAccount is the account of the xDS server, in the namespace "mesh".
const serverAccount = "meshknot"

// control is the control plane: files in, xDS out.
type control struct {
	dir     string
	planes  []plane
	schemas []input.Schema
	engines []*engine.Engine
	server  *xds.Server
	// behind: the server lacks something that an engine has handed out.
	behind  bool
	address string
	stop    context.CancelFunc
	running sync.WaitGroup
	// reloaded gets the result of each reload that a change led to.
	reloaded chan error

	mu    sync.Mutex
	model semantics.Model
}

// startControl serves what the files in dir say, for the planes, and follows
// changes until it is stopped.
func startControl(dir string, authority *ca.CA, planes []plane, pipeline translators.Pipeline) (*control, error) {
	own, err := authority.Write(filepath.Join(dir, "identities", serverAccount), identityOf("mesh", serverAccount))
	if err != nil {
		return nil, err
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for xDS: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &control{dir: dir, planes: planes, schemas: pipeline.Schemas(), stop: stop, behind: true, address: lis.Addr().String(), reloaded: make(chan error, 10)}
	c.server = xds.New(xds.Options{Grace: time.Second, TLS: &xds.TLSFiles{Cert: own.Cert, Key: own.Key, CA: own.CA}})
	for _, p := range planes {
		c.engines = append(c.engines, engine.New(pipeline, []translators.Target{p.target()}, nil))
	}
	changes := watch.Changes(ctx, []string{c.policies()}, watch.Options{Debounce: 50 * time.Millisecond})
	if err := c.reload(); err != nil {
		stop()
		return nil, errors.Join(err, lis.Close())
	}
	c.running.Add(2)
	go func() {
		defer c.running.Done()
		if err := c.server.Serve(ctx, lis); err != nil {
			c.reloaded <- err
		}
	}()
	go func() {
		defer c.running.Done()
		for range changes {
			c.reloaded <- c.reload()
		}
	}()
	return c, nil
}

func (c *control) close() {
	c.stop()
	c.running.Wait()
}

func (c *control) policies() string { return filepath.Join(c.dir, "policies") }

// reload translates the files for every plane and serves what differs or, where the
// server lacks more than that, everything.
func (c *control) reload() error {
	whole := c.behind
	c.behind = true
	state := xds.State{Artifacts: map[string][]translators.Artifact{}}
	var changes []translators.Change
	for i, p := range c.planes {
		set, found := input.Read([]string{c.policies(), filepath.Join(c.dir, p.target().Backend+".json")},
			input.Options{Schemas: c.schemas})
		step := c.engines[i].Update(input.NewStore(set, input.Settings{}))
		res := c.engines[i].Result()
		found = append(append(found, res.Findings...), res.Outputs[0].Findings...)
		if err := refused(found); err != nil {
			return fmt.Errorf("translating for %s: %w", p.target().Backend, err)
		}
		state.Units = res.Units
		state.Artifacts[p.target().Backend] = res.Outputs[0].Artifacts
		changes = append(changes, step.Changed...)
	}
	c.mu.Lock()
	c.model = semantics.New(state.Units)
	c.mu.Unlock()
	serve := func() error { return c.server.Apply(changes) }
	if whole {
		serve = func() error { return c.server.Update(state) }
	}
	if err := serve(); err != nil {
		return err
	}
	c.behind = false
	return nil
}

// refused returns the first error among findings.
func refused(found report.Report) error {
	for _, f := range found {
		if f.Severity == report.Error {
			return fmt.Errorf("%s %s/%s %s: %s (%s)", f.Source.Kind, f.Source.Namespace, f.Source.Name, f.Source.Field, f.Message, f.Code)
		}
	}
	return nil
}

// means returns the model of what is served.
func (c *control) means() semantics.Model {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.model
}

// settle waits until every proxy has accepted what is served.
func (c *control) settle(ctx context.Context, nodes int) error {
	for {
		st := c.server.Status()
		inSync := 0
		for _, n := range st.Nodes {
			if n.InSync {
				inSync++
			}
		}
		switch {
		case st.LastNack != nil:
			return fmt.Errorf("%s refuses %s %s: %s", st.LastNack.Node, st.LastNack.TypeURL, st.LastNack.Resource, st.LastNack.Text)
		case len(st.Nodes) >= nodes && inSync == len(st.Nodes):
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d proxies are connected, %d have what is served: %w", len(st.Nodes), nodes, inSync, ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// endpointSlices writes where the servers of a plane are reached.
func endpointSlices(path string, reached map[string]address) error {
	type object = map[string]any
	var items []object
	slice := func(name, service string, a address) {
		items = append(items, object{
			"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
			"metadata":    object{"name": name, "namespace": namespace, "labels": object{"kubernetes.io/service-name": service}},
			"addressType": "IPv4",
			"ports":       []object{{"name": "grpc", "port": a.port, "protocol": "TCP"}},
			"endpoints":   []object{{"addresses": []string{a.host}, "conditions": object{"ready": true}}},
		})
	}
	for _, s := range servers {
		slice(s, s, reached[s])
		slice("all-"+s, "reviews", reached[s])
	}
	b, err := json.MarshalIndent(object{"apiVersion": "v1", "kind": "List", "items": items}, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding endpoints: %w", err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return fmt.Errorf("writing endpoints: %w", err)
	}
	return nil
}

// address is where something listens.
type address struct {
	host string
	port int
}

func (a address) String() string { return net.JoinHostPort(a.host, strconv.Itoa(a.port)) }

func addressOf(lis net.Listener) address {
	tcp := lis.Addr().(*net.TCPAddr)
	return address{tcp.IP.String(), tcp.Port}
}

func identityOf(ns, account string) string {
	return "spiffe://" + trustDomain + "/ns/" + ns + "/sa/" + account
}
