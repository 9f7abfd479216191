package controller

import (
	"testing"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/translators/input"
)

// TestRecall: of a report, what rules said counts until this replica has looked itself,
// and comes out as it went in; what front ends say is said anew anyhow.
func TestRecall(t *testing.T) {
	id := input.ID{Group: "split.smi-spec.io", Kind: "TrafficSplit", Namespace: "shop", Name: "reviews"}
	said := []v1alpha1.Finding{
		{Code: "MK2009", Severity: "error", Message: "of a front end"},
		{Code: "MK4001", Severity: "error", Field: "spec.service", Message: "of a rule without a code"},
		{Code: "MKR004", Severity: "warning", Field: "spec.backends[0]", Message: "of ours", Hint: "mend it"},
		{Code: "SHOP01", Severity: "info", Message: "of somebody's"},
	}
	a := newAudit(true)
	a.recall(id, said)
	a.recall(id, said) // a report that comes twice says it once
	got := findings(a.found[id])
	if len(got) != 3 || got[0] != said[1] || got[1] != said[2] || got[2] != said[3] {
		t.Errorf("got %v", got)
	}
	a.recalls = false
	a.recall(id, nil)
	if len(a.found[id]) != 3 {
		t.Error("a report counts for more than the replica's own look")
	}
	none := newAudit(false)
	if none.recall(id, said); len(none.found) > 0 || !none.heard() {
		t.Error("without audits nothing of them stays")
	}
}
