package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// table prints how each back end fares with the input's fields, in 80 columns.
func (a *app) table(t translation) {
	first := len("BACKEND")
	for _, o := range t.Outputs {
		first = max(first, len(name(o.Target)))
	}
	fmt.Fprintf(a.err, "%-*s  OBJECTS  EXACT  RELOCATED  APPROX  NARROWED  DROPPED  WIDENED\n", first, "BACKEND")
	for _, o := range t.Outputs {
		n := t.summary(o).Classes
		fmt.Fprintf(a.err, "%-*s  %7d  %5d  %9d  %6d  %8d  %7d  %7d\n", first, name(o.Target), len(o.Artifacts),
			n[report.Exact], n[report.Relocated], n[report.Approximated], n[report.Narrowed], n[report.Dropped], n[report.Widened])
	}
}

// accounted says in a sentence what became of the input's fields.
func (t translation) accounted() string {
	s := counted(len(t.fields), "input field") + ", all accounted for"
	if n := len(t.set.Rejected); n > 0 {
		s += "; " + counted(n, "object") + " could not be used"
	}
	return s + "."
}

// verified says in a sentence how requests are decided by what was made, and
// nothing where nobody asked.
func (t translation) verified() string {
	if t.asked == 0 {
		return ""
	}
	s := counted(t.asked-t.differ, "request") + " decided by what was made as by the policy"
	if t.foretold > 0 {
		s += fmt.Sprintf(", %d otherwise as the tables say", t.foretold)
	}
	return s + ".\n"
}

// opened states the access mode and the workloads that nothing guards. Every
// report has this line.
func opened(w io.Writer, access string, units []ir.Unit) {
	open := []string{}
	for _, u := range units {
		if u.Workload != nil && !u.Workload.Enforced && len(u.Workload.Pods) > 0 {
			open = append(open, u.Workload.Namespace+"/"+u.Workload.Account)
		}
	}
	if len(open) == 0 {
		open = []string{"none of the known workloads"}
	}
	fmt.Fprintf(w, "open to everybody (access %s): %s\n", access, strings.Join(open, ", "))
}

// tally says in a sentence what was found in a set.
func tally(set *input.Set, found report.Report) string {
	return tallied(len(set.Objects)+len(set.Rejected), found)
}

func tallied(objects int, found report.Report) string {
	errors := found.Worst(report.Error)
	return fmt.Sprintf("%s, %s, %s.", counted(objects, "object"),
		counted(errors, "error"), counted(found.Worst(report.Warning)-errors, "warning"))
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// name is how a user names a target: its back end and, where a binding says so, that.
func name(t translators.Target) string {
	s := t.Backend
	if t.Version != "" {
		s += "@" + t.Version
	}
	if t.Name != "" {
		s += " (" + t.Name + ")"
	}
	return s
}
