package xds

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	rs "github.com/envoyproxy/go-control-plane/pkg/resource/v3"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

// inForce is what proxies refuse, as "text: objects".
func inForce(s *Server) []string {
	var out []string
	for _, n := range s.Status().Nodes {
		for _, r := range n.Refusals {
			var names []string
			for _, ref := range r.Refs {
				names = append(names, ref.Name)
			}
			slices.Sort(names)
			out = append(out, r.Text+": "+strings.Join(names, " "))
		}
	}
	slices.Sort(out)
	return out
}

// refuses waits until proxies refuse what is wanted and no more.
func refuses(t *testing.T, s *Server, want ...string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%q refused", want), func() bool { return slices.Equal(inForce(s), want) })
}

func apply(t *testing.T, s *Server, put ...translators.Artifact) {
	t.Helper()
	if err := s.Apply([]translators.Change{{Target: translators.Target{Backend: "envoy"}, Put: put}}); err != nil {
		t.Fatal(err)
	}
}

func TestRefusalsAreInForceUntilSomethingElseIs(t *testing.T) {
	s, addr := start(t, Options{})
	cluster := func(name, text string) translators.Artifact {
		return artifact(rs.ClusterType, name, text, ir.Audience{})
	}
	apply(t, s, cluster("good", "1"), artifact(rs.ListenerType, "in", "1", ir.Audience{}), artifact(rs.ListenerType, "out", "1", ir.Audience{}))
	c := plain(t, addr)
	c.hello("sidecar~shop/web")
	c.ack(c.next())
	c.ask(nil, rs.ListenerType)
	refused := c.next()
	c.nack(refused, "", "both in and out are bad")
	refuses(t, s, "both in and out are bad: in out")

	// One that names nothing is about what was new, and one more takes nothing back.
	apply(t, s, cluster("new", "1"), cluster("newer", "1"))
	c.nack(c.next(), "", "no")
	refuses(t, s, "both in and out are bad: in out", "no: new newer")

	// What is something else now is refused no more, whether or not it was sent.
	apply(t, s, artifact(rs.ListenerType, "in", "2", ir.Audience{}))
	refuses(t, s, "both in and out are bad: out", "no: new newer")
	c.nack(c.next(), "", "in is bad")
	refuses(t, s, "both in and out are bad: out", "in is bad: in", "no: new newer")

	// What is accepted together with something else is refused no more either.
	apply(t, s, cluster("good", "2"))
	c.ack(c.next())
	refuses(t, s, "both in and out are bad: out", "in is bad: in")
	if err := c.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	refuses(t, s)
}

// What a change that is held back takes the place of is refused no more.
func TestRefusalsOfWhatIsOvertaken(t *testing.T) {
	s, addr := start(t, Options{Trailing: time.Hour})
	apply(t, s, artifact(rs.ClusterType, "a", "1", ir.Audience{}))
	c := plain(t, addr)
	c.hello("sidecar~shop/web")
	c.nack(c.next(), "", "a is bad")
	refuses(t, s, "a is bad: a")
	s.mu.Lock()
	s.wave++ // as where somebody is still being sent something
	s.mu.Unlock()
	apply(t, s, artifact(rs.ClusterType, "a", "2", ir.Audience{}))
	if got := inForce(s); len(got) > 0 {
		t.Errorf("refused is still %q", got)
	}
	s.mu.Lock()
	s.ebb()
	s.mu.Unlock()
	c.ack(c.next())
}

// A proxy that refuses without end is given no more room than others.
func TestRefusalsAreBounded(t *testing.T) {
	a := newActor(t, newStore(), false, Options{})
	note := func(first, n int) answer {
		said := answer{nack: &Nack{}, kind: routes}
		for i := range n {
			said.of = append(said.of, mark{a.store.kinds[routes].intern(fmt.Sprint("r", first+i)), 1})
		}
		return said
	}
	for i := range 3 * maxRefusals {
		a.stream.refuse(note(i, 1))
	}
	if got, last := len(a.stream.refused), a.stream.refused[len(a.stream.refused)-1].of[0].name; got != maxRefusals || last != fmt.Sprint("r", 3*maxRefusals-1) {
		t.Errorf("%d refusals, the last of %s", got, last)
	}
	for i := range 3 {
		a.stream.refuse(note(10_000*i, maxRefused+1))
	}
	if len(a.stream.refused) != 1 || len(a.stream.refused[0].of) != maxRefused || a.stream.refused[0].of[0].name != "r20000" {
		t.Errorf("%d refusals, the first of %d names", len(a.stream.refused), len(a.stream.refused[0].of))
	}
}

func TestAnswersAreToldOf(t *testing.T) {
	s, addr := start(t, Options{})
	called, goOn := make(chan struct{}), make(chan struct{})
	s.OnAnswer(func() { called <- struct{}{}; <-goOn })
	told := func(what string) {
		t.Helper()
		select {
		case <-called:
		case <-time.After(patience):
			t.Fatal("nothing is told of " + what)
		}
	}
	rests := func() {
		t.Helper()
		goOn <- struct{}{}
		eventually(t, "a listener that is at rest", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return !s.telling })
	}
	apply(t, s, artifact(rs.ClusterType, "a", "1", ir.Audience{}))
	told("a change")
	rests()
	c := plain(t, addr)
	c.hello("sidecar~shop/web")
	p := c.next()
	told("a proxy that comes")
	goOn <- struct{}{}
	eventually(t, "a listener that is at rest", func() bool {
		select { // coming may be told twice: it comes, and asks
		case <-called:
			goOn <- struct{}{}
		default:
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return !s.telling
	})
	c.nack(p, "", "a is bad")
	told("a refusal")
	// While the listener is at it, all that happens is one more call.
	for i := range 3 {
		apply(t, s, artifact(rs.ClusterType, "a", fmt.Sprint(i+2), ir.Audience{}))
		c.nack(c.next(), "", "a is bad")
	}
	eventually(t, "four refusals", func() bool { return s.Status().Nacks == 4 })
	goOn <- struct{}{}
	told("refusals")
	rests()
	if err := c.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	told("a proxy that goes")
	s.OnAnswer(nil)
	rests()
}
