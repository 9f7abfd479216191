package protocol

import (
	"fmt"
	"slices"
)

// sequence is about what comes before what.
var sequence = []rule{
	{id: "R14", says: "What is new comes in the order clusters, endpoints, listeners, routes, and what is gone goes last, once nothing in use needs it.", cases: []example{
		{name: "types come in order, in whatever order they were asked for", on: both, setting: setting{ordered: true}, run: func(s *stage) {
			c := s.connect()
			c.subscribe(RDS, "r")
			c.subscribe(LDS)
			c.subscribe(EDS, "a")
			c.subscribe(CDS)
			s.settle(c)
			s.set(edsCluster("a", "", ""), endpoints("a", 1), rdsListener("l", "r", ""), route("r", "a"))
			var came []string
			for _, r := range c.await(sent(CDS, "a"), sent(EDS, "a"), sent(LDS, "l"), sent(RDS, "r")) {
				if !slices.Contains(came, r.typeURL) {
					came = append(came, r.typeURL)
				}
			}
			for i, t := range []string{CDS, EDS, LDS, RDS} {
				if came[i] != t {
					fail("%s comes where %s should", short(came[i]), short(t))
				}
			}
		}},
		{name: "a route moves from one cluster to another without a gap", on: both, setting: setting{ordered: true}, run: func(s *stage) {
			p := old(s)
			s.forget(CDS, "old")
			s.forget(EDS, "old")
			s.set(edsCluster("new", "", ""), endpoints("new", 2), route("r", "new"))
			p.until("the route does not change", func() bool { return p.uses(route("r", "new")) })
			p.until("the old cluster does not go", func() bool { return p.lacks(CDS, "old") })
			p.unbroken()
		}},
		{name: "routes move through a line of clusters, each step before the last has been accepted", on: both, setting: setting{ordered: true}, run: func(s *stage) {
			p := old(s)
			last := "old"
			for _, next := range []string{"b", "c", "d", "old"} {
				s.forget(CDS, last)
				s.forget(EDS, last)
				s.set(edsCluster(next, "", ""), endpoints(next, 2), route("r", next))
				last = next
			}
			p.until("the last cluster does not come to stay", func() bool {
				return p.uses(route("r", "old")) && len(p.has[CDS]) == 1 && !p.lacks(CDS, "old")
			})
			p.unbroken()
		}},
		{name: "one response does not bring a cluster and take another away", not: true, on: both, run: func(s *stage) {
			s.set(cluster("old", ""))
			p := s.proxy()
			p.until("the cluster does not come", func() bool { return !p.lacks(CDS, "old") })
			s.forget(CDS, "old")
			s.set(cluster("new", ""))
			p.until("the new cluster does not come", func() bool { return !p.lacks(CDS, "new") })
			p.until("the old cluster does not go", func() bool { return p.lacks(CDS, "old") })
			p.unbroken()
		}},
		{name: "a cluster stays until the route that leaves it has been accepted", not: true, on: both, setting: setting{ordered: true}, run: func(s *stage) {
			p := old(s)
			other := old(s)
			p.holds = func(r response) bool { return r.typeURL == RDS }
			s.forget(CDS, "old")
			s.forget(EDS, "old")
			s.set(edsCluster("new", "", ""), endpoints("new", 2), route("r", "new"))
			p.until("the route does not come", func() bool { return len(p.held) > 0 })
			other.until("the old cluster does not go from another client", func() bool { return other.lacks(CDS, "old") })
			p.meanwhile(s, other)
			if p.lacks(CDS, "old") {
				fail("the old cluster goes before the new route was accepted")
			}
			p.release()
			p.until("the old cluster does not go after the new route was accepted", func() bool { return p.lacks(CDS, "old") })
			p.unbroken()
		}},
		{name: "a cluster stays when the route that leaves it is refused", not: true, on: both, setting: setting{ordered: true}, run: func(s *stage) {
			p, other := old(s), old(s)
			refusals := 0
			p.refuses = func(r response) string {
				if b, ok := r.resources["r"]; ok && r.typeURL == RDS && b.is(route("r", "new")) {
					refusals++
					return "route r is bad"
				}
				return ""
			}
			s.forget(CDS, "old")
			s.forget(EDS, "old")
			s.set(edsCluster("new", "", ""), endpoints("new", 2), route("r", "new"))
			p.until("the route does not come", func() bool { return refusals > 0 })
			other.until("the old cluster does not go from another client", func() bool { return other.lacks(CDS, "old") })
			p.meanwhile(s, other)
			if p.lacks(CDS, "old") {
				fail("the old cluster goes though the new route was refused")
			}
			s.set(route("r", "new", "new"))
			p.until("the old cluster does not go after a route was accepted", func() bool { return p.lacks(CDS, "old") })
			p.unbroken()
		}},
		{name: "a client that acknowledges nothing is in nobody else's way", not: true, on: both, setting: setting{ordered: true}, run: func(s *stage) {
			p, mute := old(s), old(s)
			mute.holds = func(response) bool { return true }
			s.forget(CDS, "old")
			s.forget(EDS, "old")
			s.set(edsCluster("new", "", ""), endpoints("new", 2), route("r", "new"))
			mute.until("the new cluster does not come to the mute one", func() bool { return len(mute.held) > 0 })
			p.until("the route does not change", func() bool { return p.uses(route("r", "new")) })
			p.until("the old cluster does not go", func() bool { return p.lacks(CDS, "old") })
		}},
	}},
	{id: "R15", says: "Envoy starts a changed cluster, or a changed listener, anew: its endpoints, or its routes, are sent again.", cases: []example{
		{name: "endpoints come again when their cluster changes", on: both, run: func(s *stage) {
			s.set(edsCluster("a", "", "1"), endpoints("a", 1))
			c := s.connect()
			c.subscribe(CDS)
			c.subscribe(EDS, "a")
			c.await(sent(CDS, "a"), sent(EDS, "a"))
			s.barrier(c)
			s.set(edsCluster("a", "", "2"))
			inOrder(c.await(content(edsCluster("a", "", "2")), sent(EDS, "a")), CDS, EDS)
		}},
		{name: "also when they have the name of a service", on: both, run: func(s *stage) {
			s.set(edsCluster("a", "service", "1"), endpoints("service", 1))
			c := s.connect()
			c.subscribe(CDS)
			c.subscribe(EDS, "service")
			c.await(sent(CDS, "a"), sent(EDS, "service"))
			s.barrier(c)
			s.set(edsCluster("a", "service", "2"))
			c.await(content(edsCluster("a", "service", "2")), sent(EDS, "service"))
		}},
		{name: "routes come again when their listener changes", on: both, run: func(s *stage) {
			s.set(cluster("a", ""), rdsListener("l", "r", "1"), route("r", "a"))
			c := s.connect()
			c.subscribe(CDS)
			c.subscribe(LDS)
			c.subscribe(RDS, "r")
			c.await(sent(CDS, "a"), sent(LDS, "l"), sent(RDS, "r"))
			s.barrier(c)
			s.set(rdsListener("l", "r", "2"))
			inOrder(c.await(content(rdsListener("l", "r", "2")), sent(RDS, "r")), LDS, RDS)
		}},
		{name: "endpoints of other clusters, or of one that has them in itself, do not come again", not: true, on: delta, run: func(s *stage) {
			s.set(edsCluster("a", "", "1"), endpoints("a", 1), edsCluster("b", "", "1"), endpoints("b", 1), cluster("c", "1"), endpoints("c", 1))
			c := s.connect()
			c.subscribe(CDS)
			c.subscribe(EDS, "a", "b", "c")
			c.await(sent(CDS, "a", "b", "c"), sent(EDS, "a", "b", "c"))
			s.barrier(c)
			s.set(edsCluster("a", "", "2"), cluster("c", "2"))
			got := c.await(content(edsCluster("a", "", "2")), content(cluster("c", "2")))
			append(got, s.settle(c)...).without(EDS, "b", "c")
		}},
	}},
	{id: "R16", says: "Routes are used at once: they come when the clusters that they lead to are in use.", cases: []example{
		{name: "a route waits until its new cluster has been accepted", on: both, setting: setting{ordered: true}, run: func(s *stage) {
			p, other := old(s), old(s)
			p.holds = func(r response) bool { return r.typeURL == CDS }
			s.set(edsCluster("new", "", ""), endpoints("new", 2), route("r", "old", "new"))
			p.until("the cluster does not come", func() bool { return len(p.held) > 0 })
			other.until("the route does not come to another client", func() bool { return other.uses(route("r", "old", "new")) })
			p.meanwhile(s, other)
			if p.uses(route("r", "old", "new")) {
				fail("the route comes before its cluster was accepted")
			}
			p.release()
			p.until("the route does not come", func() bool { return p.uses(route("r", "old", "new")) })
			p.unbroken()
		}},
		{name: "a client that asks for routes alone does not wait", not: true, on: both, run: func(s *stage) {
			s.set(cluster("a", ""), route("r", "a"))
			c := s.connect()
			c.subscribe(RDS, "r")
			c.await(sent(RDS, "r"))
			s.set(cluster("b", ""), route("r", "a", "b"))
			c.await(content(route("r", "a", "b")))
		}},
	}},
	{id: "R17", says: "Endpoints are sent also when there are none, so that a cluster need not wait for them.", cases: []example{
		{name: "an empty list is sent", on: both, run: func(s *stage) {
			s.set(edsCluster("a", "", ""), endpoints("a"))
			c := s.connect()
			c.subscribe(EDS, "a")
			c.await(content(endpoints("a")))
		}},
		{name: "a list that becomes empty is sent, and is not said to be gone", not: true, on: both, run: func(s *stage) {
			s.set(edsCluster("a", "", ""), endpoints("a", 1))
			c := s.connect()
			c.subscribe(EDS, "a")
			c.await(sent(EDS, "a"))
			s.set(endpoints("a"))
			got := append(c.await(content(endpoints("a"))), s.settle(c)...)
			if gone(EDS, "a")(got) == "" {
				fail("it is said to be gone")
			}
		}},
		{name: "endpoints that are missing while a cluster waits for them are none", more: true, on: both, run: func(s *stage) {
			s.set(edsCluster("a", "service", ""))
			c := s.connect()
			c.subscribe(CDS)
			c.await(sent(CDS, "a"))
			c.subscribe(EDS, "service")
			c.await(content(endpoints("service")))
			s.set(endpoints("service", 1))
			c.await(content(endpoints("service", 1)))
			s.drop(EDS, "service")
			c.await(content(endpoints("service")))
		}},
	}},
}

// old is a proxy with a route to a cluster "old".
func old(s *stage) *proxy {
	s.set(edsCluster("old", "", ""), endpoints("old", 1), rdsListener("l", "r", ""), route("r", "old"))
	p := s.proxy()
	p.until("the proxy does not get what it begins with", func() bool { return p.uses(route("r", "old")) })
	p.quiet(s)
	p.unbroken()
	return p
}

// quiet lets the proxy deal with all that is on its way: some exchanges of something
// else come after it, for one answer can lead to another.
func (p *proxy) quiet(s *stage) {
	for range 4 {
		s.ticks++
		m := secret(fmt.Sprintf("barrier-%d", s.ticks), "")
		s.set(m)
		p.subscribe(SDS, s.secrets(p.client)...)
		p.until("another exchange is not answered", func() bool { return p.uses(m) })
	}
}

// meanwhile lets the proxy take what comes while another client goes through some
// exchanges: who holds back an answer need not be answered, and an exchange of its
// own could come before what is not to come at all.
func (p *proxy) meanwhile(s *stage, other *proxy) {
	for range 3 {
		other.quiet(s)
		for len(p.got) > 0 {
			if r, ok := p.poll(p.wait); ok {
				p.step(r)
			}
		}
	}
}

// inOrder fails when the newest response of a type came before that of the type
// that it depends on.
func inOrder(got seen, first, second string) {
	for _, r := range slices.Backward(got) {
		switch r.typeURL {
		case second:
			return
		case first:
			fail("%s comes after %s", short(first), short(second))
		}
	}
}
