package istio

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	plainplane "github.com/meshknot/meshknot/test/planes/grpc"
	"github.com/meshknot/meshknot/translators/ir"
)

// NeedsProxyless are the programs without which Proxyless cannot be.
var NeedsProxyless = []string{lab.Etcd, lab.KubeAPIServer, lab.Istiod}

// Proxyless is the plane of the same istiod without proxies: grpc-go clients and
// servers in this process ask it for what it has for applications that speak xDS
// themselves. Nothing of what it says is changed. Dialers lead addresses of pods
// to loopback, and servers say that they listen where their pod does.
//
// Istio tells such clients to use mTLS only where a DestinationRule says so, and
// its documents have operators write one for the mesh; the plane does, too.
type Proxyless struct {
	*Plane
	mu sync.Mutex // of the scene's connections
	on *scene
}

// scene is a stage whose actors are applications.
type scene struct {
	*stage
	servers map[string]*server // by address of a pod
	// silent are processes that are told nothing of a policy that allows nothing.
	silent map[string]bool
	// asked maps accounts to a header that clients add by themselves and their grants
	// ask for, unsaid processes to why a call to them is another than is meant.
	asked  map[ir.Name]string
	unsaid map[string]string
	// closed are the accounts whose pods take no plain text.
	closed  map[ir.Name]bool
	routes  map[outward]answers
	clients map[talk]*grpc.ClientConn
}

// NewProxyless starts the API server and istiod.
func NewProxyless() (*Proxyless, error) {
	l, err := lab.Open()
	if err != nil {
		return nil, err
	}
	p := &Proxyless{Plane: newPlane(l)}
	if err := p.startIstio(); err != nil {
		l.Close()
		return nil, err
	}
	err = p.put(object{"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": meta("istio-system", "mtls", nil),
		"spec": object{"host": "*.svc.cluster.local", "trafficPolicy": object{"tls": object{"mode": "ISTIO_MUTUAL"}}}})
	if err != nil {
		l.Close()
		return nil, err
	}
	// The plane's own, of which no scene is rid.
	p.written = map[string]written{}
	return p, nil
}

// Name implements planes.Plane.
func (p *Proxyless) Name() string { return "istio-grpc" }

// Programs implements planes.Plane.
func (p *Proxyless) Programs() []string {
	return []string{"istiod " + istioVersion, "kube-apiserver 1.36.3", "grpc-go " + grpc.Version}
}

// Close implements planes.Plane.
func (p *Proxyless) Close() {
	p.leave()
	p.Plane.Close()
}

// leave ends the scene before.
func (p *Proxyless) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.on == nil {
		return
	}
	for _, c := range p.on.clients {
		_ = c.Close()
	}
	for _, s := range p.on.servers {
		s.stop()
	}
	p.on = nil
}

// Show implements planes.Plane.
func (p *Proxyless) Show(s planes.Scene) (planes.Showing, error) {
	p.leave()
	out := translated(s)
	if out.Output.Withheld {
		return out, nil
	}
	st, applied, err := p.prepare(s, out)
	if err != nil {
		return out, err
	}
	next := &scene{stage: st, servers: map[string]*server{}, silent: map[string]bool{}, closed: map[ir.Name]bool{},
		asked: plainplane.AskedFor(s.Units), unsaid: map[string]string{},
		routes: map[outward]answers{}, clients: map[talk]*grpc.ClientConn{}}
	p.on = next
	for _, one := range st.cast.pods {
		if err := p.serveAll(next, one, applied); err != nil {
			return out, err
		}
	}
	for _, one := range st.cast.callers {
		if err := p.learn(next, one, s); err != nil {
			return out, err
		}
	}
	return out, p.lab.Eventually("servers that serve", 30*time.Second, func() bool {
		for _, one := range next.servers {
			if !one.decided.Load() {
				return false
			}
		}
		return true
	})
}

// node is what an application in a pod says of itself.
func (p *pod) proxyless() (*corev3.Node, error) {
	n, err := p.node()
	if err == nil {
		n.Metadata.Fields["GENERATOR"] = structpb.NewStringValue("grpc")
	}
	return n, err
}

// selects reports whether an object is for a pod: it is in its namespace or the
// root's, and selects its labels, or selects nothing.
func selects(o object, one *pod) bool {
	spec, _ := o["spec"].(object)
	selector, _ := spec["selector"].(object)
	labels, _ := selector["matchLabels"].(object)
	for k, v := range labels {
		if one.labels[k] != fmt.Sprint(v) {
			return false
		}
	}
	namespace := o["metadata"].(object)["namespace"]
	return namespace == one.namespace || namespace == "istio-system"
}

// strict reports whether an object says that pods take mTLS alone.
func strict(o object) bool {
	spec, _ := o["spec"].(object)
	mtls, _ := spec["mtls"].(object)
	return o["kind"] == "PeerAuthentication" && mtls["mode"] == "STRICT"
}

// allowsNothing reports whether an object allows no calls.
func allowsNothing(o object) bool {
	spec, _ := o["spec"].(object)
	rules, _ := spec["rules"].([]any)
	action, _ := spec["action"].(string)
	return o["kind"] == "AuthorizationPolicy" && len(rules) == 0 && cmp.Or(action, "ALLOW") == "ALLOW"
}

// httpPorts are the ports of a pod at which an application can speak gRPC.
func (st *stage) httpPorts(one *pod) []int32 {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(one.listens)), func(port int32) bool {
		return !st.cast.protocol(one.workload(), port).IsHTTP()
	})
}
