package main

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/bench/fleet"
	"github.com/meshknot/meshknot/bench/server"
	"github.com/meshknot/meshknot/bench/world"
)

// The test binary is its own servers.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == server.Command {
		exit(child(os.Args[2], os.Args[3]))
	}
	if len(os.Args) > 2 && os.Args[1] == runCommand {
		exit(runProgram(os.Args[2:]))
	}
	os.Exit(m.Run())
}

var everyone = []string{server.Meshknot, server.Linear, server.Snapshot, server.Floor}

// Every server brings every client the same: all clusters and endpoints, then what
// changes and nothing else.
func TestServersBringTheSame(t *testing.T) {
	w := world.World{Clusters: 30}
	for _, who := range everyone {
		t.Run(who, func(t *testing.T) {
			s, full, err := open(t.Context(), who, w, 7, fleet.World(w), world.ClusterType, world.EndpointType)
			if err != nil {
				t.Fatal(err)
			}
			defer s.close()
			if len(full.clients) != 7 || full.bytes < 7*30*200 {
				t.Errorf("%d clients received %d bytes", len(full.clients), full.bytes)
			}
			for i := range 3 {
				c, err := s.change(t.Context(), i)
				if err != nil {
					t.Fatal(err)
				}
				if c.wall <= 0 || c.server.Allocs == 0 || c.bytes < 7*127 || c.bytes > 7*1500 {
					t.Errorf("a change cost %+v", c)
				}
			}
			if n := len(s.fleet.Versions(world.EndpointType)); n != 30 {
				t.Errorf("the clients know versions of %d endpoint resources", n)
			}
		})
	}
}

// A time does not count when what came is something else, nor when nothing came.
func TestWrongOutcomeDoesNotCount(t *testing.T) {
	w := world.World{Clusters: 5}
	s, _, err := open(t.Context(), server.Floor, w, 3, fleet.Endpoints(w), world.EndpointType)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	right := world.Change{Type: world.EndpointType, Index: 1, Version: 1}
	hash, err := right.Resource().Hash()
	if err != nil {
		t.Fatal(err)
	}
	wrong := right
	wrong.Version = 2
	_, err = s.during(t.Context(), func(context.Context) (*fleet.Goal, error) {
		return s.fleet.Expect(1, hash), s.proc.Change(wrong)
	})
	if err == nil || !strings.Contains(err.Error(), "was to receive 1") {
		t.Errorf("another version counted: %v", err)
	}
	_, err = s.during(t.Context(), func(context.Context) (*fleet.Goal, error) {
		g := s.fleet.Expect(1, hash)
		if err := s.proc.Change(right); err != nil {
			return nil, err
		}
		return g, s.proc.Change(right) // a second time, after the goal is reached
	})
	if err == nil || !strings.Contains(err.Error(), "received 2 resources") {
		t.Errorf("receiving it twice counted: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = s.during(ctx, func(context.Context) (*fleet.Goal, error) { return s.fleet.Expect(1, hash), nil })
	if err == nil || !strings.Contains(err.Error(), "still wait") {
		t.Errorf("nothing at all counted: %v", err)
	}
}

// Our server resumes: a client that comes back with what it has is sent the one
// resource that changed.
func TestResume(t *testing.T) {
	r := &Result{Bench: "B4", Figures: map[string]float64{}}
	if err := b4(t.Context(), sizes{clients: 5, names: 40}, r); err != nil {
		t.Fatalf("%v; %v", err, r.Notes)
	}
	if share := r.Figures["of the bytes of the full state"]; share <= 0 || share > 10 {
		t.Errorf("coming back took %.1f %% of the bytes of the full state", share)
	}
}

// What a program takes is its own: not the memory of who measures, nor the time
// until it was started. A program that fails is an error with its last words.
func TestCommand(t *testing.T) {
	mine := make([]byte, 300<<20)
	for i := range mine {
		mine[i] = 1
	}
	r, err := command(t.Context(), "/bin/sh", "-c", "echo said; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
	if err != nil {
		t.Fatal(err)
	}
	if string(r.out) != "said\n" || r.cpu <= 0 || r.wall < r.cpu/2 || r.peak < 1<<18 || r.peak > 100<<20 {
		t.Errorf("a shell said %q and took %s, %s of processor and %.0f MiB, beside our %d MiB", r.out, r.wall, r.cpu, r.peak/(1<<20), len(mine)>>20)
	}
	if _, err = command(t.Context(), "/bin/sh", "-c", "echo why >&2; exit 3"); err == nil || !strings.Contains(err.Error(), "why") {
		t.Errorf("a program that fails: %v", err)
	}
}
