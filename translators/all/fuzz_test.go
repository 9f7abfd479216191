package all

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/semantics"
)

// FuzzLower feeds documents through the whole pipeline: nothing panics, and
// what is decoded is translated by every back end without claiming an ID twice.
func FuzzLower(f *testing.F) {
	seeds, err := filepath.Glob("../../examples/*/*.yaml")
	if err != nil || len(seeds) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, s := range seeds {
		text, err := os.ReadFile(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add(shop(2))
	p := Pipeline()
	f.Fuzz(func(t *testing.T, text []byte) {
		set, _ := input.ReadFiles([]input.File{{Name: "in.yaml", Data: text}}, input.Options{
			Schemas: p.Schemas(), Limits: input.Limits{FileBytes: 64 << 10}})
		units, _ := p.Lower(input.NewStore(set, input.Settings{}))
		model := semantics.New(units)
		for i, q := range semantics.Classes(units) {
			if i == 50 {
				break
			}
			model.Decide(q)
		}
		for _, b := range p.Backends {
			translators.Make(units, b, translators.Target{Backend: b.Name()}, nil)
		}
	})
}
