// Package planes holds real data planes that play policies, one package for
// each below it: Envoy under meshknot's own xDS, proxyless gRPC, Consul with
// its sidecars, and Istio. They are started once and shown one policy after
// another; what each of them does with a call is observed, never computed.
package planes

import (
	"net/http"
	"slices"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Scene is a policy to be played: the units of a mesh, with the accounts, ports
// and Services that exist in it. Its Endpoints units are left out: the plane puts
// processes of its own behind every port of every workload.
type Scene struct {
	Name  string
	Units []ir.Unit
	// Options of the back end, such as what its agents do by default.
	Options map[string]string
	Waivers []feature.Waiver
	// Requests are all that will be asked, so that a plane knows its callers.
	Requests []semantics.Request
}

// Policies are the units without the endpoints, which a plane has its own of.
func (s Scene) Policies() []ir.Unit {
	return slices.DeleteFunc(slices.Clone(s.Units), func(u ir.Unit) bool { return u.Endpoints != nil })
}

// Plane is a running data plane. It is used by one goroutine at a time, but for
// Ask, which is safe for concurrent use.
type Plane interface {
	// Name of the plane: "envoy", "grpc", "consul", "consul-default-allow", "istio",
	// "istio-grpc".
	Name() string
	// Programs are what runs, with versions, for documents: "Envoy 1.40.0".
	Programs() []string
	// Show translates a scene, gives the result to the real programs and returns
	// when all of it is in use. An error is about the plane (a program died, refused
	// its configuration, or was too slow), never about the policy.
	Show(s Scene) (Showing, error)
	// Ask makes one call on a new connection. A call that cannot be made in this
	// plane is not made, and Cannot says why.
	Ask(q semantics.Request) Answer
	// Close ends what the plane started.
	Close()
}

// Preparer is a Plane that makes scenes ready while another one is shown.
type Preparer interface {
	Plane
	// Prepare begins to make a scene ready. What it returns is to be called once: it
	// waits until the scene is ready and shows it, and answers as Show does.
	Prepare(s Scene) func() (Showing, error)
}

// Showing is what a plane made of a scene: nothing that was shown, if the output is
// withheld.
type Showing struct {
	Output translators.Output
	Pieces []translators.Piece
	World  interpret.World
}

// Answer is what a caller observes.
type Answer struct {
	// Cannot says why the call was not made; nothing else is set then.
	Cannot string
	// App is the process that answered, as Process names it; empty where none did.
	App string
	// Status is the HTTP status, or for gRPC the one that stands for its code (200,
	// 403 for PERMISSION_DENIED, 404 for UNIMPLEMENTED, 500 for UNKNOWN, 503 for
	// UNAVAILABLE); 0 where the connection was closed without an answer.
	Status int
	// Denied: the server's side refused: 403, or a connection that was closed
	// without a word where nobody but an authorizer does that.
	Denied bool
	// Greeted: who was denied a connection heard the server's first words before.
	Greeted  bool
	Location string
	// Heard is the request as the process heard it, Header the answer's headers.
	Heard  lab.Heard
	Header http.Header
	// Err is a failure to connect or to understand the answer.
	Err error
}

// Process is the name of the process behind a port of a workload's pods.
func Process(workload ir.Name, port int32) string {
	return ir.ServicePort{Service: workload, Port: port}.String()
}
