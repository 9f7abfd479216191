package engine_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// A piece that fails to be made for a new bound keeps the others as they are, and says so.
func TestDefectForANewBound(t *testing.T) {
	p := all.Pipeline()
	p.Backends = append(slices.Clone(p.Backends), failing{})
	e := engine.New(p, nil, nil)
	e.Bind(input.Settings{}, nil, []engine.Bound{bound("a", "envoy", "east")})
	give(e, towns(t, "east"))
	key := ir.Key{Kind: ir.KindWorkload, Namespace: "east", Name: "web"}
	before, _ := e.Made(key)
	e.Bind(input.Settings{}, nil, []engine.Bound{bound("a", "envoy", "east"), bound("b", "failing", "east")})
	after, _ := e.Made(key)
	if len(after.Pieces) != 2 || !reflect.DeepEqual(after.Pieces[0], before.Pieces[0]) || !after.Pieces[1].Withheld {
		t.Errorf("pieces are %+v", after.Pieces)
	}
	if !slices.ContainsFunc(after.Findings, func(f report.Finding) bool { return f.Code == report.Crashed }) {
		t.Errorf("found %v", after.Findings)
	}
	e.Bind(input.Settings{}, nil, []engine.Bound{bound("a", "envoy", "east")})
	if after, _ = e.Made(key); len(after.Pieces) != 1 || e.Result().Outputs[0].Withheld {
		t.Errorf("pieces are %+v", after.Pieces)
	}
}

// failing is a back end that panics at a Workload.
type failing struct{}

func (failing) Name() string                              { return "failing" }
func (failing) Versions() []string                        { return nil }
func (failing) Supports(translators.Target) feature.Table { return nil }
func (failing) Translate(u ir.Unit, _ translators.Target) ([]translators.Artifact, report.Report) {
	if u.Workload != nil {
		panic("a defect")
	}
	return nil, nil
}

// Keys finds the units that an object makes and those that asked for it.
func TestKeys(t *testing.T) {
	e := engine.New(all.Pipeline(), []translators.Target{{Backend: "envoy"}}, nil)
	give(e, towns(t, "east", "west"))
	for kind, want := range map[string]string{
		"HTTPRouteGroup": "[Workload east/web]",
		"TrafficTarget":  "[Workload east/web]",
		"EndpointSlice":  "[Endpoints east/web]",
		"Namespace":      "[Namespace east]",
	} {
		for _, o := range towns(t, "east") {
			if o.Kind == kind {
				if got := fmt.Sprint(e.Keys(o.ID)); !strings.Contains(got, strings.Trim(want, "[]")) || strings.Contains(got, "west") {
					t.Errorf("%s: %s, want %s", kind, got, want)
				}
			}
		}
	}
}
