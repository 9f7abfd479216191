package faults

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/meshknot/meshknot/test/e2e/cluster"
	"github.com/meshknot/meshknot/test/lab"
)

const (
	splitsPath  = "/apis/split.smi-spec.io/v1alpha4/trafficsplits"
	reportsPath = "/apis/meshknot.io/v1alpha1/translationreports"
	splitsKind  = "trafficsplits.split.smi-spec.io"
)

// What the API server says late, twice, in halves or of the past takes nothing back.
// Weights only ever grow here, so whatever is written tells when it is from.
func TestThePast(t *testing.T) {
	t.Parallel()
	w := newWorld(t, lab.KubeOptions{}, everything...)
	w.must(w.Apply(bound(binding, onIstio)))
	r := w.replica("--roles=writer")
	w.weight(1)
	past := w.streamed(splitsPath)
	w.weight(2)
	w.weight(3)

	w.replayed(r, past, func(*http.Request) bool { return true })
	w.weight(4)
	w.replayed(r, past, func(q *http.Request) bool { return lab.Asked(q) == "STREAM" })
	w.weight(5)
	w.halves()
	w.expired()
	w.late()

	w.grew()
	for _, q := range w.gate.written("/virtualservices/reviews") {
		if strings.HasSuffix(q.path, "/reviews") && q.method == http.MethodDelete {
			t.Errorf("%s: nobody asked for that", q)
		}
	}
	w.consistent()
}

// streamed asks for a streamed list of a kind, and keeps the answer.
func (w *world) streamed(path string) []byte {
	w.Helper()
	a, err := w.administrator().Get(w.URL + path + "?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1")
	w.must(err)
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	w.must(err)
	if !bytes.Contains(text, []byte(`"ADDED"`)) || !bytes.Contains(text, []byte("initial-events-end")) {
		w.Fatalf("%s", text)
	}
	return text
}

// replayed answers the next requests for splits with the past, of those that which
// chooses; the others are made to begin anew. It waits until that is noticed and over.
func (w *world) replayed(r *cluster.Controller, past []byte, which func(*http.Request) bool) {
	w.Helper()
	const times = 3
	var served atomic.Int32
	w.gate.interfere(func(a http.ResponseWriter, q *http.Request, pass http.HandlerFunc) bool {
		switch {
		case q.URL.Path != splitsPath || !q.URL.Query().Has("watch") || served.Load() >= times:
			return false
		case !which(q):
			expire(q)
			return false
		}
		a.Header().Set("Content-Type", "application/json")
		_, _ = a.Write(past)
		served.Add(1)
		return true
	})
	w.eventually("past that was looked at", func() (bool, any) { n := served.Load(); return n >= times, n })
	w.gate.interfere(nil)
	w.trouble(r, splitsKind, false)
}

// expire has a watch begin before what the server remembers, which has it answer 410.
func expire(q *http.Request) {
	if v := q.URL.Query(); v.Get("resourceVersion") != "" {
		v.Set("resourceVersion", "1")
		q.URL.RawQuery = v.Encode()
	}
}

// halves cuts every watch of splits in the middle of an event, later each time, while
// the split is edited.
func (w *world) halves() {
	w.Helper()
	var cuts atomic.Int64
	w.gate.interfere(func(a http.ResponseWriter, q *http.Request, pass http.HandlerFunc) bool {
		if q.URL.Path != splitsPath || !q.URL.Query().Has("watch") {
			return false
		}
		pass(&cutting{a, 150 + 400*int(cuts.Add(1))}, q)
		return true
	})
	w.weight(6)
	w.weight(7)
	if n := cuts.Load(); n < 3 {
		w.Errorf("watches were cut %d times only", n)
	}
	w.gate.interfere(nil)
}

// cutting lets some bytes through, and then breaks.
type cutting struct {
	http.ResponseWriter
	left int
}

func (c *cutting) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p[:min(len(p), c.left)])
	c.left -= n
	if err == nil && n < len(p) {
		if err := http.NewResponseController(c.ResponseWriter).Flush(); err != nil {
			return n, err
		}
		return n, io.ErrClosedPipe
	}
	return n, err
}

func (c *cutting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// expired: the server no longer knows where watches were, while something is edited
// and something else deleted.
func (w *world) expired() {
	w.Helper()
	other := split(1)
	other["metadata"] = lab.Object{"name": "other", "namespace": shop}
	other["spec"].(lab.Object)["service"] = "reviews-v1"
	w.must(w.Apply(other))
	report := cluster.Object("meshknot.io/v1alpha1", "TranslationReport", shop, "trafficsplit.split.other")
	w.eventually("report on the other split", func() (bool, any) { _, err := w.Get(report); return err == nil, err })
	w.gate.Set(true, nil)
	w.must(w.Apply(split(8)))
	w.must(w.Delete(other))
	var gone atomic.Int32
	w.gate.interfere(func(_ http.ResponseWriter, q *http.Request, _ http.HandlerFunc) bool {
		if q.URL.Query().Get("resourceVersion") != "" && gone.Add(1) < 200 {
			expire(q)
		}
		return false
	})
	w.gate.Set(false, w.gate.over)
	w.eventually("edit of that time", func() (bool, any) { got := w.weights(); return got == reduced(8), got })
	w.eventually("no report on what was deleted", func() (bool, any) { _, err := w.Get(report); return lab.IsStatus(err, http.StatusNotFound), err })
	w.gate.interfere(nil)
	w.weight(9)
}

// late: what the controller says itself comes back to it much later, when it has said
// something else. It does not answer to that.
func (w *world) late() {
	w.Helper()
	release := make(chan struct{})
	var held atomic.Int32
	w.gate.interfere(func(a http.ResponseWriter, q *http.Request, pass http.HandlerFunc) bool {
		if q.URL.Path != reportsPath || !q.URL.Query().Has("watch") {
			return false
		}
		held.Add(1)
		pass(&holding{a, q, release}, q)
		return true
	})
	w.eventually("watch of reports that is held", func() (bool, any) { return held.Load() > 0, nil })
	for n := 10; n < 14; n++ {
		w.weight(n)
	}
	before := len(w.gate.written("/translationreports"))
	close(release)
	// When it comes to know of this, it has read all that was held.
	report := cluster.Object("meshknot.io/v1alpha1", "TranslationReport", shop, "trafficsplit.split.reviews")
	w.must(w.Delete(report))
	w.eventually("report that is written anew", func() (bool, any) { r := w.splitReport(binding); return r.Generation > 0, r })
	if after := w.gate.written("/translationreports")[before:]; len(after) != 1 {
		w.Errorf("after its own words came late it wrote %v, and not just what was deleted", after)
	}
	w.gate.interfere(nil)
	w.weight(14)
}

// holding lets nothing through before it is released.
type holding struct {
	http.ResponseWriter
	q       *http.Request
	release chan struct{}
}

func (h *holding) Write(p []byte) (int, error) {
	select {
	case <-h.release:
		return h.ResponseWriter.Write(p)
	case <-h.q.Context().Done():
		return 0, h.q.Context().Err()
	}
}

func (h *holding) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// grew fails the test where weights that were written, or generations that reports
// were about, went back.
func (w *world) grew() {
	w.Helper()
	var weights, generations []int
	for _, q := range w.gate.written("/virtualservices/") {
		routes, _ := cluster.Dig(q.object(), "spec", "http").([]any)
		for _, r := range routes {
			if to, _ := cluster.Dig(r, "route").([]any); len(to) > 1 && strings.HasSuffix(q.path, "/reviews") {
				v1, v2 := number(cluster.Dig(to[0], "weight")), number(cluster.Dig(to[1], "weight"))
				weights = append(weights, 100*v1/max(v1+v2, 1))
			}
		}
	}
	for _, q := range w.gate.written("/translationreports") {
		if strings.HasSuffix(q.path, "trafficsplit.split.reviews") && q.method == http.MethodPut {
			generations = append(generations, number(cluster.Dig(q.object(), "status", "observedGeneration")))
		}
	}
	for _, seen := range [][]int{weights, generations} {
		if len(seen) < 10 || !slices.IsSorted(seen) {
			w.Errorf("written were, in this order: %v", seen)
		}
	}
}

func number(v any) int {
	n, _ := v.(float64)
	return int(n)
}

// consistent fails the test where the controller was content with whatever a server
// happened to remember: a process that begins with that cannot know that it is old.
func (w *world) consistent() {
	w.Helper()
	if n := w.gate.stale.Load(); n > 0 {
		w.Errorf("%d requests asked for any version there is (resourceVersion=0)", n)
	}
	if w.gate.Count("STREAM "+splitsPath) == 0 {
		w.Error("splits were never listed")
	}
}
