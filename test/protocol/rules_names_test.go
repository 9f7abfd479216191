package protocol

import (
	"slices"

	"google.golang.org/protobuf/proto"
)

// subscriptions are about who gets what.
var subscriptions = []rule{
	{id: "R7", says: "Everything of a type is asked for by \"*\", or by a first request without names; naming something ends the second way for good.", cases: []example{
		{name: "a first request without names gets everything", on: both, run: func(s *stage) {
			s.set(cluster("a", ""), cluster("b", ""))
			c := s.connect()
			c.subscribe(CDS)
			c.await(sent(CDS, "a", "b"))
			s.set(cluster("new", ""))
			c.await(sent(CDS, "new"))
		}},
		{name: "\"*\" gets everything, also beside names", on: both, run: func(s *stage) {
			s.set(cluster("a", ""), cluster("b", ""))
			c := s.connect()
			c.subscribe(CDS, "*", "a")
			c.await(sent(CDS, "a", "b"))
			s.set(cluster("new", ""))
			c.await(sent(CDS, "new"))
		}},
		{name: "\"*\" can be asked for after names", on: both, run: func(s *stage) {
			s.set(cluster("a", ""), cluster("b", ""))
			c := s.connect()
			c.subscribe(CDS, "a")
			c.await(sent(CDS, "a"))
			c.subscribe(CDS, "*")
			c.await(sent(CDS, "b"))
		}},
		{name: "naming something leaves the wildcard of a first request in force", on: delta, run: func(s *stage) {
			s.set(cluster("a", ""), cluster("b", ""))
			c := s.connect()
			c.subscribe(CDS)
			c.await(sent(CDS, "a", "b"))
			c.subscribe(CDS, "a")
			s.barrier(c)
			s.set(cluster("b", "2"))
			c.await(content(cluster("b", "2")))
		}},
		{name: "giving up the last name is not asking for everything", not: true, on: both, run: func(s *stage) {
			s.set(cluster("a", ""), cluster("b", ""))
			c := s.connect()
			c.subscribe(CDS, "a")
			got := c.await(sent(CDS, "a"))
			c.unsubscribe(CDS, "a")
			got = append(got, s.barrier(c)...)
			s.set(cluster("b", "2"))
			append(got, s.settle(c)...).without(CDS, "b")
		}},
		{name: "naming something ends the wildcard of a first request", not: true, on: world, run: func(s *stage) {
			s.set(cluster("a", ""), cluster("b", ""))
			c := s.connect()
			c.subscribe(CDS)
			c.await(sent(CDS, "a", "b"))
			c.subscribe(CDS, "a")
			s.barrier(c)
			s.set(cluster("b", "2"))
			s.settle(c).without(CDS, "b")
			c.unsubscribe(CDS, "a") // no names again, and no wildcard either
			s.barrier(c).without(CDS, "b")
			s.set(cluster("b", "3"))
			s.settle(c).without(CDS, "b")
		}},
		{name: "the wildcard of a first request ends by giving up \"*\", and leaves the names", not: true, on: delta, run: func(s *stage) {
			s.set(cluster("a", ""), cluster("b", ""))
			c := s.connect()
			c.subscribe(CDS)
			c.await(sent(CDS, "a", "b"))
			c.subscribe(CDS, "a")
			c.unsubscribe(CDS, "*")
			s.barrier(c)
			s.set(cluster("a", "2"), cluster("b", "2"))
			got := c.await(content(cluster("a", "2")))
			append(got, s.settle(c)...).without(CDS, "b")
		}},
	}},
	{id: "R8", says: "Giving up a name that the wildcard covers is answered.", cases: []example{
		{name: "with the resource where there is one", on: delta, run: func(s *stage) {
			s.set(cluster("a", ""), cluster("b", ""))
			c := s.connect()
			c.subscribe(CDS, "*", "a")
			c.await(sent(CDS, "a", "b"))
			s.barrier(c)
			c.unsubscribe(CDS, "a")
			c.await(sent(CDS, "a"))
		}},
		{name: "also after a wildcard by a first request", on: delta, run: func(s *stage) {
			s.set(cluster("a", ""), cluster("b", ""))
			c := s.connect()
			c.subscribe(CDS)
			c.await(sent(CDS, "a", "b"))
			c.subscribe(CDS, "a")
			s.barrier(c)
			c.unsubscribe(CDS, "a")
			c.await(sent(CDS, "a"))
		}},
		{name: "with a removal where there is none", on: delta, run: func(s *stage) {
			s.set(cluster("a", ""))
			c := s.connect()
			c.subscribe(CDS, "*", "ghost")
			c.await(sent(CDS, "a"))
			s.barrier(c)
			c.unsubscribe(CDS, "ghost")
			c.await(gone(CDS, "ghost"))
		}},
		{name: "giving up a name that nothing else covers is not answered, and ends it", not: true, on: delta, run: func(s *stage) {
			s.set(cluster("a", ""), cluster("b", ""))
			c := s.connect()
			c.subscribe(CDS, "a", "b")
			c.await(sent(CDS, "a", "b"))
			s.barrier(c)
			c.unsubscribe(CDS, "a")
			s.barrier(c).empty(CDS)
			s.set(cluster("a", "2"))
			s.settle(c).empty(CDS)
		}},
	}},
	{id: "R9", says: "A name that is asked for again is sent again, known or not.", cases: []example{
		{name: "a second subscription to a name is answered", on: delta, run: func(s *stage) {
			s.set(endpoints("a", 1), endpoints("b", 1))
			c := s.connect()
			c.subscribe(EDS, "a", "b")
			c.await(sent(EDS, "a", "b"))
			s.barrier(c)
			c.subscribe(EDS, "a")
			got := c.await(sent(EDS, "a"))
			append(got, s.barrier(c)...).without(EDS, "b")
		}},
		{name: "a name that was given up and is asked for again is answered", on: both, run: func(s *stage) {
			s.set(endpoints("a", 1), endpoints("b", 1))
			c := s.connect()
			c.subscribe(EDS, "a", "b")
			c.await(sent(EDS, "a", "b"))
			c.unsubscribe(EDS, "a")
			s.barrier(c)
			c.subscribe(EDS, "a")
			c.await(sent(EDS, "a"))
		}},
		{name: "an acknowledgement asks for nothing", not: true, on: both, run: func(s *stage) {
			s.set(endpoints("a", 1))
			c := s.connect()
			c.subscribe(EDS, "a")
			r := c.take()
			c.answer(r, "")
			c.answer(r, "")
			s.barrier(c).empty(EDS)
		}},
	}},
	{id: "R10", says: "A name that does not exist is said to be gone at once, and sent when it exists.", cases: []example{
		{name: "asking for what is not there is answered with a removal", on: delta, run: func(s *stage) {
			s.set(endpoints("a", 1))
			c := s.connect()
			c.subscribe(EDS, "a", "ghost")
			c.await(sent(EDS, "a"), gone(EDS, "ghost"))
		}},
		{name: "what was not there comes when it is", on: both, run: func(s *stage) {
			s.set(endpoints("a", 1))
			c := s.connect()
			c.subscribe(EDS, "a", "later")
			c.await(sent(EDS, "a"))
			s.barrier(c)
			s.set(endpoints("later", 1))
			c.await(sent(EDS, "later"))
		}},
		{name: "what vanishes is said to be gone", on: delta, run: func(s *stage) {
			s.set(endpoints("a", 1))
			c := s.connect()
			c.subscribe(EDS, "a")
			c.await(sent(EDS, "a"))
			s.drop(EDS, "a")
			c.await(gone(EDS, "a"))
		}},
		{name: "what is there is not said to be gone, nor what nobody asked for", not: true, on: delta, run: func(s *stage) {
			s.set(endpoints("a", 1), endpoints("b", 1))
			c := s.connect()
			c.subscribe(EDS, "a")
			got := c.await(sent(EDS, "a"))
			s.drop(EDS, "b")
			for _, r := range append(got, s.settle(c)...) {
				if len(r.removed) > 0 {
					fail("%v is said to be gone", r.removed)
				}
			}
		}},
	}},
	{id: "R11", says: "A client that says what it has is sent what differs, told what is gone, and spared what is equal.", cases: []example{
		{name: "a wildcard that resumes gets the difference", on: delta, run: func(s *stage) { resumed(s, false) }},
		{name: "names that are resumed get the difference", on: delta, run: func(s *stage) { resumed(s, false, "same", "changed", "vanished", "new") }},
		{name: "a restart of the server between makes no difference", on: delta, run: func(s *stage) { resumed(s, true, "same", "changed", "vanished", "new") }},
		{name: "what is equal is not sent", not: true, on: delta, run: func(s *stage) {
			c, had := before(s)
			c.close()
			c = s.connect()
			c.resume(CDS, had, "same", "changed", "vanished")
			s.settle(c).without(CDS, "same", "changed", "vanished")
		}},
		{name: "what is equal is not sent after a restart of the server", not: true, on: delta, run: func(s *stage) {
			_, had := before(s)
			s.restart()
			c := s.connect()
			c.resume(CDS, had, "same", "changed", "vanished")
			s.settle(c).without(CDS, "same", "changed", "vanished")
		}},
	}},
	{id: "R12", says: "A name is in a response once.", cases: []example{
		{name: "a name that is asked for in several ways comes once", on: both, run: func(s *stage) {
			s.set(cluster("a", ""), cluster("b", ""))
			c := s.connect()
			c.of(CDS).names["*"], c.of(CDS).names["a"] = true, true
			c.send(request{typeURL: CDS, names: []string{"a", "a", "*"}, add: []string{"a", "a", "*"}})
			once(c.await(sent(CDS, "a", "b")))
		}},
		{name: "a name that is twice in a later request comes once", on: both, run: func(s *stage) {
			s.set(cluster("a", ""), cluster("b", ""))
			c := s.connect()
			c.subscribe(CDS, "b")
			c.await(sent(CDS, "b"))
			c.of(CDS).names["a"] = true
			twice := []string{"a", "a", "b", "b"}
			c.send(request{typeURL: CDS, names: twice, add: twice, nonce: c.of(CDS).nonce, version: c.of(CDS).version})
			got := c.await(sent(CDS, "a"))
			once(append(got, s.barrier(c)...))
		}},
		{name: "a name that changes often and is asked for meanwhile is in no response twice", not: true, on: both, run: func(s *stage) {
			c := s.connect()
			c.subscribe(EDS, "a", "b")
			for port := range uint32(20) {
				s.set(endpoints("a", port+1))
				if port%3 == 0 {
					s.drop(EDS, "b")
				} else {
					s.set(endpoints("b", port+1))
				}
				if port%5 == 0 {
					c.subscribe(EDS, "a", "b")
				}
			}
			got := c.await(content(endpoints("a", 20)), content(endpoints("b", 20)))
			once(append(got, s.settle(c)...))
		}},
	}},
}

// before is a client that has three clusters, and what it has.
func before(s *stage) (*client, map[string]body) {
	s.set(cluster("same", "1"), cluster("changed", "1"), cluster("vanished", "1"))
	c := s.connect()
	c.subscribe(CDS)
	c.await(sent(CDS, "same", "changed", "vanished"))
	return c, c.has[CDS]
}

// resumed has a client come back after changes.
func resumed(s *stage, restart bool, names ...string) {
	c, had := before(s)
	c.close()
	s.forget(CDS, "vanished")
	s.set(cluster("changed", "2"), cluster("new", "1"))
	if restart {
		s.restart()
	}
	c = s.connect()
	c.resume(CDS, had, names...)
	got := c.await(content(cluster("changed", "2")), sent(CDS, "new"), gone(CDS, "vanished"))
	append(got, s.settle(c)...).without(CDS, "same")
}

// once fails when a name is in a response twice, or is there and gone.
func once(got seen) {
	for _, r := range got {
		all := slices.Concat(r.names, r.removed)
		slices.Sort(all)
		if len(slices.Compact(slices.Clone(all))) != len(all) {
			fail("a name is twice in one response: %v", all)
		}
	}
}

// contents are about what is in a response.
var contents = []rule{
	{id: "R13", says: "In the state of the world a response has all listeners or clusters that were asked for; of other types it has some, and deletes none.", cases: []example{
		{name: "a change of one cluster brings all clusters", on: world, run: func(s *stage) { fully(s, CDS, cluster("a", "1"), cluster("b", "1"), cluster("a", "2")) }},
		{name: "a change of one listener brings all listeners", on: world, run: func(s *stage) { fully(s, LDS, listener("a", "1"), listener("b", "1"), listener("a", "2")) }},
		{name: "a cluster that is gone is in the next response no more", on: world, run: func(s *stage) {
			s.set(cluster("a", ""), cluster("b", ""))
			c := s.connect()
			c.subscribe(CDS)
			c.await(sent(CDS, "a", "b"))
			s.drop(CDS, "b")
			r := c.await(anything(CDS)).of(CDS)[0]
			if !r.has("a") || r.has("b") {
				fail("the response has %v", r.names)
			}
		}},
		{name: "one name more of a listener does not take the others away", not: true, on: world, run: func(s *stage) {
			s.set(listener("a", ""), listener("b", ""))
			c := s.connect()
			c.subscribe(LDS, "a")
			c.await(sent(LDS, "a"))
			c.subscribe(LDS, "b")
			for _, r := range c.await(sent(LDS, "b")).of(LDS) {
				if !r.has("a") || !r.has("b") {
					fail("the response has %v", r.names)
				}
			}
		}},
		{name: "endpoints that are gone are not sent without content", not: true, on: world, run: func(s *stage) {
			s.set(endpoints("a", 1), endpoints("b", 1))
			c := s.connect()
			c.subscribe(EDS, "a", "b")
			c.await(sent(EDS, "a", "b"))
			s.drop(EDS, "a")
			s.settle(c).without(EDS, "a")
		}},
	}},
}

// fully has one of two resources changed, and wants both in each response.
func fully(s *stage, typeURL string, a, b, changed proto.Message) {
	s.set(a, b)
	c := s.connect()
	c.subscribe(typeURL)
	got := c.await(sent(typeURL, "a", "b"))
	s.set(changed)
	got = append(got, c.await(content(changed))...)
	for _, r := range append(got, s.settle(c)...).of(typeURL) {
		if !r.has("a") || !r.has("b") {
			fail("a response has %v alone", r.names)
		}
	}
}
