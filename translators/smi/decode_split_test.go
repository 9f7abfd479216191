package smi

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/resource"
	"pgregory.net/rapid"
)

func splitText(version string, weights ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: split.smi-spec.io/%s\nkind: TrafficSplit\nmetadata: {name: reviews}\nspec:\n  service: reviews\n  backends:\n", version)
	for i, w := range weights {
		fmt.Fprintf(&b, "  - {service: v%d, weight: %s}\n", i, w)
	}
	return b.String()
}

func TestWeights(t *testing.T) {
	const at = "error MK2006 spec.backends"
	tests := []struct {
		name, version string
		weights       []string
		want          []uint32
		found         []string
	}{
		{"quantities in one notation", v1alpha1, []string{"900m", "100m"}, []uint32{9, 1}, nil},
		{"1 is 1000m", v1alpha1, []string{"1", "500m"}, []uint32{2, 1}, nil},
		{"a fraction and a thousand", v1alpha1, []string{"0.5", "1k"}, []uint32{1, 2000}, nil},
		{"quoted numbers", v1alpha1, []string{`"90"`, `"10"`}, []uint32{9, 1}, nil},
		{"powers of two", v1alpha1, []string{"1Ki", "512"}, []uint32{2, 1}, nil},
		{"an exponent", v1alpha1, []string{`"1e3"`, "250"}, []uint32{4, 1}, nil},
		{"exa is no exponent", v1alpha1, []string{"1E", "1P"}, []uint32{1000, 1}, nil},
		{"finer than Kubernetes keeps", v1alpha1, []string{"1n", "0.5n"}, []uint32{2, 1}, nil},
		{"a ratio beyond 32 bits", v1alpha1, []string{"5E", "1"}, []uint32{0, 1}, []string{at + "[0].weight"}},
		{"no quantity", v1alpha1, []string{"half", "1"}, []uint32{0, 1}, []string{at + "[0].weight"}},
		{"negative quantity", v1alpha1, []string{"-500m", "1"}, []uint32{0, 1}, []string{at + "[0].weight"}},
		{"whole numbers in lowest terms", v1alpha2, []string{"900", "100"}, []uint32{9, 1}, nil},
		{"one backend", v1alpha4, []string{"100"}, []uint32{1}, nil},
		{"zero and something", v1alpha3, []string{"0", "100"}, []uint32{0, 1}, nil},
		{"all zero stays", v1alpha4, []string{"0", "0"}, []uint32{0, 0}, nil},
		{"a whole number written as a fraction", v1alpha2, []string{"1.0", "3"}, []uint32{1, 3}, nil},
		{"fraction", v1alpha2, []string{"0.5", "1"}, []uint32{0, 1}, []string{at + "[0].weight"}},
		{"negative", v1alpha4, []string{"1", "-1"}, []uint32{1, 0}, []string{at + "[1].weight"}},
		{"quantity", v1alpha4, []string{"100m", "1"}, []uint32{0, 1}, []string{at + "[0].weight"}},
		{"quoted", v1alpha4, []string{`"50"`, "1"}, []uint32{0, 1}, []string{at + "[0].weight"}},
		{"null", v1alpha4, []string{"null", "1"}, []uint32{0, 1}, []string{at + "[0].weight"}},
		{"boolean", v1alpha4, []string{"true", "1"}, []uint32{0, 1}, []string{at + "[0].weight"}},
		{"object", v1alpha1, []string{"{a: 1}", "1"}, []uint32{0, 1}, []string{at + "[0].weight"}},
		{"an endless exponent", v1alpha1, []string{`"1e999999999"`, "1"}, []uint32{0, 1}, []string{at + "[0].weight"}},
		{"largest", v1alpha4, []string{"4294967294", "1"}, []uint32{4294967294, 1}, nil},
		{"the sum beyond 32 bits", v1alpha4, []string{"4294967295", "1"}, []uint32{4294967295, 1}, []string{at}},
		{"both", v1alpha4, []string{"4294967296", "0.5"}, []uint32{1, 0}, []string{at + "[1].weight"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, found := decodeText(t, splitText(tt.version, tt.weights...))
			var got []uint32
			for _, b := range v.(*Split).Backends {
				got = append(got, b.Weight)
			}
			checkValue(t, got, tt.want)
			checkSaid(t, found, tt.found...)
		})
	}
}

func TestWeightHints(t *testing.T) {
	tests := []struct{ name, version, weight, message, hint string }{
		{"quoted", v1alpha4, `"50"`, `weight "50" is a string`, "write it without quotes: 50"},
		{"quantity", v1alpha2, "100m", `weight "100m" is a quantity, which only v1alpha1 knows`, "write a whole number; only the ratio of the weights counts"},
		{"fraction", v1alpha3, "0.5", "weight 0.5 is a fraction", "write a whole number; only the ratio of the weights counts"},
		{"negative", v1alpha1, "-1", "weight -1 is negative", "write 0 for a backend that gets nothing"},
		{"missing", v1alpha1, "null", "the weight is missing", "give every backend a weight; 0 sends it nothing"},
		{"a long one is cut", v1alpha1, `"` + strings.Repeat("1", 100) + `"`, `weight "` + strings.Repeat("1", 63) + "... is no quantity", "write a number, or a quantity such as 500m"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, found := decodeText(t, splitText(tt.version, tt.weight, "1"))
			if len(found) != 1 || found[0].Message != tt.message || found[0].Hint != tt.hint {
				t.Errorf("got %+v, want %q, hint %q", found, tt.message, tt.hint)
			}
		})
	}
}

func TestSplit(t *testing.T) {
	const head = "apiVersion: split.smi-spec.io/v1alpha4\nkind: TrafficSplit\nmetadata: {name: ab}\nspec:\n"
	tests := []struct {
		name, text string
		found      []string
		want       *Split
	}{
		{"with matches", head + `
  service: web
  matches: [{apiGroup: specs.smi-spec.io, kind: HTTPRouteGroup, name: beta}, {kind: HTTPRouteGroup, name: gamma}]
  backends: [{service: web-v1, weight: 10}, {service: web-v2, weight: 30}]`, nil,
			&Split{Service: "web", ServiceField: "spec.service", Matches: []RouteRef{
				{Group: GroupSpecs, Kind: "HTTPRouteGroup", Name: "beta", AllMatches: true, Field: "spec.matches[0]"},
				{Group: GroupSpecs, Kind: "HTTPRouteGroup", Name: "gamma", AllMatches: true, Field: "spec.matches[1]"},
			}, Backends: []SplitBackend{{"web-v1", 1, "spec.backends[0]"}, {"web-v2", 3, "spec.backends[1]"}}}},
		{"references to something else", head + `
  service: web
  matches: [{apiGroup: gateway.networking.k8s.io, kind: HTTPRouteGroup, name: a}, {kind: TCPRoute}]
  backends: [{service: a, weight: 1}]`,
			[]string{"error MK2027 spec.matches[0].apiGroup", "error MK2027 spec.matches[1].kind", "error MK1004 spec.matches[1].name"},
			&Split{Service: "web", ServiceField: "spec.service", Matches: []RouteRef{
				{Group: "gateway.networking.k8s.io", Kind: "HTTPRouteGroup", Name: "a", AllMatches: true, Field: "spec.matches[0]"},
				{Group: GroupSpecs, Kind: "TCPRoute", AllMatches: true, Field: "spec.matches[1]"},
			}, Backends: []SplitBackend{{"a", 1, "spec.backends[0]"}}}},
		{"nothing", head + "  service: ''", []string{"error MK1004 spec.service", "error MK1004 spec.backends"}, &Split{ServiceField: "spec.service"}},
		{"service of the wrong type", head + "  service: {name: web}\n  backends: [{weight: 2}]",
			[]string{"error MK1004 spec.service", "error MK1004 spec.backends[0].service"},
			&Split{ServiceField: "spec.service", Backends: []SplitBackend{{"", 1, "spec.backends[0]"}}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, found := decodeText(t, tt.text)
			checkValue(t, v, tt.want)
			checkSaid(t, found, tt.found...)
		})
	}
}

// Where Kubernetes does not round, parseQuantity reads what Kubernetes reads.
func TestQuantityAgreesWithKubernetes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[+-]?([0-9]{1,6}(\.[0-9]{0,3})?|\.[0-9]{1,3})([eE][+-]?[0-5]|[KM]i|[umkMG])?`).Draw(t, "quantity")
		theirs, err := resource.ParseQuantity(s)
		ours, _, ok := parseQuantity(s)
		if (err == nil) != ok {
			t.Fatalf("%q: Kubernetes says %v, we say %v", s, err, ok)
		}
		if err != nil {
			return
		}
		want, _ := new(big.Rat).SetString(theirs.AsDec().String())
		if ours.Cmp(want) != 0 {
			t.Fatalf("%q: Kubernetes reads %v, we read %v", s, want, ours)
		}
	})
}

// A ratio does not depend on the notation in which it is written.
func TestWeightsKeepTheRatio(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ratio := rapid.SliceOfN(rapid.Uint32Max(1000), 1, 6).Draw(rt, "ratio")
		var plain, mixed []string
		for i, w := range ratio {
			plain = append(plain, fmt.Sprint(w))
			mixed = append(mixed, rapid.SampledFrom([]string{
				fmt.Sprint(w), fmt.Sprintf("%d000m", w), fmt.Sprintf(`"%d.0"`, w), fmt.Sprintf("%d000000u", w), fmt.Sprintf(`"%de-1"`, w*10),
			}).Draw(rt, fmt.Sprint("notation ", i)))
		}
		want, _ := decodeText(t, splitText(v1alpha4, plain...))
		got, found := decodeText(t, splitText(v1alpha1, mixed...))
		if len(found) > 0 || fmt.Sprint(got) != fmt.Sprint(want) {
			rt.Fatalf("%v is %v, want %v; %v", mixed, got, want, found)
		}
		for i, b := range want.(*Split).Backends { // and the ratio is the one that was written
			for j, c := range want.(*Split).Backends {
				if uint64(b.Weight)*uint64(ratio[j]) != uint64(c.Weight)*uint64(ratio[i]) {
					rt.Fatalf("%v became %v", ratio, want)
				}
			}
		}
	})
}
