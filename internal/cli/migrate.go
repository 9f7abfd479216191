package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/internal/migrate"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// page is the file that says what was converted and what is left.
const page = "MIGRATION.md"

func migrateCommand(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "migrate",
		Short: "Lead policies from one API to another",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return cannot("want smi: what is migrated") },
	}
	c.AddCommand(migrateSMI(a))
	return c
}

// migration is one run of "migrate smi".
type migration struct {
	app   *app
	in    inputFlags
	to    targetFlags
	find  findingFlags
	stage string
	out   string
	set   *input.Set
	read  report.Report
	*migrate.Migration
}

var stages = []string{"inventory", "convert", "verify"}

func migrateSMI(a *app) *cobra.Command {
	m := migration{app: a}
	c := &cobra.Command{
		Use:   "smi --to gateway-api -f FILE --stage inventory|convert|verify",
		Short: "Lead SMI policies to Gateway API",
		Long: `Migrate leads SMI policies to Gateway API in three stages, which change nothing
of what they read:

inventory  says what there is, and how much of it has a form in Gateway API;
convert    prints what takes its place, and lists what is left by hand;
verify     decides every kind of request that the policies tell apart by the old
           objects and by the new ones, and prints those that go elsewhere.

Gateway API has no authorization: who may call is left by hand, unless
--authorization names a mesh in whose own form it is written.

Verify ends with status 0 only if every request is decided alike and nothing is
left by hand.`,
		Example: "  meshknot migrate smi --to gateway-api -f examples/bookstore --stage inventory\n" +
			"  meshknot migrate smi --to gateway-api -f examples/bookstore --stage convert --authorization linkerd --out converted/\n" +
			"  meshknot migrate smi --to gateway-api -f examples/bookstore --stage verify --authorization linkerd",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return m.run(c) },
	}
	m.in.register(c)
	m.to.register(c, true)
	m.find.register(c, "text", "json")
	fl := c.Flags()
	fl.StringVar(&m.stage, "stage", stages[0], "one of "+strings.Join(stages, ", "))
	fl.StringVar(&m.out, "out", "", "directory for what is converted; replaced as a whole, and only if meshknot made it")
	complete(c, "stage", stages...)
	complete(c, "to", migrate.Target)
	_ = c.MarkFlagDirname("out")
	return c
}

func (m *migration) run(c *cobra.Command) error {
	if err := m.find.check(c); err != nil {
		return err
	}
	switch {
	case !slices.Contains(stages, m.stage):
		return cannot("--stage %q: want %s", m.stage, strings.Join(stages, ", "))
	case !slices.Equal(m.to.to, []string{migrate.Target}):
		return cannot("--to %s: SMI is migrated to %s", strings.Join(m.to.to, ","), migrate.Target)
	case len(m.to.allow) > 0:
		return cannot("--allow: a migration refuses nothing; it leaves it by hand")
	case m.out != "" && m.stage != "convert":
		return cannot("--out goes with --stage convert")
	}
	targets, err := m.to.targets()
	if err != nil {
		return err
	}
	settings, err := m.in.settings()
	if err != nil {
		return err
	}
	if m.set, _, m.read, err = m.in.load(m.app); err != nil {
		return err
	}
	m.Migration, _ = migrate.New(all.Pipeline(), m.set, settings, targets[0])
	if unread(m.read) {
		_ = m.app.show(m.set, m.read, m.find, report.Error)
		return status{code: exitCannot}
	}
	switch m.stage {
	case "convert":
		return m.convert()
	case "verify":
		return m.verify()
	}
	return m.inventory()
}

func (m *migration) inventory() error {
	found := append(slices.Clone(m.read), m.Found()...)
	inv := m.Inventory()
	if m.find.output == "json" {
		if err := report.WriteJSON(m.app.out, migrationDocument{kindOf("Inventory"), inv}); err != nil {
			return err
		}
		return conclude(found, report.Severity(m.find.failOn))
	}
	if err := m.app.show(m.set, found, m.find, report.Error); err != nil {
		return err
	}
	if err := tellInventory(m.app.out, inv); err != nil {
		return err
	}
	return conclude(found, report.Severity(m.find.failOn))
}

func tellInventory(out io.Writer, inv migrate.Inventory) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KIND\tVERSION\tNAMESPACE\tOBJECTS\tIN ERROR")
	for _, c := range inv.Objects {
		fmt.Fprintf(w, "%s\t%s/%s\t%s\t%d\t%d\n", c.Kind, c.Group, c.Version, c.Namespace, c.Objects, c.Rejected)
	}
	fmt.Fprintln(w, "\nWHAT THEY ASK FOR\tUSES\tNATIVE\tNEARLY\tBY HAND")
	for _, f := range inv.Features {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\n", f.Title, f.Uses, f.Native, f.Nearly, f.ByHand)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	var kept []string
	for _, c := range inv.Kept {
		kept = append(kept, fmt.Sprintf("%d %s", c.Objects, c.Kind))
	}
	if len(kept) > 0 {
		fmt.Fprintf(out, "\nstays as it is: %s\n", strings.Join(kept, ", "))
	}
	return nil
}

// hand holds the findings of a conversion with those of the input.
func (m *migration) hand(c migrate.Conversion) report.Report {
	return slices.Concat(m.read, m.Found(), c.Found).Sorted()
}

func (m *migration) convert() error {
	c := m.Convert()
	text := c.Page(m.set)
	if m.find.output == "json" {
		if err := report.WriteJSON(m.app.out, m.conversion(c)); err != nil {
			return err
		}
	} else if err := m.app.show(m.set, m.hand(c), m.find, report.Warning); err != nil {
		return err
	}
	targets, err := m.to.targets()
	if err != nil {
		return err
	}
	outputs := c.Output(targets[0])
	switch {
	case m.out != "":
		n, err := sink.DirectoryWith(m.out, outputs, page, []byte(text))
		if err != nil {
			return status{exitCannot, err}
		}
		fmt.Fprintf(m.app.err, "%s written to %s; %s says what is left.\n", counted(n, "file"), m.out, page)
	case m.find.output == "text":
		fmt.Fprint(m.app.out, commented(text))
		if err := sink.YAML(m.app.out, outputs[0].Artifacts); err != nil {
			return status{exitCannot, err}
		}
	}
	return conclude(m.hand(c), report.Severity(m.find.failOn))
}

// commented writes a page as a comment in YAML.
func commented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight("# "+strings.TrimSuffix(line, "\n"), " ") + "\n")
	}
	return b.String()
}

func (m *migration) verify() error {
	c := m.Convert()
	proof, err := m.Verify(c)
	if err != nil {
		return status{exitCannot, err}
	}
	byHand := c.ByHand()
	if m.find.output == "json" {
		err = report.WriteJSON(m.app.out, m.proof(c, proof))
	} else if err = m.app.show(m.set, slices.Concat(m.read, proof.Found, byHand), m.find, report.Warning); err == nil {
		m.tell(proof, byHand)
	}
	if err != nil {
		return err
	}
	if !proof.Holds() || len(byHand) > 0 {
		return status{code: exitNo}
	}
	return conclude(slices.Concat(m.read, m.Found()), report.Severity(m.find.failOn))
}

// most is how many requests that go elsewhere are printed.
const most = 5

func (m *migration) tell(p migrate.Proof, byHand report.Report) {
	for i, d := range p.Differ {
		if i == most {
			fmt.Fprintf(m.app.out, "and %d more\n", len(p.Differ)-most)
			break
		}
		fmt.Fprintf(m.app.out, "%s\n    old: %s\n    new: %s\n", migrate.Line(d.Request), d.Old, d.New)
		for _, r := range d.Because {
			fmt.Fprintf(m.app.out, "    because of %s\n", r)
		}
	}
	fmt.Fprintf(m.app.out, "%s decided by the old objects and by the new: %d alike, %d otherwise.\n",
		counted(p.Requests, "kind")+" of requests", p.Requests-len(p.Differ), len(p.Differ))
	fmt.Fprintf(m.app.out, "access: %s.\n", p.Access)
	fmt.Fprintf(m.app.out, "left by hand: %d.\n", len(byHand))
}

// migrationDocument is what a stage prints with "-o json".
type migrationDocument struct {
	documentKind
	Spec any `json:"spec"`
}

type documentKind struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
}

func kindOf(kind string) documentKind { return documentKind{"meshknot.io/v1alpha1", kind} }

func (m *migration) conversion(c migrate.Conversion) migrationDocument {
	spec := struct {
		Objects  []any `json:"objects"`
		Replaced []any `json:"replaced"`
		Findings []any `json:"findings"`
	}{[]any{}, []any{}, m.located(c.Found)}
	for _, a := range slices.Concat(c.Access, c.Routes) {
		spec.Objects = append(spec.Objects, a.Payload)
	}
	for _, r := range c.Replaced {
		spec.Replaced = append(spec.Replaced, r)
	}
	return migrationDocument{kindOf("Conversion"), spec}
}

func (m *migration) proof(c migrate.Conversion, p migrate.Proof) migrationDocument {
	spec := struct {
		Holds    bool   `json:"holds"`
		Requests int    `json:"requests"`
		Differ   []any  `json:"differ"`
		Access   string `json:"access"`
		ByHand   []any  `json:"byHand"`
		Findings []any  `json:"findings"`
	}{p.Holds() && len(c.ByHand()) == 0, p.Requests, []any{}, p.Access, m.located(c.ByHand()), m.located(p.Found)}
	for _, d := range p.Differ {
		spec.Differ = append(spec.Differ, map[string]any{"request": migrate.Line(d.Request), "old": d.Old, "new": d.New})
	}
	return migrationDocument{kindOf("Proof"), spec}
}

func (m *migration) located(found report.Report) []any {
	out := []any{}
	for _, f := range found {
		out = append(out, report.JSON(f, m.set))
	}
	return out
}
