// Package istio is the plane of a real istiod on a real Kubernetes API server,
// and of Envoy. What was translated, and who exists, is written into the API
// server; what istiod then tells the sidecar of every pod is asked of it by its
// own protocol, and runs in one Envoy that plays all of these sidecars.
//
// Nothing of what istiod says about a call is changed but where it leads:
// addresses of pods become ports of loopback, secrets become files that the lab
// signed, and filters that only Istio's own build of Envoy has are left out by a
// list. What comes in and out by redirected packets comes to listeners here.
package istio

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshknot/meshknot/internal/bootstrap"
	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/istio"
)

// Needs are the programs without which the plane cannot be.
var Needs = []string{lab.Etcd, lab.KubeAPIServer, lab.Istiod, lab.Envoy}

// istioVersion is that of the istiod of test/tools, istioMinor the one that is
// translated to for it.
const (
	istioVersion = "1.26.0"
	istioMinor   = "1.26"
)

// Plane implements planes.Plane.
type Plane struct {
	lab    *lab.Lab
	kube   *lab.Kube
	istiod *lab.Istio
	ads    discoveryv3.AggregatedDiscoveryServiceClient
	// server tells our Envoy what istiod's answers became.
	server *xds.Server
	envoy  string // its version
	shows  int
	stage  *stage
	turn   atomic.Int32 // of the classes of a workload's pods

	namespaces map[string]bool
	written    map[string]written
	addresses  map[string]string
	processes  *planes.Processes

	mu           sync.Mutex
	certificates map[string]certificate
	clients      map[string]*tls.Config
}

// New starts the API server, istiod and Envoy.
func New() (*Plane, error) {
	l, err := lab.Open()
	if err != nil {
		return nil, err
	}
	p := newPlane(l)
	p.server = xds.New(xds.Options{})
	if err := p.startIstio(); err != nil {
		l.Close()
		return nil, err
	}
	if err := p.startEnvoy(); err != nil {
		l.Close()
		return nil, err
	}
	return p, nil
}

func newPlane(l *lab.Lab) *Plane {
	return &Plane{lab: l, namespaces: map[string]bool{}, written: map[string]written{}, addresses: map[string]string{},
		processes: planes.NewProcesses(l, l.Greeter), certificates: map[string]certificate{}, clients: map[string]*tls.Config{}}
}

func (p *Plane) startIstio() (err error) {
	if p.kube, err = p.lab.StartKube(); err != nil {
		return err
	}
	if err = p.kube.Define(lab.IstioCRDs, lab.GatewayAPICRDs); err != nil {
		return err
	}
	if p.istiod, err = p.lab.StartIstiod(p.kube); err != nil {
		return err
	}
	conn, err := grpc.NewClient(p.istiod.ADS, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return err
	}
	p.lab.OnClose(func() { _ = conn.Close() })
	p.ads = discoveryv3.NewAggregatedDiscoveryServiceClient(conn)
	return nil
}

// us is who our Envoy says it is to the server of this package.
var us = ir.Identity{Namespace: "lab", Account: "sidecars"}

func (p *Plane) startEnvoy() error {
	var err error
	if p.envoy, err = lab.EnvoyVersion(); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		p.server.Serve(ctx, listener) //nolint:errcheck // an Envoy that hears nothing is noticed
		close(ended)
	}()
	text, err := bootstrap.Envoy(bootstrap.Options{Namespace: us.Namespace, Account: us.Account,
		Server: listener.Addr().String(), Admin: "127.0.0.1:0", StateOfTheWorld: true})
	if err == nil {
		text, err = asOld(text)
	}
	var process *lab.Process
	if err == nil {
		process, err = p.lab.StartEnvoy("sidecars", text)
	}
	p.lab.OnClose(func() {
		if process != nil {
			process.Stop() // first: the server waits for its stream
		}
		stop()
		<-ended
	})
	return err
}

// joined are what an Envoy of Istio 1.26, which is 1.34, does not do yet: it joins
// the lines of a repeated header with commas before it compares.
var joined = map[string]any{
	"envoy.reloadable_features.match_headers_individually":      false,
	"envoy.reloadable_features.rbac_match_headers_individually": false,
}

// asOld has Envoy do as the one that Istio brings along.
func asOld(text []byte) ([]byte, error) {
	b := &bootstrapv3.Bootstrap{}
	if err := protojson.Unmarshal(text, b); err != nil {
		return nil, err
	}
	layer, err := structpb.NewStruct(joined)
	if err != nil {
		return nil, err
	}
	if b.LayeredRuntime == nil {
		b.LayeredRuntime = &bootstrapv3.LayeredRuntime{}
	}
	b.LayeredRuntime.Layers = append(b.LayeredRuntime.Layers, &bootstrapv3.RuntimeLayer{Name: "as-istio",
		LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{StaticLayer: layer}})
	return protojson.Marshal(b)
}

// Name implements planes.Plane.
func (p *Plane) Name() string { return "istio" }

// Programs implements planes.Plane.
func (p *Plane) Programs() []string {
	return []string{"istiod " + istioVersion, "kube-apiserver 1.36.3", "Envoy " + p.envoy}
}

// Close implements planes.Plane.
func (p *Plane) Close() { p.lab.Close() }

// Show implements planes.Plane.
func (p *Plane) Show(s planes.Scene) (planes.Showing, error) {
	p.stage = nil
	out := translated(s)
	if out.Output.Withheld {
		return out, nil
	}
	st, _, err := p.prepare(s, out)
	if err != nil {
		return out, err
	}
	if err := p.lay(st, s); err != nil {
		return out, err
	}
	if err := p.serve(st); err != nil {
		return out, err
	}
	p.stage = st
	return out, nil
}

// prepare brings a scene into the API server and waits until istiod has all of it.
// It returns the stage, and what was translated as objects.
func (p *Plane) prepare(s planes.Scene, out planes.Showing) (*stage, []object, error) {
	c, err := p.newCast(s)
	if err != nil {
		return nil, nil, err
	}
	p.shows++
	st := &stage{cast: c, number: p.shows, outbound: map[outward]int32{}, alone: map[outward]bool{}, routed: map[ir.Name]bool{}}
	applied, err := policies(out.Output.Artifacts)
	if err != nil {
		return nil, nil, err
	}
	for _, o := range applied {
		if o["kind"] == "VirtualService" {
			m := o["metadata"].(object)
			st.routed[ir.Name{Namespace: m["namespace"].(string), Name: m["name"].(string)}] = true
		}
	}
	if err := p.write(append(c.objects(), applied...)); err != nil {
		return nil, nil, err
	}
	return st, applied, p.mark(p.shows)
}

// translated is what meshknot makes of a scene.
func translated(s planes.Scene) planes.Showing {
	t := translators.Target{Backend: "istio", Version: istioMinor, Options: s.Options}
	out := planes.Showing{World: interpret.WorldOf(s.Units)}
	out.Output, out.Pieces = translators.Make(s.Policies(), istio.New(), t, s.Waivers)
	return out
}

// serve gives our Envoy a stage and waits until it is in use. Listeners are at new
// ports with every scene, so one that takes connections is the one that is meant.
func (p *Plane) serve(st *stage) error {
	refused := p.server.Status().Nacks
	err := p.server.Update(xds.State{Artifacts: map[string][]translators.Artifact{"envoy": st.artifacts}})
	if err != nil {
		return err
	}
	var ports []int32
	for _, one := range st.cast.pods {
		for _, at := range one.listens {
			ports = append(ports, at)
		}
	}
	for _, at := range st.outbound {
		ports = append(ports, at)
	}
	var nack error
	err = p.lab.Eventually("listeners that are in use", 30*time.Second, func() bool {
		if s := p.server.Status(); s.Nacks > refused {
			nack = fmt.Errorf("refused by Envoy: %s: %s", s.LastNack.TypeURL, s.LastNack.Text)
			return true
		}
		for len(ports) > 0 && lab.Listens(ports[0]) {
			ports = ports[1:]
		}
		return len(ports) == 0
	})
	return errors.Join(nack, err)
}
