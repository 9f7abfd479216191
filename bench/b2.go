package main

import (
	"context"
	"time"

	"github.com/meshknot/meshknot/bench/measure"
	"github.com/meshknot/meshknot/bench/server"
)

// b2 is b1 with other numbers of names and of clients. What grows with both is
// measured where it still fits into memory and patience.
func b2(ctx context.Context, s sizes, r *Result) error {
	type job struct {
		who            string
		clients, names int
	}
	var jobs []job
	few, many := s.fleets[0], s.fleets[len(s.fleets)-1]
	for _, who := range []string{server.Floor, server.Meshknot} {
		for _, n := range s.fleets {
			jobs = append(jobs, job{who, n, s.names})
		}
		jobs = append(jobs, job{who, s.clients, 10 * s.names})
	}
	for _, who := range []string{server.Linear, server.Snapshot} {
		jobs = append(jobs, job{who, few, s.names}, job{who, few, 10 * s.names})
	}
	all := map[job]costs{}
	for _, j := range measure.ABBA(jobs, 1) {
		cs, err := pushes(ctx, j.who, j.clients, j.names, s.rounds)
		if err != nil {
			return err
		}
		all[j] = append(all[j], cs...)
	}
	for _, j := range jobs {
		r.row(label(j.clients, j.names), j.who, all[j].values(j.clients)...)
	}
	wall := func(n, names int) float64 {
		return float64(measure.Median(all[job{server.Meshknot, n, names}].wall()))
	}
	r.figure("time with ten times the names", wall(s.clients, 10*s.names)/wall(s.clients, s.names))
	r.figure("time per client, most clients to fewest", wall(many, s.names)/float64(many)/(wall(s.clients, s.names)/float64(s.clients)))
	cpu := func(names int) float64 {
		return float64(measure.Median(collect(all[job{server.Meshknot, s.clients, names}], func(c cost) time.Duration { return c.server.CPU })))
	}
	r.figure("server CPU with ten times the names", cpu(10*s.names)/cpu(s.names))
	if v, ok := r.find(label(s.clients, 10*s.names), server.Meshknot, "allocs/client"); ok {
		r.figure("allocations per client", v)
	}
	r.note("linearity in clients is judged from %d to %d clients; %d clients are a round too short to be judged", s.clients, many, few)
	return nil
}
