package equivalence

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/report"
)

const introduction = `# Equivalence

This page is made by ` + "`make equivalence`" + `; what stands here was observed.

One question has three answers: what a policy means (` + "`translators/semantics`" + `, which no translator uses), what a mesh reads out of
the configuration that was made of it (` + "`translators/interpret`" + `, which shares nothing with the translator), and what the real
programs do with a call (` + "`test/planes`" + `). A *scene* is a policy with the accounts, Services and pods around it: every golden
case, the SMI manifests of other projects that belong together, and random policies. For each scene the plane is given the
translated configuration, requests are made on new connections, and for each of them it is compared whether it is let in, where it
goes, with which status, and what host, path and headers are heard.

* The plane does what the interpreter does not expect: the run fails.
* The plane does what the policy does not mean: the run fails unless the back end's table says so, in a row that the policy makes use of.
* A row says so and no request shows it: the run fails.
* Weights are counted, and held against those in the configuration. All counts of a run together are wrong by chance once in ten
  thousand runs.
* What was refused is not expected to be allowed; the refusal itself is the job of ` + "`feature.Check`" + `.

Copies of requests (mirrors), times, standing connections and endpoints that are not ready are not observed here; ` + "`test/envoy`" + ` is about
some of them.

`

// Document renders docs/equivalence.md.
func Document(results Results) []byte {
	var b bytes.Buffer
	b.WriteString(introduction)
	b.WriteString("## What was compared\n\n| plane | programs | scenes | withheld | decisions | agree | differ as said | not asked | asked again |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range results.Tallies {
		programs := strings.Join(r.Programs, ", ")
		if r.Plane == "" {
			programs = "modelled, not run"
		}
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d | %d | %d | %d |\n", r.name(), programs, sum(r.Scenes), r.Withheld, r.Asked(),
			r.Agreements, sum(r.Explained), sum(r.NotAsked), r.Retries)
	}
	b.WriteString("\n")
	for _, r := range results.Tallies {
		fmt.Fprintf(&b, "* **%s**: %s scenes (random ones of seed %d); decisions: %s", r.name(), counts(r.Scenes), r.Seed, counts(r.Decisions))
		if r.Plane != "" {
			fmt.Fprintf(&b, "; %d calls, %d distributions counted", r.Observations, r.Distributions)
		}
		b.WriteString(".\n")
	}
	b.WriteString("\nWhat runs on no plane is *modelled*: the interpreter is all that was compared with the policy. Linkerd's proxy and policy\ncontroller, and an implementation of Gateway API's mesh profile, are not run.\n")
	differs(&b)
	b.WriteString("\n## What could not be asked\n\nA caller of a plane cannot say everything; such requests count for nothing above.\n")
	for _, r := range results.Tallies {
		if len(r.NotAsked) == 0 {
			continue
		}
		fmt.Fprintf(&b, "\n* **%s**\n", r.name())
		for _, why := range slices.Sorted(maps.Keys(r.NotAsked)) {
			fmt.Fprintf(&b, "  * %s: %d\n", why, r.NotAsked[why])
		}
	}
	return b.Bytes()
}

// differs lists what the tables say of differences, and how often each was seen.
func differs(b *bytes.Buffer) {
	b.WriteString("\n## What differs, and why\n\nThe rows of the tables that show, in a single request, that a mesh does something else. All are reported when a policy uses them.\n")
	for _, backend := range all.Pipeline().Backends {
		var rows []string
		for _, row := range backend.Supports(translators.Target{Backend: backend.Name()}) {
			for i := range row.Shows {
				s := &row.Shows[i]
				rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |", named(s), row.Class, effects[s.Effect], strings.ReplaceAll(row.Note, "|", "\\|")))
			}
		}
		fmt.Fprintf(b, "\n### %s\n\n", backend.Name())
		if len(rows) == 0 {
			b.WriteString("Nothing.\n")
			continue
		}
		fmt.Fprintf(b, "| row | class | effect | why |\n|---|---|---|---|\n%s\n", strings.Join(rows, "\n"))
	}
}

var effects = map[report.Effect]string{
	report.Denies:  "denies what is meant to be allowed",
	report.Allows:  "allows what is meant to be denied",
	report.Fails:   "fails, or is answered, in another way",
	report.Strays:  "goes elsewhere",
	report.Edits:   "another host, path or header is heard",
	report.Mirrors: "copies go elsewhere",
	report.Times:   "other times",
}
