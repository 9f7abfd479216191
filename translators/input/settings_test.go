package input

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// Whatever is configured: what holds for a namespace is its own or the run's, and
// everybody is told who asked about one of which another thing is said now, whoever
// became what before.
func TestConfigure(t *testing.T) {
	namespaces := []string{"", "a", "b", "c"}
	draw := func(r *rand.Rand) Settings {
		return Settings{Access: []string{"", "strict"}[r.IntN(2)], Complete: r.IntN(2) == 0}
	}
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		s := StoreOf(nil, Settings{})
		asked := map[string][]Question{}
		answer := map[string]string{}
		ask := func(namespace string) string {
			tracked := s.Track()
			var out string
			if seed%2 == 0 { // each question has to tell by itself
				out = fmt.Sprint(tracked.Complete(namespace))
			} else {
				out = fmt.Sprint(tracked.Settings(namespace))
			}
			asked[namespace] = tracked.Asked()
			return out
		}
		for _, n := range namespaces {
			answer[n] = ask(n)
		}
		for step := range 40 {
			def, own := draw(r), map[string]Settings{}
			for _, n := range namespaces[1:] {
				if r.IntN(2) == 0 {
					own[n] = draw(r)
				}
			}
			var changed Changed
			if r.IntN(2) == 0 {
				changed = s.Configure(def, own)
			} else {
				other := StoreOf(nil, Settings{})
				other.Configure(def, own)
				changed = s.Become(other)
			}
			for _, n := range namespaces {
				want, ok := own[n]
				if !ok {
					want = def
				}
				if got := s.Reader().Settings(n); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("seed %d, step %d: %q has %v, want %v", seed, step, n, got, want)
				}
				told := slices.ContainsFunc(asked[n], func(q Question) bool { return slices.Contains(changed.Questions, q) })
				now := fmt.Sprint(s.Reader().Settings(n))
				if seed%2 == 0 {
					now = fmt.Sprint(s.Reader().Complete(n))
				}
				if now != answer[n] && !told {
					t.Fatalf("seed %d, step %d: who asked about %q is not told", seed, step, n)
				}
				if told { // who is not told does not ask again
					answer[n] = ask(n)
				}
			}
			if again := s.Configure(def, own); len(again.Questions) > 0 {
				t.Fatalf("seed %d, step %d: the same changes %v", seed, step, again.Questions)
			}
		}
	}
}

// What is said of one namespace concerns nobody who asked about another, and what is
// said of the run nobody whose namespace has settings of its own.
func TestConfigureConcerns(t *testing.T) {
	s := StoreOf(nil, Settings{})
	s.Configure(Settings{}, map[string]Settings{"a": {Access: "strict"}})
	questions := func(namespace string) []Question {
		r := s.Track()
		r.Settings(namespace)
		return r.Asked()
	}
	a, b := questions("a"), questions("b")
	concerned := func(asked []Question, c Changed) bool {
		return slices.ContainsFunc(asked, func(q Question) bool { return slices.Contains(c.Questions, q) })
	}
	c := s.Configure(Settings{}, map[string]Settings{"a": {Access: "off"}})
	if !concerned(a, c) || concerned(b, c) {
		t.Error("the settings of a concern", c)
	}
	c = s.Configure(Settings{Dialect: "osm"}, map[string]Settings{"a": {Access: "off"}})
	if concerned(a, c) || !concerned(b, c) {
		t.Error("the settings of the run concern", c)
	}
	if len(a) != 1 || len(questions("a")) != 1 {
		t.Error("a namespace with settings of its own hangs on the run's")
	}
}
