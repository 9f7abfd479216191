package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/report"
)

func statusCommand(a *app) *cobra.Command {
	var in inputFlags
	var of fleetFlags
	var output, color string
	formats := []string{"text", "yaml", "json"}
	c := &cobra.Command{
		Use:   "status {-f FILE... | --cluster [--watch] | proxies [--watch]}",
		Short: "Print what becomes of objects: of files, in a cluster, or at the proxies",
		Long: `With -f, status computes what a controller would write into the status of each Gateway
API object: whether Gateways, their listeners, ListenerSets and routes are
accepted, and whether what they refer to can be used. Objects in error, and
routes of which no parent is given, have no status.

With --cluster it reads what a controller has written: bindings, what became of
the objects of each namespace, and those that are not in force. "status proxies"
asks a controller, or "meshknot serve", which proxies are connected, whether they
have what they should, and what they refused last.

Exit status 1 when some condition Accepted or ResolvedRefs is False; in a cluster,
when a binding is not accepted or an object not in force; when a proxy is not in
sync.`,
		Example: "  meshknot status -f examples/gateway\n" +
			"  meshknot status -f examples/gateway -o yaml\n" +
			"  meshknot status --cluster\n" +
			"  meshknot status --cluster --watch\n" +
			"  meshknot status proxies --admin 127.0.0.1:18001",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"proxies"},
		RunE: func(c *cobra.Command, args []string) error {
			if !slices.Contains(formats, output) {
				return cannot("--output %q: want %s", output, strings.Join(formats, ", "))
			}
			if !slices.Contains([]string{"auto", "always", "never"}, color) {
				return cannot("--color %q: want auto, always or never", color)
			}
			if of.proxies = len(args) > 0; of.proxies || of.inCluster {
				return a.showFleet(c.Context(), of, output)
			}
			if len(in.files) == 0 || of.watch {
				return cannot("say what is asked for: -f FILE, --cluster [--watch] or proxies [--watch]")
			}
			return a.showFiles(in, output, color)
		},
	}
	in.register(c)
	_ = c.Flags().SetAnnotation("filename", cobra.BashCompOneRequiredFlag, []string{"false"}) // one of the forms does without
	of.register(c)
	c.MarkFlagsMutuallyExclusive("filename", "cluster")
	c.Flags().StringVarP(&output, "output", "o", "text", "one of "+strings.Join(formats, ", "))
	c.Flags().StringVar(&color, "color", "auto", "auto, always, never")
	complete(c, "output", formats...)
	complete(c, "color", "auto", "always", "never")
	return c
}

// showFiles shows what becomes of the objects of files.
func (a *app) showFiles(in inputFlags, output, color string) error {
	set, store, found, err := in.load(a)
	if err != nil {
		return err
	}
	objects, err := statuses(all.Status(store))
	if err != nil {
		return status{exitCannot, err}
	}
	if err := a.showStatuses(objects, output); err != nil {
		return err
	}
	if err := a.show(set, found, findingFlags{color: color}, report.Warning); err != nil {
		return err
	}
	refused := 0
	for _, o := range objects {
		if !o.good() {
			refused++
		}
	}
	fmt.Fprintf(a.err, "%s, %d not accepted as a whole.\n", counted(len(objects), "object"), refused)
	if err := conclude(found, report.Error); err != nil || refused == 0 {
		return err
	}
	return status{code: exitNo}
}

// statusObject is an object with its status, as an API server shows it.
type statusObject struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	Metadata   statusMetadata  `json:"metadata"`
	Status     json.RawMessage `json:"status"`

	rows []statusRow
}

type statusMetadata struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace,omitempty"`
}

// statusRow is a condition of an object, or of a part of it.
type statusRow struct {
	part string
	statusCondition
}

type statusCondition struct{ Type, Status, Reason, Message string }

// statusParts is where conditions stand in a status, whatever the kind.
type statusParts struct {
	Conditions []statusCondition
	Listeners  []struct {
		Name       string
		Conditions []statusCondition
	}
	Parents []struct {
		ParentRef struct {
			Kind, Namespace, Name, SectionName string
			Port                               int
		}
		Conditions []statusCondition
	}
}

func statuses(in []all.ObjectStatus) ([]statusObject, error) {
	var out []statusObject
	for _, s := range in {
		text, err := json.Marshal(s.Status)
		if err != nil {
			return nil, err
		}
		var parts statusParts
		if err := json.Unmarshal(text, &parts); err != nil {
			return nil, err
		}
		out = append(out, statusObject{
			APIVersion: s.Object.Group + "/" + s.Version, Kind: s.Object.Kind,
			Metadata: statusMetadata{s.Object.Name, s.Object.Namespace}, Status: text, rows: parts.rows(),
		})
	}
	return out, nil
}

func (p statusParts) rows() []statusRow {
	out := rowsOf("", p.Conditions)
	for _, l := range p.Listeners {
		out = append(out, rowsOf("listener "+l.Name, l.Conditions)...)
	}
	for _, one := range p.Parents {
		ref := one.ParentRef
		at := "at " + strings.TrimPrefix(ref.Namespace+"/", "/") + ref.Name
		if ref.SectionName != "" {
			at += " " + ref.SectionName
		}
		if ref.Port != 0 {
			at += ":" + strconv.Itoa(ref.Port)
		}
		out = append(out, rowsOf(at, one.Conditions)...)
	}
	return out
}

func rowsOf(part string, conditions []statusCondition) []statusRow {
	var out []statusRow
	for _, c := range conditions {
		out = append(out, statusRow{part, c})
	}
	return out
}

// good reports whether no part of the object is refused.
func (o statusObject) good() bool {
	return !slices.ContainsFunc(o.rows, func(r statusRow) bool {
		return (r.Type == "Accepted" || r.Type == "ResolvedRefs") && r.Status == "False"
	})
}

func (a *app) showStatuses(objects []statusObject, output string) error {
	switch output {
	case "json":
		if objects == nil {
			objects = []statusObject{}
		}
		return report.WriteJSON(a.out, objects)
	case "yaml":
		for _, o := range objects {
			text, err := yaml.Marshal(o)
			if err != nil {
				return status{exitCannot, err}
			}
			fmt.Fprintf(a.out, "---\n%s", text)
		}
		return nil
	}
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "OBJECT\tPART\tCONDITION\tSTATUS\tREASON\tMESSAGE")
	for _, o := range objects {
		name := report.Ref{Kind: o.Kind, Namespace: o.Metadata.Namespace, Name: o.Metadata.Name}
		for _, r := range o.rows {
			// What is in an object comes from whoever wrote it: no control characters in a terminal.
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", name, printable(r.part), r.Type, r.Status, r.Reason, printable(r.Message))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) { // most have no message
		fmt.Fprintln(a.out, strings.TrimRight(line, " \n"))
	}
	return nil
}

// printable replaces control characters, which could mean something to a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
