package demo

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc"
)

// chance is how likely it is that a mesh that does all it should is said not to.
const chance = 1.0 / 10_000

// row is a line of the table.
type row struct {
	call     call
	n        int
	expected []share
	observed map[string]int
}

// agrees reports whether a row is what the policy means, at a chance to be wrong.
func (r row) agrees(alpha float64) bool {
	seen := 0
	for _, s := range r.expected {
		if !agrees(r.n, r.observed[s.outcome], s.part, alpha) {
			return false
		}
		seen += r.observed[s.outcome]
	}
	return seen == r.n // and nothing else came of it
}

// round makes all calls on all data planes and prints what came of them.
func (s *show) round(ctx context.Context, title string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	ok := true
	for _, p := range s.control.planes {
		began := time.Now()
		var rows []row
		for _, c := range calls() {
			r := row{call: c, n: max(1, s.options.Requests*c.parts/100), expected: expected(s.control.means(), c)}
			var err error
			if r.observed, err = makeCalls(ctx, p, c, r.n, s.liveFor(p, r)); err != nil {
				return false, fmt.Errorf("calling as %s over %s: %w", c, p.title(), err)
			}
			rows = append(rows, r)
		}
		s.say("%s, %s: %d requests in %.1f s\n", title, p.title(), total(rows), time.Since(began).Seconds())
		good, err := s.print(rows)
		if err != nil {
			return false, err
		}
		ok = ok && good
	}
	return ok, nil
}

// liveFor returns the connection that some of a row's calls are made on: none
// where calls are denied, for that reaches new connections alone.
func (s *show) liveFor(p plane, r row) *grpc.ClientConn {
	for _, e := range r.expected {
		if e.outcome == outcomeDenied {
			return nil
		}
	}
	return s.live[liveKey(p, r.call.from)]
}

func total(rows []row) int {
	n := 0
	for _, r := range rows {
		n += r.n
	}
	return n
}

// print prints rows, and reports whether all of them agree. The chance to be
// wrong is shared by all comparisons of both rounds on both planes.
func (s *show) print(rows []row) (bool, error) {
	comparisons := 0
	for _, r := range rows {
		comparisons += 4 * len(r.expected)
	}
	ok := true
	w := tabwriter.NewWriter(s.w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "  CALL\tEXPECTED\tOBSERVED")
	for _, r := range rows {
		verdict := "ok"
		if !r.agrees(chance / float64(comparisons)) {
			verdict, ok = "WRONG", false
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", r.call, shares(r.expected), counts(r.observed), verdict)
	}
	fmt.Fprintln(w)
	return ok, w.Flush()
}

// short leaves of a server's name what tells it from the others.
func short(outcome string) string { return strings.TrimPrefix(outcome, "reviews-") }

func shares(all []share) string {
	var out []string
	for _, s := range all {
		word := short(s.outcome)
		if len(all) > 1 {
			word += fmt.Sprintf(" %.0f%%", 100*s.part)
		}
		out = append(out, word)
	}
	return strings.Join(out, ", ")
}

func counts(all map[string]int) string {
	var out []string
	for outcome, n := range all {
		out = append(out, fmt.Sprintf("%s %d", short(outcome), n))
	}
	slices.SortFunc(out, cmp.Compare)
	return strings.Join(out, ", ")
}
