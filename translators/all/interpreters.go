package all

import (
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/consul"
	"github.com/meshknot/meshknot/translators/interpret/envoy"
	"github.com/meshknot/meshknot/translators/interpret/gamma"
	"github.com/meshknot/meshknot/translators/interpret/grpc"
	"github.com/meshknot/meshknot/translators/interpret/istio"
	"github.com/meshknot/meshknot/translators/interpret/linkerd"
)

// Interpreter returns what reads the artifacts of a back end.
func Interpreter(backend string) (interpret.New, bool) {
	read, ok := interpreters()[backend]
	return read, ok
}

func interpreters() map[string]interpret.New {
	out := authorizations()
	out["envoy"] = envoy.New
	out["grpc"] = grpc.New
	out["gateway-api"] = gamma.New(authorizations())
	return out
}

// authorizations are the meshes in whose form authorization is written beside
// the routes of Gateway API too.
func authorizations() map[string]interpret.New {
	return map[string]interpret.New{
		"istio":   istio.New,
		"linkerd": linkerd.New,
		"consul":  consul.New,
	}
}
