package feed_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/meshknot/meshknot/internal/feed"
	"github.com/meshknot/meshknot/test/lab"
)

// three objects of a kind, and a feed that knows them.
func three(t *testing.T, name, user string, change func(*feed.Options)) (thing, *way, *taker) {
	t.Helper()
	x := thingFor(t, name)
	for i, name := range []string{"a", "b", "c"} {
		must(t, x.kube.Apply(x.object(name, i)))
	}
	o := x.options()
	if change != nil {
		change(&o)
	}
	w := wayTo(t, x.kube)
	if user != "" {
		may(t, x.kube, user, []string{"get", "list", "watch"}, x.resource+"."+x.group)
	}
	f := run(t, w.as(user), o).synced(t)
	eventually(t, "first batch", func() bool { return len(f.names(x.kind)) == 3 })
	return x, w, f
}

// old has the next watch begin before what the server remembers, which has it
// answer 410 itself.
func old(x thing) func(http.ResponseWriter, *http.Request) bool {
	var once atomic.Bool
	return func(_ http.ResponseWriter, r *http.Request) bool {
		q := r.URL.Query()
		if r.URL.Path == x.path() && q.Has("watch") && q.Get("resourceVersion") != "" && !once.Swap(true) {
			q.Set("resourceVersion", "1")
			r.URL.RawQuery = q.Encode()
		}
		return false
	}
}

// A server that is away takes nothing away, and what happened meanwhile is seen
// when it is back.
func TestAway(t *testing.T) {
	x, w, f := three(t, "away", "", nil)
	w.set(true, nil)
	f.troubled(t, x.kind, "since 20")
	must(t, x.kube.Apply(x.object("a", 10)))
	must(t, x.kube.Delete(x.object("b", 1)))
	if s := f.State(); !s.Synced || s.Kinds[0].Objects != 3 || len(f.gone()) > 0 {
		t.Errorf("%+v, gone %v", s, f.gone())
	}
	w.set(false, nil)
	eventually(t, "what happened meanwhile", func() bool {
		return number(f.change(x.kind, "a")) == 10 && slices.Equal(f.gone(), []string{"b"})
	})
	f.untroubled(t, x.kind)
}

// A feed that begins while the server is away begins when it is back.
func TestAwayAtStart(t *testing.T) {
	x := thingFor(t, "begin")
	must(t, x.kube.Apply(x.object("a", 1)))
	w := wayTo(t, x.kube)
	w.set(true, nil)
	f := run(t, w.as(""), x.options())
	f.troubled(t, x.kind, "cannot be read")
	if f.State().Synced {
		t.Error("synced with nobody")
	}
	w.set(false, nil)
	f.synced(t).untroubled(t, x.kind)
	eventually(t, "first batch", func() bool { return len(f.names(x.kind)) == 1 })
}

// After 410 the list is read again. What it lacks and was deleted is gone, each by
// an answer of its own.
func TestRelist(t *testing.T) {
	x, w, f := three(t, "relist", "", nil)
	w.set(true, nil)
	f.troubled(t, x.kind, "since 20")
	must(t, x.kube.Delete(x.object("b", 1)))
	must(t, x.kube.Apply(x.object("d", 4)))
	w.set(false, old(x))
	eventually(t, "relist", func() bool {
		return slices.Equal(f.names(x.kind), []string{"a", "c", "d"}) && slices.Equal(f.gone(), []string{"b"})
	})
	for name, want := range map[string]int{"a": 0, "b": 1} {
		if n := w.Count("GET /apis/" + x.group + "/v1/namespaces/default/" + x.resource + "/" + name); n != want {
			t.Errorf("%s was asked for %d times, expected %d", name, n, want)
		}
	}
	f.untroubled(t, x.kind)
}

// Objects that a list lacks and that cannot be asked for are kept.
func TestRelistWithoutAnswers(t *testing.T) {
	x, w, f := three(t, "mute", "mute", nil)
	w.set(true, nil)
	f.troubled(t, x.kind, "since 20")
	must(t, x.kube.Delete(x.object("b", 1)))
	may(t, x.kube, "mute", []string{"list", "watch"}, x.resource+"."+x.group)
	w.set(false, old(x))
	f.troubled(t, x.kind, "cannot get resource")
	if s := f.state(x.kind); s.Kept != 1 || len(f.gone()) > 0 {
		t.Errorf("%+v, gone %v", s, f.gone())
	}
	may(t, x.kube, "mute", []string{"get", "list", "watch"}, x.resource+"."+x.group)
	eventually(t, "answer", func() bool { return slices.Equal(f.gone(), []string{"b"}) })
	f.untroubled(t, x.kind)
}

// A list that is empty while every object is there takes nothing away.
func TestEmptyList(t *testing.T) {
	x, w, f := three(t, "empty", "", nil)
	var lists atomic.Int32
	again := old(x)
	w.set(false, func(a http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == x.path() && r.URL.Query().Has("sendInitialEvents") && lists.Add(1) == 1 {
			version := w.newest(t, x)
			a.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(a, `{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":%q,"annotations":{"k8s.io/initial-events-end":"true"}}}}`+"\n", version)
			return true
		}
		return again(a, r)
	})
	each := func(name string) int {
		return w.Count("GET /apis/" + x.group + "/v1/namespaces/default/" + x.resource + "/" + name)
	}
	eventually(t, "each asked for", func() bool { return each("a") > 0 && each("b") > 0 && each("c") > 0 })
	f.untroubled(t, x.kind)
	if d := cmp.Diff([]string{"a", "b", "c"}, f.names(x.kind)); d != "" || len(f.gone()) > 0 {
		t.Error(d, f.gone())
	}
}

// newest is a resource version that is not older than any that was seen.
func (w *way) newest(t *testing.T, x thing) string {
	must(t, x.kube.Apply(x.object("z", 0)))
	must(t, x.kube.Delete(x.object("z", 0)))
	var list struct {
		Metadata struct{ ResourceVersion string }
	}
	must(t, json.Unmarshal(w.ask(t, x.path()), &list))
	return list.Metadata.ResourceVersion
}

// ask reads an answer as the administrator.
func (w *way) ask(t *testing.T, path string) []byte {
	t.Helper()
	client, err := rest.HTTPClientFor(w.admin)
	must(t, err)
	r, err := client.Get(w.admin.Host + path)
	must(t, err)
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	must(t, err)
	return text
}

// A right that is withdrawn takes nothing away; when it is given again, the feed
// goes on.
func TestRightWithdrawn(t *testing.T) {
	x, _, f := three(t, "right", "right", func(o *feed.Options) { o.Renew = time.Second })
	bound := may(t, x.kube, "right", []string{"get", "list", "watch"}, x.resource+"."+x.group)
	must(t, x.kube.Delete(bound))
	f.troubled(t, x.kind, "forbidden")
	must(t, x.kube.Apply(x.object("a", 10)))
	must(t, x.kube.Delete(x.object("b", 1)))
	if s := f.state(x.kind); s.Objects != 3 || len(f.gone()) > 0 {
		t.Errorf("%+v, gone %v", s, f.gone())
	}
	must(t, x.kube.Apply(bound))
	eventually(t, "what happened meanwhile", func() bool {
		return number(f.change(x.kind, "a")) == 10 && slices.Equal(f.gone(), []string{"b"})
	})
	f.untroubled(t, x.kind)
}

// A definition that is removed takes nothing away, whether its removal is seen or
// not. When it is back, what was not written anew is gone after a while.
func TestDefinitionRemoved(t *testing.T) {
	for _, user := range []string{"", "sightless"} {
		t.Run("user "+user, func(t *testing.T) {
			x, w, f := three(t, fmt.Sprint("removed", len(user)), user, func(o *feed.Options) {
				o.Survey, o.Grace = 300*time.Millisecond, 3*time.Second
			})
			must(t, x.kube.Delete(x.crd()))
			eventually(t, "definition that is gone", func() bool { return !f.state(x.kind).Served })
			f.troubled(t, x.kind, "not served any more")
			looks := w.Count("GET /apis")
			eventually(t, "several looks", func() bool { return w.Count("GET /apis") > looks+5 })
			if s := f.state(x.kind); s.Objects != 3 || s.Kept != 3 || len(f.gone()) > 0 {
				t.Errorf("%+v, gone %v", s, f.gone())
			}
			must(t, x.define())
			must(t, x.kube.Apply(x.object("a", 10)))
			eventually(t, "object that was written anew", func() bool { return number(f.change(x.kind, "a")) == 10 })
			eventually(t, "end of grace", func() bool { return slices.Equal(f.names(x.kind), []string{"a"}) })
			f.untroubled(t, x.kind)
		})
	}
}

// A definition that was removed and is back before anybody looked took its objects
// along nevertheless: their deletion is nobody's wish.
func TestDefinitionReplaced(t *testing.T) {
	x, w, f := three(t, "replaced", "", nil)
	w.set(true, nil)
	must(t, x.kube.Delete(x.crd()))
	eventually(t, "definition that is gone", func() bool { _, err := x.kube.Get(x.crd()); return err != nil })
	must(t, x.define())
	w.set(false, nil)
	f.troubled(t, x.kind, "kept until")
	if s := f.state(x.kind); s.Objects != 3 || s.Kept != 3 || len(f.gone()) > 0 {
		t.Errorf("%+v, gone %v", s, f.gone())
	}
	for i, name := range []string{"a", "b", "c"} {
		must(t, x.kube.Apply(x.object(name, i)))
	}
	f.untroubled(t, x.kind)
	if n := w.Count("GET /apis/" + x.group + "/v1/namespaces/default/" + x.resource + "/a"); n > 0 || len(f.gone()) > 0 {
		t.Errorf("asked for %d times before the grace was over, gone %v", n, f.gone())
	}
}

// A server that is behind takes nothing back, by a watch or by a list.
func TestPast(t *testing.T) {
	x, w, f := three(t, "past", "", nil)
	past := w.record(t, x)
	must(t, x.kube.Apply(x.object("a", 10)))
	must(t, x.kube.Delete(x.object("b", 1)))
	eventually(t, "what is now", func() bool { return number(f.change(x.kind, "a")) == 10 && len(f.gone()) == 1 })

	// a watch that begins with what is long over
	var served atomic.Int32
	w.set(false, func(a http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != x.path() || !r.URL.Query().Has("watch") || served.Add(1) > 2 {
			return false
		}
		a.Header().Set("Content-Type", "application/json")
		_, _ = a.Write(past)
		return true
	})
	eventually(t, "watch of the past", func() bool { return served.Load() > 2 })
	// a list that does
	var lists atomic.Int32
	again := old(x)
	w.set(false, func(a http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == x.path() && r.URL.Query().Has("sendInitialEvents") && lists.Add(1) < 4 {
			a.Header().Set("Content-Type", "application/json")
			_, _ = a.Write(past)
			return true
		}
		return again(a, r)
	})
	f.troubled(t, x.kind, "from the past")
	f.untroubled(t, x.kind)
	must(t, x.kube.Apply(x.object("c", 20)))
	eventually(t, "what comes next", func() bool { return number(f.change(x.kind, "c")) == 20 })
	if d := cmp.Diff([]string{"a", "c"}, f.names(x.kind)); d != "" || number(f.change(x.kind, "a")) != 10 {
		t.Error(d, number(f.change(x.kind, "a")))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.batches[1:] {
		for _, c := range b.Changes {
			if c.ID.Name == "b" && !c.Deleted || c.ID.Name == "a" && number(c) != 10 {
				t.Errorf("%s went back", c.ID.Name)
			}
		}
	}
}

// record asks for a streamed list and keeps the answer.
func (w *way) record(t *testing.T, x thing) []byte {
	t.Helper()
	text := w.ask(t, x.path()+"?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1")
	if bytes.Count(text, []byte(`"ADDED"`)) != 3 || !bytes.Contains(text, []byte("initial-events-end")) {
		t.Fatalf("%s", text)
	}
	return text
}

// Objects that are too large or too many are told of.
func TestLimits(t *testing.T) {
	k := kubeOf(t)
	must(t, k.Apply(lab.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": lab.Object{"name": "limits"}}))
	large := split("limits", 1)
	large["metadata"].(lab.Object)["annotations"] = lab.Object{"much": strings.Repeat("x", 5000)}
	must(t, k.Apply(large))
	defer func() { must(t, k.Delete(large)) }()
	o := pipeline()
	o.Kinds = slices.DeleteFunc(o.Kinds, func(k feed.Kind) bool { return k.Kind != "TrafficSplit" })
	o.ObjectBytes = 4096
	f := run(t, wayTo(t, k).as(""), o).synced(t)
	eventually(t, "large object", func() bool { return len(f.names("TrafficSplit")) == 1 })
	if c := f.change("TrafficSplit", "web"); c.Object == nil || !c.Object.Rejected || len(c.Findings) != 1 || c.Findings[0].Code != "MK1009" {
		t.Errorf("%+v", c)
	}
}

func TestTooMany(t *testing.T) {
	x, _, f := three(t, "many", "", func(o *feed.Options) { o.Objects = 4 })
	must(t, x.kube.Apply(x.object("d", 4)))
	must(t, x.kube.Apply(x.object("e", 5)))
	f.troubled(t, x.kind, "1 objects are not read")
	must(t, x.kube.Delete(x.object("a", 0)))
	eventually(t, "room", func() bool { return slices.Equal(f.names(x.kind), []string{"b", "c", "d", "e"}) })
	f.untroubled(t, x.kind)

	o := x.options()
	o.Objects = 3
	g := run(t, wayTo(t, x.kube).as(""), o)
	g.troubled(t, x.kind, "1 objects are not read")
	if g.State().Synced {
		t.Error("synced with a part of what there is")
	}
	must(t, x.kube.Delete(x.object("b", 0)))
	g.synced(t)
}

// Two versions of a kind are read as one, in the version that the server prefers.
func TestNothingUnserved(t *testing.T) {
	w := wayTo(t, kubeOf(t))
	o := feed.Options{Kinds: []feed.Kind{{Group: "split.smi-spec.io", Version: "v9", Resource: "trafficsplits", Kind: "TrafficSplit", Raw: true}}}
	f := run(t, w.as(""), o).synced(t)
	f.troubled(t, "TrafficSplit", "served in v1alpha4, v1alpha3, v1alpha2 only; known are v9")
}
