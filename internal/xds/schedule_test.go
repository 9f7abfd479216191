package xds

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	rs "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

// actor is a client that a schedule is played against, without a network and
// with a clock of its own.
type actor struct {
	t      *testing.T
	store  *store
	stream *stream
	now    time.Time
	nonces map[kind]string
}

func newActor(t *testing.T, s *store, sotw bool, o Options) *actor {
	t.Helper()
	options := o.withDefaults()
	st := &stream{sotw: sotw}
	st.schedule = &schedule{options: &options, store: s, who: ir.Identity{Namespace: "shop", Account: "web"}, sotw: sotw}
	st.schedule.slot = s.join(st)
	return &actor{t, s, st, time.Unix(1000, 0), map[kind]string{}}
}

// word names kinds in scripts.
var word = map[string]kind{"cds": clusters, "eds": endpoints, "lds": listeners, "rds": routes}

// put changes the store: "cds a=1" sets, "cds a" takes away. A cluster whose text
// begins with "eds" has its endpoints from there, and a listener with "rds" its routes.
func (a *actor) put(changes ...string) {
	a.t.Helper()
	for _, change := range changes {
		kindName, rest, _ := strings.Cut(change, " ")
		name, text, set := strings.Cut(rest, "=")
		k := word[kindName]
		var r *resource
		if set {
			art := artifact(k.url(), name, text, ir.Audience{})
			if c, ok := art.Payload.(*clusterv3.Cluster); ok && strings.HasPrefix(text, "eds") {
				c.ClusterDiscoveryType = &clusterv3.Cluster_Type{Type: clusterv3.Cluster_EDS}
			}
			if l, ok := art.Payload.(*listenerv3.Listener); ok && strings.HasPrefix(text, "rds") {
				l.ApiListener = &listenerv3.ApiListener{ApiListener: httpManager(a.t, name)}
			}
			var err error
			if r, err = encode(art); err != nil {
				a.t.Fatal(err)
			}
		}
		a.store.set(k, name, ir.Audience{}, r, a.now, func(*stream) {})
	}
}

// ask sends "cds +a -b": names with a plus are subscribed, with a minus no longer.
// In the state of the world the names, without signs, are all that is subscribed.
func (a *actor) ask(text string) {
	a.t.Helper()
	words := strings.Fields(text)
	k := word[words[0]]
	var m proto.Message
	if a.stream.sotw {
		m = &discoveryv3.DiscoveryRequest{TypeUrl: k.url(), ResourceNames: words[1:], ResponseNonce: a.nonces[k]}
	} else {
		q := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: k.url()}
		for _, w := range words[1:] {
			if w[0] == '-' {
				q.ResourceNamesUnsubscribe = append(q.ResourceNamesUnsubscribe, w[1:])
			} else {
				q.ResourceNamesSubscribe = append(q.ResourceNamesSubscribe, w[1:])
			}
		}
		m = q
	}
	a.send(m)
}

func (a *actor) send(m proto.Message) answer {
	a.t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		a.t.Fatal(err)
	}
	q := newRequest(a.stream.sotw)
	if err := q.decode(b, a.stream.schedule.options); err != nil || q.refused != nil {
		a.t.Fatal(err, q.refused)
	}
	said, err := a.stream.schedule.asks(q, a.now)
	if err != nil {
		a.t.Fatal(err)
	}
	return said
}

// answer accepts the last response of a kind or, with a text, refuses it.
func (a *actor) answer(kindName, text string, names ...string) answer {
	a.t.Helper()
	k := word[kindName]
	var detail *rpcstatus.Status
	if text != "" {
		detail = &rpcstatus.Status{Message: text}
	}
	if a.stream.sotw {
		return a.send(&discoveryv3.DiscoveryRequest{TypeUrl: k.url(), ResponseNonce: a.nonces[k], ErrorDetail: detail, ResourceNames: names})
	}
	return a.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: k.url(), ResponseNonce: a.nonces[k], ErrorDetail: detail})
}

// next is the next response: "cds a b", and "cds gone: a" for what is taken away.
// It is empty if there is none now.
func (a *actor) next() string {
	a.t.Helper()
	r, _ := a.stream.schedule.next(a.now)
	if r == nil {
		return ""
	}
	a.nonces[r.kind] = r.nonce
	var out []string
	for w, k := range word {
		if k == r.kind {
			out = append(out, w)
		}
	}
	var names []string
	for _, i := range r.items {
		names = append(names, i.resource.name)
	}
	slices.Sort(names)
	out = append(out, names...)
	if len(r.removed) > 0 {
		out = append(out, "gone:")
		out = append(out, r.removed...)
	}
	return strings.Join(out, " ")
}

// want demands the next responses, and that none follows.
func (a *actor) want(responses ...string) {
	a.t.Helper()
	for _, w := range append(responses, "") {
		if got := a.next(); got != w {
			a.t.Fatalf("the next response is %q, want %q", got, w)
		}
	}
}

func both(t *testing.T, run func(t *testing.T, sotw bool)) {
	for _, sotw := range []bool{false, true} {
		t.Run(fmt.Sprintf("sotw %t", sotw), func(t *testing.T) { run(t, sotw) })
	}
}

// all asks for clusters and listeners by wildcard and for the rest by name, and
// accepts what comes.
func (a *actor) all(names string) {
	a.t.Helper()
	sign := map[bool]string{false: " +", true: " "}[a.stream.sotw]
	a.ask("cds")
	names = sign + strings.Join(strings.Fields(names), sign)
	a.ask("eds" + names)
	a.ask("lds")
	a.ask("rds" + names)
	for got := a.next(); got != ""; got = a.next() {
		a.accept(got, strings.ReplaceAll(names, "+", ""))
	}
}

func (a *actor) accept(got, names string) {
	a.t.Helper()
	w := got[:3]
	if w == "cds" || w == "lds" {
		a.answer(w, "")
		return
	}
	a.answer(w, "", strings.Fields(names)...)
}

func TestNewContentGoesInOrderAndIsGatedByAnswers(t *testing.T) {
	both(t, func(t *testing.T, sotw bool) {
		a := newActor(t, newStore(), sotw, Options{})
		a.put("cds a=1", "eds a=1", "lds a=1", "rds a=1")
		a.all("a")
		a.put("rds a=2", "lds a=2", "cds a=2")
		a.want("cds a")
		a.answer("cds", "")
		a.want("lds a")
		a.answer("lds", "")
		a.want("rds a")
		a.answer("rds", "", "a")
		a.want()
	})
}

func TestAGateOpensByItself(t *testing.T) {
	a := newActor(t, newStore(), false, Options{})
	a.put("cds a=1", "lds a=1")
	a.all("a")
	a.put("lds a=2", "cds a=2")
	a.want("cds a")
	if _, wait := a.stream.schedule.next(a.now); wait != 2*time.Second {
		t.Errorf("it waits for %s, want the patience", wait)
	}
	a.now = a.now.Add(2 * time.Second)
	a.want("lds a")
}

func TestListenersWaitForEndpointsOfNewClusters(t *testing.T) {
	a := newActor(t, newStore(), false, Options{})
	a.put("cds a=eds", "eds a=1", "lds l=1")
	a.all("a")
	a.put("cds b=eds", "eds b=1", "lds l=2")
	a.want("cds b")
	a.answer("cds", "")
	a.want() // nobody asked for the endpoints of b yet
	a.ask("eds +b")
	a.want("eds b")
	a.answer("eds", "")
	a.want("lds l")
}

// An Envoy that runs answers on clusters when they are warm, which takes their endpoints.
func TestEndpointsDoNotWaitForAnswersOnClusters(t *testing.T) {
	both(t, func(t *testing.T, sotw bool) {
		a := newActor(t, newStore(), sotw, Options{})
		a.put("cds a=eds", "eds a=1", "lds l=1")
		a.all("a")
		a.put("cds b=eds", "eds b=1", "lds l=2")
		first := a.next()
		if !strings.HasPrefix(first, "cds ") {
			t.Fatalf("first comes %q", first)
		}
		a.want()
		a.ask(map[bool]string{false: "eds +b", true: "eds a b"}[sotw])
		a.want("eds b")
		a.answer("eds", "", "a", "b")
		a.want()
		a.answer("cds", "")
		a.want("lds l")
	})
}

func TestRemovalsGoLastAndInReverse(t *testing.T) {
	a := newActor(t, newStore(), false, Options{})
	a.put("cds a=eds", "eds a=1", "lds a=1", "rds a=1", "cds b=1")
	a.all("a")
	a.put("cds a", "eds a", "lds a", "rds a", "cds b=2")
	a.want("cds b")
	for _, w := range []string{"cds", "rds", "lds", "eds"} {
		a.answer(w, "")
		a.want(map[string]string{"cds": "rds gone: a", "rds": "lds gone: a", "lds": "eds gone: a", "eds": "cds gone: a"}[w])
	}
}

func TestRemovalsDoNotWaitForEver(t *testing.T) {
	both(t, func(t *testing.T, sotw bool) {
		a := newActor(t, newStore(), sotw, Options{})
		a.put("cds a=1", "cds b=1", "lds l=1")
		a.all("a")
		a.put("cds a", "lds l=2")
		a.want("lds l") // and is never accepted
		a.now = a.now.Add(14 * time.Second)
		a.want()
		a.now = a.now.Add(time.Second)
		a.want(map[bool]string{false: "cds gone: a", true: "cds b"}[sotw])
	})
}

// While a route is refused the client goes on with the old one. What that leads to
// stays, and what it does not lead to goes.
func TestWhatARefusedRouteReplacesIsNotTakenApart(t *testing.T) {
	both(t, func(t *testing.T, sotw bool) {
		a := newActor(t, newStore(), sotw, Options{})
		a.put("cds old=eds", "eds old=1", "cds else=1", "rds r=to old")
		a.all("r old")
		a.put("cds old", "eds old", "cds else", "cds new=1", "rds r=2")
		a.want(map[bool]string{false: "cds new", true: "cds else new old"}[sotw])
		a.answer("cds", "")
		a.want("rds r")
		for _, content := range []string{"", "3"} { // a second refusal does not change what is in use
			if content != "" {
				a.put("rds r=" + content)
				a.want("rds r")
			}
			if said := a.answer("rds", "route r is bad", "r"); said.nack == nil || said.nack.Resource != "r" {
				t.Fatalf("%+v", said)
			}
			if content == "" {
				a.want(map[bool]string{false: "cds gone: else", true: "cds new old"}[sotw])
				a.answer("cds", "")
			}
			a.now = a.now.Add(time.Hour)
			a.want()
		}
		a.put("rds r=4")
		a.want("rds r")
		a.answer("rds", "", "r")
		if !sotw {
			a.want("eds gone: old")
			a.answer("eds", "")
		}
		a.want(map[bool]string{false: "cds gone: old", true: "cds new"}[sotw])
		a.answer("cds", "")
		if c := a.stream.schedule; !c.quiet() || c.clings() {
			t.Error("something is left")
		}
	})
}

// The same for listeners, which in the state of the world are refused as a whole.
func TestWhatARefusedListenerReplacesIsNotTakenApart(t *testing.T) {
	both(t, func(t *testing.T, sotw bool) {
		a := newActor(t, newStore(), sotw, Options{})
		a.put("cds old=1", "lds l=to old", "lds m=1")
		a.all("r")
		a.put("cds old", "lds l=2")
		a.want(map[bool]string{false: "lds l", true: "lds l m"}[sotw])
		a.answer("lds", "listener l: bad")
		a.now = a.now.Add(time.Hour)
		a.want()
		a.put("lds l") // that it goes is accepted
		a.want(map[bool]string{false: "lds gone: l", true: "lds m"}[sotw])
		a.answer("lds", "")
		a.want(map[bool]string{false: "cds gone: old", true: "cds"}[sotw])
	})
}

// Where a client came back with something else, and refuses what it should have, it
// is not known what it uses: removals wait, but not without end.
func TestRemovalsWaitForWhatIsNotKnown(t *testing.T) {
	a := newActor(t, newStore(), false, Options{})
	a.put("cds old=1", "rds r=2")
	a.ask("cds")
	a.want("cds old")
	a.answer("cds", "")
	a.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: rs.RouteType, ResourceNamesSubscribe: []string{"r"}, InitialResourceVersions: map[string]string{"r": "other"}})
	a.want("rds r")
	a.answer("rds", "r is bad")
	a.put("cds old")
	a.now = a.now.Add(14 * time.Second)
	a.want()
	a.now = a.now.Add(time.Second)
	a.want("cds gone: old")
}

func TestRefusalsAreLedBackToWholeNames(t *testing.T) {
	for _, tt := range []struct {
		text, name string
		want       bool
	}{
		{"bad alpha", "alpha", true},
		{"bad alpha", "a", false},
		{"Error adding cluster(s) a: no, b: no", "a", true},
		{"Error adding cluster(s) a: no, b: no", "b", true},
		{"validation of a.", "a", true},
		{"\"a\" is bad", "a", true},
		{"a.example is bad", "a", false},
		{"a:80 is bad, and so is a", "a", true},
		{"a:80 is bad", "a", false},
		{"shop/a|x is bad", "a", false},
		{"éa is bad", "a", false},
		{"aa aaa", "a", false},
		{"nothing at all", "x", false},
	} {
		if got := mentions(tt.text, tt.name); got != tt.want {
			t.Errorf("%q names %q: %t", tt.text, tt.name, got)
		}
	}
	// Of those that it names the longest is blamed; where it names none, all are
	// suspects, and go again when one of them changes.
	a := newActor(t, newStore(), false, Options{})
	a.put("eds a=1", "rds a=1", "rds alpha=1")
	a.ask("rds +a +alpha")
	a.want("rds a alpha")
	if said := a.answer("rds", "bad alpha"); said.nack.Resource != "alpha" || len(said.of) != 1 {
		t.Errorf("%+v of %v", said.nack, said.of)
	}
	a.put("rds alpha=2")
	a.want("rds a alpha")
	if said := a.answer("rds", "one of the resources is no resource"); said.nack.Resource != "" || len(said.of) != 2 {
		t.Errorf("%+v of %v", said.nack, said.of)
	}
	a.want()
	a.put("rds a=2")
	a.want("rds a alpha")
}

// Flights of a client that answers nothing keep no content, and have a weight.
func TestUnansweredResponsesAreBoundedInBytes(t *testing.T) {
	a := newActor(t, newStore(), false, Options{})
	a.put("rds r=" + strings.Repeat("x", windowBytes))
	a.ask("rds +r")
	a.want("rds r")
	a.put("rds r=2")
	a.want("rds r")
	a.put("rds r=3")
	a.want() // what it has may be in use, so that is kept
	a.answer("rds", "")
	a.want("rds r")
}

func TestTheLatestWinsAndARevertSendsNothing(t *testing.T) {
	both(t, func(t *testing.T, sotw bool) {
		a := newActor(t, newStore(), sotw, Options{})
		a.put("eds a=1", "eds b=1", "rds a=1")
		a.all("a")
		a.put("rds a=2", "rds a=3", "rds a=1")
		a.want()
		if got := len(a.stream.schedule.subs[routes].pending); got != 0 {
			t.Errorf("%d names are pending", got)
		}
		a.put("rds a=2", "rds a=3")
		a.want("rds a")
	})
}

func TestRefusedContentIsNotRepeated(t *testing.T) {
	a := newActor(t, newStore(), false, Options{})
	a.put("cds bad=1", "cds good=1", "cds other=1")
	a.all("x")
	a.put("cds bad=2", "cds good=2")
	a.want("cds bad good")
	a.answer("cds", "cluster bad is bad")
	a.put("cds other=2")
	a.want("cds other")
	a.answer("cds", "")
	a.put("cds bad=1") // a revert is sent, and the innocent one with it
	a.want("cds bad good")
}

// A refusal that is overtaken by newer content of the name says nothing of that.
func TestAnOvertakenRefusal(t *testing.T) {
	a := newActor(t, newStore(), false, Options{})
	a.put("rds a=1")
	a.all("a")
	a.put("rds a=2")
	a.want("rds a")
	first := a.nonces[routes]
	a.put("rds a=3")
	a.want("rds a")
	second := a.nonces[routes]
	a.nonces[routes] = first
	a.answer("rds", "bad")
	a.nonces[routes] = second
	a.answer("rds", "")
	a.put("rds a=2") // the client accepted 3, and what it has is known
	a.want("rds a")
	if got := a.stream.schedule.subs[routes].refused; len(got) > 0 {
		t.Errorf("%v counts as refused", got)
	}
}

func TestAClientThatAnswersNothingIsSentAWindow(t *testing.T) {
	a := newActor(t, newStore(), false, Options{})
	a.put("eds a=1")
	a.ask("rds +a")
	a.want("rds gone: a")
	sent := 0
	for i := range 50 {
		a.put(fmt.Sprintf("rds a=%d", i))
		if a.next() != "" {
			sent++
		}
	}
	if sent != window-1 {
		t.Errorf("%d responses without an answer, want %d", sent, window-1)
	}
	if n := len(a.stream.schedule.subs[routes].flights); n != window {
		t.Errorf("%d are kept", n)
	}
}

func TestLargeAnswersComeInParts(t *testing.T) {
	a := newActor(t, newStore(), false, Options{ChunkBytes: 1000})
	var names []string
	for i := range 10 {
		a.put(fmt.Sprintf("rds r%d=%s", i, strings.Repeat("x", 400)))
		names = append(names, fmt.Sprint("+r", i))
	}
	a.ask("rds " + strings.Join(names, " "))
	var got []string
	for r := a.next(); r != ""; r = a.next() {
		a.answer("rds", "")
		if n := len(strings.Fields(r)) - 1; n > 2 {
			t.Errorf("%d resources of 400 bytes in one part", n)
		}
		got = append(got, strings.Fields(r)[1:]...)
	}
	if slices.Sort(got); len(slices.Compact(got)) != 10 {
		t.Errorf("got %v", got)
	}
}

// An idle stream keeps nothing but its names.
func TestIdleStreamsKeepNothing(t *testing.T) {
	s := newStore()
	a := newActor(t, s, false, Options{})
	a.put("cds a=eds", "eds a=1", "lds a=1", "rds a=1")
	a.all("a")
	a.stream.schedule.expire(a.now.Add(time.Hour))
	for _, sub := range a.stream.schedule.subs {
		if sub != nil && (sub.pending != nil || sub.fresh != nil || sub.flights != nil || sub.refused != nil) {
			t.Errorf("%+v", sub)
		}
	}
	if a.stream.schedule.parents != nil {
		t.Error("parents are kept")
	}
	a.put("cds a", "eds a", "lds a", "rds a")
	a.stream.schedule.quit()
	for k := range s.kinds {
		if n := len(s.kinds[k].ids); n != 0 || s.kinds[k].sum != 0 || len(s.kinds[k].byAudience) > 0 {
			t.Errorf("%s: %d names are kept", kind(k).url(), n)
		}
	}
}

func TestInitialVersions(t *testing.T) {
	s := newStore()
	a := newActor(t, s, false, Options{})
	a.put("cds same=eds", "cds changed=1", "eds same=1")
	version := func(k kind, name string) string {
		return s.kinds[k].view(s.kinds[k].ids[name], a.stream.schedule.who).version
	}
	had := map[string]string{"same": version(clusters, "same"), "changed": version(clusters, "changed"), "vanished": "x"}
	a.put("cds changed=2")
	a.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: rs.ClusterType, InitialResourceVersions: had})
	a.want("cds changed")
	a.answer("cds", "")
	a.want("cds gone: vanished")
	a.answer("cds", "")
	// What it has is not sent, unless its cluster was just before.
	eds := &discoveryv3.DeltaDiscoveryRequest{TypeUrl: rs.EndpointType, ResourceNamesSubscribe: []string{"same"},
		InitialResourceVersions: map[string]string{"same": version(endpoints, "same")}}
	a.send(eds)
	a.want()
	b := newActor(t, s, false, Options{})
	b.ask("cds")
	b.want("cds changed same")
	b.send(eds)
	b.answer("cds", "")
	b.want("eds same")
}

func TestNarrowerVariantsComeAndGo(t *testing.T) {
	s := newStore()
	a := newActor(t, s, false, Options{})
	set := func(text string, audience ir.Audience, put bool) {
		t.Helper()
		var r *resource
		if put {
			var err error
			if r, err = encode(artifact(rs.RouteType, "r", text, audience)); err != nil {
				t.Fatal(err)
			}
		}
		s.set(routes, "r", audience, r, a.now, func(*stream) {})
	}
	set("all", ir.Audience{}, true)
	a.ask("rds +r")
	a.want("rds r")
	a.answer("rds", "")
	set("shop", ir.Audience{Namespace: "shop"}, true)
	a.want("rds r")
	a.answer("rds", "")
	set("other", ir.Audience{}, true) // hidden by the narrower one
	set("bank", ir.Audience{Namespace: "bank"}, true)
	for i := range 20 { // more than are searched one by one
		set("x", ir.Audience{Namespace: fmt.Sprint("n", i)}, true)
	}
	a.want()
	set("", ir.Audience{Namespace: "shop"}, false)
	a.want("rds r")
	a.answer("rds", "")
	set("", ir.Audience{}, false)
	a.want("rds gone: r")
}

func TestApplyRefusesWhatIsNotServed(t *testing.T) {
	s := New(Options{})
	for _, c := range []translators.Change{
		{Put: []translators.Artifact{{ID: translators.ID{Type: "v1/Service", Name: "a"}, Payload: map[string]any{}}}},
		{Remove: []translators.Slot{{ID: translators.ID{Type: "v1/Service", Name: "a"}}}},
	} {
		c.Target.Backend = backendEnvoy
		if err := s.Apply([]translators.Change{c}); err == nil || s.revision != 0 {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
