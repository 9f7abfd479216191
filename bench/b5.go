package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/meshknot/meshknot/bench/measure"
	"github.com/meshknot/meshknot/bench/world"
	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
)

const (
	ours     = "meshknot --verify=false"
	verified = "meshknot, verifying too"
	egctl    = "egctl"
)

// b5 translates one file of Gateway API objects with the command line of each.
func b5(ctx context.Context, s sizes, r *Result) error {
	dir, err := os.MkdirTemp("", "bench-b5-")
	if err != nil {
		return fmt.Errorf("making room: %w", err)
	}
	defer os.RemoveAll(dir)
	if s.peers && !s.programs.hasEgctl() {
		r.note("%s", noEgctl)
		s.peers = false
	}
	walls := map[string]map[int]float64{ours: {}, verified: {}, egctl: {}}
	for _, n := range s.routes {
		of := fmt.Sprintf("%d routes", n)
		file := filepath.Join(dir, fmt.Sprintf("%d.yaml", n))
		if err := os.WriteFile(file, bytes.Join(world.Gateway{Routes: n, Host: world.Own}.Files(), nil), 0o600); err != nil {
			return fmt.Errorf("writing the input: %w", err)
		}
		took, err := translations(ctx, s, file, n)
		if err != nil {
			return err
		}
		for _, who := range []string{ours, verified, egctl} {
			if rs, ok := took[who]; ok {
				r.row(of, who, rs.values()...)
				walls[who][n], _ = r.find(of, who, "median ms")
			}
		}
	}
	b5Figures(s, r, walls)
	return allocations(r)
}

// translations runs the programs on a file, A-B-B-A, and compares what they made.
// egctl is left out beyond 1,000 routes: it would take a quarter of an hour.
func translations(ctx context.Context, s sizes, file string, n int) (map[string]runs, error) {
	commands := map[string][]string{
		ours:     {s.programs.meshknot, "translate", "-f", file, "--to", "envoy", "-o", "json", "--verify=false"},
		verified: {s.programs.meshknot, "translate", "-f", file, "--to", "envoy", "-o", "json"},
		egctl:    {s.programs.egctl, "x", "translate", "--from", "gateway-api", "--to", "xds", "-t", "all", "-o", "json", "-f", file},
	}
	order := []string{egctl, ours, verified}
	if !s.peers || n > 1000 {
		order = []string{ours, verified}
	}
	took, made := map[string]runs{}, map[string]translated{}
	for _, who := range measure.ABBA(order, 1) {
		ran, err := command(ctx, commands[who][0], commands[who][1:]...)
		if err != nil {
			return nil, err
		}
		if made[who], err = outcome(ran.out); err != nil {
			return nil, fmt.Errorf("%s: %w", who, err)
		}
		if len(made[who]) != 2*n {
			return nil, fmt.Errorf("%s made %d routes of %d HTTPRoutes with two rules", who, len(made[who]), n)
		}
		if err := made[who].equal(made[order[0]]); err != nil {
			return nil, fmt.Errorf("%s and %s differ: %w", order[0], who, err)
		}
		ran.out = nil
		took[who] = append(took[who], ran)
	}
	return took, nil
}

func b5Figures(s sizes, r *Result, walls map[string]map[int]float64) {
	for _, n := range []struct {
		routes int
		figure string
	}{{100, "times faster than egctl at 100 routes"}, {1000, "times faster than egctl at 1,000 routes"}} {
		if walls[egctl][n.routes] > 0 && walls[ours][n.routes] > 0 {
			r.figure(n.figure, walls[egctl][n.routes]/walls[ours][n.routes])
		}
	}
	if walls[egctl][100] > 0 && walls[ours][10000] > 0 {
		r.figure("10,000 routes, of egctl's time for 100", walls[ours][10000]/walls[egctl][100])
	}
	r.ratio("of egctl's memory at 1,000 routes", "1000 routes", "peak RSS MiB", ours, egctl)
	many := slices.Max(s.routes)
	cpu := func(n int) float64 { v, _ := r.find(fmt.Sprintf("%d routes", n), ours, "CPU ms"); return v }
	r.figure("CPU at ten times the routes", cpu(many)/cpu(many/10))
	r.figure("slope", math.Log10(cpu(many)/cpu(many/10)))
	if s.peers {
		r.note("egctl leads to a Service's own address and leaves its endpoints out, which is less than what we make")
	}
	r.note("slope is the exponent of processor time from %d to %d routes", many/10, many)
}

// allocations reads and translates in this process, to count what is allocated.
func allocations(r *Result) error {
	const n = 100
	files := inputFiles(world.Gateway{Routes: n, Host: world.Own})
	var before, after runtime.MemStats
	for range 2 { // the first time makes what is made once
		runtime.ReadMemStats(&before)
		set, found := input.ReadFiles(files, input.Options{Schemas: all.Pipeline().Schemas()})
		if len(found) > 0 {
			return fmt.Errorf("the input is not clean: %v", found[0])
		}
		res := engine.New(all.Pipeline(), []translators.Target{{Backend: "envoy"}}, nil).Run(input.NewStore(set, input.Settings{}))
		if len(res.Outputs) != 1 || len(res.Outputs[0].Artifacts) < 3*n {
			return fmt.Errorf("the engine made too little of %d routes", n)
		}
		runtime.ReadMemStats(&after)
	}
	r.figure("allocations per route", float64(after.Mallocs-before.Mallocs)/n)
	return nil
}

func inputFiles(g world.Gateway) []input.File {
	var out []input.File
	for i, text := range g.Files() {
		out = append(out, input.File{Name: fmt.Sprintf("%d.yaml", i), Data: text})
	}
	return out
}
