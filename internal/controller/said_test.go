package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/meshknot/meshknot/internal/feed"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
)

// routeChange is an HTTPRoute of generation 2 as the feed hands it out, of which a
// controller says something; nothing where the status is empty.
func routeChange(name, controller, status string, generation int) feed.Change {
	c := feed.Change{ID: input.ID{Group: gatewayGroup, Kind: "HTTPRoute", Namespace: "shop", Name: name}}
	if status != "" {
		c.JSON = fmt.Appendf(nil, `{"metadata":{"generation":2},"status":{"parents":[{"controllerName":%q,"conditions":[{"type":"Accepted","status":%q,"reason":"R","observedGeneration":%d}]}]}}`, controller, status, generation)
	}
	return c
}

// heardOf has what settles told, as "binding kind name".
func heardOf(p *publisher) []string {
	artifacts, _ := p.settled()
	var out []string
	for _, a := range artifacts {
		out = append(out, a.ID.Name)
	}
	slices.Sort(out)
	return out
}

// What is written is in force once it is known that no mesh has anything against it.
func TestVerdicts(t *testing.T) {
	n := &notebook{}
	p := n.publisher(t)
	p.verdicts = listening(&rest.Config{}, slog.New(slog.DiscardHandler))
	v := p.verdicts
	routeID := func(name string) translators.ID {
		return translators.ID{Type: "gateway.networking.k8s.io/v1/HTTPRoute", Name: "shop/" + name}
	}
	silent := translators.ID{Type: "policy.linkerd.io/v1beta3/Server", Name: "shop/web"}
	owners := map[string]terms{"lin": {owner: sink.Owner{Binding: "lin"}, backend: "linkerd"}, "gw": {owner: sink.Owner{Binding: "gw"}, backend: "gateway-api"}}
	wanted := map[string][]translators.ID{"lin": {routeID("a"), silent}, "gw": {routeID("b"), routeID("c")}}
	w := work{bindings: owners}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		c := translators.Change{Target: translators.Target{Name: name, Backend: owners[name].backend}}
		for _, id := range wanted[name] {
			c.Put = append(c.Put, translators.Artifact{ID: id})
		}
		w.changes = append(w.changes, c)
	}
	p.hand(w)
	states := func() map[string]string {
		out := map[string]string{}
		for binding, ids := range wanted {
			for _, id := range ids {
				o, _ := p.outcomeOf(slot{binding, SinkCluster, id})
				out[id.Name] = string(o.State)
			}
		}
		return out
	}
	is := func(when string, a, b, c, web OutcomeState) {
		t.Helper()
		want := map[string]string{"shop/a": string(a), "shop/b": string(b), "shop/c": string(c), "shop/web": string(web)}
		if d := cmp.Diff(want, states()); d != "" {
			t.Errorf("%s (-want +got):\n%s", when, d)
		}
	}
	told := func(when string, want ...string) {
		t.Helper()
		if d := cmp.Diff(want, heardOf(p)); d != "" {
			t.Errorf("%s it is told of (-want +got):\n%s", when, d)
		}
	}
	is("before it is written", Pending, Pending, Pending, Pending)
	for binding, ids := range wanted {
		for _, id := range ids {
			s := slot{binding, SinkCluster, id}
			p.mu.Lock()
			p.settle(s, p.items[s], Outcome{State: Written})
			p.mu.Unlock()
		}
	}
	told("once it is written", "shop/a", "shop/b", "shop/c", "shop/web")
	is("before anybody is heard", Pending, Pending, Pending, Written)
	if !v.follows(feed.Kind{Group: gatewayGroup, Kind: "HTTPRoute"}) || v.follows(feed.Kind{Group: "security.istio.io", Kind: "AuthorizationPolicy"}) {
		t.Error("others are listened to than those that are written")
	}

	const linkerd, other = "linkerd.io/policy-controller", "istio.io/gateway-controller"
	p.said(v.take([]feed.Change{routeChange("a", linkerd, "False", 2), routeChange("b", other, "False", 2), routeChange("c", "", "", 0)}))
	told("when they are read", "shop/a", "shop/b", "shop/c")
	is("when they are read", Rejected, Rejected, Written, Written)
	const words = "HTTPRoute shop/a: linkerd.io/policy-controller refuses it: Accepted is False: R"
	if o, _ := p.outcomeOf(slot{"lin", SinkCluster, routeID("a")}); o.Message != words {
		t.Errorf("it is said: %s", o.Message)
	}
	if got := p.tally(); got["lin"].open != 1 || got["lin"].worst.State != Rejected || got["gw"].open != 1 || got["gw"].at != routeID("b") {
		t.Errorf("of bindings it is said: %+v", got)
	}

	p.said(v.take([]feed.Change{routeChange("a", linkerd, "False", 2), routeChange("c", "", "", 0)}))
	told("of what was said already")

	p.said(v.take([]feed.Change{routeChange("a", other, "False", 2), routeChange("b", other, "False", 1)}))
	told("of what is said otherwise", "shop/a", "shop/b")
	is("another mesh than that of the back end, and an earlier generation", Written, Pending, Written, Written)

	gone := routeChange("b", "", "", 0)
	gone.Deleted = true
	p.said(v.take([]feed.Change{routeChange("a", "", "", 0), gone}))
	told("of what nobody refuses any longer", "shop/a", "shop/b")
	is("at last", Written, Written, Written, Written)
	if len(v.refusals) > 0 {
		t.Errorf("kept is %v", v.refusals)
	}
}

// What cannot be read is not waited for: that it is written is then all that is known.
func TestVerdictsThatCannotBeRead(t *testing.T) {
	route := translators.ID{Type: "gateway.networking.k8s.io/v1/HTTPRoute", Name: "shop/a"}
	at := slot{"gw", SinkCluster, route}
	for name, despair := range map[string]func(*verdicts) map[string]bool{
		"trouble": func(v *verdicts) map[string]bool {
			s := feed.State{Kinds: []feed.KindState{{Kind: feed.Kind{Group: gatewayGroup, Kind: "HTTPRoute"}, Trouble: "forbidden"}}}
			return v.troubled(s, map[string]string{})
		},
		"silence": func(v *verdicts) map[string]bool { return v.tired(time.Now().Add(patienceWithMeshes + time.Second)) },
	} {
		v := listening(&rest.Config{}, slog.New(slog.DiscardHandler))
		v.written(at)
		if got := v.tired(time.Now()); len(got) > 0 {
			t.Errorf("%s: nobody waits for %v", name, got)
		}
		if o := v.on(at, Outcome{State: Written}, "gateway-api"); o.State != Pending {
			t.Errorf("%s: at first it is %s", name, o.State)
		}
		if got := despair(v); !got[gatewayGroup+"/HTTPRoute"] {
			t.Errorf("%s: told is %v", name, got)
		}
		if o := v.on(at, Outcome{State: Written}, "gateway-api"); o.State != Written {
			t.Errorf("%s: then it is %s", name, o.State)
		}
		v.forget()
		if o := v.on(at, Outcome{State: Written}, "gateway-api"); o.State != Pending {
			t.Errorf("%s: for who leads next it is %s", name, o.State)
		}
	}
}

// Where nothing can be opened that is listened to, that is tried again, and what is
// written is not waited for meanwhile.
func TestVerdictsThatCannotBeOpened(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		at := slot{"gw", SinkCluster, translators.ID{Type: "gateway.networking.k8s.io/v1/HTTPRoute", Name: "shop/a"}}
		v, tries := listening(&rest.Config{}, slog.New(slog.DiscardHandler)), 0
		v.open = func() (*feed.Feed, error) { tries++; return nil, errors.New("no such file") }
		ctx, cancel := context.WithCancel(t.Context())
		told := map[string]bool{}
		go v.lead(ctx, func(_ map[spot]bool, kinds map[string]bool) { maps.Copy(told, kinds) })
		v.written(at)
		time.Sleep(patienceWithMeshes + 2*time.Second)
		synctest.Wait()
		if o := v.on(at, Outcome{State: Written}, "gateway-api"); o.State != Written || !told[gatewayGroup+"/HTTPRoute"] || tries < 2 {
			t.Errorf("it is %s after %d tries, told is %v", o.State, tries, told)
		}
		cancel()
		synctest.Wait()
	})
}

// The name under which we take part in statuses is the one that is not listened to.
func TestOwnWordsAreNotHeard(t *testing.T) {
	v := listening(&rest.Config{}, slog.New(slog.DiscardHandler))
	if objects, _ := v.take([]feed.Change{routeChange("a", gatewayController, "False", 2)}); len(objects) > 0 {
		t.Errorf("heard is %v", objects)
	}
}
