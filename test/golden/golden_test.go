package golden

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"github.com/meshknot/meshknot/translators/semantics"
)

var update = flag.Bool("update", false, "rewrite the out/ sections")

const dir = "../cases"

func load(t *testing.T) []Case {
	t.Helper()
	return Cases(t, dir)
}

func TestCases(t *testing.T) {
	for _, c := range load(t) {
		t.Run(c.Name, func(t *testing.T) {
			run := Do(c)
			model := semantics.New(run.Units)
			for _, e := range c.Expect {
				if err := e.Check(model.Decide(e.Request)); err != nil {
					t.Errorf("%s\n    %v", e.Line, err)
				}
			}
			got, err := run.Outputs()
			if err != nil {
				t.Fatal(err)
			}
			valid(t, run)
			if *update {
				rewrite(t, c, got)
				return
			}
			compare(t, c, got)
			shuffled(t, c, got)
		})
	}
}

func compare(t *testing.T, c Case, got []txtar.File) {
	for _, f := range got {
		want, ok := c.Section(f.Name)
		if !ok {
			t.Errorf("section %s is missing: run make golden and review it", f.Name)
			continue
		}
		if d := cmp.Diff(want, string(f.Data)); d != "" {
			t.Errorf("%s (-want +got):\n%s", f.Name, d)
		}
	}
	for _, f := range c.Archive.Files {
		made := slices.ContainsFunc(got, func(g txtar.File) bool { return g.Name == f.Name })
		if strings.HasPrefix(f.Name, "out/") && !made {
			t.Errorf("section %s: nothing makes it", f.Name)
		}
	}
}

// shuffled runs the case with its documents in another order: the artifacts
// must be the same bytes.
func shuffled(t *testing.T, c Case, want []txtar.File) {
	c.Inputs = slices.Clone(c.Inputs)
	for i, f := range c.Inputs {
		docs := strings.Split(string(f.Data), "\n---\n")
		slices.Reverse(docs)
		c.Inputs[i].Data = []byte(strings.Join(docs, "\n---\n"))
	}
	slices.Reverse(c.Inputs)
	got, err := Do(c).Outputs()
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range got {
		if f.Name != "out/report.txt" && string(f.Data) != string(want[i].Data) {
			t.Errorf("%s differs when the documents are in another order:\n%s", f.Name, cmp.Diff(string(want[i].Data), string(f.Data)))
		}
	}
}

func rewrite(t *testing.T, c Case, got []txtar.File) {
	a := &txtar.Archive{Comment: c.Archive.Comment}
	for _, f := range c.Archive.Files {
		if !strings.HasPrefix(f.Name, "out/") {
			a.Files = append(a.Files, f)
		}
	}
	a.Files = append(a.Files, got...)
	if err := os.WriteFile(c.Path, txtar.Format(a), 0o644); err != nil {
		t.Fatal(err)
	}
}

// valid holds every artifact against the schema of its own mesh.
func valid(t *testing.T, run Run) {
	for _, o := range run.Result.Outputs {
		for _, a := range o.Artifacts {
			if err := schemaOf(a); err != nil {
				t.Errorf("%s: %s %s: %v", o.Target.Backend, a.ID.Type, a.ID.Name, err)
			}
		}
	}
}
