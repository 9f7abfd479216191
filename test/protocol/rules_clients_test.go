package protocol

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
)

// answers are about whether there is one, and what is in it.
var answers = []rule{
	{id: "R18", says: "The first answer to a wildcard comes even when there is nothing to say.", cases: []example{
		{name: "a wildcard of which there is nothing is answered", on: both, run: func(s *stage) {
			s.set(cluster("a", ""))
			c := s.connect()
			c.subscribe(LDS)
			for _, r := range c.await(anything(LDS)) {
				if len(r.names) > 0 || len(r.removed) > 0 {
					fail("the answer has %v, gone %v", r.names, r.removed)
				}
			}
		}},
		{name: "it is answered once", not: true, on: both, run: func(s *stage) {
			c := s.connect()
			c.subscribe(LDS)
			c.await(anything(LDS))
			s.settle(c).empty(LDS)
		}},
		{name: "before there is a state nothing is answered, for it would take away what the client has", not: true, more: true, on: both, without: true,
			passing: map[string]string{nameLinear: "it cannot be without a state: it has to be filled before it is served"}, run: func(s *stage) {
				c := s.connect()
				c.subscribe(CDS)
				c.subscribe(LDS)
				s.world.put(secret("tick", ""))
				s.set(cluster("a", ""), listener("l", ""))
				for _, r := range c.await(sent(CDS, "a"), sent(LDS, "l")) {
					if len(r.names) == 0 {
						fail("an empty %s is sent before there is a state", short(r.typeURL))
					}
				}
			}},
	}},
	{id: "R19", says: "A resource with a time to live is renewed without its content. We set no time to live.", cases: []example{
		{name: "every resource has its content", on: both, run: func(s *stage) { plain(s, func(b body) bool { return !b.bare }) }},
		{name: "no resource has a time to live", not: true, on: both, run: func(s *stage) { plain(s, func(b body) bool { return !b.ttl }) }},
	}},
	{id: "R22", says: "A type that the server does not know ends no stream.", cases: []example{
		{name: "other types go on after it", on: both, run: func(s *stage) {
			s.set(cluster("a", ""))
			c := s.connect()
			c.subscribe(CDS)
			c.await(sent(CDS, "a"))
			c.subscribe(prefix+"nobody.Knows", "this")
			s.barrier(c)
			s.set(cluster("a", "2"))
			c.await(content(cluster("a", "2")))
		}},
		{name: "nothing of it is sent, neither for names nor for all", not: true, on: both, run: func(s *stage) {
			s.set(cluster("a", ""))
			c := s.connect()
			c.subscribe(prefix+"nobody.Knows", "a")
			c.subscribe(prefix + "nobody.KnowsEither")
			for _, r := range s.settle(c) {
				if len(r.names) > 0 {
					fail("%s has %v", short(r.typeURL), r.names)
				}
			}
		}},
	}},
	{id: "R23", says: "Nothing is sent when nothing has changed.", cases: []example{
		{name: "what changed is sent, and in a delta nothing else", on: delta, run: func(s *stage) {
			s.set(cluster("a", "1"), cluster("b", "1"))
			c := s.connect()
			c.subscribe(CDS)
			c.await(sent(CDS, "a", "b"))
			s.set(cluster("a", "2"))
			append(c.await(content(cluster("a", "2"))), s.settle(c)...).without(CDS, "b")
		}},
		{name: "the same state again sends nothing", not: true, on: both, run: func(s *stage) {
			s.set(cluster("a", "1"), endpoints("a", 1))
			c := s.connect()
			c.subscribe(CDS)
			c.subscribe(EDS, "a")
			c.await(sent(CDS, "a"), sent(EDS, "a"))
			s.barrier(c)
			s.set(cluster("a", "1"), endpoints("a", 1))
			s.settle(c).empty()
		}},
		{name: "a change of what nobody asked for sends nothing", not: true, on: delta, run: func(s *stage) { unasked(s) }},
		{name: "a change of what nobody asked for sends nothing, though a response may be larger than it need be", not: true, more: true, on: world, run: func(s *stage) { unasked(s) }},
	}},
	{id: "R24", says: "A message stays below what the client takes.", cases: []example{
		{name: "a state larger than that comes in several", on: delta, run: func(s *stage) { large(s, CDS) }},
		{name: "many endpoints larger than that come in several", on: both, run: func(s *stage) { large(s, EDS) }},
		{name: "what fits comes in one", not: true, on: both, run: func(s *stage) {
			all := many(100, func(name string) proto.Message { return cluster(name, "") })
			s.set(all...)
			c := s.connect()
			c.subscribe(CDS)
			if r := c.take(); len(r.names) != 100 {
				fail("%d of 100 are in the first response", len(r.names))
			}
		}},
	}},
}

// plain has resources sent, changed, and looks at each that comes.
func plain(s *stage, ok func(body) bool) {
	s.set(cluster("a", "1"), endpoints("a", 1), listener("l", ""), route("r", "a"))
	c := s.connect()
	c.subscribe(CDS)
	c.subscribe(LDS)
	c.subscribe(EDS, "a")
	c.subscribe(RDS, "r")
	c.await(sent(CDS, "a"), sent(EDS, "a"), sent(LDS, "l"), sent(RDS, "r"))
	s.set(cluster("a", "2"))
	c.await(content(cluster("a", "2")))
	s.settle(c)
	for _, r := range c.log {
		for name, b := range r.resources {
			if !ok(b) {
				fail("%s %s is not so", short(r.typeURL), name)
			}
		}
	}
}

func unasked(s *stage) {
	s.set(endpoints("a", 1), endpoints("b", 1))
	c := s.connect()
	c.subscribe(EDS, "a")
	c.await(sent(EDS, "a"))
	s.barrier(c)
	s.set(endpoints("b", 2))
	s.drop(EDS, "b")
	s.settle(c).empty()
}

// large has 10 MiB sent to a client that takes 4 MiB at once.
func large(s *stage, typeURL string) {
	text := strings.Repeat("x", 1<<20)
	var names []string
	for i := range 10 {
		name := fmt.Sprint("large-", i)
		names = append(names, name)
		if typeURL == CDS {
			s.world.put(cluster(name, text))
			continue
		}
		e := endpoints(name, 1)
		e.Endpoints[0].Locality.Zone = text
		s.world.put(e)
	}
	s.flush()
	c := s.connect()
	c.subscribe(typeURL, names...)
	c.await(sent(typeURL, names...))
}

// clients are about what clients do besides.
var clients = []rule{
	{id: "R20", says: "A name can be asked for whenever it is needed, and is answered by itself.", cases: []example{
		{name: "names that are asked for one after another are each answered", on: both, run: func(s *stage) {
			s.set(route("a", "x"), route("b", "x"), route("c", "x"))
			c := s.connect()
			for _, n := range []string{"a", "b", "c"} {
				c.subscribe(RDS, n)
				c.await(sent(RDS, n))
			}
		}},
		{name: "a name that was not asked for is not sent along", not: true, on: both, run: func(s *stage) {
			s.set(route("a", "x"), route("b", "x"), route("c", "x"))
			c := s.connect()
			c.subscribe(RDS, "a")
			got := c.await(sent(RDS, "a"))
			c.subscribe(RDS, "b")
			got = append(got, c.await(sent(RDS, "b"))...)
			append(got, s.settle(c)...).without(RDS, "c")
			for _, r := range c.log {
				for _, b := range r.resources {
					if len(b.aliases) > 0 {
						fail("a resource has aliases that nobody asked for")
					}
				}
			}
		}},
	}},
	{id: "R21", says: "The newest request of a type is the one that counts.", cases: []example{
		{name: "of requests in a row the last is in force", on: both, run: func(s *stage) {
			c := hasty(s)
			s.set(endpoints("b", 2))
			c.await(content(endpoints("b", 2)))
		}},
		{name: "what only the earlier ones asked for is not sent any more", not: true, on: both, run: func(s *stage) {
			c := hasty(s)
			s.set(endpoints("a", 2))
			s.settle(c).without(EDS, "a")
		}},
		{name: "a request of one type does not supersede one of another", not: true, on: both, run: func(s *stage) {
			s.set(cluster("a", ""), endpoints("a", 1), route("r", "a"))
			c := s.connect()
			c.subscribe(EDS, "a")
			c.subscribe(RDS, "r")
			c.subscribe(CDS)
			c.await(sent(EDS, "a"), sent(RDS, "r"), sent(CDS, "a"))
		}},
	}},
	{id: "R25", says: "gRPC asks for everything by name, and learns from the answer what does not exist.", cases: []example{
		{name: "a listener that does not exist is answered", on: both, run: func(s *stage) {
			s.set(listener("a", ""))
			c := s.connect()
			c.subscribe(LDS, "ghost")
			c.await(anything(LDS)).without(LDS, "a")
			if !c.delta {
				return
			}
			if why := gone(LDS, "ghost")(c.log); why != "" {
				fail("%s", why)
			}
		}},
		{name: "a listener by its name comes alone", not: true, on: both, run: func(s *stage) {
			s.set(listener("a", ""), listener("b", ""))
			c := s.connect()
			c.subscribe(LDS, "a")
			append(c.await(sent(LDS, "a")), s.settle(c)...).without(LDS, "b")
		}},
		{name: "no names of endpoints, and none of routes, are none at all", not: true, on: both, run: func(s *stage) {
			s.set(endpoints("a", 1), route("r", "a"))
			c := s.connect()
			c.subscribe(EDS)
			c.subscribe(RDS)
			got := s.barrier(c)
			s.set(endpoints("a", 2), route("r", "b"))
			got = append(got, s.settle(c)...)
			got.without(EDS, "a")
			got.without(RDS, "r")
		}},
		{name: "the good ones of a refused response are not held back by the bad one", on: delta, run: func(s *stage) {
			c, _ := refusedPair(s)
			s.set(cluster("good", "3"))
			c.await(content(cluster("good", "3")))
		}},
	}},
	{id: "R26", says: "A connection that the server ends, because of its age, loses nothing.", cases: []example{
		{name: "what changed while the client was away comes when it is back", on: both, setting: setting{age: 200 * time.Millisecond}, run: func(s *stage) { aged(s) }},
		{name: "what did not change does not come again", not: true, on: delta, setting: setting{age: 200 * time.Millisecond}, run: func(s *stage) {
			if n := aged(s); n != 1 {
				fail("it came more than once")
			}
		}},
	}},
}

// hasty is a client that asks for endpoints "a" and then for "b" alone, without
// waiting for an answer.
func hasty(s *stage) *client {
	s.set(endpoints("a", 1), endpoints("b", 1))
	c := s.connect()
	c.subscribe(EDS, "a")
	c.change(EDS, []string{"b"}, []string{"a"})
	c.await(sent(EDS, "b"))
	s.barrier(c)
	return c
}

// aged has a client follow a cluster that changes, beside one that does not, over a
// connection that the server ends. It returns how often the second was sent.
func aged(s *stage) int {
	s.set(cluster("same", "1"), cluster("changes", "0"))
	c := s.connect()
	c.subscribe(CDS)
	c.await(sent(CDS, "same", "changes"))
	still := c.log.times(CDS, "same")
	c.outlive()
	s.set(cluster("changes", "away"))
	had := c.has
	c = s.connect()
	c.has = had
	c.resume(CDS, had[CDS])
	c.await(content(cluster("changes", "away")))
	s.set(cluster("changes", "back"))
	c.await(content(cluster("changes", "back")))
	return still + c.log.times(CDS, "same")
}

// outlive waits for the end of the stream, which the server brings about.
func (c *client) outlive() {
	select {
	case <-c.ended:
	case <-time.After(4 * patience):
		fail("the connection does not age")
	}
}
