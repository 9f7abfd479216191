package controller

import (
	"context"
	"regexp"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// audit is what rules have against objects. Until this replica leads and everything
// was looked at once it is what the reports say that there are: who leads next has
// nothing to write where nothing changed.
type audit struct {
	rounds chan map[report.Ref]report.Report
	found  map[input.ID]report.Report
	// wanted: there are audits. recalls: what reports say counts.
	wanted, recalls bool
}

func newAudit(wanted bool) audit {
	return audit{make(chan map[report.Ref]report.Report), map[input.ID]report.Report{}, wanted, wanted}
}

// heard reports whether there is no first round to wait for.
func (a *audit) heard() bool { return !a.recalls }

// tabled matches the codes of front and back ends, in whose name no rule speaks; ruled
// those that rules have in the same table.
var tabled, ruled = regexp.MustCompile(`^MK[0-9]+$`), regexp.MustCompile(`^MK4[0-9]+$`)

// recall takes over what a report says of rules.
func (a *audit) recall(id input.ID, said []v1alpha1.Finding) {
	if !a.recalls {
		return
	}
	delete(a.found, id)
	for _, f := range said {
		if tabled.MatchString(f.Code) && !ruled.MatchString(f.Code) {
			continue
		}
		a.found[id] = append(a.found[id], report.Finding{Code: report.Code(f.Code), Severity: report.Severity(f.Severity), Class: report.Class(f.Class),
			Source: id.Ref(f.Field), Message: f.Message, Hint: f.Hint, Waived: f.Waived})
	}
}

// hear returns what an audit gives its findings to while this replica leads.
func (l *loop) hear(ctx context.Context) func(map[report.Ref]report.Report) {
	return func(found map[report.Ref]report.Report) {
		select {
		case l.audit.rounds <- found:
		case <-l.ended:
		case <-ctx.Done():
		}
	}
}

// audited takes down what an audit found (7), and has those objects reported on that
// something was found in, now or before.
func (l *loop) audited(found map[report.Ref]report.Report) {
	for id := range l.audit.found {
		l.again(id)
	}
	l.audit.found, l.audit.recalls = map[input.ID]report.Report{}, false
	counts := map[report.Severity]int{}
	for at, f := range found {
		id := idOf(at)
		l.audit.found[id] = f.Sorted()
		l.again(id)
		for _, one := range f {
			counts[one.Severity]++
		}
	}
	l.metrics.Audited(counts)
	l.log.Debug("everything was audited", "objects", len(found), "errors", counts[report.Error], "warnings", counts[report.Warning])
}

// unaudited has audits be another one's business again.
func (l *loop) unaudited() {
	l.audit.recalls = l.audit.wanted
	l.metrics.Audited(nil)
}
