package protocol

import (
	"fmt"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshknot/meshknot/test/lab"
)

// realPatience is how long a real client may take for what it has to do.
const realPatience = 40 * time.Second

// plane is a real client of our server, with processes behind it.
type plane interface {
	// Ask calls a path and returns the name of the process that answers; where
	// none does, why.
	Ask(path string) (string, error)
	// Listener is what the client listens to, or asks for, with routes of a name.
	Listener(routes string) *listenerv3.Listener
	// Port is that of the process of a name.
	Port(name string) uint32
}

// life plays what happens to a proxy in its life.
type life struct {
	t *testing.T
	*lab.Lab
	server *ours
	stage  *stage
	plane  plane
}

// begin starts our server in a lab.
func begin(t *testing.T) *life {
	l := &life{t: t, Lab: lab.ForTest(t), server: &ours{changes: true}}
	l.stage = &stage{server: l.server, wait: realPatience, world: resources{}}
	l.stage.start()
	t.Cleanup(func() { l.server.Stop() })
	return l
}

// eventually waits until a path is answered by a process, or by nobody.
func (l *life) eventually(path, process string) {
	l.t.Helper()
	var who string
	var err error
	if l.Eventually(fmt.Sprintf("answer of %q to %s", process, path), realPatience, func() bool {
		who, err = l.plane.Ask(path)
		return who == process
	}) != nil {
		l.t.Fatalf("%s is answered by %q (%v), want %q\n%s", path, who, err, process, l.Said(15))
	}
}

// lead sends what asks for a cluster to a process.
func (l *life) lead(name, process string) proto.Message {
	e := endpoints(name, l.plane.Port(process))
	e.Endpoints[0].LoadBalancingWeight = wrapperspb.UInt32(1)
	return e
}

// live plays the life: start, other endpoints, another route, a removal, something
// that is refused beside something good, and a restart of the server, after which
// a client that can say what it has is sent at most a part of it.
func (l *life) live(resumes bool) {
	t := l.t
	filler := many(300, func(name string) proto.Message { return real(edsCluster(name, "", "")) })
	for i := range 300 {
		filler = append(filler, endpoints(fmt.Sprint("many-", i)))
	}
	l.stage.set(append(filler, real(edsCluster("a", "", "")), l.lead("a", "one"), l.plane.Listener("r"), route("r", "a"))...)
	l.eventually("/a/x", "one")
	l.settled()
	full := l.server.xds.Status().Bytes

	l.stage.set(l.lead("a", "two"))
	l.eventually("/a/x", "two")

	l.stage.set(real(edsCluster("b", "", "")), l.lead("b", "one"), route("r", "b", "a"))
	l.eventually("/b/x", "one")
	l.eventually("/a/x", "two")

	l.stage.forget(CDS, "b")
	l.stage.forget(EDS, "b")
	l.stage.set(route("r", "a"))
	l.eventually("/b/x", "")
	l.eventually("/a/x", "two")
	if s := l.server.xds.Status(); s.Nacks > 0 {
		t.Errorf("%d refusals, the last of %s: %s", s.Nacks, s.LastNack.Resource, s.LastNack.Text)
	}

	bad := real(edsCluster("bad", "", ""))
	bad.EdsClusterConfig = nil // nobody can use it
	l.stage.set(bad, l.lead("bad", "one"), l.lead("a", "one"), route("r", "bad", "a"))
	if err := l.Eventually("refusal", realPatience, func() bool { return l.server.xds.Status().Nacks > 0 }); err != nil {
		t.Fatal(err)
	}
	n := l.server.xds.Status().LastNack
	named := strings.Contains(n.Text, "bad")
	if named && (n.Resource != "bad" || len(n.Refs) != 1 || n.Refs[0].Name != "bad") || !named && n.Resource != "" && n.Resource != "bad" {
		t.Errorf("the refusal is led back to %q, %v: %s", n.Resource, n.Refs, n.Text)
	}
	l.eventually("/a/x", "one") // the rest goes on
	l.stage.set(l.lead("a", "two"))
	l.eventually("/a/x", "two")
	if n := l.server.xds.Status().Nacks; n > 4 {
		t.Errorf("%d refusals of one resource", n)
	}
	l.stage.set(real(edsCluster("bad", "", "")))
	l.eventually("/bad/x", "one")

	l.restarted(full, resumes)
}

// restarted ends the server and starts another in its place.
func (l *life) restarted(full uint64, resumes bool) {
	l.settled()
	l.server.Stop()
	l.eventually("/a/x", "two")
	l.stage.setting.addr = l.stage.addr
	l.stage.start()
	l.stage.set()
	l.settled()
	again := l.server.xds.Status().Bytes
	l.t.Logf("%d bytes for the full state, %d after a restart", full, again)
	if resumes && again*20 > full {
		l.t.Errorf("%d bytes after a restart, of %d", again, full)
	}
	l.stage.set(l.lead("a", "one"))
	l.eventually("/a/x", "one")
}

// settled waits until a client is there and has all that it asked for.
func (l *life) settled() {
	l.t.Helper()
	if err := l.Eventually("client that has what is served", realPatience, func() bool {
		nodes := l.server.xds.Status().Nodes
		for _, n := range nodes {
			if !n.InSync || len(n.Types) < 4 {
				return false
			}
		}
		return len(nodes) > 0
	}); err != nil {
		l.t.Fatalf("%v\n%+v", err, l.server.xds.Status().Nodes)
	}
}

// real is a cluster as real clients want it.
func real(c *clusterv3.Cluster) *clusterv3.Cluster {
	c.ConnectTimeout = durationpb.New(time.Second)
	return c
}

// manager is an HTTP connection manager that asks for routes.
func manager(routes string) *anypb.Any {
	return packed(&hcmv3.HttpConnectionManager{StatPrefix: "in", RouteSpecifier: &hcmv3.HttpConnectionManager_Rds{
		Rds: &hcmv3.Rds{RouteConfigName: routes, ConfigSource: ads()}},
		HttpFilters: []*hcmv3.HttpFilter{{Name: "router", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed(&routerv3.Router{})}}}})
}

func packed(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		panic(err)
	}
	return a
}

// processes are those behind a client, by name.
type processes map[string]uint32

// Port implements plane.
func (p processes) Port(name string) uint32 { return p[name] }
