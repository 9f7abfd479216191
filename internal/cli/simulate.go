package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/internal/ask"
	"github.com/meshknot/meshknot/translators/report"
	"github.com/meshknot/meshknot/translators/semantics"
)

// mostSimulated bounds --count: more dice tell nobody more.
const mostSimulated = 100_000_000

func simulateCommand(a *app) *cobra.Command {
	var in inputFlags
	var to targetFlags
	var view viewFlags
	var call callFlags
	var calls []string
	var count int
	var seed uint64
	c := &cobra.Command{
		Use:   "simulate -f FILE --count N --from CALLER --to CALLEE METHOD PATH",
		Short: "Show how requests are spread over backends, denials and failures",
		Long: `Simulate decides each request by what the policies mean, or by what one back end
makes of them, and shows what share of such requests ends where: the expected
percentage, and how many of N did when dice were thrown. One seed always throws
the same dice.

The request is described as to explain, or in one string as explain prints it
by --request, several times if need be. The exit status is 0 whatever becomes of
them, and 2 when nothing can be said.`,
		Example: "  meshknot simulate -f examples/bookstore --count 1000 --from sa:shop/web --to svc:shop/reviews:9080 GET /reviews",
		Args:    cobra.MaximumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := view.check(); err != nil {
				return err
			}
			requests, err := simulatedCalls(call, args, calls)
			if err != nil {
				return err
			}
			targets, err := to.asked()
			if err != nil {
				return err
			}
			if len(targets) > 1 {
				return cannot("--backend names %d back ends: want one, or model", len(targets))
			}
			set, store, err := a.question(in, view.findings())
			if err != nil {
				return err
			}
			sim, err := a.simulated(ask.New(program(), store, targets), requests, count, seed)
			if err != nil {
				return err
			}
			if len(targets) == 1 {
				sim.Backend = name(targets[0])
			}
			if view.output == "json" {
				return report.WriteJSON(a.out, sim)
			}
			return sim.show(a.screen(set, view))
		},
	}
	in.register(c)
	call.register(c)
	to.registerBackends(c, "backend", "the back end that decides, such as envoy or istio@1.26, or model", theModel)
	view.register(c, "text", "json")
	c.Flags().StringArrayVar(&calls, "request", nil, "'FROM -> TO METHOD PATH [-H 'NAME: VALUE']', as explain prints it (repeatable)")
	c.Flags().IntVar(&count, "count", 1000, "how many of each request")
	c.Flags().Uint64Var(&seed, "seed", 1, "which dice are thrown")
	return c
}

// simulated throws dice for each request.
func (a *app) simulated(asker *ask.Asker, requests []semantics.Request, count int, seed uint64) (simulation, error) {
	if count < 1 || count > mostSimulated {
		return simulation{}, cannot("--count %d: want 1 to %d", count, mostSimulated)
	}
	sim := simulation{Backend: theModel, Count: count, Seed: seed, Requests: []simulated{}}
	for _, q := range requests {
		d, doubts, err := asker.Decide(q)
		if err != nil {
			return sim, unknown(err)
		}
		a.doubt(doubts)
		outcomes := ask.Outcomes(d)
		ask.Simulate(outcomes, count, seed)
		sim.Requests = append(sim.Requests, simulated{q.String(), string(d.Verdict), outcomeParts(outcomes), d.Mirrors})
	}
	return sim, nil
}

// simulatedCalls reads requests: one that flags and arguments describe, and
// those that are written as they are printed.
func simulatedCalls(call callFlags, args, calls []string) ([]semantics.Request, error) {
	var out []semantics.Request
	switch {
	case call.from != "" || call.to != "":
		q, err := call.request(args)
		if err != nil {
			return nil, err
		}
		out = append(out, q)
	case len(args)+len(call.headers) > 0, len(calls) == 0:
		return nil, cannot("want --from, --to, METHOD and PATH, or --request")
	}
	for _, text := range calls {
		q, err := semantics.ParseRequest(text)
		if err != nil {
			return nil, cannot("--request %q: %w", text, err)
		}
		if err := wellFormed(q); err != nil {
			return nil, err
		}
		out = append(out, q)
	}
	return out, nil
}

// The shapes of "simulate -o json".
type (
	simulation struct {
		Backend  string      `json:"backend"`
		Count    int         `json:"count"`
		Seed     uint64      `json:"seed"`
		Requests []simulated `json:"requests"`
	}
	simulated struct {
		Request  string        `json:"request"`
		Decision string        `json:"decision"`
		Outcomes []outcomePart `json:"outcomes"`
		mirrors  []semantics.Share
	}
	outcomePart struct {
		Outcome string  `json:"outcome"`
		What    string  `json:"what"`
		Percent float64 `json:"percent"`
		Count   int     `json:"count"`
	}
)

func outcomeParts(outcomes []ask.Outcome) []outcomePart {
	out := []outcomePart{}
	for _, o := range outcomes {
		out = append(out, outcomePart{string(o.Kind), o.What, o.Percent, o.Count})
	}
	return out
}

var outcomeColors = map[ask.OutcomeKind]string{
	ask.Served: green, ask.Refused: red, ask.ByLuck: yellow, ask.Failed: red, ask.Answered: yellow,
}

// show draws a table with bars for each request.
func (sim simulation) show(s *screen) error {
	for i, r := range sim.Requests {
		if i > 0 {
			s.line("")
		}
		s.line(printable(fmt.Sprintf("%s (%d times, seed %d, %s)", r.Request, sim.Count, sim.Seed, sim.Backend)))
		rows := [][]string{{"OUTCOME", "WHERE", "EXPECTED", "SIMULATED", ""}}
		for _, o := range r.Outcomes {
			share := 100 * float64(o.Count) / float64(sim.Count)
			rows = append(rows, []string{o.Outcome, printable(o.What), percent(o.Percent),
				fmt.Sprintf("%d (%s)", o.Count, percent(share)), s.paint(bar(share), outcomeColors[ask.OutcomeKind(o.Outcome)])})
		}
		s.columns(rows)
		for _, m := range r.mirrors {
			s.wrapped("  ", fmt.Sprintf("copied to %s:%d: %s", m.Service, m.Port, percent(m.Percent)))
		}
	}
	return s.flush()
}

// bar draws a share of 100 percent in 25 letters; what there is at all shows.
func bar(share float64) string {
	n := int(share/4 + 0.5)
	if share > 0 {
		n = max(n, 1)
	}
	return strings.Repeat("█", n)
}
