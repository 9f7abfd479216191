// Package equivalence holds three answers to one question against each other:
// what a policy means (semantics), what the interpreter of a mesh reads out of
// the artifacts (interpret), and what the real programs do (planes). Scenes are
// the golden cases, the corpus, and random policies that shrink when they fail.
package equivalence

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Scene is a policy as its authors wrote it, and requests that must be asked.
type Scene struct {
	// Name is "golden/...", "corpus/..." or "random/SEED/NUMBER".
	Name     string
	Files    []input.File
	Settings input.Settings
	// Options by back end.
	Options  map[string]map[string]string
	Waivers  []feature.Waiver
	Requests []semantics.Request
}

// Units lowers a scene by the pipeline of the product.
func (s Scene) Units() []ir.Unit {
	p := all.Pipeline()
	set, _ := input.ReadFiles(s.Files, input.Options{Schemas: p.Schemas()})
	units, _ := p.Lower(input.NewStore(set, s.Settings))
	return units
}

// Golden are the golden cases below a directory, with the requests that they expect.
func Golden(dir string) ([]Scene, error) {
	cases, err := golden.Load(dir)
	var out []Scene
	for _, c := range cases {
		s := Scene{Name: "golden/" + c.Name, Settings: c.Settings, Options: c.Options, Waivers: c.Waivers}
		for _, f := range c.Inputs {
			s.Files = append(s.Files, input.File{Name: strings.TrimPrefix(f.Name, "in/"), Data: f.Data})
		}
		for _, e := range c.Expect {
			s.Requests = append(s.Requests, e.Request)
		}
		out = append(out, s)
	}
	return out, err
}

// coherent are manifests of the corpus that belong together and hold no two
// objects of one name.
var coherent = [][]string{
	{"osm/apps", "osm/access/traffic-access-v1.yaml", "osm/split/traffic-split-50-50.yaml"},
	{"osm/apps", "osm/access/traffic-access-v1-allow-bookthief.yaml", "osm/split/traffic-split-v1.yaml"},
	{"osm/samples/canary"},
	{"traefik-mesh/acl_enabled/http"},
	{"traefik-mesh/acl_enabled/traffic-split"},
	{"traefik-mesh/acl_disabled/traffic-split"},
	{"adapter-istio/smi-traffictarget"},
	{"adapter-istio/smi-trafficsplit/manifests/00-bookinfo-setup.yaml", "adapter-istio/smi-trafficsplit/manifests/01-deploy-v1.yaml",
		"adapter-istio/smi-trafficsplit/manifests/03-deploy-v2.yaml", "adapter-istio/smi-trafficsplit/manifests/06-traffic-split-200-800.yaml"},
}

// Corpus are manifests that others wrote, in the sets that belong together.
func Corpus(dir string) ([]Scene, error) {
	var out []Scene
	for _, set := range coherent {
		s := Scene{Name: "corpus/" + strings.Join(set, "+")}
		for _, name := range set {
			err := filepath.WalkDir(filepath.Join(dir, name), func(path string, d os.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				text, err := os.ReadFile(path)
				s.Files = append(s.Files, input.File{Name: path, Data: text})
				return err
			})
			if err != nil {
				return nil, fmt.Errorf("corpus: %w", err)
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// Sample chooses at most Limit and Reserve requests about units: those that must be
// asked, then classes and near misses of them, callee by callee in turn so that
// none is left out for the many conditions of another.
func (r *Runner) Sample(units []ir.Unit, must []semantics.Request, chance *rand.Rand) []semantics.Request {
	var out []semantics.Request
	seen := map[string]bool{}
	add := func(q semantics.Request) {
		said := []semantics.Request{q}
		if r.Speak != nil {
			said = append(said, r.Speak(q))
		}
		for _, q := range said {
			q = withHost(q)
			if key := q.String(); !seen[key] {
				seen[key] = true
				out = append(out, q)
			}
		}
	}
	for _, q := range must {
		add(q)
	}
	groups, names := byCallee(semantics.Classes(units), chance)
	for len(out) < r.Limit+r.Reserve && len(names) > 0 {
		names = slices.DeleteFunc(names, func(k string) bool {
			g := groups[k]
			if len(out) < r.Limit+r.Reserve {
				add(g[0])
				if chance.IntN(4) == 0 {
					add(NearMiss(g[0], chance))
				}
			}
			groups[k] = g[1:]
			return len(g) == 1
		})
	}
	return out
}

// byCallee shuffles the requests to each callee, whose names come in order.
func byCallee(all []semantics.Request, chance *rand.Rand) (groups map[string][]semantics.Request, names []string) {
	groups = map[string][]semantics.Request{}
	for _, q := range all {
		k := q.Callee()
		if groups[k] == nil {
			names = append(names, k)
		}
		groups[k] = append(groups[k], q)
	}
	for _, k := range names {
		g := groups[k]
		chance.Shuffle(len(g), func(i, j int) { g[i], g[j] = g[j], g[i] })
	}
	return groups, names
}

// withHost is a request with the host that is asked for where it names none.
func withHost(q semantics.Request) semantics.Request {
	if len(q.Headers["host"]) > 0 || q.Raw {
		return q
	}
	host := lab.AnyHost
	if q.Service != (ir.Name{}) { // some meshes know a Service by nothing else
		host = q.Service.Name + "." + q.Service.Namespace + ".svc.cluster.local"
	}
	q.Headers = semantics.Edited(q.Headers, &ir.HeaderEdit{Set: []ir.Header{{Name: "host", Value: host}}})
	return q
}
