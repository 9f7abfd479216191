package protocol

import (
	"slices"
	"strconv"

	"google.golang.org/protobuf/proto"
)

// The names of the servers in the table.
const (
	nameOurs     = "meshknot"
	nameSnapshot = "SnapshotCache"
	nameLinear   = "LinearCache"
)

// rules are the demands of the protocol on a server.
func rules() []rule {
	var out []rule
	for _, part := range [][]rule{exchange, subscriptions, contents, sequence, answers, clients} {
		out = append(out, part...)
	}
	number := func(r rule) int { n, _ := strconv.Atoi(r.id[1:]); return n }
	slices.SortFunc(out, func(a, b rule) int { return number(a) - number(b) })
	return out
}

// exchange is about requests and answers.
var exchange = []rule{
	{id: "R1", says: "A nonce belongs to its stream: none comes twice there, and none of an earlier stream counts.", cases: []example{
		{name: "every response of a stream has a nonce of its own", on: both, run: func(s *stage) {
			c := s.connect()
			s.set(cluster("a", "1"), endpoints("a", 1))
			c.subscribe(CDS)
			c.subscribe(EDS, "a")
			c.await(sent(CDS, "a"), sent(EDS, "a"))
			for _, text := range []string{"2", "3", "4"} {
				s.set(cluster("a", text), endpoints("a", uint32(len(c.log))))
				c.await(content(cluster("a", text)))
			}
			s.settle(c)
			nonces := map[string]bool{}
			for _, r := range c.log {
				if r.nonce == "" || nonces[r.nonce] {
					fail("a nonce is empty or comes twice")
				}
				nonces[r.nonce] = true
			}
		}},
		{name: "a request with the nonce of an earlier stream is a first request all the same", not: true, on: both, run: func(s *stage) {
			s.set(endpoints("a", 1))
			before := s.connect()
			before.subscribe(EDS, "a")
			before.await(sent(EDS, "a"))
			old := before.of(EDS).nonce
			s.restart()
			c := s.connect()
			c.of(EDS).names["a"] = true
			c.send(request{typeURL: EDS, names: []string{"a"}, add: []string{"a"}, nonce: old})
			c.await(sent(EDS, "a"))
		}},
	}},
	{id: "R2", says: "The node comes with the first request and stays for the stream.", cases: []example{
		{name: "requests after the first need no node", on: both, run: func(s *stage) {
			s.set(cluster("a", ""), endpoints("a", 1))
			c := s.connect()
			c.subscribe(CDS)
			c.await(sent(CDS, "a"))
			c.subscribe(EDS, "a") // without a node
			c.await(sent(EDS, "a"))
		}},
		{name: "the same node again changes nothing", on: both, run: func(s *stage) {
			s.set(cluster("a", ""), endpoints("a", 1))
			c := s.connect()
			c.subscribe(CDS)
			c.await(sent(CDS, "a"))
			c.of(EDS).names["a"] = true
			c.send(request{node: c.node, typeURL: EDS, names: []string{"a"}, add: []string{"a"}})
			c.await(sent(EDS, "a"))
		}},
		{name: "a node that becomes another ends the stream", not: true, more: true, on: both,
			passing: map[string]string{nameLinear: "it makes no difference between nodes"}, run: func(s *stage) {
				s.set(cluster("a", ""))
				c := s.connect()
				c.subscribe(CDS)
				c.await(sent(CDS, "a"))
				c.send(request{node: node("envoy", "bank", "vault"), typeURL: EDS, names: []string{"a"}, add: []string{"a"}})
				c.dies()
			}},
		{name: "a stream whose first request has no node ends", not: true, more: true, on: both,
			passing: map[string]string{nameLinear: "it makes no difference between nodes"}, run: func(s *stage) {
				s.set(cluster("a", ""))
				c := s.connect()
				c.node = nil
				c.subscribe(CDS)
				c.dies()
			}},
	}},
	{id: "R3", says: "A refusal is a request with error_detail, and nothing else is.", cases: []example{
		{name: "a refusal is counted once, whatever version it speaks of", on: both, more: true,
			passing: map[string]string{nameSnapshot: "it keeps no account of refusals", nameLinear: "it keeps no account of refusals"}, run: func(s *stage) {
				s.set(endpoints("a", 1))
				c := s.connect()
				c.subscribe(EDS, "a")
				r := c.next()
				c.of(EDS).version = r.version // as if it were in use
				c.answer(r, "no")
				s.barrier(c)
				if n := s.server.Refused(); n != 1 {
					fail("%d refusals are counted, not 1", n)
				}
			}},
		{name: "a request that speaks of an older version, or of none, is no refusal", not: true, on: world, run: func(s *stage) {
			s.set(endpoints("a", 1))
			c := s.connect()
			c.subscribe(EDS, "a")
			old := c.take()
			s.set(endpoints("a", 2))
			r := c.next()
			c.send(request{typeURL: EDS, names: []string{"a"}, nonce: r.nonce, version: old.version})
			c.send(request{typeURL: EDS, names: []string{"a"}, nonce: r.nonce})
			s.settle(c).without(EDS, "a")
			if n := s.server.Refused(); n > 0 {
				fail("%d refusals are counted, not 0", n)
			}
		}},
	}},
	{id: "R4", says: "A stale nonce: a delta honours what the request subscribes to, the state of the world does not answer it.", cases: []example{
		{name: "a subscription with a stale nonce is honoured", on: delta, run: func(s *stage) {
			c, stale := stale(s)
			c.send(request{typeURL: EDS, add: []string{"b"}, nonce: stale})
			c.await(sent(EDS, "b"))
		}},
		{name: "an end of a subscription with a stale nonce is honoured", on: delta, run: func(s *stage) {
			c, stale := stale(s)
			c.send(request{typeURL: EDS, remove: []string{"a"}, nonce: stale})
			s.barrier(c)
			s.set(endpoints("a", 9))
			s.settle(c).without(EDS, "a")
		}},
		{name: "a refusal with a stale nonce says nothing of the response after it", not: true, on: both, run: func(s *stage) {
			c, stale := stale(s)
			c.send(request{typeURL: EDS, names: []string{"a"}, nonce: stale, refused: "no"})
			s.settle(c).without(EDS, "a")
		}},
		{name: "a request that crosses a response gets no answer", not: true, on: world, run: func(s *stage) {
			c, _, r := crossed(s)
			s.barrier(c).empty(EDS)
			c.answer(r, "") // with the names, and the nonce in force
			c.await(sent(EDS, "b"))
		}},
		{name: "a request with a stale nonce gets no answer either when the newer response was accepted", not: true, on: world, run: func(s *stage) {
			c, stale := stale(s)
			c.send(request{typeURL: EDS, names: []string{"a", "b"}, nonce: stale, version: c.of(EDS).version})
			s.barrier(c).empty(EDS)
		}},
		{name: "what was asked for with a stale nonce is answered when it is asked for with the one in force", on: world, run: func(s *stage) {
			c, _, r := crossed(s)
			c.answer(r, "")
			c.await(sent(EDS, "b"))
		}},
	}},
	{id: "R5", says: "What was refused is not sent again before it has changed.", cases: []example{
		{name: "refused content does not come again, however often it is refused", not: true, on: both, run: func(s *stage) {
			c := s.connect()
			s.set(cluster("a", "good"), cluster("b", ""))
			c.subscribe(CDS)
			c.await(sent(CDS, "a", "b"))
			bad := cluster("a", "bad")
			s.set(bad)
			r := c.next()
			for range 3 {
				c.answer(r, "it is bad")
			}
			never(s.settle(c), bad)
		}},
		{name: "nor does it come with a change of something else", not: true, on: delta, run: func(s *stage) {
			c := s.connect()
			s.set(endpoints("a", 1), endpoints("b", 1))
			c.subscribe(EDS, "a", "b")
			c.await(sent(EDS, "a", "b"))
			bad := endpoints("a", 2)
			s.set(bad)
			c.answer(c.next(), "it is bad")
			s.barrier(c)
			s.set(endpoints("b", 2))
			got := c.await(content(endpoints("b", 2)))
			never(append(got, s.settle(c)...), bad)
		}},
		{name: "what it is changed to comes", on: both, run: func(s *stage) {
			c := s.connect()
			s.set(cluster("a", "good"))
			c.subscribe(CDS)
			c.await(sent(CDS, "a"))
			s.set(cluster("a", "bad"))
			c.answer(c.next(), "it is bad")
			s.barrier(c)
			s.set(cluster("a", "better"))
			c.await(content(cluster("a", "better")))
		}},
	}},
	{id: "R6", says: "Of a refused delta the client may have applied a part: what was in it counts as not known.", cases: []example{
		{name: "going back to what was accepted before is sent", on: delta, run: func(s *stage) {
			c := s.connect()
			s.set(cluster("a", "1"))
			c.subscribe(CDS)
			c.await(sent(CDS, "a"))
			s.set(cluster("a", "2"))
			c.answer(c.next(), "it is bad")
			s.barrier(c)
			s.set(cluster("a", "1"))
			c.await(content(cluster("a", "1")))
		}},
		{name: "with the bad one mended its neighbours come again", on: delta, run: func(s *stage) {
			c, seen := refusedPair(s)
			s.set(cluster("bad", "mended"))
			c.more(seen, content(cluster("bad", "mended")), content(cluster("good", "2")))
		}},
		{name: "what was not in the refused response stays known", not: true, on: delta, run: func(s *stage) {
			c, seen := refusedPair(s)
			s.set(cluster("bad", "mended"))
			seen = c.more(seen, content(cluster("bad", "mended")))
			append(seen, s.settle(c)...).without(CDS, "other")
		}},
	}},
}

// stale is a client that has heard of endpoints "a" twice, and the nonce of the
// first time. There are endpoints "b" too.
func stale(s *stage) (*client, string) {
	s.set(endpoints("a", 1), endpoints("b", 1))
	c := s.connect()
	c.subscribe(EDS, "a")
	first := c.take()
	s.set(endpoints("a", 2))
	c.await(content(endpoints("a", 2)))
	s.barrier(c)
	return c, first.nonce
}

// crossed is a client whose request for endpoints "b" too, with the first nonce,
// crossed a second response, which it has not answered: the nonce and the response.
func crossed(s *stage) (*client, string, response) {
	s.set(endpoints("a", 1), endpoints("b", 1))
	c := s.connect()
	c.subscribe(EDS, "a")
	first := c.take()
	s.barrier(c)
	s.set(endpoints("a", 2))
	second := c.next()
	c.of(EDS).names["b"] = true
	c.send(request{typeURL: EDS, names: []string{"a", "b"}, nonce: first.nonce, version: first.version})
	return c, first.nonce, second
}

// never fails when a content is in any response.
func never(got seen, m proto.Message) {
	if content(m)(got) == "" {
		fail("%s %s came again as it was refused", short(typeOf(m)), nameOf(m))
	}
}

// refusedPair is a client that had three clusters and refused a response with new
// contents of two of them, and what it was sent since.
func refusedPair(s *stage) (*client, seen) {
	c := s.connect()
	s.set(cluster("good", "1"), cluster("bad", "1"), cluster("other", "1"))
	c.subscribe(CDS)
	c.await(sent(CDS, "good", "bad", "other"))
	s.set(cluster("good", "2"), cluster("bad", "2"))
	c.refuses = func(r response) string {
		if b, ok := r.resources["bad"]; ok && b.is(cluster("bad", "2")) {
			return "cluster bad is bad"
		}
		return ""
	}
	c.await(sent(CDS, "good", "bad"))
	return c, s.barrier(c)
}
