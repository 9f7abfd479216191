package grpc

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	backendgrpc "github.com/meshknot/meshknot/translators/grpc"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
	"github.com/meshknot/meshknot/translators/verify"
	"github.com/meshknot/meshknot/translators/xds"
)

// played are golden cases whose requests gRPC clients can make, and how many of
// them.
var played = map[string]int{
	"pairs/grpc-and-access":      11,
	"pairs/grpc-and-split":       7,
	"pairs/split-and-path":       1,
	"routes/envoy-grpc-consumer": 5,
	"routes/grpc":                7,
	"specs/grpc":                 5,
}

// TestCases holds real clients and servers against what the policies mean.
func TestCases(t *testing.T) {
	p := start(t)
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
			began := time.Now()
			units := golden.Do(c).Units
			var requests []semantics.Request
			for _, e := range c.Expect {
				requests = append(requests, e.Request)
			}
			shown, err := p.Show(planes.Scene{Name: c.Name, Units: units, Options: c.Options["grpc"], Waivers: c.Waivers, Requests: requests})
			if err != nil || shown.Output.Withheld {
				t.Fatalf("withheld: %v, error: %v", shown.Output.Withheld, err)
			}
			took, made := time.Since(began), 0
			model := semantics.New(units)
			for _, q := range requests {
				if a := p.Ask(q); a.Cannot != "" {
					t.Logf("%s: %s", q, a.Cannot)
					continue
				}
				made++
				hold(t, p, p, q, model.Decide(q))
			}
			t.Logf("shown in %s, %d of %d requests made in %s", took, made, len(requests), time.Since(began)-took)
			if made != want {
				t.Errorf("%d requests could be made, want %d", made, want)
			}
		})
	}
}

// TestClasses asks all golden cases for requests of every kind, once each. What
// is told to gRPC is what is held against; it does not normalise paths, and has
// nothing to say to callers without identity, as its table says.
func TestClasses(t *testing.T) {
	p := start(t)
	cases, err := golden.Load(filepath.Join("..", "..", "cases"))
	if err != nil {
		t.Fatal(err)
	}
	made, known := 0, 0
	for _, c := range cases {
		units := golden.Do(c).Units
		shown, err := p.Show(planes.Scene{Name: c.Name, Units: units, Options: c.Options["grpc"], Waivers: c.Waivers})
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		var told []ir.Unit
		for _, piece := range shown.Pieces {
			told = append(told, piece.Unit)
		}
		model := semantics.New(told)
		for _, q := range semantics.Classes(units) {
			a := p.Ask(q)
			if a.Cannot != "" {
				continue
			}
			made++
			decided := model.Decide(q)
			want := wanted(p, q, decided)
			_, ok := want[outcome(a)]
			switch {
			case ok:
			case verify.Has(q, feature.OnRawPath) && strayed(p, q, decided, a):
				known++ // whom another route leads to may be called
			case want["denied"] == 1 && !a.Denied:
				t.Errorf("%s: %s: let through by %s", c.Name, q, outcome(a))
			case verify.Has(q, feature.OnRawPath), verify.Has(q, feature.OnPlainText) && a.Denied, verify.Has(q, feature.OnRepeatedHeader) && a.Denied:
				known++
			default:
				t.Errorf("%s: %s: %s, want %v", c.Name, q, outcome(a), want)
			}
		}
	}
	t.Logf("%d calls made, %d with a known difference", made, known)
	if made < 300 || known > made/4 {
		t.Errorf("%d calls made, %d of them with a known difference: too few of use", made, known)
	}
}

// strayed reports whether somebody answers whom the model does not send a request to.
func strayed(p *Plane, q semantics.Request, d semantics.Decision, a planes.Answer) bool {
	d.Shares = slices.Clone(d.Shares)
	for i := range d.Shares {
		d.Shares[i].Allowed, d.Shares[i].Partly = true, false
	}
	d.Verdict = semantics.Allow
	_, meant := wanted(p, q, d)[outcome(a)]
	return !a.Denied && len(d.Shares) > 0 && !meant
}

// TestShowIsOver: once Show returns, what it shows is in use, and what was
// granted before is not.
func TestShowIsOver(t *testing.T) {
	p := start(t)
	web, app := ir.Identity{Namespace: "shop", Account: "web"}, ir.Name{Namespace: "shop", Name: "app"}
	all := []ir.Match{ir.MatchAll(report.Ref{})}
	at := ir.ServicePort{Service: app, Port: 80}
	scene := func(granted bool) planes.Scene {
		w := &ir.Workload{Namespace: "shop", Account: "app", Enforced: true,
			Ports: []ir.WorkloadPort{{Number: 8080, Protocol: ir.GRPC, Services: []ir.ServicePort{at}}}}
		if granted {
			w.Grants = []ir.Grant{{Sources: []ir.Source{{Identity: web}}, Ports: []ir.GrantPort{{Number: 8080}}, Matches: all}}
		}
		backends := []ir.Backend{{Service: app, Port: 80, Weight: 1, Servers: []ir.Identity{{Namespace: "shop", Account: "app"}}}}
		return planes.Scene{Units: []ir.Unit{{Mesh: &ir.Mesh{}}, {Workload: w}, {Service: &ir.Service{Namespace: "shop", Name: "app",
			Ports: []ir.Port{{Number: 80, Protocol: ir.GRPC, Routes: []ir.Route{{Name: "r", Matches: all, Backends: backends}}}}}}}}
	}
	q := semantics.Request{From: &web, Service: app, Port: 80, Method: "POST", Path: "/a.B/C"}
	straight := semantics.Request{From: &web, Workload: app, Port: 8080, Method: "POST", Path: "/a.B/C"}
	for i := range 100 {
		granted := i%2 == 0
		if _, err := p.Show(scene(granted)); err != nil {
			t.Fatal(err)
		}
		want := "denied"
		if granted {
			want = "shop/app:8080"
		}
		if got := outcome(p.Ask(straight)); got != want {
			t.Fatalf("scene %d: the pod: %s, want %s", i, got, want)
		}
		if got := outcome(p.Ask(q)); got != want {
			t.Fatalf("scene %d: %s, want %s", i, got, want)
		}
	}
	if n := len(p.servers); n != 1 {
		t.Errorf("%d servers for one port", n)
	}
}

func start(t *testing.T) *Plane {
	t.Helper()
	p, err := New(lab.ForTest(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// outcome says in a word what a caller heard.
func outcome(a planes.Answer) string {
	switch {
	case a.Err != nil:
		return "error: " + a.Err.Error()
	case a.Denied:
		return "denied"
	case a.App != "":
		return a.App
	}
	return fmt.Sprint("status ", a.Status)
}

// wanted are the outcomes of a decision and how likely each is.
func wanted(p *Plane, q semantics.Request, d semantics.Decision) map[string]float64 {
	switch {
	case q.Workload != (ir.Name{}) && d.Verdict == semantics.Allow:
		return map[string]float64{planes.Process(q.Workload, q.Port): 1}
	case len(d.Shares) == 0 && d.Status != 0:
		return map[string]float64{fmt.Sprint("status ", d.Status): 1}
	case len(d.Shares) == 0:
		return map[string]float64{"denied": 1}
	}
	out := map[string]float64{}
	for _, s := range d.Shares {
		name := "denied"
		at := p.scene.behind[ir.ServicePort{Service: s.Service, Port: s.Port}]
		switch {
		case s.Invalid != "":
			name = fmt.Sprint("status ", s.Status)
		case s.Allowed && len(at) == 0:
			name = "status 503" // nobody is known to be there
		case s.Allowed: // whichever of several answers
			for _, a := range at {
				out[planes.Process(a.Service, a.Port)] += s.Percent / 100 / float64(len(at))
			}
			continue
		}
		out[name] += s.Percent / 100
	}
	return out
}

func hold(t *testing.T, asked planes.Plane, p *Plane, q semantics.Request, d semantics.Decision) {
	t.Helper()
	want := wanted(p, q, d)
	n := 1
	if len(want) > 1 {
		n = 1000
	}
	got := count(asked, q, n)
	for who, part := range want {
		mean := part * float64(n)
		if slack := 4.5 * math.Sqrt(mean*(1-part)); math.Abs(float64(got[who])-mean) > slack {
			t.Errorf("%s: %v, want %.0f of %s give or take %.0f", q, got, mean, who, slack)
		}
	}
	for who := range got {
		if _, ok := want[who]; !ok {
			t.Errorf("%s: %v, want only %v", q, got, want)
		}
	}
}

// count asks n times, some at a time, and counts the outcomes.
func count(p planes.Plane, q semantics.Request, n int) map[string]int {
	out := map[string]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	const hands = 4
	for i := range hands {
		all.Go(func() {
			for range (n + i) / hands {
				o := outcome(p.Ask(q))
				mu.Lock()
				out[o]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return out
}

// TestNotTheTraffic: what goes wrong in the plane is an error, and neither a
// denial nor a status.
func TestNotTheTraffic(t *testing.T) {
	web, app := ir.Identity{Namespace: "shop", Account: "web"}, ir.Name{Namespace: "shop", Name: "app"}
	at := ir.ServicePort{Service: app, Port: 8080}
	w := &ir.Workload{Namespace: "shop", Account: "app", Ports: []ir.WorkloadPort{{Number: 8080, Protocol: ir.GRPC}}}
	q := semantics.Request{From: &web, Workload: app, Port: 8080, Method: "POST", Path: "/a.B/C"}
	show := func(t *testing.T) *Plane {
		p := start(t)
		if _, err := p.Show(planes.Scene{Units: []ir.Unit{{Mesh: &ir.Mesh{}}, {Workload: w}}}); err != nil {
			t.Fatal(err)
		}
		if a := p.Ask(q); a.App != "shop/app:8080" {
			t.Fatalf("%+v", a)
		}
		return p
	}
	t.Run("a server is gone", func(t *testing.T) {
		p := show(t)
		p.servers[at].stop()
		if a := p.Ask(q); a.Err == nil || a.Denied || a.Status != 0 {
			t.Errorf("%+v", a)
		}
		delete(p.servers, at)
	})
	t.Run("the configuration is refused", func(t *testing.T) {
		p := show(t)
		name := fmt.Sprintf(backendgrpc.ServerListenerTemplate(p.servers[at].id), p.servers[at].address())
		bad := &listenerv3.Listener{Name: name, UseOriginalDst: wrapperspb.Bool(true)}
		err := p.update(nil, []translators.Artifact{{ID: translators.ID{Type: xds.TypeListener, Name: name}, Payload: bad}})
		if err == nil {
			err = p.await(p.scene)
		}
		if err == nil || !strings.Contains(err.Error(), "refuses") {
			t.Errorf("%v", err)
		}
		if a := p.Ask(q); a.Err == nil || a.App != "" {
			t.Errorf("%+v", a)
		}
	})
}

// TestUnspeakable: what no gRPC client does is not asked.
func TestUnspeakable(t *testing.T) {
	for call, want := range map[string]string{
		"GET /a/b":                           "POST",
		"POST /a":                            "method",
		"POST /a/b?c":                        "query",
		"TCP":                                "requests",
		"POST /a/b -H 'grpc-x: 1'":           "to itself",
		"POST /a/b -H 'te: 1'":               "to itself",
		"POST /a/b -H 'x-bin: 1'":            "encoded",
		"POST /a/b -H 'x!: 1'":               "no name",
		"POST /a/b -H 'x: a\x01'":            "no metadata",
		"POST /a/b/c -H 'x: 1' -H 'host: a'": "",
	} {
		q, err := semantics.ParseRequest("sa:a/b -> svc:a/c:1 " + call)
		if err != nil {
			t.Fatal(err)
		}
		if got := unspeakable(q); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", call, got, want)
		}
	}
}
