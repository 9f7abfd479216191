package protocol

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// server is an xDS server that the table is held against.
type server interface {
	// Start serves on loopback, at an address where one is given, and returns the
	// address. A server that was stopped may be started again, and has nothing then.
	Start(setting) (string, error)
	// Set brings all clients to a state.
	Set(resources) error
	// Refused counts the refusals heard so far; -1 says that there is no account.
	Refused() int
	// Stop ends it with all its streams.
	Stop()
}

// setting says how a server is started.
type setting struct {
	addr string
	// ordered asks for the order of types, where it has to be asked for.
	ordered bool
	// age is the greatest of a connection; zero means none that matters.
	age time.Duration
}

// The patience of a hasty server.
const (
	hastyPatience = 50 * time.Millisecond
	hastyRemoval  = 100 * time.Millisecond
)

// ours is the server of internal/xds.
type ours struct {
	// changes has it told of what changed alone.
	changes bool
	// hasty has it lose patience with clients soon.
	hasty bool
	xds   *xds.Server
	stop  context.CancelFunc
	ended chan error
	last  resources
}

// Start implements server.
func (o *ours) Start(s setting) (string, error) {
	lis, err := listen(s.addr)
	if err != nil {
		return "", err
	}
	options := xds.Options{Grace: 10 * time.Millisecond, MaxAge: s.age, AgeGrace: s.age}
	if o.hasty {
		options.Patience, options.RemovalPatience = hastyPatience, hastyRemoval
	}
	o.xds, o.ended, o.last = xds.New(options), make(chan error, 1), nil
	var ctx context.Context
	ctx, o.stop = context.WithCancel(context.Background())
	go func() { o.ended <- o.xds.Serve(ctx, lis) }()
	return lis.Addr().String(), nil
}

// listen takes an address, also one that was in use a moment ago.
func listen(addr string) (net.Listener, error) {
	lis, err := net.Listen("tcp", cmp.Or(addr, "127.0.0.1:0"))
	for end := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		lis, err = net.Listen("tcp", addr)
	}
	return lis, err
}

// Set implements server.
func (o *ours) Set(r resources) error {
	if o.changes {
		defer func() { o.last = r }()
		envoy, grpc := difference(o.last, r), difference(o.last, r)
		envoy.Target.Backend, grpc.Target.Backend = "envoy", "grpc"
		return o.xds.Apply([]translators.Change{envoy, grpc})
	}
	return o.xds.Update(xds.State{Artifacts: map[string][]translators.Artifact{"envoy": artifacts(r), "grpc": artifacts(r)}})
}

// Refused implements server.
func (o *ours) Refused() int { return int(o.xds.Status().Nacks) }

// Stop implements server.
func (o *ours) Stop() {
	o.stop()
	if err := <-o.ended; err != nil && !errors.Is(err, context.Canceled) {
		panic(fmt.Sprintf("the server failed: %v", err))
	}
}

// difference is what leads from one state to the next.
func difference(from, to resources) translators.Change {
	var c translators.Change
	for t, of := range to {
		for name, m := range of {
			if have := from[t][name]; have == nil || !proto.Equal(have, m) {
				c.Put = append(c.Put, artifact(m, ir.Audience{}))
			}
		}
	}
	for t, of := range from {
		for name := range of {
			if to[t][name] == nil {
				c.Remove = append(c.Remove, translators.Slot{ID: translators.ID{Type: t, Name: name}})
			}
		}
	}
	return c
}

func artifacts(r resources) []translators.Artifact {
	var out []translators.Artifact
	for _, t := range slices.Sorted(maps.Keys(r)) {
		for _, name := range slices.Sorted(maps.Keys(r[t])) {
			out = append(out, artifact(r[t][name], ir.Audience{}))
		}
	}
	return out
}

func artifact(m proto.Message, a ir.Audience) translators.Artifact {
	return translators.Artifact{ID: translators.ID{Type: typeOf(m), Name: nameOf(m)}, Audience: a, Payload: m,
		Rank: slices.Index(order, typeOf(m)), Refs: []report.Ref{{Kind: "TrafficSplit", Namespace: "shop", Name: nameOf(m)}}}
}
