package smi

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/meshknot/meshknot/test/lab"
)

var update = flag.Bool("update", false, "rewrite docs/conformance.md from the reports")

// TestPlanes plays all steps on the real data planes.
func TestPlanes(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped by -short: it takes minutes")
	}
	for _, name := range Planes() {
		t.Run(name, func(t *testing.T) {
			lab.Need(t, known[name].needs...)
			p, err := Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			r := Report{Plane: p.Name(), Programs: p.Programs()}
			r.Results = Run(p, Steps(), func(res Result) {
				if res.Verdict == Fail || res.Verdict == Broken {
					t.Errorf("%s (%s): %s\nwant %s\ngot  %s", res.ID, res.What, res.Verdict, res.Expected, res.saw())
				}
			})
			t.Log(r.Summary())
			if r.Count(Pass) < 40 {
				t.Errorf("only %d steps passed", r.Count(Pass))
			}
		})
	}
}

// TestDocument: docs/conformance.md is what the reports say, and the reports are
// of the steps as they are now. "make conformance" makes both anew.
func TestDocument(t *testing.T) {
	var reports []Report
	for _, name := range Documented() {
		text, err := os.ReadFile(filepath.Join("results", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := Read(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := r.Stale(); err != nil {
			t.Errorf("%v: make conformance plays it again", err)
		}
		if n := r.Count(Fail) + r.Count(Broken); n > 0 {
			t.Errorf("%s: %d steps failed or could not run", name, n)
		}
		reports = append(reports, r)
	}
	var want bytes.Buffer
	if err := Markdown(&want, reports); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "..", "..", "docs", "conformance.md")
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("docs/conformance.md is not what the reports say (%v): make conformance writes it", err)
	}
}
