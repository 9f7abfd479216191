package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/metrics"
	"runtime/pprof"

	"github.com/meshknot/meshknot/bench/measure"
	"github.com/meshknot/meshknot/bench/world"
)

// order is what a parent says to its child, a line of JSON each. One field is set.
type order struct {
	Change *world.Change `json:"change,omitempty"`
	// Usage asks what was used so far; Collect has the garbage collected before.
	Usage   bool `json:"usage,omitempty"`
	Collect bool `json:"collect,omitempty"`
	// Profile is the file to which a processor profile is written from now on.
	Profile string `json:"profile,omitempty"`
}

// answer is what the child says, one for each order and one at the beginning.
type answer struct {
	Addr  string         `json:"addr,omitempty"`
	Usage *measure.Usage `json:"usage,omitempty"`
	Error string         `json:"error,omitempty"`
}

// Child serves a world as the server of a name and obeys the orders that come in,
// until they end.
func Child(name string, w world.World, in io.Reader, out io.Writer) error {
	create, ok := servers[name]
	if !ok {
		return fmt.Errorf("there is no server %q", name)
	}
	s := create()
	if err := s.Load(w); err != nil {
		return fmt.Errorf("loading %s: %w", name, err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := runServe(ctx, s, lis)
	runtime.GC()
	err = obey(s, json.NewDecoder(bufio.NewReader(in)), json.NewEncoder(out), lis.Addr().String())
	cancel()
	pprof.StopCPUProfile()
	return errors.Join(err, <-served)
}

func runServe(ctx context.Context, s Server, lis net.Listener) <-chan error {
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, lis) }()
	return served
}

func obey(s Server, in *json.Decoder, out *json.Encoder, addr string) error {
	if err := out.Encode(answer{Addr: addr}); err != nil {
		return fmt.Errorf("telling the parent: %w", err)
	}
	for {
		var o order
		if err := in.Decode(&o); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("reading an order: %w", err)
		}
		var a answer
		if err := one(s, o, &a); err != nil {
			a.Error = err.Error()
		}
		if err := out.Encode(a); err != nil {
			return fmt.Errorf("telling the parent: %w", err)
		}
	}
}

func one(s Server, o order, a *answer) error {
	switch {
	case o.Change != nil:
		return s.Change(*o.Change)
	case o.Profile != "":
		f, err := os.Create(o.Profile)
		if err != nil {
			return fmt.Errorf("profiling: %w", err)
		}
		return pprof.StartCPUProfile(f)
	}
	if o.Collect {
		runtime.GC()
		runtime.GC() // pools let go at the second
	}
	u := usage()
	a.Usage = &u
	return nil
}

// usage of this process.
func usage() measure.Usage {
	names := []string{"/gc/heap/allocs:bytes", "/gc/heap/allocs:objects", "/gc/cycles/total:gc-cycles",
		"/memory/classes/heap/objects:bytes", "/memory/classes/heap/stacks:bytes"}
	samples := make([]metrics.Sample, len(names))
	for i, n := range names {
		samples[i].Name = n
	}
	metrics.Read(samples)
	u := measure.Usage{CPU: measure.CPU(), AllocBytes: samples[0].Value.Uint64(), Allocs: samples[1].Value.Uint64(),
		GCs: samples[2].Value.Uint64(), Heap: samples[3].Value.Uint64(), Stack: samples[4].Value.Uint64()}
	u.RSS, u.Peak = measure.Memory(os.Getpid())
	return u
}
