package smi

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/test/planes/consul"
	"github.com/meshknot/meshknot/test/planes/envoy"
	"github.com/meshknot/meshknot/test/planes/grpc"
	"github.com/meshknot/meshknot/translators/ir"
)

// plane is a kind of plane: what it needs, and how it is started.
type plane struct {
	needs []string
	start func() (planes.Plane, error)
}

// known are the planes that the suite is played on.
var known = map[string]plane{
	"envoy":  {[]string{lab.Envoy}, func() (planes.Plane, error) { return envoy.New() }},
	"consul": {[]string{lab.Consul, lab.Envoy}, startConsul},
	"grpc":   {nil, startGRPC},
}

// Planes lists the names of the planes that the suite is played on.
func Planes() []string { return slices.Sorted(maps.Keys(known)) }

// Documented lists the planes of docs/conformance.md in its order.
func Documented() []string { return []string{"envoy", "consul", "grpc"} }

// Open starts a plane. It has to be closed.
func Open(name string) (planes.Plane, error) {
	p, ok := known[name]
	if !ok {
		return nil, fmt.Errorf("there is no plane %q: there is %s", name, strings.Join(Planes(), ", "))
	}
	return p.start()
}

// startConsul starts agents of both kinds: whether what no intention speaks of
// passes is how Consul is installed, so agents that deny are for a mesh that is
// closed as a whole, and others for any other.
func startConsul() (planes.Plane, error) {
	deny, err := startAgent("deny")
	if err != nil {
		return nil, err
	}
	allow, err := startAgent("allow")
	if err != nil {
		deny.Close()
		return nil, err
	}
	return &byAccess{Plane: deny, strict: deny, other: allow}, nil
}

func startAgent(policy string) (planes.Plane, error) {
	l, err := lab.Open()
	if err != nil {
		return nil, err
	}
	p, err := consul.New(l, policy)
	if err != nil {
		l.Close()
		return nil, err
	}
	return p, nil // it closes the lab
}

// byAccess is two planes, of which the access mode of what is shown chooses one.
type byAccess struct {
	planes.Plane
	strict, other planes.Plane
}

// Show implements planes.Plane.
func (b *byAccess) Show(s planes.Scene) (planes.Showing, error) {
	b.Plane = b.other
	if slices.ContainsFunc(s.Units, func(u ir.Unit) bool { return u.Mesh != nil && u.Mesh.Access == ir.AccessStrict }) {
		b.Plane = b.strict
	}
	return b.Plane.Show(s)
}

// Name implements planes.Plane.
func (b *byAccess) Name() string { return b.strict.Name() }

// Close implements planes.Plane.
func (b *byAccess) Close() {
	b.strict.Close()
	b.other.Close()
}

func startGRPC() (planes.Plane, error) {
	l, err := lab.Open()
	if err != nil {
		return nil, err
	}
	p, err := grpc.New(l)
	if err != nil {
		l.Close()
		return nil, err
	}
	return owner{p, l}, nil
}

// owner is a plane in a lab of its own.
type owner struct {
	planes.Plane
	lab *lab.Lab
}

// Close ends the plane and then the lab.
func (o owner) Close() {
	o.Plane.Close()
	o.lab.Close()
}
