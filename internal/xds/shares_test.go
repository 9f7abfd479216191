package xds

import (
	"fmt"
	"testing"
	"time"

	rs "github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

// Stores that have the same agree on all shares, however they came to it; what they do
// not agree on shows in the share of its name, and in no other.
func TestShares(t *testing.T) {
	shop, bank := ir.Audience{Namespace: "shop"}, ir.Audience{Namespace: "bank"}
	put := func(s *store, k kind, name string, a ir.Audience, hash uint64) {
		s.set(k, name, a, &resource{kind: k, name: name, audience: a, hash: hash}, time.Time{}, func(*stream) {})
	}
	filled := func() *store {
		s := newStore()
		for i := range uint64(100) {
			put(s, clusters, fmt.Sprint("c", i), ir.Audience{}, i)
		}
		put(s, routes, "r", shop, 1)
		return s
	}
	want := filled().served()
	for name, c := range map[string]struct {
		edit func(*store)
		of   string // the name that differs
	}{
		"in another order": {func(s *store) {
			s.set(clusters, "c7", ir.Audience{}, nil, time.Time{}, func(*stream) {})
			put(s, clusters, "c7", ir.Audience{}, 7)
		}, ""},
		"endpoints":        {func(s *store) { put(s, endpoints, "c7", ir.Audience{}, 9) }, ""},
		"contents":         {func(s *store) { put(s, clusters, "c7", ir.Audience{}, 8) }, "c7"},
		"of another type":  {func(s *store) { put(s, listeners, "c7", ir.Audience{}, 7) }, "c7"},
		"one more variant": {func(s *store) { put(s, routes, "r", bank, 1) }, "r"},
		"for others": {func(s *store) {
			s.set(routes, "r", shop, nil, time.Time{}, func(*stream) {})
			put(s, routes, "r", bank, 1)
		}, "r"},
		"gone": {func(s *store) { s.set(routes, "r", shop, nil, time.Time{}, func(*stream) {}) }, "r"},
	} {
		s := filled()
		c.edit(s)
		for i, n := range s.served() {
			if differs := c.of != "" && i == int(Share(c.of)); (n != want[i]) != differs {
				t.Errorf("%s: share %d differs: %t", name, i, !differs)
			}
		}
	}
	used := map[uint8]bool{}
	for i := range 10_000 {
		used[Share(fmt.Sprint("service-", i, ".shop"))] = true
	}
	if len(used) != len(Shares{}) {
		t.Errorf("names are in %d of %d shares", len(used), len(Shares{}))
	}
}

// While something is meant that is not sent yet nothing stands for what is served, as
// nobody has what is meant.
func TestNothingIsServedWhileMoreIsMeant(t *testing.T) {
	s := New(Options{})
	put := func(kind, name string) []translators.Change {
		return []translators.Change{{Target: translators.Target{Backend: "envoy"}, Put: []translators.Artifact{artifact(kind, name, "", ir.Audience{})}}}
	}
	if err := s.Apply(put(rs.ClusterType, "a")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what was applied is sent", func() bool { return s.Status().Served != nil })
	s.mu.Lock()
	s.wave++ // one is under way
	s.mu.Unlock()
	for kind, want := range []string{rs.EndpointType, rs.ClusterType} {
		if err := s.Apply(put(want, "b")); err != nil {
			t.Fatal(err)
		}
		if got := s.Status().Served; (got != nil) != (kind == 0) {
			t.Errorf("with new %s meant, %d back ends are served", want, len(got))
		}
	}
}
