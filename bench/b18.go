package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/meshknot/meshknot/bench/measure"
	"github.com/meshknot/meshknot/bench/world"
)

// b18 starts each program many times to say its version, and to look at one file.
func b18(ctx context.Context, s sizes, r *Result) error {
	dir, err := os.MkdirTemp("", "bench-b18-")
	if err != nil {
		return fmt.Errorf("making room: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "one.yaml")
	if err := os.WriteFile(file, world.Gateway{Routes: 1, Host: world.Own}.Files()[0], 0o600); err != nil {
		return fmt.Errorf("writing the input: %w", err)
	}
	type job struct {
		of, who string
		args    []string
	}
	jobs := []job{
		{"version", "meshknot", []string{s.programs.meshknot, "version"}},
		{"version", egctl, []string{s.programs.egctl, "version", "--remote=false"}},
		{"validate one file", "meshknot", []string{s.programs.meshknot, "validate", "-f", file}},
		{"validate one file", egctl, []string{s.programs.egctl, "x", "translate", "--from", "gateway-api", "--to", "gateway-api", "-f", file}},
	}
	if !s.programs.hasEgctl() {
		r.note("%s", noEgctl)
		jobs = []job{jobs[0], jobs[2]}
	}
	took := make([]runs, len(jobs))
	order := make([]int, len(jobs))
	for i := range order {
		order[i] = i
	}
	for _, i := range measure.ABBA(order, 10) {
		ran, err := command(ctx, jobs[i].args[0], jobs[i].args[1:]...)
		if err != nil {
			return err
		}
		took[i] = append(took[i], ran)
	}
	for i, j := range jobs {
		size, err := os.Stat(j.args[0])
		if err != nil {
			return fmt.Errorf("looking at %s: %w", j.who, err)
		}
		r.row(j.of, j.who, append(took[i].values(), mib("binary", float64(size.Size())))...)
	}
	if v, ok := r.find("version", "meshknot", "median ms"); ok {
		r.figure("start of version", v)
	}
	r.ratio("of egctl's size", "version", "binary MiB", "meshknot", egctl)
	r.note("egctl has no command that validates a file: translating the file to what it is comes nearest")
	r.note("istioctl is not among the programs that are built here")
	return nil
}
