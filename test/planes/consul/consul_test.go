package consul

import (
	"os"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/test/lab"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

var policies = []string{"deny", "allow"}

func start(t *testing.T, policy string) *Plane {
	t.Helper()
	lab.Need(t, lab.Consul, lab.Envoy)
	p, err := New(lab.ForTest(t), policy)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func load(t *testing.T, names ...string) []golden.Case {
	t.Helper()
	cases, err := golden.Load("../../cases")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		return cases
	}
	chosen := slices.DeleteFunc(cases, func(c golden.Case) bool { return !slices.Contains(names, c.Name) })
	if len(chosen) != len(names) {
		t.Fatalf("%d of the cases %v exist", len(chosen), names)
	}
	return chosen
}

// Consul does what the model says of these, on agents of both kinds.
func TestConsulAgreesWithTheModel(t *testing.T) {
	cases := load(t, "access/header-given", "access/method", "access/path-prefix", "mesh/consul-chained-split", "pairs/split-and-header",
		"split/match-header", "split/missing-backend", "split/tcp")
	for _, policy := range policies {
		t.Run(policy, func(t *testing.T) {
			p := start(t, policy)
			for _, c := range cases {
				v, err := playCase(t, p, sceneOf(c))
				if err != nil {
					t.Errorf("%s: %v", c.Name, err)
				}
				if v.asked < 5 {
					t.Errorf("%s: only %d calls were made", c.Name, v.asked)
				}
				for effect, why := range v.effects {
					t.Errorf("%s %s: %s", c.Name, effect, why)
				}
			}
		})
	}
}

// Where a grant is refused, an agent that allows by default still denies, also
// those whom the grant would have let in.
func TestRefusedGrantsStayClosed(t *testing.T) {
	p := start(t, "allow")
	for _, c := range load(t, "mesh/consul-lookalikes", "access/header-present", "access/identity-binding", "mesh/consul-default-allow") {
		s := sceneOf(c)
		showing, err := p.Show(s)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		var told []semantics.Request
		m := semantics.New(unitsOf(showing))
		for _, q := range s.Requests {
			a := p.Ask(q)
			if a.Cannot != "" || m.Decide(q).Verdict != semantics.Deny {
				continue
			}
			if told = append(told, q); !a.Denied {
				t.Errorf("%s: %s: %q answered %d", c.Name, q, a.App, a.Status)
			}
		}
		if len(told) < 2 {
			t.Errorf("%s: only %d calls were denied", c.Name, len(told))
		}
	}
}

// Every golden case is taken by Consul and lets nobody through.
func TestEveryCase(t *testing.T) {
	filter := os.Getenv("MESHKNOT_CASES")
	if filter == "" {
		t.Skip("SKIPPED: test/equivalence plays every case; MESHKNOT_CASES=. does so here, another expression some of them")
	}
	chosen := regexp.MustCompile(filter)
	for _, policy := range policies {
		t.Run(policy, func(t *testing.T) {
			p := start(t, policy)
			var shows []time.Duration
			calls, others := 0, map[report.Effect]int{}
			for _, c := range load(t) {
				if !chosen.MatchString(c.Name) {
					continue
				}
				began := time.Now()
				v, err := playCase(t, p, sceneOf(c))
				shows = append(shows, time.Since(began))
				calls += v.asked
				if err != nil {
					t.Errorf("%s: %v", c.Name, err)
				}
				for effect, why := range v.effects {
					if others[effect]++; effect == report.Allows {
						t.Errorf("%s %s: %s", c.Name, effect, why)
					} else {
						t.Logf("%s %s: %s", c.Name, effect, why)
					}
				}
			}
			slices.Sort(shows)
			t.Logf("%d cases, %d calls, %v; a case took %v at the median, %v at most", len(shows), calls, others, shows[len(shows)/2], shows[len(shows)-1])
		})
	}
}
