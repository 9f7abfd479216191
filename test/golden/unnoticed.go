package golden

import (
	"fmt"
	"math/rand/v2"

	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/interpret"
)

// Unnoticed leaves out one leaf at a time of what a back end makes of cases, of
// each field at most tries of them, chosen by seed, and lists those that
// verification does not notice, with how many were tried of the field. Leaves of
// which idle says that they decide nothing are not tried.
func Unnoticed(cases []Case, backend string, read interpret.New, tries int, seed uint64, idle func(Removal) bool) (left map[Removed][]string, tried map[Removed]int, err error) {
	type named struct {
		name string
		trial
	}
	var all []named
	for _, c := range cases {
		some, err := trials(c, backend, read)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		for _, t := range some {
			if !idle(t.removal) {
				all = append(all, named{c.Name, t})
			}
		}
	}
	random := rand.New(rand.NewPCG(seed, seed))
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	left, tried = map[Removed][]string{}, map[Removed]int{}
	for _, t := range all {
		k := Removed{t.removal.Of, t.removal.Field}
		if tried[k] == tries {
			continue
		}
		tried[k]++
		noticed, err := t.noticed(read)
		if err != nil {
			return nil, nil, err
		}
		if !noticed {
			left[k] = append(left[k], fmt.Sprintf("%s: %s: %s", t.name, t.removal.ID().Name, t.removal.Path))
		}
	}
	return left, tried, nil
}

// ID names the artifact that the leaf is of.
func (r Removal) ID() translators.ID { return r.artifact.ID }

// Value returns what stands at the leaf: one that says what is filled in where it
// is left out decides nothing.
func (r Removal) Value() any {
	at, err := sink.Plain(r.artifact.Payload)
	if err != nil {
		return nil
	}
	for _, s := range r.steps {
		switch step := s.(type) {
		case string:
			m, _ := at.(map[string]any)
			at = m[step]
		case int:
			list, _ := at.([]any)
			if step >= len(list) {
				return nil
			}
			at = list[step]
		}
	}
	return at
}
