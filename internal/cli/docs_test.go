package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/report"
)

// TestDocs: the generated pages are what the program says of itself.
func TestDocs(t *testing.T) {
	for _, test := range []struct {
		page string
		want string
	}{
		{"cli.md", cliPage(Root(nil, nil, nil))},
		{"codes.md", codesPage()},
		{"capabilities.md", capabilities(all.Pipeline().Backends)},
	} {
		t.Run(test.page, func(t *testing.T) {
			file := filepath.Join(repository, "docs", test.page)
			if *update {
				if err := os.WriteFile(file, []byte(test.want), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			have, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if string(have) != test.want {
				t.Errorf("docs/%s is out of date: run go test ./internal/cli -update", test.page)
			}
		})
	}
}

// TestCapabilitiesProofs: every case that the page links to is there, and every
// feature has its rows.
func TestCapabilitiesProofs(t *testing.T) {
	page := capabilities(all.Pipeline().Backends)
	for _, b := range all.Pipeline().Backends {
		for _, v := range versions(b) {
			for _, r := range b.Supports(v) {
				if r.Case == "" {
					continue
				}
				if _, err := os.Stat(filepath.Join(repository, "test", "cases", r.Case+".txtar")); err != nil {
					t.Errorf("%s: %s is proved by a case that is not there: %v", b.Name(), r.Feature, err)
				}
			}
		}
	}
	for _, s := range feature.Specs() {
		if n := strings.Count(page, fmt.Sprintf("| `%s` ", s.Feature)); n < 1+len(all.Pipeline().Backends) {
			t.Errorf("%s has %d rows", s.Feature, n)
		}
	}
}

const cliHead = `# Command line

Data goes to standard output, talk to standard error. The exit status means the
same in every verb and every output format:

| Status | Meaning |
|---|---|
| 0 | fine |
| 1 | answered "no": findings at or above ` + "`--fail-on`" + `, refused, tests failed |
| 2 | could not answer: usage, unreadable or undecodable input, no such back end |

A finding is ` + "`file:line:column: severity CODE message`" + `; ` + "`meshknot code CODE`" + ` explains
the code, and [codes.md](codes.md) lists them all.
`

func cliPage(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(cliHead)
	for _, c := range commands(root) {
		fmt.Fprintf(&b, "\n## %s\n\n", c.CommandPath())
		if c.Long != "" {
			b.WriteString(c.Long + "\n\n")
		} else {
			b.WriteString(c.Short + ".\n\n")
		}
		fmt.Fprintf(&b, "```\n%s\n```\n", strings.TrimSuffix(c.UseLine(), " [flags]"))
		fmt.Fprintf(&b, "\nExamples:\n\n```\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(c.Example, "  "), "\n  ", "\n"))
		if c.LocalFlags().HasAvailableFlags() {
			fmt.Fprintf(&b, "\nFlags:\n\n```\n%s```\n", c.LocalFlags().FlagUsagesWrapped(100))
		}
	}
	return b.String()
}

const codesHead = `# Codes of findings

A code is for ever: it is never given another meaning. The severity is the usual
one; a finding may have another where its message says why. ` + "`meshknot code CODE`" + `
prints the same text.

MK1xxx: reading the input. MK2xxx: what SMI objects say. MK3xxx: what a back end
makes of a policy. MK4xxx: Rego rules. MKRxxx: the rules that meshknot ships, see
[policies.md](policies.md).
`

func codesPage() string {
	var b strings.Builder
	b.WriteString(codesHead + "\n| Code | Severity | Title |\n|---|---|---|\n")
	for _, r := range codes() {
		fmt.Fprintf(&b, "| [%s](#%s) | %s | %s |\n", r.Code, strings.ToLower(string(r.Code)), r.Severity, r.Title)
	}
	for _, r := range codes() {
		writeCode(&b, r)
	}
	return b.String()
}

func writeCode(b *strings.Builder, r report.Row) {
	fmt.Fprintf(b, "\n### %s\n\n%s: **%s.** %s\n", r.Code, r.Severity, r.Title, r.Explain)
	if r.Hint != "" {
		fmt.Fprintf(b, "\nHint: %s.\n", r.Hint)
	}
}
