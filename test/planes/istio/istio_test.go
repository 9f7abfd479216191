package istio_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/equivalence"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/test/planes/istio"
	reader "github.com/meshknot/meshknot/translators/interpret/istio"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

func TestIstio(t *testing.T) {
	lab.Need(t, istio.Needs...)
	p, err := istio.New()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	t.Run("Golden", func(t *testing.T) { golden(t, p) })
	t.Run("Refused", func(t *testing.T) { refused(t, p) })
	t.Run("Greeting", func(t *testing.T) { greeting(t, p) })
	t.Run("Headers", func(t *testing.T) { headers(t, p) })
	t.Run("Leftovers", func(t *testing.T) { leftovers(t, p) })
}

// played are the golden cases of this test; equivalence plays all of them.
var played = regexp.MustCompile(`^golden/(split/(weights|match-path|match-header|match-method|missing-backend|tcp|zero-weight|services-not-given)|` +
	`access/(default-deny|default-deny-strict|source|port|method|path-exact|path-prefix|path-suffix|header-exact|header-given|header-present|header-regex|identity-binding|tcp|tcp-and-http|probes)|` +
	`routes/istio-[a-z-]+|pairs/(split-and-access|cookie-and-split)|mesh/repeated-headers)$`)

// golden holds the plane against the model, the table and the interpreter.
func golden(t *testing.T, p *istio.Plane) {
	scenes, err := equivalence.Golden("../../cases")
	if err != nil {
		t.Fatal(err)
	}
	r := &equivalence.Runner{Plane: p, Backend: "istio", Read: reader.New, Limit: 40, Draws: 300, Measured: 1,
		Patience: time.Second, Tally: equivalence.NewTally("istio", "istio")}
	r.Tally.Programs = p.Programs()
	count := 0
	for i, s := range scenes {
		if !played.MatchString(s.Name) {
			continue
		}
		count++
		for _, f := range r.Play(s, uint64(i)) {
			t.Error(f)
		}
	}
	if count < 30 || r.Tally.Asked() < 500 {
		t.Errorf("only %d cases and %d requests were played", count, r.Tally.Asked())
	}
	t.Logf("%s", r.Tally)
}

var (
	web      = ir.Identity{Namespace: "shop", Account: "web"}
	stranger = ir.Identity{Namespace: "shop", Account: "stranger"}
	reviews  = ir.Identity{Namespace: "shop", Account: "reviews"}
	service  = ir.Name{Namespace: "shop", Name: "reviews"}
	workload = ir.Name{Namespace: "shop", Name: "reviews"}
)

// scene is a Service, and a workload that lets in what web asks for and matches.
func scene(protocol ir.Protocol, match ir.Match, requests ...semantics.Request) planes.Scene {
	at := ir.ServicePort{Service: service, Port: 80}
	home := ir.Route{Name: "default", Matches: []ir.Match{ir.MatchAll(report.Ref{})},
		Backends: []ir.Backend{{Service: service, Port: 80, Weight: 1, Servers: []ir.Identity{reviews}}}}
	return planes.Scene{Units: []ir.Unit{
		{Mesh: &ir.Mesh{Access: ir.AccessSelected}},
		{Service: &ir.Service{Namespace: "shop", Name: "reviews", Ref: report.Ref{Kind: "Service", Name: "reviews"},
			Ports: []ir.Port{{Number: 80, Protocol: protocol, Servers: []ir.Identity{reviews}, Routes: []ir.Route{home}}}}},
		{Workload: &ir.Workload{Namespace: "shop", Account: "reviews", Enforced: true, Ref: report.Ref{Kind: "ServiceAccount", Name: "reviews"},
			Pods:  []ir.PodClass{{Labels: map[string]string{"app": "reviews"}}},
			Ports: []ir.WorkloadPort{{Number: 8080, Protocol: protocol, Services: []ir.ServicePort{at}}},
			Grants: []ir.Grant{{Name: service, Sources: []ir.Source{{Identity: web}}, Ports: []ir.GrantPort{{Number: 8080}},
				Matches: []ir.Match{match}}}}},
	}, Requests: requests}
}

func call(from ir.Identity, path string) semantics.Request {
	return semantics.Request{From: &from, Service: service, Port: 80, Method: "GET", Path: path}
}

func show(t *testing.T, p *istio.Plane, s planes.Scene) planes.Showing {
	t.Helper()
	out, err := p.Show(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// refused: what Istio cannot say is not granted, to anybody.
func refused(t *testing.T, p *istio.Plane) {
	match := ir.MatchAll(report.Ref{})
	match.Path = ir.StringMatch{Kind: ir.MatchRegex, Value: "/(a|b)+"}
	all := []semantics.Request{call(web, "/aba"), call(web, "/"), call(stranger, "/aba")}
	out := show(t, p, scene(ir.HTTP, match, all...))
	if !out.Output.Refused() {
		t.Error("an expression is not refused")
	}
	for _, q := range all {
		if a := p.Ask(q); !a.Denied || a.Status != 403 || a.App != "" {
			t.Errorf("%s: %+v", q, a)
		}
	}
}

// greeting: Envoy's rules for connections wait for the caller's first word, so
// what a server says before that is heard by whoever has a certificate of the
// mesh, and nothing after it.
func greeting(t *testing.T, p *istio.Plane) {
	raw := func(from ir.Identity) semantics.Request {
		return semantics.Request{From: &from, Service: service, Port: 80, Raw: true}
	}
	show(t, p, scene(ir.TCP, ir.MatchAll(report.Ref{}), raw(web), raw(stranger)))
	if a := p.Ask(raw(web)); a.App != planes.Process(workload, 8080) {
		t.Errorf("who is granted it: %+v", a)
	}
	if a := p.Ask(raw(stranger)); !a.Denied || a.App != "" {
		t.Errorf("who is not: %+v", a)
	}
	heard, err := p.Listen(raw(stranger))
	if want := planes.Process(workload, 8080); err != nil || heard != want {
		t.Errorf("who is not, and says nothing: %q, %v; want %q: does the table of Istio still speak of the greeting?", heard, err, want)
	}
}

// headers are those that Istio's proxies write, so that no grant for them says
// anything of the caller.
func headers(t *testing.T, p *istio.Plane) {
	q := call(web, "/")
	show(t, p, scene(ir.HTTP, ir.MatchAll(report.Ref{}), q))
	a := p.Ask(q)
	got := slices.Sorted(maps.Keys(a.Heard.Headers))
	want := []string{"x-envoy-attempt-count", "x-forwarded-client-cert", "x-forwarded-proto", "x-request-id"}
	got = slices.DeleteFunc(got, func(n string) bool { return !strings.HasPrefix(n, "x-") })
	if !slices.Equal(got, want) {
		t.Errorf("proxies write %q, want %q", got, want)
	}
}

// leftovers: a scene is played by its own objects alone, none of the one before.
func leftovers(t *testing.T, p *istio.Plane) {
	open := scene(ir.HTTP, ir.MatchAll(report.Ref{}), call(stranger, "/"))
	open.Units[2].Workload.Enforced = false
	for i := range 3 {
		show(t, p, scene(ir.HTTP, ir.MatchAll(report.Ref{}), call(stranger, "/")))
		if a := p.Ask(call(stranger, "/")); !a.Denied {
			t.Errorf("closed, time %d: %+v", i, a)
		}
		show(t, p, open)
		if a := p.Ask(call(stranger, "/")); a.App != planes.Process(workload, 8080) {
			t.Errorf("open, time %d: %+v", i, a)
		}
	}
	if got := fmt.Sprint(p.Programs()); !regexp.MustCompile(`^\[istiod 1\.\d+\.\d+ kube-apiserver 1\.\d+\.\d+ Envoy 1\.\d+\.\d+\]$`).MatchString(got) {
		t.Errorf("programs: %s", got)
	}
}
