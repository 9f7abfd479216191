package equivalence

import (
	"strings"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/test/planes/consul"
	"github.com/meshknot/meshknot/test/planes/envoy"
	"github.com/meshknot/meshknot/test/planes/grpc"
	"github.com/meshknot/meshknot/test/planes/istio"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Entry is a plane that scenes can be played on.
type Entry struct {
	Name string
	// Backend is the translator that it uses.
	Backend string
	// Needs are the programs without which it cannot be.
	Needs []string
	New   func() (planes.Plane, error)
	// Speak and Whole are those of the Runner.
	Speak func(semantics.Request) semantics.Request
	Whole bool
	// Reserve is that of the Runner.
	Reserve int
}

// Table lists the planes.
var Table = []Entry{
	{"envoy", "envoy", envoy.Needs, func() (planes.Plane, error) { return envoy.New() }, nil, true, 0},
	{"grpc", "grpc", nil, func() (planes.Plane, error) {
		return inLab(func(l *lab.Lab) (planes.Plane, error) { return grpc.New(l) })
	}, AsGRPC, true, 160},
	{"consul", "consul", []string{lab.Consul, lab.Envoy}, func() (planes.Plane, error) {
		return inLab(func(l *lab.Lab) (planes.Plane, error) { return consul.New(l, "deny") })
	}, nil, false, 40},
	{"consul-default-allow", "consul", []string{lab.Consul, lab.Envoy}, func() (planes.Plane, error) {
		return inLab(func(l *lab.Lab) (planes.Plane, error) { return consul.New(l, "allow") })
	}, nil, false, 40},
	{"istio", "istio", istio.Needs, func() (planes.Plane, error) { return istio.New() }, nil, true, 0},
	{"istio-grpc", "istio", istio.NeedsProxyless, func() (planes.Plane, error) { return istio.NewProxyless() }, AsGRPC, false, 160},
}

// Modelled are the back ends without programs that could run here: what is made
// for them is read by their interpreters only.
var Modelled = []string{"linkerd", "gateway-api"}

// AsGRPC is a request as a gRPC client can make it: a POST to a method of a service.
func AsGRPC(q semantics.Request) semantics.Request {
	if q.Raw {
		return q
	}
	q.Method = "POST"
	q.Path, _, _ = strings.Cut(q.Path, "?")
	if strings.Count(q.Path, "/") < 2 {
		q.Path += "/Call"
	}
	return q
}

// housed is a plane in a lab that ends with it.
type housed struct {
	planes.Plane
	lab *lab.Lab
}

func (h housed) Close() {
	h.Plane.Close()
	h.lab.Close()
}

func inLab(start func(*lab.Lab) (planes.Plane, error)) (planes.Plane, error) {
	l, err := lab.Open()
	if err != nil {
		return nil, err
	}
	p, err := start(l)
	if err != nil {
		l.Close()
		return nil, err
	}
	return housed{p, l}, nil
}
