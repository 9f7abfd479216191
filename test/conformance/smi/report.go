package smi

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Report is what came of the steps on one plane.
type Report struct {
	Plane    string   `json:"plane"`
	Programs []string `json:"programs"`
	Results  []Result `json:"results"`
}

// Read reads a report as JSON.
func Read(text []byte) (Report, error) {
	var r Report
	err := json.Unmarshal(text, &r)
	return r, err
}

// JSON writes a report as Read reads it.
func (r Report) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	return append(text, '\n'), err
}

// Count is how many results have a verdict.
func (r Report) Count(v Verdict) int {
	n := 0
	for _, res := range r.Results {
		if res.Verdict == v {
			n++
		}
	}
	return n
}

// Calls is how many calls were made.
func (r Report) Calls() int {
	n := 0
	for _, res := range r.Results {
		n += res.Calls
	}
	return n
}

// Summary says in a line what came of all steps.
func (r Report) Summary() string {
	text := fmt.Sprintf("%s (%s): %d steps, %d passed, %d failed, %d approximated, %d not applicable", r.Plane, strings.Join(r.Programs, ", "),
		len(r.Results), r.Count(Pass), r.Count(Fail), r.Count(Approximated), r.Count(NotApplicable))
	if n := r.Count(Broken); n > 0 {
		text += fmt.Sprintf(", %d could not run", n)
	}
	return text + fmt.Sprintf("; %d calls", r.Calls())
}

// saw is what there is to say of a result: what was observed, and why that or
// nothing was.
func (r Result) saw() string {
	return strings.TrimPrefix(strings.TrimSuffix(r.Observed+"; "+r.Why, "; "), "; ")
}

// Columns prints a report as aligned columns. What a column has several of
// stands below each other.
func (r Report) Columns(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tWHAT\tEXPECTED\tOBSERVED\tPASS")
	for _, res := range r.Results {
		expected, saw := strings.Split(res.Expected, "; "), strings.Split(res.saw(), "; ")
		for i := range max(len(expected), len(saw)) {
			if i == 0 {
				fmt.Fprintf(t, "%s\t%s\t", res.ID, res.What)
			} else {
				fmt.Fprint(t, "\t\t")
			}
			fmt.Fprintf(t, "%s\t%s\t", line(expected, i), line(saw, i))
			if i == 0 {
				fmt.Fprint(t, res.Verdict)
			}
			fmt.Fprintln(t)
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w, "\n"+r.Summary())
	return err
}

func line(all []string, i int) string {
	if i < len(all) {
		return all[i]
	}
	return ""
}

// Markdown prints reports as one table, a column for each plane.
func Markdown(w io.Writer, reports []Report) error {
	fmt.Fprint(w, preamble)
	for _, r := range reports {
		fmt.Fprintf(w, "- %s\n", r.Summary())
	}
	fmt.Fprint(w, "\n| id | what | expected |")
	for _, r := range reports {
		fmt.Fprintf(w, " %s |", r.Plane)
	}
	fmt.Fprintf(w, "\n|---|---|---|%s\n", strings.Repeat("---|", len(reports)))
	for _, s := range Steps() {
		fmt.Fprintf(w, "| %s | %s | %s |", s.ID, cell(s.What), cell(s.Expected()))
		for _, r := range reports {
			i := slices.IndexFunc(r.Results, func(res Result) bool { return res.ID == s.ID })
			if i < 0 {
				return fmt.Errorf("the report of %s has no step %s", r.Plane, s.ID)
			}
			fmt.Fprintf(w, " **%s**: %s |", r.Results[i].Verdict, cell(r.Results[i].saw()))
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	return nil
}

const preamble = `# SMI conformance on real data planes

Made by "make conformance"; the steps are in test/conformance/smi, and "go run ./test/conformance/meshknot-conformance" plays them.

The ids access-01 to split-11 are those of the public SMI conformance suite; osm and traefik are what those meshes' own suites ask
beyond it; hole-01 to hole-28 are the questions that the specification leaves open, as [decision 005](decisions/005-the-holes-of-smi.md)
answers them. A call is made on a connection of its own; gRPC makes up to 20 on one, and where a policy does not look at requests it
calls a method with POST instead of GET /echo. "403" and "closed" are how a denial is heard over HTTP and over TCP, "greeted,closed" after a server's first words. A share passes
where it lies within the exact binomial interval that an exact share leaves once in a million times. "Not applicable" is in the words
of the back end's own table, or says why the call cannot be made; "approximated" is what that table says the mesh does instead.
Consul is played with agents that deny by default where the mesh is closed as a whole, and with agents that allow elsewhere. The
namespace smi is left out.

`

// cell is text within a table of Markdown, with a line for each part.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;", "*", `\*`, "; ", "<br>").Replace(s)
}

// Stale says which step of a report is not as the table of steps has it, or
// returns nil.
func (r Report) Stale() error {
	steps := Steps()
	for i, s := range steps {
		switch {
		case i >= len(r.Results):
			return fmt.Errorf("%s: step %s was not played", r.Plane, s.ID)
		case r.Results[i].ID != s.ID || r.Results[i].What != s.What || r.Results[i].Expected != s.Expected():
			return fmt.Errorf("%s: step %s is %s (%s) now, and expects %s", r.Plane, r.Results[i].ID, s.ID, s.What, s.Expected())
		}
	}
	if len(r.Results) > len(steps) {
		return fmt.Errorf("%s: there is no step %s any more", r.Plane, r.Results[len(steps)].ID)
	}
	return nil
}
