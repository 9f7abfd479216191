package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

const capabilitiesHead = `# Capabilities

What each back end makes of each feature, generated from the tables that decide
what is refused. A feature is looked up with the conditions of its use; the
first row of a table whose conditions hold counts.

| Class | Meaning |
|---|---|
| exact | the same effect |
| relocated | the same effect at another enforcement point |
| approximated | nearly the same; the note says how |
| narrowed | less traffic gets through than was asked for |
| dropped | not said; refused where it concerns who may call (*) |
| widened | more traffic would get through; always refused |

A refused grant is left out and the deny around it is written all the same. If
the deny itself cannot be said, the whole output of the back end is withheld.

## At a glance
`

// capabilities returns the page docs/capabilities.md.
func capabilities(backends []translators.Backend) string {
	var b strings.Builder
	b.WriteString(capabilitiesHead + "\n| Feature | Condition |")
	for _, e := range backends {
		fmt.Fprintf(&b, " %s |", e.Name())
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(backends)) + "\n")
	for _, spec := range feature.Specs() {
		for i, conditions := range distinguished(spec.Feature, backends) {
			title := ""
			if i == 0 {
				title = titled(spec)
			}
			fmt.Fprintf(&b, "| %s | %s |", title, when(conditions))
			for _, e := range backends {
				fmt.Fprintf(&b, " %s |", classes(e, spec.Feature, conditions))
			}
			b.WriteString("\n")
		}
	}
	for _, e := range backends {
		detail(&b, e)
	}
	return b.String()
}

func titled(s feature.Spec) string {
	title := fmt.Sprintf("`%s` %s", s.Feature, s.Title)
	if s.Security {
		title += " (*)"
	}
	return title
}

// distinguished lists the conditions of a feature under which some back end has
// a row of its own; "always" comes first.
func distinguished(f feature.Feature, backends []translators.Backend) [][]feature.Condition {
	out := [][]feature.Condition{nil}
	for _, b := range backends {
		for _, v := range versions(b) {
			for _, r := range b.Supports(v) {
				if r.Feature == f && !slices.ContainsFunc(out, func(c []feature.Condition) bool { return slices.Equal(c, r.When) }) {
					out = append(out, r.When)
				}
			}
		}
	}
	slices.SortFunc(out, slices.Compare)
	return out
}

// versions lists the targets of a back end, the newest version first.
func versions(b translators.Backend) []translators.Target {
	var out []translators.Target
	for _, v := range b.Versions() {
		out = append(out, translators.Target{Backend: b.Name(), Version: v})
	}
	if len(out) == 0 {
		out = []translators.Target{{Backend: b.Name()}}
	}
	return out
}

// classes says what a back end makes of a feature in its newest version and,
// where that differs, in older ones.
func classes(b translators.Backend, f feature.Feature, conditions []feature.Condition) string {
	var out string
	var newer report.Class
	for i, t := range versions(b) {
		row, ok := b.Supports(t).Find(f, conditions)
		if !ok {
			row.Class = report.Dropped
		}
		switch {
		case i == 0:
			out = string(row.Class)
		case row.Class != newer:
			out += fmt.Sprintf("; %s: %s", t.Version, row.Class)
		}
		newer = row.Class
	}
	return out
}

// line is a row of a table and the versions that have it.
type line struct {
	row      feature.Row
	versions []string
}

func (l line) same(r feature.Row) bool {
	return l.row.Feature == r.Feature && slices.Equal(l.row.When, r.When) &&
		l.row.Class == r.Class && l.row.Note == r.Note && l.row.Case == r.Case
}

// detail prints the table of a back end: the rows of all of its versions, each
// once, with the versions that have it unless all do.
func detail(b *strings.Builder, e translators.Backend) {
	targets := versions(e)
	var lines []line
	for _, t := range targets {
		for _, r := range e.Supports(t) {
			i := slices.IndexFunc(lines, func(l line) bool { return l.same(r) })
			if i < 0 {
				i, lines = len(lines), append(lines, line{row: r})
			}
			lines[i].versions = append(lines[i].versions, t.Version)
		}
	}
	fmt.Fprintf(b, "\n## %s\n\n", e.Name())
	if len(e.Versions()) > 0 {
		fmt.Fprintf(b, "Versions: %s.\n\n", strings.Join(e.Versions(), ", "))
	}
	b.WriteString("| Feature | Condition | Class | Note | Proved by |\n|---|---|---|---|---|\n")
	for _, spec := range feature.Specs() {
		for _, l := range lines {
			if l.row.Feature == spec.Feature {
				fmt.Fprintf(b, "| `%s` | %s | %s | %s | %s |\n", spec.Feature, l.when(len(targets)), l.row.Class, strings.ReplaceAll(l.row.Note, "|", `\|`), proof(l.row))
			}
		}
	}
}

func (l line) when(all int) string {
	if len(l.versions) == all {
		return when(l.row.When)
	}
	return when(l.row.When) + ", in " + strings.Join(l.versions, ", ")
}

func proof(r feature.Row) string {
	if r.Case == "" {
		return ""
	}
	return fmt.Sprintf("[%s](../test/cases/%s.txtar)", r.Case, r.Case)
}
