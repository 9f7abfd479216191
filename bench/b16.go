package main

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/meshknot/meshknot/bench/fleet"
	"github.com/meshknot/meshknot/bench/measure"
	"github.com/meshknot/meshknot/bench/server"
	"github.com/meshknot/meshknot/bench/world"
)

// b16 adds clients until one client in a hundred waits longer than a second for a
// change, or the server takes 4 GiB.
func b16(ctx context.Context, s sizes, r *Result) error {
	const names = 100
	w := world.World{Clusters: names}
	steps := []int{500, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 10000, 12000, 15000}
	if room := descriptors() - 1000; room < steps[len(steps)-1] {
		r.note("this machine lets a process have %d descriptors: no more than %d clients are tried", descriptors(), room)
		for steps[len(steps)-1] > room {
			steps = steps[:len(steps)-1]
		}
	}
	reached := map[string]int{}
	for _, name := range []string{server.Floor, server.Meshknot, server.Snapshot} {
		n, err := ramp(ctx, name, w, steps, r)
		if err != nil {
			r.note("%s stopped: %v", name, err)
		}
		reached[name] = n
		r.note("%s: %d clients", name, n)
	}
	r.figure("clients", float64(reached[server.Meshknot]))
	if reached[server.Snapshot] > 0 {
		r.figure("times SnapshotCache's clients", float64(reached[server.Meshknot])/float64(reached[server.Snapshot]))
	}
	if reached[server.Floor] > 0 {
		r.figure("of the gRPC floor's clients", float64(reached[server.Meshknot])/float64(reached[server.Floor]))
	}
	r.note("clients hold %d endpoints by name each; the largest number tried is %d", names, steps[len(steps)-1])
	return nil
}

func descriptors() int {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 1024
	}
	return int(min(l.Cur, 1<<20))
}

// ramp returns the most clients with which a server kept up.
func ramp(ctx context.Context, name string, w world.World, steps []int, r *Result) (int, error) {
	s, _, err := open(ctx, name, w, steps[0], fleet.Endpoints(w), world.EndpointType)
	if err != nil {
		return 0, err
	}
	defer s.close()
	last := 0
	for _, n := range steps {
		if n > s.n {
			if _, err := s.add(ctx, n-s.n, world.EndpointType); err != nil {
				return last, err
			}
		}
		var cs costs
		for i := range 6 {
			began := time.Now()
			// There and back again: who comes later is to get the first version.
			c, err := s.set(ctx, world.Change{Type: world.EndpointType, Index: 1, Version: 1 - i%2})
			if err != nil {
				return last, err
			}
			if i > 0 { // the first finds new clients whose buffers have still to grow
				cs = append(cs, c)
			}
			time.Sleep(time.Until(began.Add(time.Second))) // one change a second
		}
		p99, peak := cs.each(0.99), cs[len(cs)-1].server.Peak
		r.row(fmt.Sprintf("%d clients", n), name, ms("client p99", p99), ms("median", measure.Median(cs.wall())), mib("peak RSS", float64(peak)))
		if p99 > time.Second || peak > 4<<30 {
			break
		}
		last = n
	}
	return last, nil
}
