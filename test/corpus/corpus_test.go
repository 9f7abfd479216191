package corpus

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshknot/meshknot/internal/cli"
)

var update = flag.Bool("update", false, "rewrite outcomes.txt")

// run runs a command line and returns its status and both outputs.
func run(args ...string) (int, string, string) {
	var out, errw bytes.Buffer
	code := cli.Main(args, strings.NewReader(""), &out, &errw)
	return code, out.String(), errw.String()
}

type document struct {
	Backends []struct {
		Name      string
		Withheld  bool
		Artifacts []struct{ Type string }
		Findings  []finding
		Summary   map[string]int
	}
	Findings []finding
}

type finding struct {
	Code, Severity, Class, Message string
	Source                         struct{ Kind, Namespace, Name, Field string }
}

// outcome is a few lines about one input.
func outcome(t *testing.T, dir string, name string, files ...string) string {
	var args []string
	for _, f := range files {
		args = append(args, "-f", filepath.Join(dir, f))
	}
	var b strings.Builder
	code, out, _ := run(append([]string{"validate", "-o", "json"}, args...)...)
	fmt.Fprintf(&b, "%s\n  validate exit %d%s\n", name, code, codes(t, out))
	code, out, errw := run(append([]string{"translate", "--to", "all", "-o", "json"}, args...)...)
	var d document
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatalf("%s: translate: %v\n%s", name, err, errw)
	}
	fmt.Fprintf(&b, "  translate exit %d\n", code)
	for _, one := range d.Backends {
		held := ""
		if one.Withheld {
			held = ", withheld"
		}
		fmt.Fprintf(&b, "    %s: %d artifacts%s%s\n", one.Name, len(one.Artifacts), held, count(one.Findings))
	}
	return b.String()
}

func codes(t *testing.T, out string) string {
	var d struct{ Findings []finding }
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatalf("validate: %v\n%s", err, out)
	}
	return count(d.Findings)
}

func count(found []finding) string {
	n := map[string]int{}
	for _, f := range found {
		if f.Severity != "info" {
			n[f.Severity+" "+f.Code]++
		}
	}
	var out []string
	for k, v := range n {
		out = append(out, fmt.Sprintf("%s×%d", k, v))
	}
	slices.Sort(out)
	if len(out) == 0 {
		return ""
	}
	return ": " + strings.Join(out, ", ")
}

func TestCorpus(t *testing.T) {
	dir := Dir(t)
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		b.WriteString(outcome(t, dir, filepath.ToSlash(rel), rel))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, set := range sets {
		b.WriteString(outcome(t, dir, "set: "+strings.Join(set, " + "), set...))
	}
	if *update {
		if err := os.WriteFile("outcomes.txt", []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile("outcomes.txt")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("outcomes differ from outcomes.txt (-want +got); review them and run make golden:\n%s", d)
	}
}

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

// The bookstore demo of Open Service Mesh, as its authors wrote it.
func TestBookstore(t *testing.T) {
	dir := Dir(t)
	var args []string
	for _, f := range sets[0] {
		args = append(args, "-f", filepath.Join(dir, f))
	}
	if code, _, errw := run(append([]string{"translate", "--to", "envoy"}, args...)...); code != 0 {
		t.Errorf("envoy: exit %d, want 0\n%s", code, errw)
	}
	code, out, errw := run(append([]string{"translate", "--to", "istio", "-o", "json"}, args...)...)
	if code != 1 {
		t.Errorf("istio: exit %d, want 1\n%s", code, errw)
	}
	var d document
	if err := json.Unmarshal([]byte(out), &d); err != nil {
		t.Fatal(err)
	}
	var refused []string
	for _, f := range d.Backends[0].Findings {
		if f.Code == "MK3002" {
			refused = append(refused, f.Source.Name+" "+f.Source.Field)
		}
	}
	slices.Sort(refused)
	want := []string{"bookstore-service-routes spec.matches[0].headers[0].user-agent", "bookstore-service-routes spec.matches[1].pathRegex"}
	if got := slices.Compact(refused); !slices.Equal(got, want) {
		t.Errorf("refused are %v, want %v", got, want)
	}
	for _, deny := range []string{"bookstore", "bookstore-v2", "bookwarehouse", "mysql"} {
		if !strings.Contains(out, "meshknot-deny-"+deny) {
			t.Errorf("the deny around %s is not in the output", deny)
		}
	}
	if code, _, errw := run("translate", "--to", "envoy", "-f", filepath.Join(dir, "osm")); code != 1 ||
		!strings.Contains(errw, "MK1008 TrafficTarget bookstore/bookstore:") || !strings.Contains(errw, "MK1008 TrafficSplit bookstore/bookstore-split: given 3 times") {
		t.Errorf("the whole folder: exit %d, want 1 with its duplicates:\n%s", code, errw)
	}
}
