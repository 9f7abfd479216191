package v1alpha1_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"

	"github.com/meshknot/meshknot/crds/v1alpha1"
	"github.com/meshknot/meshknot/translators/all"
)

func TestReportName(t *testing.T) {
	long := strings.Repeat("a", 240)
	for _, tt := range []struct{ group, kind, name, want string }{
		{"split.smi-spec.io", "TrafficSplit", "reviews", "trafficsplit.split.reviews"},
		{"gateway.networking.k8s.io", "HTTPRoute", "a.b", "httproute.gateway.a.b"},
		{"specs.smi-spec.io", "UDPRoute", "x", "udproute.specs.x"},
		{"gateway.networking.k8s.io", "UDPRoute", "x", "udproute.gateway.x"},
		{"", "Service", "web", "service.core.web"},
		{"gateway.example.com", "UDPRoute", "x", "udproute.gateway-b429176e11fc43f0483a7089.x"},
		{"split.smi-spec.io", "TrafficSplit", long, "trafficsplit.split-06734e8ece5be3d0fc74fcce." + long[:209]},
		{"", "Service", "A_b", "service.core-7a875cc0a27481554b00dcf8.b"},
	} {
		got := v1alpha1.ReportName(tt.group, tt.kind, tt.name)
		if got != tt.want {
			t.Errorf("%s %s %s: got %s, want %s", tt.group, tt.kind, tt.name, got, tt.want)
		}
	}
}

// The groups that are read need no hash.
func TestReportNameOfWhatIsRead(t *testing.T) {
	for _, s := range all.Pipeline().Schemas() {
		if got := v1alpha1.ReportName(s.Group, s.Kind, "x"); len(strings.Split(got, ".")) != 3 || strings.Contains(got, "-") {
			t.Errorf("%s %s: %s", s.Group, s.Kind, got)
		}
	}
}

// Whatever the object, the name is one that an API server takes and that no
// other object has.
func TestReportNameIsInjective(t *testing.T) {
	group := rapid.OneOf(rapid.SampledFrom([]string{"", "split.smi-spec.io", "specs.smi-spec.io", "gateway.networking.k8s.io", "gateway.x", "core.x"}),
		rapid.StringMatching(`[a-z0-9]([a-z0-9-]{0,80}[a-z0-9])?\.[a-z]{1,3}`))
	kind := rapid.SampledFrom([]string{"UDPRoute", "TCPRoute", "Service", "K" + strings.Repeat("k", 62)})
	name := rapid.OneOf(rapid.StringMatching(`[a-z0-9]([a-z0-9.-]{0,300})`), rapid.StringMatching(`[ab.-]{1,3}`),
		rapid.StringMatching(`a{200,253}b?`), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		seen := map[string][3]string{}
		for range 20 {
			o := [3]string{group.Draw(t, "group"), kind.Draw(t, "kind"), name.Draw(t, "name")}
			got := v1alpha1.ReportName(o[0], o[1], o[2])
			if wrong := validation.IsDNS1123Subdomain(got); len(wrong) > 0 {
				t.Fatalf("%q: %q: %v", o, got, wrong)
			}
			if other, ok := seen[got]; ok && other != o {
				t.Fatalf("%q and %q are both %s", o, other, got)
			}
			seen[got] = o
		}
	})
}
