// Package all holds the tables of front ends, passes and back ends. It is the
// only package that imports them all: adding one is a line here.
package all

import (
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/consul"
	"github.com/meshknot/meshknot/translators/envoy"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/gamma"
	"github.com/meshknot/meshknot/translators/gatewayapi"
	"github.com/meshknot/meshknot/translators/grpc"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/istio"
	"github.com/meshknot/meshknot/translators/kube"
	"github.com/meshknot/meshknot/translators/linkerd"
	"github.com/meshknot/meshknot/translators/passes"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/smi"
)

// Pipeline returns the lists that a translation runs through.
func Pipeline() translators.Pipeline {
	return translators.Pipeline{
		Frontends: []translators.Frontend{
			kube.Frontend(),       // first what exists: policies speak of it
			gatewayapi.Frontend(), // before SMI: on a port that it routes, a split does not count
			smi.Frontend(),
		},
		Passes: passes.List(),
		Backends: []translators.Backend{
			envoy.New(),
			grpc.New(),
			istio.New(),
			linkerd.New(),
			consul.New(),
			gamma.New(istio.New(), linkerd.New(), consul.New()),
		},
	}
}

// Fields lists the fields of the policies in a set that have to be accounted
// for on every back end: those that feed a feature, join objects or are not translated. Fields of
// context, such as a Deployment's, are facts and ask for nothing.
func Fields(set *input.Set) []report.Ref {
	// Objects of a kind have the same paths, so each is looked up once.
	type field struct{ group, kind, path string }
	counts := map[field]bool{}
	var out []report.Ref
	for _, o := range set.Objects {
		for _, path := range o.Leaves {
			f := field{o.Group, o.Kind, path}
			counted, known := counts[f]
			if !known {
				counted = accountable(o.Group, o.Kind, path)
				counts[f] = counted
			}
			if counted {
				out = append(out, o.Ref(path))
			}
		}
	}
	return out
}

func accountable(group, kind, path string) bool {
	l, ok := smi.LeafOf(group, kind, path)
	if !ok {
		l, ok = gatewayapi.LeafOf(group, kind, path)
	}
	return ok && (len(l.Features) > 0 || l.Reason == feature.ReasonKey || l.Reason == feature.ReasonNotSpoken)
}
