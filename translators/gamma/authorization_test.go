package gamma

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/consul"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/istio"
	"github.com/meshknot/meshknot/translators/linkerd"
	"github.com/meshknot/meshknot/translators/report"
)

func workload() ir.Unit {
	return ir.Unit{Workload: &ir.Workload{
		Namespace: "shop", Account: "reviews", Ref: report.Ref{Kind: "ServiceAccount", Namespace: "shop", Name: "reviews"}, Enforced: true,
		Pods:  []ir.PodClass{{Labels: map[string]string{"app": "reviews"}}},
		Ports: []ir.WorkloadPort{{Number: 8080, Protocol: ir.HTTP, Services: []ir.ServicePort{{Service: ir.Name{Namespace: "shop", Name: "reviews"}, Port: 80}}}},
		Grants: []ir.Grant{{Name: ir.Name{Namespace: "shop", Name: "web"}, Ref: ref("web", "spec"),
			Sources: []ir.Source{{Identity: ir.Identity{Namespace: "shop", Account: "web"}, Services: []ir.Name{{Namespace: "shop", Name: "web"}}}},
			Ports:   []ir.GrantPort{{Number: 8080}}, Matches: []ir.Match{ir.MatchAll(ref("web", "spec.rules[0]"))}}},
	}}
}

// Who may call is written exactly as the named back end does.
func TestAuthorizationIsDelegated(t *testing.T) {
	meshes := []translators.Backend{istio.New(), linkerd.New(), consul.New()}
	b := New(meshes...)
	for _, mesh := range meshes {
		options := map[string]string{}
		if takesForm(mesh) {
			options[formOption] = asObjects
		}
		own := translators.Translate(workload(), mesh, translators.Target{Backend: mesh.Name(), Options: options}, nil)
		target := translators.Target{Backend: "gateway-api", Options: map[string]string{authorizationOption: mesh.Name()}}
		got := translators.Translate(workload(), b, target, nil)
		if len(own.Artifacts) == 0 || own.Withheld || got.Withheld || len(got.Artifacts) != len(own.Artifacts) {
			t.Fatalf("%s: %d artifacts, its own %d", mesh.Name(), len(got.Artifacts), len(own.Artifacts))
		}
		for i, a := range got.Artifacts {
			if !reflect.DeepEqual(a.Payload, own.Artifacts[i].Payload) {
				t.Errorf("%s: %v differs from its own", mesh.Name(), a.ID)
			}
			if o, ok := a.Payload.(object); !ok || !strings.Contains(o["apiVersion"].(string), "/") {
				t.Errorf("%s: %v is no object of Kubernetes", mesh.Name(), a.ID)
			}
		}
		table := b.Supports(target)
		for _, spec := range feature.Specs() {
			want, _ := mesh.Supports(translators.Target{Backend: mesh.Name(), Options: options}).Find(spec.Feature, nil)
			row, ok := table.Find(spec.Feature, nil)
			if !ok || authorizes(spec.Feature) && !reflect.DeepEqual(row, want) {
				t.Errorf("%s: %s has the row %v, want %v", mesh.Name(), spec.Feature, row, want)
			}
		}
	}
}

// Without a name, or with one that is not known, nothing is granted and nothing
// can be denied, so all is withheld.
func TestWithoutAuthorizationAllIsWithheld(t *testing.T) {
	for _, name := range []string{"", "nobody"} {
		p := translators.Translate(workload(), New(istio.New()), translators.Target{Options: map[string]string{authorizationOption: name}}, nil)
		if !p.Withheld || len(p.Artifacts) > 0 {
			t.Errorf("%q: %v", name, p)
		}
		i := slices.IndexFunc(p.Findings, func(f report.Finding) bool { return f.Code == report.Withheld })
		if i < 0 || !strings.Contains(p.Findings[i].Message, "--authorization") {
			t.Errorf("%q: the way out is not said: %v", name, p.Findings)
		}
	}
}

// A namespace that denies by default is withheld too: no workload of it may be known.
func TestWithoutAuthorizationANamespaceIsWithheld(t *testing.T) {
	u := ir.Unit{Namespace: &ir.Namespace{Name: "shop", Enforced: true}}
	p := translators.Translate(u, New(istio.New()), translators.Target{}, nil)
	if !p.Withheld || len(p.Findings) != 1 || !strings.Contains(p.Findings[0].Message, "--authorization") {
		t.Errorf("%+v", p)
	}
	with := translators.Target{Options: map[string]string{authorizationOption: "istio"}}
	if p := translators.Translate(u, New(istio.New()), with, nil); p.Withheld || len(p.Artifacts) == 0 {
		t.Errorf("Istio denies for a whole namespace: %+v", p)
	}
	u.Namespace.Enforced = false
	if p := translators.Translate(u, New(istio.New()), translators.Target{}, nil); p.Withheld {
		t.Errorf("nothing is to be denied: %+v", p)
	}
}

func TestOptionsAndVersionAreForwarded(t *testing.T) {
	b := New(istio.New()).(backend)
	_, to, ok := b.authorizer(translators.Target{TrustDomain: "example.org", Options: map[string]string{
		"authorization": "istio@1.26", "authorization.root-namespace": "config"}})
	want := translators.Target{Backend: "istio", Version: "1.26", TrustDomain: "example.org", Options: map[string]string{"root-namespace": "config"}}
	if !ok || !reflect.DeepEqual(to, want) {
		t.Errorf("got %+v, want %+v", to, want)
	}
}

// assembling is a back end whose artifacts are made of parts.
type assembling struct{ translators.Backend }

func (assembling) Name() string { return "assembling" }

func (assembling) Supports(translators.Target) feature.Table { return nil }

func (assembling) Translate(u ir.Unit, _ translators.Target) ([]translators.Artifact, report.Report) {
	return []translators.Artifact{{ID: translators.ID{Type: "x/v1/X", Name: "one"}, Part: "a:b", Payload: u.Workload.Account}}, nil
}

func (assembling) Assemble(parts []translators.Artifact) (translators.Artifact, report.Report) {
	var all []string
	for _, p := range parts {
		all = append(all, p.Part+"="+p.Payload.(string))
	}
	return translators.Artifact{Payload: strings.Join(all, " ")}, nil
}

func TestPartsAreAssembledByWhoMadeThem(t *testing.T) {
	b := New(istio.New(), assembling{})
	target := translators.Target{Options: map[string]string{authorizationOption: "assembling"}}
	one, other := workload(), workload()
	other.Workload.Account = "zeta"
	var pieces []translators.Piece
	for _, u := range []ir.Unit{one, other} {
		artifacts, _ := b.Translate(u, target)
		for i := range artifacts {
			artifacts[i].Unit = u.Key()
		}
		pieces = append(pieces, translators.Piece{Artifacts: artifacts})
	}
	out := translators.Assemble(b, target, pieces, nil)
	if len(out.Artifacts) != 1 || out.Artifacts[0].Payload != "a:b=reviews a:b=zeta" {
		t.Errorf("got %v", out.Artifacts)
	}
}
