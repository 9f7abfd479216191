package xds

import (
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	rs "github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

// awaiting is a cluster whose endpoints have a name.
func awaiting(name, service string) translators.Artifact {
	a := artifact(rs.ClusterType, name, "", ir.Audience{})
	c := a.Payload.(*clusterv3.Cluster)
	c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
	c.EdsClusterConfig = &clusterv3.Cluster_EdsClusterConfig{ServiceName: service}
	return a
}

// TestMissingEndpointsAreEmpty goes from step to step, by changes and by states,
// and looks at what somebody in shop sees of the endpoints "e".
func TestMissingEndpointsAreEmpty(t *testing.T) {
	real := artifact(rs.EndpointType, "e", "", ir.Audience{})
	real.Payload.(*endpointv3.ClusterLoadAssignment).Policy = &endpointv3.ClusterLoadAssignment_Policy{}
	shop, bank := real, real
	shop.Audience, bank.Audience = ir.Audience{Namespace: "shop"}, ir.Audience{Namespace: "bank"}
	a, b, other := awaiting("a", "e"), awaiting("b", "e"), awaiting("a", "f")
	steps := []struct {
		name  string
		state []translators.Artifact
		want  string
	}{
		{"nothing", nil, "none"},
		{"a cluster", []translators.Artifact{a}, "empty"},
		{"its endpoints", []translators.Artifact{a, real}, "real"},
		{"gone again", []translators.Artifact{a}, "empty"},
		{"of an audience", []translators.Artifact{a, shop}, "real"},
		{"of another", []translators.Artifact{a, bank}, "none"},
		{"of everybody", []translators.Artifact{a, real, bank}, "real"},
		{"of nobody, and two wait", []translators.Artifact{a, b}, "empty"},
		{"one waits for another", []translators.Artifact{other, b}, "empty"},
		{"both", []translators.Artifact{other}, "none"},
		{"with endpoints at once", []translators.Artifact{a, real}, "real"},
		{"endpoints alone", []translators.Artifact{real}, "real"},
		{"nothing at last", nil, "none"},
	}
	who := ir.Identity{Namespace: "shop", Account: "web"}
	for _, backend := range []string{backendEnvoy, backendGRPC} {
		states, changes := New(Options{}), New(Options{})
		var last []translators.Artifact
		for _, step := range steps {
			change := translators.Change{Target: translators.Target{Backend: backend}, Put: step.state}
			for _, had := range last {
				change.Remove = append(change.Remove, had.Slot())
			}
			last = step.state
			if err := changes.Apply([]translators.Change{change}); err != nil {
				t.Fatal(err)
			}
			if err := states.Update(State{Artifacts: map[string][]translators.Artifact{backend: step.state}}); err != nil {
				t.Fatal(err)
			}
			for how, s := range map[string]*Server{"state": states, "change": changes} {
				got := "none"
				shelf := &s.store(backend).kinds[endpoints]
				if id, ok := shelf.ids["e"]; ok {
					if r := shelf.view(id, who); r != nil {
						got = "empty"
						if payload(t, r).(*endpointv3.ClusterLoadAssignment).GetPolicy() != nil {
							got = "real"
						}
					}
				}
				if got != step.want {
					t.Errorf("%s, %s, by %s: the endpoints are %s, want %s", backend, step.name, how, got, step.want)
				}
			}
		}
		if len(states.awaited)+len(changes.awaited) > 0 {
			t.Errorf("%v and %v are kept", states.awaited, changes.awaited)
		}
	}
}
