package protocol

import (
	"slices"
	"testing"
	"time"
)

// TestPatience: a client that answers nothing is sent what is new after a while,
// and not before, and what is gone is taken from it later still.
func TestPatience(t *testing.T) {
	for _, on := range []variants{delta, world} {
		t.Run(on.String(), func(t *testing.T) {
			e := example{name: "patience", on: on, run: func(s *stage) {
				p := old(s)
				p.holds = func(response) bool { return true }
				s.forget(CDS, "old")
				s.forget(EDS, "old")
				began := time.Now()
				s.set(edsCluster("new", "", ""), endpoints("new", 2), route("r", "new"))
				p.until("the cluster does not come", func() bool { return p.holding(CDS, "new") })
				p.until("the route does not come", func() bool { return p.holding(RDS, "r") })
				if took := time.Since(began); took < hastyPatience {
					fail("the route comes before patience is at its end")
				}
				if !s.delta {
					return // there can be no other clusters before those are accepted
				}
				p.until("the old cluster does not go", func() bool {
					return slices.ContainsFunc(p.held, func(r response) bool { return r.typeURL == CDS && slices.Contains(r.removed, "old") })
				})
				if took := time.Since(began); took < hastyRemoval {
					fail("the old cluster goes before patience is at its end")
				}
			}}
			if o := play(nameOurs, &ours{hasty: true}, e, on == delta, patience); o.fault != "" {
				t.Error(o.fault)
			}
		})
	}
}

func (p *proxy) holding(typeURL, name string) bool {
	return slices.ContainsFunc(p.held, func(r response) bool { return r.typeURL == typeURL && r.has(name) })
}
