package equivalence

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Tally is what one plane was asked, and what came of it.
type Tally struct {
	// Plane and its Programs, with versions; empty where artifacts are modelled only.
	Plane    string
	Programs []string
	Backend  string
	// Scenes played, by kind (golden, corpus, random), and those that there was no
	// time for.
	Scenes, Cut map[string]int
	// Withheld is the number of scenes whose output is withheld.
	Withheld int
	// Decisions that were compared, by what the policy means.
	Decisions map[string]int
	// Observations are calls that were made.
	Observations int
	Agreements   int
	// Explained are decisions that the plane makes in another way, by the row that
	// says so, and NotAsked those that could not be asked, by reason.
	Explained, NotAsked map[string]int
	// Distributions were measured; Tests is the number of counts compared.
	Distributions, Tests int
	// Retries are decisions that agreed only when asked again, Slowest is the
	// longest time that one of them took, in seconds, and Redrawn are measurements
	// that were repeated.
	Retries, Redrawn int
	Slowest          float64
	// Shown counts, by row, the decisions that the interpreter said would show an
	// effect, and those that did.
	Shown    map[string]Seen
	Failures []Failure
	Seconds  float64

	retries []string
}

// Seen is how often an effect was expected, and how often it was there.
type Seen struct{ Expected, Observed int }

// NewTally makes an empty one.
func NewTally(plane, backend string) *Tally {
	return &Tally{Plane: plane, Backend: backend, Scenes: map[string]int{}, Cut: map[string]int{}, Decisions: map[string]int{},
		Explained: map[string]int{}, NotAsked: map[string]int{}, Shown: map[string]Seen{}}
}

func kindOf(scene string) string { kind, _, _ := strings.Cut(scene, "/"); return kind }

func (t *Tally) scene(name string)               { t.Scenes[kindOf(name)]++ }
func (t *Tally) decided(want semantics.Decision) { t.Decisions[string(want.Verdict)]++ }
func (t *Tally) explain(s *feature.Shown)        { t.Explained[named(s)]++ }

func (t *Tally) expect(rows []*feature.Shown, observed bool) {
	for _, s := range rows {
		seen := t.Shown[named(s)]
		if seen.Expected++; observed {
			seen.Observed++
		}
		t.Shown[named(s)] = seen
	}
}

func (t *Tally) retried(scene string, q semantics.Request, tries int, d time.Duration) {
	t.Retries++
	t.Slowest = max(t.Slowest, d.Seconds())
	t.retries = append(t.retries, fmt.Sprintf("%s: %s agreed after %d more, %s", scene, q, tries, d.Round(time.Millisecond)))
}

// Asked is the number of decisions that were compared.
func (t *Tally) Asked() int { return sum(t.Decisions) }

// Wrong are the claims of the tables that nothing showed though it should have.
func (t *Tally) Wrong() []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(t.Shown)) {
		if s := t.Shown[k]; s.Observed == 0 {
			out = append(out, fmt.Sprintf("%s: expected of %d decisions and never observed", k, s.Expected))
		}
	}
	return out
}

func sum(m map[string]int) int {
	n := 0
	for _, v := range m {
		n += v
	}
	return n
}

// String is a table for people.
func (t *Tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s)\n", t.Plane, strings.Join(t.Programs, ", "))
	fmt.Fprintf(&b, "  scenes        %d (%s), %d withheld%s\n", sum(t.Scenes), counts(t.Scenes), t.Withheld, cut(t.Cut))
	fmt.Fprintf(&b, "  decisions     %d (%s) by %d calls in %.0f s\n", t.Asked(), counts(t.Decisions), t.Observations, t.Seconds)
	fmt.Fprintf(&b, "  agreements    %d\n", t.Agreements)
	fmt.Fprintf(&b, "  explained     %d\n%s", sum(t.Explained), list(t.Explained))
	fmt.Fprintf(&b, "  not asked     %d\n%s", sum(t.NotAsked), list(t.NotAsked))
	fmt.Fprintf(&b, "  distributions %d (%d counts, %d measured again)\n", t.Distributions, t.Tests, t.Redrawn)
	fmt.Fprintf(&b, "  asked again   %d, at most for %.2f s\n", t.Retries, t.Slowest)
	fmt.Fprintf(&b, "  failures      %d\n", len(t.Failures))
	return b.String()
}

func counts(m map[string]int) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%s %d", k, m[k]))
	}
	return strings.Join(out, ", ")
}

func cut(m map[string]int) string {
	if sum(m) == 0 {
		return ""
	}
	return fmt.Sprintf("; OUT OF TIME, NOT PLAYED: %d (%s)", sum(m), counts(m))
}

func list(m map[string]int) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "    %6d  %s\n", m[k], k)
	}
	return b.String()
}
