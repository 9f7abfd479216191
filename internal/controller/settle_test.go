package controller

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshknot/meshknot/translators"
)

// picky takes nothing that is bad.
type picky struct {
	statusBoard
	took []string
}

func (p *picky) Apply(changes []translators.Change) error {
	var took []string
	for _, c := range changes {
		for _, s := range c.Remove {
			took = append(took, "-"+s.ID.Name)
		}
		for _, a := range c.Put {
			if a.Payload == "bad" {
				return fmt.Errorf("%s is bad", a.ID.Name)
			}
			took = append(took, fmt.Sprint("+", a.ID.Name, a.Payload))
		}
	}
	slices.Sort(took)
	p.took = append(p.took, strings.Join(took, " "))
	return nil
}

// What the server did not take is handed to it with what comes next, as it is meant
// then: what is mended, or gone, holds up nothing.
func TestWhatIsNotServedComesLater(t *testing.T) {
	server := &picky{}
	l := newLoop(Options{Metrics: newMetrics(t), Log: slog.New(slog.DiscardHandler)}, nil, server, nil, nil, nil, "")
	l.compiled = true
	put := func(what ...string) {
		c := translators.Change{Target: translators.Target{Name: "edge", Backend: "envoy"}}
		for _, w := range what {
			name, text, _ := strings.Cut(w, "=")
			if text == "" {
				c.Remove = append(c.Remove, translators.Slot{ID: translators.ID{Name: name}})
			} else {
				c.Put = append(c.Put, artifact(name, 0, text))
				c.Put[len(c.Put)-1].ID.Type = ""
			}
		}
		l.serve([]translators.Change{c})
	}
	put("a=1", "b=1")
	put("a=bad", "b=2", "c=bad", "d=bad")
	put("b", "e=1", "d=2")
	put("a=2", "c")
	if d := cmp.Diff([]string{"+a1 +b1", "+a2 +d2 +e1 -b -c"}, server.took); d != "" {
		t.Errorf("taken (-want +got):\n%s", d)
	}
}
