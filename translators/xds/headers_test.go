package xds

import (
	"maps"
	"slices"
	"strings"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"pgregory.net/rapid"

	"github.com/meshknot/meshknot/translators/ir"
)

// headersOf are headers as a proxy has them: lines by name.
type headersOf map[string][]string

// edited is what a proxy makes of headers that is told add and remove: removal
// first, then one after the other.
func (h headersOf) edited(add []*corev3.HeaderValueOption, remove []string) headersOf {
	out := maps.Clone(h)
	for _, n := range remove {
		delete(out, n)
	}
	for _, a := range add {
		k, v := a.GetHeader().GetKey(), strings.ReplaceAll(a.GetHeader().GetValue(), "%%", "%")
		if a.GetAppendAction() == corev3.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD {
			out[k] = []string{v}
		} else {
			out[k] = append(slices.Clone(out[k]), v)
		}
	}
	return out
}

// anEdit draws an edit in which a name stands in one list only.
func anEdit(t *rapid.T, label string) *ir.HeaderEdit {
	if rapid.IntRange(0, 4).Draw(t, label+" none") == 0 {
		return nil
	}
	e := &ir.HeaderEdit{}
	for _, name := range []string{"a", "b", "c", "host"} {
		h := ir.Header{Name: name, Value: rapid.StringMatching(`[xy%]{0,3}`).Draw(t, label+" "+name)}
		switch rapid.IntRange(0, 3).Draw(t, label+" what "+name) {
		case 1:
			e.Set = append(e.Set, h)
		case 2:
			e.Add = append(e.Add, h)
		case 3:
			e.Remove = append(e.Remove, name)
		}
	}
	return e
}

// The sum of two edits does what the one and then the other does.
func TestSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, then := anEdit(t, "first"), anEdit(t, "then")
		h := headersOf{"a": {"1"}, "b": {"1", "2"}}
		want := h.edited(Headers(first)).edited(Headers(then))
		got := h.edited(Headers(sum(first, then)))
		if !maps.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%v, want %v", got, want)
		}
		if _, ok := got["host"]; ok {
			t.Errorf("the host is edited as a header: %v", got)
		}
	})
}

// Shares with edits of their own stay apart, also those of one cluster, and each
// has the edits of the route too; those that are not there have none.
func TestEditsByShare(t *testing.T) {
	set := func(v string) *ir.HeaderEdit { return &ir.HeaderEdit{Set: []ir.Header{{Name: "x", Value: v}}} }
	b := func(name string, weight uint32, e *ir.HeaderEdit) ir.Backend {
		return ir.Backend{Service: ir.Name{Namespace: "n", Name: name}, Port: 80, Weight: weight, RequestHeaders: e}
	}
	gone := b("gone", 4, set("gone"))
	gone.Invalid = "gone"
	r := ir.Route{RequestHeaders: &ir.HeaderEdit{Remove: []string{"y"}}, Rewrite: &ir.Rewrite{Host: "h"},
		Backends: []ir.Backend{b("b", 1, nil), gone, b("a", 2, set("1")), b("a", 3, set("2")), b("c", 0, set("c"))}}
	var got []string
	for _, w := range Action(r, 80).GetWeightedClusters().GetClusters() {
		line := w.GetName() + strings.Repeat("*", int(w.GetWeight().GetValue()))
		for _, h := range w.GetRequestHeadersToAdd() {
			line += " " + h.GetHeader().GetValue()
		}
		got = append(got, line+strings.Join(w.GetRequestHeadersToRemove(), "")+w.GetHostRewriteLiteral())
	}
	want := []string{"blackhole****", "a.n:80** 1yh", "a.n:80*** 2yh", "b.n:80*yh"}
	if !slices.Equal(got, want) || !EditsByShare(r) {
		t.Errorf("got %q, want %q", got, want)
	}
	r.Backends = r.Backends[:2]
	if EditsByShare(r) {
		t.Error("a share that is not there has edits")
	}
}
