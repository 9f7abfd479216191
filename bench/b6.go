package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/bench/measure"
	"github.com/meshknot/meshknot/bench/world"
	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
)

// b6 edits one HTTPRoute among many, from its objects to the changed resources.
func b6(ctx context.Context, s sizes, r *Result) error {
	lines := []struct {
		name   string
		host   func(int) int
		rounds int
	}{{"at most 50 routes per host", world.Fifty, 40}, {"all routes on 5 hosts", world.Five, 4}}
	for _, l := range lines {
		for _, n := range s.edited {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			g := world.Gateway{Routes: n, Host: l.host}
			if err := edits(g, l.rounds, fmt.Sprintf("%d routes, %s", n, l.name), r); err != nil {
				return err
			}
			runtime.GC()
		}
	}
	few, many := s.edited[0], s.edited[len(s.edited)-1]
	cpu := func(n int, line int) float64 {
		v, _ := r.find(fmt.Sprintf("%d routes, %s", n, lines[line].name), "engine", "CPU µs")
		return v
	}
	if many == 50_000 {
		r.figure("CPU of an edit among 50,000", cpu(many, 0))
		r.figure("50,000 objects to 1,000", cpu(many, 0)/cpu(few, 0))
	}
	r.figure("CPU of an edit, most routes to fewest", cpu(many, 0)/cpu(few, 0))
	r.figure("slope on five hostnames", math.Log(cpu(many, 1)/cpu(few, 1))/math.Log(float64(many)/float64(few)))
	if v, ok := r.find(fmt.Sprintf("%d routes, %s", few, lines[0].name), "engine", "allocs"); ok {
		r.figure("allocations of an edit", v)
	}
	return nil
}

// edits applies one edit after another to an engine that holds a Gateway, half of
// them there and half of them back.
func edits(g world.Gateway, rounds int, of string, r *Result) error {
	set, found := input.ReadFiles(inputFiles(g), input.Options{Schemas: all.Pipeline().Schemas(), Limits: roomy})
	if len(found) > 0 {
		return fmt.Errorf("the input is not clean: %v", found[0])
	}
	e := engine.New(all.Pipeline(), []translators.Target{{Backend: "envoy"}}, nil)
	began := time.Now()
	e.Update(input.NewStore(set, input.Settings{}))
	whole := time.Since(began)

	var next []input.Edit
	for version := range 2 {
		for i := range rounds {
			edit, err := edited(g, i*(g.Routes/rounds), 2-version)
			if err != nil {
				return err
			}
			next = append(next, edit)
		}
	}
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var walls []time.Duration
	cpu := measure.CPU()
	for _, edit := range next {
		began := time.Now()
		step := e.Apply([]input.Edit{edit})
		walls = append(walls, time.Since(began))
		if err := touched(step); err != nil {
			return fmt.Errorf("%s: %w", of, err)
		}
	}
	cpu = measure.CPU() - cpu
	runtime.ReadMemStats(&after)
	n := float64(len(next))
	r.row(of, "engine", us("median", measure.Median(walls)), us("worst", measure.Quantile(walls, 1)), us("CPU", cpu/time.Duration(len(next))),
		number("allocs", float64(after.Mallocs-before.Mallocs)/n), kib("garbage", float64(after.TotalAlloc-before.TotalAlloc)/n), ms("from nothing", whole))
	if g.Routes <= 1000 {
		return same(e, set)
	}
	return nil
}

// roomy are limits that let large inputs in.
var roomy = input.Limits{TotalBytes: 1 << 30, Objects: 1_000_000, Values: 100_000_000}

// edited is a route in another version, read before it is applied.
func edited(g world.Gateway, i, version int) (input.Edit, error) {
	set, found := input.ReadFiles([]input.File{{Name: "edit.yaml", Data: g.Route(i, version)}}, input.Options{Schemas: all.Pipeline().Schemas()})
	if len(found) > 0 || len(set.Objects) != 1 {
		return input.Edit{}, fmt.Errorf("the edit is not clean: %v", found)
	}
	return input.Edit{ID: set.Objects[0].ID, Objects: set.Objects}, nil
}

// touched checks that an edit of a path led to a route table, and to no other.
func touched(s engine.Step) error {
	if len(s.Changed) != 1 || s.Changed[0].Withheld {
		return errors.New("the edit changed nothing, or was withheld")
	}
	put := s.Changed[0].Put
	if len(put) == 0 || len(s.Changed[0].Remove) > 0 || slices.ContainsFunc(put, func(a translators.Artifact) bool { return a.ID.Type != world.RouteType }) {
		return fmt.Errorf("the edit put %d resources and removed %d", len(put), len(s.Changed[0].Remove))
	}
	return nil
}

// same compares what an engine came to with what another makes of the input from
// nothing: all edits were taken back.
func same(e *engine.Engine, set *input.Set) error {
	fresh := engine.New(all.Pipeline(), []translators.Target{{Backend: "envoy"}}, nil).Run(input.NewStore(set, input.Settings{}))
	a, b := e.Result().Outputs[0].Artifacts, fresh.Outputs[0].Artifacts
	equal := slices.EqualFunc(a, b, func(a, b translators.Artifact) bool {
		x, ok := a.Payload.(proto.Message)
		y, too := b.Payload.(proto.Message)
		return ok && too && a.ID == b.ID && a.Audience == b.Audience && proto.Equal(x, y)
	})
	if !equal {
		return fmt.Errorf("after all edits were taken back the output is not what is made from nothing (%d and %d artifacts)", len(a), len(b))
	}
	return nil
}
