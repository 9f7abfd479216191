package sink_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators/gatewayapi"
)

var (
	httpRoute  = schema.GroupKind{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute"}
	virtual    = schema.GroupKind{Group: "networking.istio.io", Kind: "VirtualService"}
	authorized = schema.GroupKind{Group: "security.istio.io", Kind: "AuthorizationPolicy"}
	intentions = schema.GroupKind{Group: "consul.hashicorp.com", Kind: "ServiceIntentions"}
	server     = schema.GroupKind{Group: "policy.linkerd.io", Kind: "Server"}
)

// parent is what a controller says of a route.
func parent(controller, conditions string) string {
	return "status: {parents: [{parentRef: {name: web}, controllerName: " + controller + ", conditions: [" + conditions + "]}]}"
}

// Each status is of an object of generation 3.
func TestHear(t *testing.T) {
	const istio, linkerd = "istio.io/gateway-controller", "linkerd.io/policy-controller"
	for _, tt := range []struct {
		name   string
		kind   schema.GroupKind
		status string
		want   []string
	}{
		{"a mesh that says nothing", httpRoute, "", nil},
		{"accepted", httpRoute, parent(istio, `{type: Accepted, status: "True", reason: Accepted, observedGeneration: 3}`), nil},
		{"refused", httpRoute, parent(istio, `{type: Accepted, status: "False", reason: NotAllowedByListeners, message: no listener, observedGeneration: 3}`),
			[]string{istio + " refuses it: Accepted is False: NotAllowedByListeners: no listener"}},
		{"of no generation, and without a message", httpRoute, parent(linkerd, `{type: Accepted, status: "False", reason: RouteReasonConflicted, message: ""}`),
			[]string{linkerd + " refuses it: Accepted is False: RouteReasonConflicted"}},
		{"an earlier generation", httpRoute, parent(istio, `{type: Accepted, status: "False", reason: NoMatchingParent, observedGeneration: 2}`),
			[]string{"formerly " + istio + " refuses it: Accepted is False: NoMatchingParent"}},
		{"an earlier generation was accepted", httpRoute, parent(istio, `{type: Accepted, status: "True", reason: Accepted, observedGeneration: 2}`), nil},
		{"a later one than is seen", httpRoute, parent(istio, `{type: ResolvedRefs, status: "False", reason: BackendNotFound, observedGeneration: 4}`),
			[]string{istio + " refuses it: ResolvedRefs is False: BackendNotFound"}},
		{"a part of it", httpRoute, parent(istio, `{type: Accepted, status: "True"}, {type: PartiallyInvalid, status: "True", reason: UnsupportedValue, message: "Dropped Rule 1"}`),
			[]string{istio + " refuses it: PartiallyInvalid is True: UnsupportedValue: Dropped Rule 1"}},
		{"no part of it", httpRoute, parent(istio, `{type: PartiallyInvalid, status: "False", reason: Fine}`), nil},
		{"not known yet", httpRoute, parent(istio, `{type: Accepted, status: Unknown, reason: Pending}`), nil},
		{"something nobody knows", httpRoute, parent(istio, `{type: Sunny, status: "False", reason: Rain}`), nil},
		{"ourselves", httpRoute, parent(string(gatewayapi.ControllerName), `{type: Accepted, status: "False", reason: NoMatchingParent, observedGeneration: 3}`), nil},
		{"conditions where routes have none", httpRoute, `status: {conditions: [{type: Accepted, status: "False"}]}`, nil},

		{"not synced", intentions, `status: {conditions: [{type: Synced, status: "False", reason: ConsulAgentError, message: "permission denied"}]}`,
			[]string{"Consul refuses it: Synced is False: ConsulAgentError: permission denied"}},
		{"synced", intentions, `status: {conditions: [{type: Synced, status: "True"}], lastSyncedTime: "2026-01-01T00:00:00Z"}`, nil},
		{"of Consul something else", intentions, `status: {conditions: [{type: Accepted, status: "False"}]}`, nil},

		{"an error of the analysis", virtual, `status: {observedGeneration: "3", validationMessages: [{level: ERROR, type: {name: ReferencedResourceNotFound, code: IST0101}, documentationUrl: "https://istio.io/ist0101"}]}`,
			[]string{"Istio refuses it: validationMessages: IST0101: ReferencedResourceNotFound https://istio.io/ist0101"}},
		{"a warning of the analysis", virtual, `status: {observedGeneration: 3, validationMessages: [{level: WARNING, type: {code: IST0132}}]}`, nil},
		{"an error of before", virtual, `status: {observedGeneration: "2", validationMessages: [{level: ERROR, type: {code: IST0101}}]}`,
			[]string{"formerly Istio refuses it: validationMessages: IST0101"}},
		{"still on its way to proxies", virtual, `status: {conditions: [{type: Reconciled, status: "False", message: "1/2 proxies up to date."}]}`, nil},
		{"the proxy of a node, which others do not have", authorized, `status: {conditions: [{type: ZtunnelAccepted, status: "False", reason: UnsupportedValue}]}`, nil},
		{"a waypoint", authorized, `status: {conditions: [{type: WaypointAccepted, status: "False", reason: AncestorNotBound, observedGeneration: "3"}]}`,
			[]string{"Istio refuses it: WaypointAccepted is False: AncestorNotBound"}},
		{"a condition has its own generation", authorized, `status: {observedGeneration: "3", conditions: [{type: WaypointAccepted, status: "False", reason: Invalid, observedGeneration: "2"}]}`,
			[]string{"formerly Istio refuses it: WaypointAccepted is False: Invalid"}},

		{"a kind of which nobody says anything", server, `status: {conditions: [{type: Accepted, status: "False"}]}`, nil},
		{"two, sorted, each once", httpRoute, `status: {parents: [
			{controllerName: b, conditions: [{type: Accepted, status: "False", reason: X}]},
			{controllerName: b, conditions: [{type: Accepted, status: "False", reason: X}]},
			{controllerName: a, conditions: [{type: Programmed, status: "False", reason: Late}]}]}`,
			[]string{"a refuses it: Programmed is False: Late", "b refuses it: Accepted is False: X"}},
		{"what no status is", httpRoute, "status: 7", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			object, err := yaml.YAMLToJSON([]byte("metadata: {generation: 3}\n" + tt.status))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range sink.Hear(tt.kind, object) {
				text := r.String()
				if r.Former {
					text = "formerly " + text
				}
				got = append(got, text)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// What somebody says at length is not kept at length.
func TestHearAtLength(t *testing.T) {
	object, err := yaml.YAMLToJSON([]byte(parent("a", `{type: Accepted, status: "False", message: "`+strings.Repeat("é", 9000)+`"}`)))
	if err != nil {
		t.Fatal(err)
	}
	if got := sink.Hear(httpRoute, object); len(got) != 1 || len(got[0].Message) > 1100 || !strings.HasSuffix(got[0].Message, "é...") {
		t.Errorf("%d refusals: %v", len(got), got)
	}
}

// Whose refusal counts: where a back end writes for one mesh, that of no other one.
func TestConcerns(t *testing.T) {
	for _, tt := range []struct {
		controller, backend string
		want                bool
	}{
		{"linkerd.io/policy-controller", "linkerd", true},
		{"istio.io/gateway-controller", "linkerd", false},
		{"istio.io/gateway-controller", "gateway-api", true},
		{"linkerd.io/policy-controller", "gateway-api", true},
		{"Consul", "consul", true},
		{"", "linkerd", true},
	} {
		if got := (sink.Refusal{Controller: tt.controller}).Concerns(tt.backend); got != tt.want {
			t.Errorf("%q and %s: %v", tt.controller, tt.backend, got)
		}
	}
}

// It is known of every kind that is written whether and how its status speaks.
func TestEveryKindIsHeard(t *testing.T) {
	all := sink.AllSpeaking()
	for _, k := range sink.AllKinds() {
		if !sink.Known(k.GroupKind()) {
			t.Errorf("of %s nothing is known", k)
		}
		heard := slices.ContainsFunc(all, func(s sink.Speaking) bool {
			return s.GroupKind == k.GroupKind() && s.Resource != "" && slices.Contains(s.Versions, k.Version)
		})
		if heard != sink.Speaks(k.GroupKind()) || heard != (k.Group != server.Group) {
			t.Errorf("of %s somebody speaks: %v", k, heard)
		}
	}
}

// The page for operators names every condition in which a mesh refuses something, in
// the column of its table that says so.
func TestOperatorsAreToldOfRefusals(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "### What in force means")
	section, _, _ = strings.Cut(section, "\n## ")
	var said []string
	for row := range strings.Lines(section) {
		if cells := strings.Split(row, "|"); len(cells) == 5 {
			said = append(said, strings.FieldsFunc(cells[3], func(r rune) bool { return !unicode.IsLetter(r) })...)
		}
	}
	for _, name := range append(sink.Refusing(), "validationMessages") {
		if !slices.Contains(said, name) {
			t.Errorf("docs/operations.md says nothing of %s", name)
		}
	}
}
