package feed_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/internal/feed"
	"github.com/meshknot/meshknot/test/lab"
)

// A kind that is idle is not asked for. From when it is followed, what a selector
// chooses is told, and of that no more is handed out than is kept, whether the server
// streams lists or not.
func TestChosen(t *testing.T) {
	for _, name := range []string{"streamed", "paged"} {
		t.Run(name, func(t *testing.T) {
			x := thingFor(t, name)
			labelled := func(name string, n int) lab.Object {
				o := x.object(name, n)
				o["metadata"].(lab.Object)["labels"] = lab.Object{"app": "ours"}
				return o
			}
			must(t, x.kube.Apply(labelled("a", 1)))
			must(t, x.kube.Apply(labelled("b", 2)))
			must(t, x.kube.Apply(x.object("c", 2)))
			o := x.options()
			o.Selector, o.Kinds[0].Idle = "app=ours", true
			o.Keep = func(k feed.Kind, object []byte) bool {
				return k.Kind == x.kind && strings.Contains(string(object), `"n":2`)
			}
			w := wayTo(t, x.kube)
			w.set(false, func(a http.ResponseWriter, r *http.Request) bool {
				if name == "paged" && r.URL.Query().Has("sendInitialEvents") {
					refuse(a, http.StatusUnprocessableEntity, "Invalid", "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled")
					return true
				}
				return false
			})
			f := run(t, w.as(""), o).synced(t)
			if n := w.Count("GET " + x.path()); n > 0 || f.state(x.kind).Served {
				t.Errorf("an idle kind was asked for %d times: %+v", n, f.state(x.kind))
			}
			f.Follow(func(k feed.Kind) bool { return k.Kind == x.kind })
			eventually(t, "those that are chosen", func() bool { return slices.Equal(f.names(x.kind), []string{"a", "b"}) })
			if a, b := f.change(x.kind, "a"), f.change(x.kind, "b"); a.JSON != nil || number(b) != 2 {
				t.Errorf("handed out are %q and %q", a.JSON, b.JSON)
			}
			must(t, x.kube.Apply(x.object("c", 3)))
			must(t, x.kube.Apply(labelled("a", 2)))
			must(t, x.kube.Apply(labelled("b", 1)))
			eventually(t, "edits", func() bool { return number(f.change(x.kind, "a")) == 2 && f.change(x.kind, "b").JSON == nil })
			must(t, x.kube.Apply(x.object("d", 2)))
			must(t, x.kube.Delete(labelled("b", 1)))
			eventually(t, "a deletion", func() bool { return slices.Equal(f.gone(), []string{"b"}) })
			if got := f.names(x.kind); !slices.Equal(got, []string{"a"}) {
				t.Errorf("there are %v", got)
			}
		})
	}
}
