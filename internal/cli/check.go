package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshknot/meshknot/internal/fleet"
	"github.com/meshknot/meshknot/translators/report"
)

func checkCommand(a *app) *cobra.Command {
	var cluster clusterFlags
	var o fleet.Options
	var output string
	formats := []string{"text", "json"}
	c := &cobra.Command{
		Use:   "check",
		Short: "Look whether a cluster has what meshknot needs, and whether it works",
		Long: `Check looks at a cluster and changes nothing: the version of the API server,
definitions, rights for the back ends in use, admission and conversion webhooks with
their certificates and the namespaces that they are asked about, rules in ConfigMaps,
the controller's replicas and lease, bindings, and whether what was asked for is in
force. With --pre it looks whether meshknot can be installed.

A √ is fine, ‼ a warning, × does not hold; what can be done stands below it.
Exit status 1 where something does not hold.`,
		Example: "  meshknot check\n  meshknot check --pre\n  meshknot check -o json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !slices.Contains(formats, output) {
				return cannot("--output %q: want %s", output, strings.Join(formats, ", "))
			}
			at, err := cluster.connect()
			if err != nil {
				return err
			}
			ctx, stop := untilInterrupted(c.Context())
			defer stop()
			return a.showChecks(at.Check(ctx, o), output)
		},
	}
	cluster.register(c)
	fl := c.Flags()
	fl.BoolVar(&o.Pre, "pre", false, "look whether meshknot can be installed")
	fl.StringVarP(&o.Namespace, "namespace", "n", "meshknot-system", "namespace that the controller is installed in")
	fl.StringVar(&o.Admin, "admin", "", "HOST:PORT of a replica's admin listener, to be asked whether it is ready")
	fl.StringVarP(&output, "output", "o", "text", "one of "+strings.Join(formats, ", "))
	complete(c, "output", formats...)
	return c
}

// checkDocument is what "check -o json" prints.
type checkDocument struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Sections   []fleet.Section `json:"sections"`
	Warnings   int             `json:"warnings"`
	Failed     int             `json:"failed"`
}

var marks = map[fleet.Result]string{fleet.OK: "√", fleet.Warning: "‼", fleet.Failed: "×"}

func (a *app) showChecks(sections []fleet.Section, output string) error {
	doc := checkDocument{APIVersion: "meshknot.io/v1alpha1", Kind: "Check", Sections: sections}
	for _, s := range sections {
		for _, c := range s.Checks {
			switch c.Result {
			case fleet.Warning:
				doc.Warnings++
			case fleet.Failed:
				doc.Failed++
			}
		}
	}
	if output == "json" {
		if err := report.WriteJSON(a.out, doc); err != nil {
			return err
		}
	} else {
		a.writeChecks(sections)
		fmt.Fprintf(a.err, "%s, %s.\n", counted(doc.Failed, "failure"), counted(doc.Warnings, "warning"))
	}
	if doc.Failed > 0 {
		return status{code: exitNo}
	}
	return nil
}

// writeChecks prints checks for people. What is in a cluster comes from whoever
// wrote it: no control characters in a terminal.
func (a *app) writeChecks(sections []fleet.Section) {
	for i, s := range sections {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		fmt.Fprintf(a.out, "%s\n%s\n", s.Name, strings.Repeat("-", len(s.Name)))
		for _, c := range s.Checks {
			text := c.Name
			if c.Message != "" {
				text += ": " + c.Message
			}
			fmt.Fprintf(a.out, "%s %s\n", marks[c.Result], printable(text))
			if c.Hint != "" && c.Result != fleet.OK {
				fmt.Fprintf(a.out, "    hint: %s\n", printable(c.Hint))
			}
		}
	}
}
