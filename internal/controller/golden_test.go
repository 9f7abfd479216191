package controller

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/gatewayapi"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares a text with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

var (
	splitRef = report.Ref{Group: "split.smi-spec.io", Kind: "TrafficSplit", Namespace: "shop", Name: "reviews"}
	vs       = translators.ID{Type: "networking.istio.io/v1/VirtualService", Name: "shop/reviews"}
	shopMesh = service{"shop-mesh", "istio", "1.31"}
)

func finding(code report.Code, s report.Severity, c report.Class, field, message string) report.Finding {
	f := report.New(code, splitRef.At(field), message).WithClass(c)
	f.Severity = s
	return f
}

// one is a subject of which one piece was made, as a case says.
func one(change func(*subject, *engine.Made, *engine.NamedPiece)) subject {
	p := engine.NamedPiece{Name: "shop-mesh", Piece: translators.Piece{Artifacts: []translators.Artifact{{ID: vs, Refs: []report.Ref{splitRef.At("spec")}}}}}
	m := engine.Made{}
	s := subject{ref: splitRef, version: "v1alpha4", uid: "u", generation: 3, bindings: []service{shopMesh},
		programming: func(service, []translators.Artifact) condition { return outcomeCondition(Outcome{State: Written}) }}
	change(&s, &m, &p)
	m.Pieces = []engine.NamedPiece{p}
	s.made = []engine.Made{m}
	return s
}

// outcome is a subject whose artifact came to something.
func outcome(o Outcome) subject {
	return one(func(s *subject, _ *engine.Made, _ *engine.NamedPiece) {
		s.programming = func(service, []translators.Artifact) condition { return outcomeCondition(o) }
	})
}

var subjects = []struct {
	name string
	of   subject
}{
	{"in force", one(func(*subject, *engine.Made, *engine.NamedPiece) {})},
	{"cannot be read", one(func(s *subject, _ *engine.Made, p *engine.NamedPiece) {
		s.rejected, p.Artifacts = true, nil
		s.found = report.Report{report.New(report.BadWeight, splitRef.At("spec.backends[0].weight"), "the weight is negative")}
	})},
	{"in conflict", one(func(_ *subject, m *engine.Made, p *engine.NamedPiece) {
		p.Artifacts = nil
		m.Findings = report.Report{report.New(report.SplitConflict, splitRef.At("spec.service"), "TrafficSplit shop/older has the same root")}
	})},
	{"nothing is made of it", one(func(_ *subject, _ *engine.Made, p *engine.NamedPiece) { p.Artifacts = nil })},
	{"in part", one(func(_ *subject, m *engine.Made, _ *engine.NamedPiece) {
		m.Findings = report.Report{finding(report.MissingBackend, report.Error, "", "spec.backends[1].service", "there is no Service shop/reviews-v2")}
	})},
	{"refused", one(func(_ *subject, _ *engine.Made, p *engine.NamedPiece) {
		p.Findings = report.Report{finding(report.Refused, report.Error, report.Widened, "spec.matches[0]", "istio would let more through")}
	})},
	{"last good", one(func(_ *subject, _ *engine.Made, p *engine.NamedPiece) {
		p.Kept = true
		p.Findings = report.Report{finding(report.Refused, report.Error, report.Dropped, "spec.matches[0]", "istio cannot say it")}
	})},
	{"withheld", one(func(_ *subject, _ *engine.Made, p *engine.NamedPiece) {
		p.Withheld, p.Artifacts = true, nil
		p.Findings = report.Report{finding(report.Withheld, report.Error, report.Dropped, "", "the deny cannot be said")}
	})},
	{"a defect of ours", one(func(_ *subject, m *engine.Made, _ *engine.NamedPiece) {
		m.Findings = report.Report{report.New(report.Crashed, splitRef, "translating it failed: index out of range")}
	})},
	{"losses", one(func(_ *subject, _ *engine.Made, p *engine.NamedPiece) {
		p.Findings = report.Report{finding(report.Lossy, report.Warning, report.Approximated, "spec.backends[0].weight", "rounded to percent"),
			finding(report.Lossy, report.Warning, report.Narrowed, "spec.matches[0]", "fewer requests match"), finding(report.Relocation, report.Info, report.Relocated, "spec", "at the server")}
	})},
	{"pending", outcome(Outcome{State: Pending})},
	{"refused by the mesh", outcome(Outcome{Refused, "spec.http[0].route[0].weight: must be at most 100"})},
	{"rejected by the mesh once it was written", outcome(Outcome{Rejected, "HTTPRoute shop/reviews: linkerd.io/policy-controller refuses it: Accepted is False: RouteReasonConflicted"})},
	{"foreign", outcome(Outcome{Foreign, "it is managed by kubectl"})},
	{"claimed", outcome(Outcome{Claimed, "the older MeshBinding other makes it too"})},
	{"not served", outcome(Outcome{Missing, "the kind is not served"})},
	{"retrying", outcome(Outcome{Failed, "connection refused"})},
}

// show renders conditions a line each.
func show(b *strings.Builder, conditions []metav1.Condition) {
	for _, c := range conditions {
		fmt.Fprintf(b, "  %s=%s %s: %s\n", c.Type, c.Status, c.Reason, c.Message)
	}
}

func TestConditions(t *testing.T) {
	var b, e strings.Builder
	for _, tt := range subjects {
		fmt.Fprintf(&b, "%s\n", tt.name)
		status := tt.of.status()
		show(&b, status.Backends[0].Conditions)
		fmt.Fprintf(&e, "%s\n", tt.name)
		for _, key := range slices.SortedFunc(maps.Keys(loud(status)), said.compare) {
			event := eventOf(status, "shop", loud(status)[key], key.backend, "host", metav1.MicroTime{})
			fmt.Fprintf(&e, "  %s %s %s: %s\n", event.Name, event.Type, event.Reason, event.Note)
		}
	}
	golden(t, "conditions.txt", b.String())
	golden(t, "events.txt", e.String())
}

func TestConditionsOfProxies(t *testing.T) {
	var b strings.Builder
	since := time.Unix(1, 0)
	node := func(name, namespace string, inSync bool, refusals []xds.Nack) xds.NodeStatus {
		return xds.NodeStatus{Node: name, Backend: "envoy", Namespace: namespace, Account: "web", Since: since, Settled: inSync, Refusals: refusals}
	}
	refused := []xds.Nack{{Node: "p1", Time: time.Unix(2, 0), Text: "route: weights do not add up", Refs: []report.Ref{splitRef.At("spec.backends[0].weight")}}}
	all := []translators.Artifact{{ID: vs, Audience: ir.Audience{Namespace: "shop"}}}
	mesh := service{"edge", "envoy", ""}
	server := &statusBoard{}
	p := newProxies(server, newMetrics(t))
	for _, step := range []struct {
		name  string
		edit  bool
		nodes []xds.NodeStatus
	}{
		{"nobody is connected", false, nil},
		{"only others are", false, []xds.NodeStatus{node("p9", "bank", true, nil)}},
		{"one has not acknowledged", false, []xds.NodeStatus{node("p1", "shop", true, nil), node("p2", "shop", false, nil)}},
		{"all have", false, []xds.NodeStatus{node("p1", "shop", true, nil), node("p2", "shop", true, nil)}},
		{"something else is under way", false, []xds.NodeStatus{node("p1", "shop", false, nil)}},
		{"it was edited", true, []xds.NodeStatus{node("p1", "shop", false, nil), node("p2", "shop", true, nil)}},
		{"refused", false, []xds.NodeStatus{node("p1", "shop", true, refused), node("p2", "shop", true, nil)}},
		{"still", false, []xds.NodeStatus{node("p1", "shop", true, refused)}},
		{"it was mended", true, []xds.NodeStatus{node("p1", "shop", true, nil)}},
		{"they are gone", false, nil},
	} {
		server.status.Nodes, server.status.Revision = step.nodes, server.status.Revision+1
		if step.edit {
			p.changed(translators.Change{Target: translators.Target{Name: "edge", Backend: "envoy"}, Put: []translators.Artifact{{ID: vs, Refs: []report.Ref{splitRef.At("spec")}}}}, nil)
		}
		p.look()
		c := p.programmed(splitRef, mesh, all)
		whole := p.all("envoy")
		fmt.Fprintf(&b, "%s\n  %s=%s %s: %s\n  binding: %s=%s %s: %s\n", step.name, c.Type, c.Status, c.Reason, c.Message, whole.Type, whole.Status, whole.Reason, whole.Message)
	}
	golden(t, "proxies.txt", b.String())
}

// statusBoard is a Server of which only the status matters.
type statusBoard struct{ status xds.Status }

func (s *statusBoard) Apply([]translators.Change) error { return nil }
func (s *statusBoard) Status() xds.Status               { return s.status }
func (s *statusBoard) OnAnswer(func())                  {}

func TestConditionsOfBindings(t *testing.T) {
	var b strings.Builder
	written := tally{wanted: 2}
	for _, tt := range []struct {
		name string
		of   bindingSubject
	}{
		{"in force", bindingSubject{generation: 2, namespaces: 1, objects: 2, tally: written}},
		{"cannot be used", bindingSubject{invalid: "spec.backend.version: istio has no version \"9.9\""}},
		{"in conflict", bindingSubject{conflict: "namespace shop is bound to istio by the older b", tally: written}},
		{"paused", bindingSubject{paused: true}},
		{"withheld", bindingSubject{withheld: true}},
		{"no Consul", bindingSubject{noSink: noSink(SinkConsul)}},
		{"pending", bindingSubject{tally: tally{wanted: 2, open: 1, worst: Outcome{State: Pending}, at: vs}}},
		{"rejected", bindingSubject{tally: tally{wanted: 2, open: 1, worst: Outcome{Rejected, "HTTPRoute shop/reviews: istio refuses it"}, at: vs}}},
		{"foreign", bindingSubject{tally: tally{wanted: 2, open: 1, worst: Outcome{Foreign, "it is managed by kubectl"}, at: vs}}},
	} {
		fmt.Fprintf(&b, "%s\n", tt.name)
		show(&b, tt.of.status().Conditions)
	}
	golden(t, "bindings.txt", b.String())
}

// The name under which we take part in statuses is the one that they are computed for.
func TestGatewayControllerName(t *testing.T) {
	if gatewayController != string(gatewayapi.ControllerName) || gatewayGroup != gatewayapi.Group {
		t.Error("it is another one")
	}
}

// However much there is to be said, a report has bounds, and says how much it left out.
func TestBounds(t *testing.T) {
	s := one(func(_ *subject, _ *engine.Made, p *engine.NamedPiece) {
		for i := range 1000 {
			p.Findings = append(p.Findings, finding(report.Lossy, report.Warning, report.Narrowed, fmt.Sprintf("spec.matches[%d]", i), strings.Repeat("é", 4000)))
			p.Artifacts = append(p.Artifacts, translators.Artifact{ID: translators.ID{Type: "T", Name: fmt.Sprint(i)}, Refs: []report.Ref{splitRef}})
		}
	})
	b := s.status().Backends[0]
	if len(b.Findings) != v1alpha1.MaxFindings || len(b.Artifacts) != v1alpha1.MaxArtifacts || len(b.Findings[0].Message) > v1alpha1.MaxMessage {
		t.Errorf("%d findings, %d artifacts", len(b.Findings), len(b.Artifacts))
	}
	if text, _ := json.Marshal(b); len(text) > 256<<10 {
		t.Errorf("a report of %d bytes", len(text))
	}
	if got := b.Findings[len(b.Findings)-1].Message; got != "and 937 more findings" {
		t.Errorf("the last one says %q", got)
	}
}
