package demo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

func run(t *testing.T, o Options) (string, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out bytes.Buffer
	ok, err := Run(ctx, &out, o)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	return out.String(), ok
}

// envoyBinary returns the Envoy to test with, and says loudly if there is none.
func envoyBinary(t *testing.T) string {
	t.Helper()
	path := findEnvoy("../../.cache/envoy/bin/envoy")
	if path == "" {
		if os.Getenv("REQUIRE_REAL") == "1" {
			t.Fatal("REQUIRE_REAL=1, and there is no Envoy (make envoy installs one)")
		}
		t.Log("!! LOUD: no Envoy (MESHKNOT_ENVOY, .cache/envoy): proxyless gRPC is tested alone")
		return ""
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func TestEverythingAgrees(t *testing.T) {
	before := goroutines()
	out, ok := run(t, Options{Envoy: envoyBinary(t)})
	if !ok || strings.Contains(out, "WRONG") || !strings.Contains(out, "Everything agrees.") {
		t.Errorf("ok is %t:\n%s", ok, out)
	}
	for _, want := range []string{
		"As applied, proxyless gRPC: 1000 requests", "After the edit, proxyless gRPC: 1000 requests",
		"v1 80%, v2 20%", "v1 20%, v2 80%", "cart Get x-purpose: checkout  denied ", "and 0 were denied",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("not shown: %q\n%s", want, out)
		}
	}
	for _, line := range strings.Split(out, "\n") {
		if len(line) > 80 || strings.Contains(line, "\x1b") {
			t.Errorf("too wide, or coloured: %q", line)
		}
	}
	for end := time.Now().Add(5 * time.Second); goroutines() > before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
			t.Fatalf("%d goroutines before, %d after", before, goroutines())
		}
	}
}

// goroutines counts them, but for the watchers of certificate files by which
// grpc-go's own clients know the xDS server: it never ends those.
func goroutines() int {
	all := make([]byte, 1<<20)
	all = all[:runtime.Stack(all, true)]
	return strings.Count("\n"+string(all), "\ngoroutine ") - strings.Count(string(all), "pemfile.(*watcher).run(")
}

func TestCancelledWhileRunning(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := Run(ctx, &bytes.Buffer{}, Options{Envoy: envoyBinary(t)})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s to stop", took)
	}
}

// wrong is a back end that is given other units than there are.
type wrong struct {
	translators.Backend
	alter func(ir.Unit) ir.Unit
}

func (b wrong) Translate(u ir.Unit, t translators.Target) ([]translators.Artifact, report.Report) {
	return b.Backend.Translate(b.alter(u), t)
}

func workload(alter func(w *ir.Workload)) func(ir.Unit) ir.Unit {
	return func(u ir.Unit) ir.Unit {
		if u.Workload != nil {
			w := *u.Workload
			alter(&w)
			u.Workload = &w
		}
		return u
	}
}

func routes(alter func([]ir.Route) []ir.Route) func(ir.Unit) ir.Unit {
	return func(u ir.Unit) ir.Unit {
		if u.Service != nil {
			s := *u.Service
			s.Ports = slices.Clone(s.Ports)
			for i := range s.Ports {
				s.Ports[i].Routes = alter(slices.Clone(s.Ports[i].Routes))
			}
			u.Service = &s
		}
		return u
	}
}

func TestWrongTranslatorsAreNoticed(t *testing.T) {
	for _, tt := range []struct {
		name  string
		alter func(ir.Unit) ir.Unit
		want  string // the row that shows it
	}{
		{"weights swapped", routes(func(all []ir.Route) []ir.Route {
			for i, r := range all {
				all[i].Backends = slices.Clone(r.Backends)
				for j := range r.Backends {
					all[i].Backends[j].Weight = r.Backends[len(r.Backends)-1-j].Weight
				}
			}
			return all
		}), "web Get "},
		{"a conditional route lost", routes(func(all []ir.Route) []ir.Route {
			return slices.DeleteFunc(all, func(r ir.Route) bool { return len(r.Matches) > 0 && len(r.Matches[0].Headers) > 0 })
		}), "web Get x-beta"},
		{"the conditions of grants lost", workload(func(w *ir.Workload) {
			w.Grants = slices.Clone(w.Grants)
			for i := range w.Grants {
				w.Grants[i].Matches = []ir.Match{ir.MatchAll(report.Ref{})}
			}
		}), "web Delete"},
		{"the deny lost", workload(func(w *ir.Workload) { w.Enforced = false }), "admin Get"},
		{"a grant lost", workload(func(w *ir.Workload) { w.Grants = w.Grants[:0] }), "web Get "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := Options{WithoutEnvoy: true, Requests: 400, patience: time.Second}
			o.pipeline = func() translators.Pipeline {
				p := all.Pipeline()
				for i, b := range p.Backends {
					p.Backends[i] = wrong{b, tt.alter}
				}
				return p
			}
			out, ok := run(t, o)
			if ok || !strings.Contains(out, "NOT everything agrees") {
				t.Errorf("nobody noticed:\n%s", out)
			}
			if !slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool {
				return strings.HasPrefix(line, "  "+tt.want) && strings.HasSuffix(line, "WRONG")
			}) {
				t.Errorf("the row %q does not say so:\n%s", tt.want, out)
			}
		})
	}
}

// TestBrokenBuildFails runs the command of a build whose back ends are wrong on
// purpose: what it exits with is what everybody relies on.
func TestBrokenBuildFails(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the command")
	}
	binary := filepath.Join(t.TempDir(), "meshknot")
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "build", "-tags", "meshknot_broken", "-o", binary, "../../cmd/meshknot").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.CommandContext(ctx, binary, "demo", "--without-envoy", "--requests", "400").Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !bytes.Contains(out, []byte("WRONG")) {
		t.Errorf("%v, want exit status 1\n%s", err, out)
	}
}
