package migrate

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshknot/meshknot/test/corpus"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

var update = flag.Bool("update", false, "rewrite testdata/corpus.txt")

// sets are files that belong together.
var sets = [][]string{
	{"osm/apps", "osm/access/traffic-access-v1.yaml", "osm/split/traffic-split-50-50.yaml"},
	{"osm/apps", "osm/access/traffic-access-v1-allow-bookthief.yaml", "osm/split/traffic-split-v1.yaml"},
	{"osm/samples/canary"},
	{"osm"},
	{"traefik-mesh/acl_enabled/http"},
	{"traefik-mesh/acl_enabled/traffic-split"},
	{"traefik-mesh/acl_disabled/traffic-split"},
	{"adapter-istio/smi-traffictarget"},
	{"controller-sdk"},
}

// authorizers are those that authorization can be left to; none leaves it by hand.
var authorizers = []string{"", "istio", "linkerd", "consul"}

func read(t *testing.T, authorization string, paths ...string) *Migration {
	t.Helper()
	p := all.Pipeline()
	set, _ := input.Read(paths, input.Options{Schemas: p.Schemas()})
	target := translators.Target{Backend: Target, Options: map[string]string{}}
	if authorization != "" {
		target.Options[authorizationOption] = authorization
	}
	m, ok := New(p, set, input.Settings{}, target)
	if !ok {
		t.Fatal("there is no back end to migrate to")
	}
	return m
}

// Every set that others wrote decides as before or names, for each request that
// does not, an object that is left by hand.
func TestCorpusVerifies(t *testing.T) {
	dir := corpus.Dir(t)
	var b strings.Builder
	for _, set := range sets {
		var paths []string
		for _, p := range set {
			paths = append(paths, filepath.Join(dir, p))
		}
		fmt.Fprintf(&b, "%s\n", strings.Join(set, " + "))
		for _, a := range authorizers {
			m := read(t, a, paths...)
			c := m.Convert()
			proof, err := m.Verify(c)
			if err != nil {
				t.Fatal(err)
			}
			explained(t, strings.Join(set, " + "), c, proof)
			if a != "" { // how well a mesh says it is that back end's business
				access := "access is written"
				if len(c.Access) == 0 {
					access = "no access is written"
				}
				fmt.Fprintf(&b, "  --authorization %s: %d routes, %s; %d requests, %d otherwise\n", a, len(c.Routes), access, proof.Requests, len(proof.Differ))
				continue
			}
			fmt.Fprintf(&b, "  %d routes, %d objects replaced; %d requests, %d otherwise; %s\n", len(c.Routes), len(c.Replaced), proof.Requests, len(proof.Differ), proof.Access)
			for _, f := range c.ByHand() {
				fmt.Fprintf(&b, "    by hand: %s: %s\n", f.Source, f.Message)
			}
		}
	}
	const kept = "testdata/corpus.txt"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(kept, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("%s differs (-want +got); review it and run with -update:\n%s", kept, d)
	}
}

// explained checks that each difference is one that was announced.
func explained(t *testing.T, name string, c Conversion, p Proof) {
	t.Helper()
	for _, f := range p.Found {
		if f.Severity == report.Error {
			t.Errorf("%s: what was converted is in error: %s: %s", name, f.Source, f.Message)
		}
	}
	for _, d := range p.Differ {
		if !slices.ContainsFunc(c.ByHand(), func(f report.Finding) bool {
			return slices.ContainsFunc(d.Because, func(r report.Ref) bool { return r.Object() == f.Source.Object() })
		}) {
			t.Errorf("%s: %s\n  old: %s\n  new: %s\n  because of %v, of which nothing is left by hand", name, Line(d.Request), d.Old, d.New, d.Because)
		}
	}
}
