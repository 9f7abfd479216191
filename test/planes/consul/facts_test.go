package consul

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/test/planes"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// facts is a stage for entries that are written by hand: the Services a, b and c
// of the namespace n, which accounts of the same names stand behind, and a caller
// "web" that no Service leads to. Db speaks TCP.
func facts(t *testing.T) ([]semantics.Request, interpret.World) {
	t.Helper()
	w := interpret.World{Services: map[ir.Name]ir.Service{}, Workloads: map[ir.Name]ir.Workload{},
		Servers: map[ir.ServicePort][]ir.Identity{}, Namespaces: []string{"n"}}
	web := &ir.Identity{Namespace: "n", Account: "web"}
	var requests []semantics.Request
	for _, name := range []string{"a", "b", "c", "db"} {
		n := ir.Name{Namespace: "n", Name: name}
		protocol := ir.HTTP
		if name == "db" {
			protocol = ir.TCP
		}
		at := ir.ServicePort{Service: n, Port: 80}
		w.Services[n] = ir.Service{Namespace: "n", Name: name, Ports: []ir.Port{{Number: 80, Protocol: protocol}}}
		w.Workloads[n] = ir.Workload{Namespace: "n", Account: name,
			Ports: []ir.WorkloadPort{{Number: 80, Protocol: protocol, Services: []ir.ServicePort{at}}}}
		w.Servers[at] = []ir.Identity{{Namespace: "n", Account: name}}
		requests = append(requests, semantics.Request{From: web, Service: n, Port: 80, Method: "GET", Path: "/", Raw: name == "db"})
	}
	return requests, w
}

func entries(t *testing.T, all ...object) []json.RawMessage {
	t.Helper()
	var out []json.RawMessage
	for _, name := range []string{"a", "b", "c"} {
		all = slices.Insert(all, 0, object{"Kind": "service-defaults", "Name": name, "Protocol": "http"})
	}
	for _, e := range all {
		text, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, text)
	}
	return out
}

func play(p *Plane, requests []semantics.Request, w interpret.World, all []json.RawMessage) error {
	ports := map[ir.Name]int32{}
	for name := range w.Services {
		ports[name] = 80
	}
	return p.prepare(all, []*cast{newCast(w, nil, requests, ports, nil).prepared(requests)})()
}

func ask(p *Plane, q semantics.Request, path string) planes.Answer {
	q.Path = path
	return p.Ask(q)
}

// On an agent that allows by default, an intention of permissions to allow denies
// nothing: every caller may ask for everything. With a deny behind them both
// the rest and the others are denied, which is why the back end writes it.
func TestPermissionsAloneDenyNothing(t *testing.T) {
	p := start(t, "allow")
	requests, world := facts(t)
	to := requests[0]
	ok := object{"Action": "allow", "HTTP": object{"PathPrefix": "/ok"}}
	rest := object{"Action": "deny", "HTTP": object{"PathPrefix": "/"}}
	for _, c := range []struct {
		name    string
		sources []any
		denied  bool
	}{
		{"permissions to allow", []any{object{"Name": "web", "Permissions": []any{ok}}}, false},
		{"and one that denies the rest", []any{object{"Name": "web", "Permissions": []any{ok, rest}}, object{"Name": "*", "Action": "deny"}}, true},
	} {
		if err := play(p, requests, world, entries(t, object{"Kind": "service-intentions", "Name": "a", "Sources": c.sources})); err != nil {
			t.Fatal(err)
		}
		if a := ask(p, to, "/ok"); a.App != "n/a:80" {
			t.Errorf("%s: what is allowed is answered %+v", c.name, a)
		}
		if a := ask(p, to, "/other"); a.Denied != c.denied {
			t.Errorf("%s: denied %v for another path", c.name, a.Denied)
		}
	}
}

// An agent that sends a sidecar nothing is asked anew, by another Envoy in the same
// place, which is who answers then.
func TestSidecarsAreRenewed(t *testing.T) {
	p := start(t, "allow")
	p.dull = 0
	requests, world := facts(t)
	for range 2 { // for the second time Envoys run already, and wait for listeners
		p.leave()
		if err := play(p, requests, world, entries(t)); err != nil {
			t.Fatal(err)
		}
	}
	renewals := 0
	for _, s := range p.now.stages[0].slots {
		renewals += s.renewals
	}
	if renewals == 0 {
		t.Error("no sidecar was renewed")
	}
	if a := ask(p, requests[0], "/"); a.App != "n/a:80" {
		t.Errorf("answered %+v", a)
	}
}

// A splitter leads on to the splitter of a service that it names, while its
// router is not looked at.
func TestSplittersAreFollowedRoutersAreNot(t *testing.T) {
	p := start(t, "allow")
	requests, world := facts(t)
	split := func(from, to string) object {
		return object{"Kind": "service-splitter", "Name": from, "Splits": []any{object{"Weight": 100, "Service": to}}}
	}
	route := object{"Kind": "service-router", "Name": "b", "Routes": []any{object{
		"Match": object{"HTTP": object{"PathPrefix": "/"}}, "Destination": object{"Service": "c"}}}}
	for _, c := range []struct {
		next object
		app  string
	}{{split("b", "c"), "n/c:80"}, {route, "n/b:80"}} {
		if err := play(p, requests, world, entries(t, split("a", "b"), c.next)); err != nil {
			t.Fatal(err)
		}
		if a := ask(p, requests[0], "/"); a.App != c.app {
			t.Errorf("%v behind a splitter: %q answered", c.next["Kind"], a.App)
		}
		if a := ask(p, requests[1], "/"); a.App != "n/c:80" {
			t.Errorf("%v: %q answered", c.next["Kind"], a.App)
		}
	}
}

// A share of 0.53 percent becomes 52 of ten thousand.
func TestSharesAreCutOff(t *testing.T) {
	p := start(t, "allow")
	requests, world := facts(t)
	err := play(p, requests, world, entries(t, object{"Kind": "service-splitter", "Name": "a", "Splits": []any{
		object{"Weight": 0.53, "Service": "b"}, object{"Weight": 99.47, "Service": "c"}}}))
	if err != nil {
		t.Fatal(err)
	}
	s := p.now.stages[0]
	routes, err := s.calling(*requests[0].From).slot.routes()
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(regexp.MustCompile(`"weight": *[0-9]+`).FindAllString(routes[s.prefix+"a"], -1))
	if strings.ReplaceAll(got, " ", "") != `["weight":52"weight":9947]` {
		t.Errorf("shares of 0.53 and 99.47 percent are %s", got)
	}
}

// A connection is judged when its caller speaks: whoever is denied hears the
// greeting of a server that speaks first, and no more.
func TestDeniedCallersHearAGreeting(t *testing.T) {
	p := start(t, "deny")
	requests, world := facts(t)
	if err := play(p, requests, world, entries(t)); err != nil {
		t.Fatal(err)
	}
	db := requests[3]
	if a := p.Ask(db); !a.Denied || a.App != "" {
		t.Errorf("the caller is denied and hears %+v", a)
	}
	at := lab.Local(p.now.stages[0].calling(*db.From).slot.upstreams["db"])
	c, err := lab.Dial(at, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	greeting := make([]byte, len("hello from n/db:80\n"))
	if _, err := io.ReadFull(c, greeting); err != nil {
		t.Fatalf("no greeting is heard: the rows about it claim too little of Consul: %v", err)
	}
	if _, err := io.WriteString(c, "word\n"); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(c); len(rest) > 0 || err != nil && !closed(err) {
		t.Errorf("after the caller spoke it heard %q (%v)", rest, err)
	}
}

// A sidecar gives every request an ID, so an intention cannot ask for there being one.
func TestEveryRequestHasAnID(t *testing.T) {
	p := start(t, "deny")
	requests, world := facts(t)
	err := play(p, requests, world, entries(t, object{"Kind": "service-intentions", "Name": "a", "Sources": []any{object{"Name": "web", "Permissions": []any{
		object{"Action": "allow", "HTTP": object{"Header": []any{object{"Name": "x-request-id", "Present": true}}}}}}}}))
	if err != nil {
		t.Fatal(err)
	}
	if a := ask(p, requests[0], "/"); a.Status != http.StatusOK || len(a.Heard.Headers["x-request-id"]) != 1 {
		t.Errorf("a request without an ID is answered %d, with the headers %v", a.Status, a.Heard.Headers)
	}
}

// What Consul refuses is said in its words, with the entry.
func TestRefusedEntries(t *testing.T) {
	p := start(t, "deny")
	requests, world := facts(t)
	err := play(p, requests, world, entries(t, object{"Kind": "service-splitter", "Name": "db", "Splits": []any{object{"Weight": 100, "Service": "other"}}}))
	if err == nil || !strings.Contains(err.Error(), "service-splitter db") || !strings.Contains(err.Error(), "protocol") {
		t.Errorf("a splitter of connections: %v", err)
	}
	// The next show is not disturbed.
	if err := play(p, requests, world, entries(t)); err != nil {
		t.Error(err)
	}
}
