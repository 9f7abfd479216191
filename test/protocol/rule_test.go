package protocol

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
)

// rule is one of the demands that the protocol makes of a server.
type rule struct {
	id    string
	says  string
	cases []example
}

// example is one facet of a rule.
type example struct {
	name string
	// not says that it is about something that must not happen.
	not bool
	// on are the protocols that it is about.
	on variants
	// more is set where we ask for more than the specification does.
	more bool
	// setting that the server is started with.
	setting setting
	// without has the server begin without any state.
	without bool
	// passing says why it is of no meaning for a server, by its name.
	passing map[string]string
	run     func(*stage)
}

type variants int

const (
	delta variants = 1 << iota
	world
	both = delta | world
)

func (v variants) String() string {
	return map[variants]string{delta: "delta", world: "state of the world"}[v]
}

// stage is a server with the clients of an example.
type stage struct {
	server  server
	delta   bool
	setting setting
	wait    time.Duration
	addr    string
	world   resources
	clients []*client
	ticks   int
}

// outcome is what came of an example: nothing where it holds.
type outcome struct {
	fault string
	none  string // why it is of no meaning
}

func (o outcome) String() string {
	switch {
	case o.none != "":
		return "n/a: " + o.none
	case o.fault != "":
		return "no: " + o.fault
	}
	return "yes"
}

// play runs an example against a server.
func play(name string, s server, e example, delta bool, wait time.Duration) (out outcome) {
	if why := e.passing[name]; why != "" {
		return outcome{none: why}
	}
	st := &stage{server: s, delta: delta, setting: e.setting, wait: wait, world: resources{}}
	defer func() {
		for _, c := range st.clients {
			c.close()
		}
		if st.addr != "" {
			st.server.Stop()
		}
	}()
	defer func() {
		switch f := recover().(type) {
		case nil:
		case fault:
			out.fault = string(f)
		default:
			panic(f)
		}
	}()
	st.start()
	if !e.without {
		st.set(secret("tick", ""))
	}
	e.run(st)
	return out
}

func (s *stage) start() {
	addr, err := s.server.Start(s.setting)
	if err != nil {
		fail("the server does not start: %v", err)
	}
	s.addr = addr
}

// restart ends the server and starts another at the same address, which is told
// what the first one had.
func (s *stage) restart() {
	s.server.Stop()
	s.setting.addr = s.addr
	s.start()
	s.set()
}

// connect opens a stream of a proxy.
func (s *stage) connect() *client {
	c := dial(dialing{addr: s.addr, delta: s.delta, node: node("envoy", "shop", "web"), wait: s.wait})
	s.clients = append(s.clients, c)
	return c
}

// set adds or replaces resources.
func (s *stage) set(all ...proto.Message) {
	for _, m := range all {
		s.world.put(m)
	}
	s.flush()
}

// drop removes resources of a type.
func (s *stage) drop(typeURL string, names ...string) {
	s.forget(typeURL, names...)
	s.flush()
}

// forget removes resources without telling the server yet.
func (s *stage) forget(typeURL string, names ...string) {
	for _, n := range names {
		delete(s.world[typeURL], n)
	}
}

func (s *stage) flush() {
	trace("set %v", s.world)
	if err := s.server.Set(s.world.clone()); err != nil {
		fail("the state is refused: %v", err)
	}
}

// barrier returns what is sent until the server has dealt with all that the client
// said: another exchange is answered after it, and one more, for the types of one
// answer may be put in order.
func (s *stage) barrier(c *client) seen {
	var got seen
	for range 2 {
		s.ticks++
		name := fmt.Sprintf("barrier-%d", s.ticks)
		s.set(secret(name, "")) // it is there before anybody asks
		c.subscribe(SDS, s.secrets(c)...)
		got = append(got, c.await(sent(SDS, name))...)
	}
	return got.foreign()
}

// secrets are the names of those that a client has not asked for. A server that
// answers only clients that ask for all that there is, is asked for all.
func (s *stage) secrets(c *client) []string {
	var out []string
	for name := range s.world[SDS] {
		if !c.of(SDS).names[name] {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// settle returns what is sent until the server has dealt with all that it was told
// and all that the client said: it is told something more, and when that has come
// then whatever was due before it has come too.
func (s *stage) settle(c *client) seen {
	if a := c.of(SDS); !a.names["tick"] {
		c.subscribe(SDS, s.secrets(c)...)
	}
	s.ticks++
	tick := secret("tick", fmt.Sprint(s.ticks))
	s.set(tick)
	got := c.await(content(tick))
	return append(got.foreign(), s.barrier(c)...)
}

// foreign leaves out the secrets that stand for the passing of time.
func (s seen) foreign() seen {
	var out seen
	for _, r := range s {
		ticks := r.typeURL == SDS
		for _, n := range append(append([]string{}, r.names...), r.removed...) {
			ticks = ticks && (n == "tick" || strings.HasPrefix(n, "barrier-"))
		}
		if !ticks {
			out = append(out, r)
		}
	}
	return out
}
