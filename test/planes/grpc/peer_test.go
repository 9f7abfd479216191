package grpc

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/semantics"
)

// TestPeer holds clients of another implementation against what the policies mean.
func TestPeer(t *testing.T) {
	if _, err := Python(); err != nil {
		if os.Getenv("REQUIRE_REAL") == "1" && os.Getenv("MESHKNOT_GRPCIO") != "" {
			t.Fatal(err)
		}
		t.Skipf("SKIPPED, NOTHING PROVEN: there is %v", err)
	}
	p, err := NewPeer(lab.ForTest(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	cases, err := golden.Load(filepath.Join("..", "..", "cases"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		want, ok := played[c.Name]
		if !ok {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			units := golden.Do(c).Units
			if shown, err := p.Show(planes.Scene{Name: c.Name, Units: units, Options: c.Options["grpc"], Waivers: c.Waivers}); err != nil || shown.Output.Withheld {
				t.Fatalf("withheld: %v, error: %v", shown.Output.Withheld, err)
			}
			made := 0
			for _, e := range c.Expect {
				if a := p.Ask(e.Request); a.Cannot == "" {
					made++
					hold(t, p, p.Plane, e.Request, semantics.New(units).Decide(e.Request))
				}
			}
			if made != want {
				t.Errorf("%d requests could be made, want %d", made, want)
			}
		})
	}
	t.Log(p.Programs())
}
