package gatewayapi

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// stands is what a hostname stands for, said another way: label by label from
// the right, a leading "*" for one label or more.
func stands(pattern, host string) bool {
	if pattern == anyHost {
		return true
	}
	p, h := strings.Split(pattern, "."), strings.Split(host, ".")
	slices.Reverse(p)
	slices.Reverse(h)
	for i, label := range p {
		if label == "*" {
			return len(h) > i
		}
		if i >= len(h) || h[i] != label {
			return false
		}
	}
	return len(h) == len(p)
}

// hosts and patterns are few, so that they often have something in common.
var (
	aLabel   = rapid.SampledFrom([]string{"a", "b", "com"})
	hosts    = rapid.Map(rapid.SliceOfN(aLabel, 1, 4), func(l []string) string { return strings.Join(l, ".") })
	patterns = rapid.OneOf(hosts, rapid.Map(hosts, func(h string) string { return "*." + h }), rapid.Just(anyHost))
)

func TestIntersection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, host := patterns.Draw(t, "a"), patterns.Draw(t, "b"), hosts.Draw(t, "host")
		both, ok := intersect(a, b)
		if got, want := ok && stands(both, host), stands(a, host) && stands(b, host); got != want {
			t.Fatalf("%s and %s have %q in common: %s is in it: %v, want %v", a, b, both, host, got, want)
		}
		if covers(a, b) && stands(b, host) && !stands(a, host) {
			t.Fatalf("%s covers %s, but not %s", a, b, host)
		}
	})
}

// What covers a host is found by as many questions as the host has labels.
func TestCovering(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern, host := patterns.Draw(t, "pattern"), patterns.Draw(t, "host")
		list := covering(host)
		if got, want := slices.Contains(list, pattern), covers(pattern, host); got != want {
			t.Fatalf("%v lists %s: %v, want %v", list, pattern, got, want)
		}
		if !slices.IsSortedFunc(list, moreSpecificHost) {
			t.Fatalf("%v is not in order of precedence", list)
		}
		if len(list) > 1+len(strings.Split(host, ".")) {
			t.Fatalf("%d questions for %s", len(list), host)
		}
	})
}

func TestHostnamesAsTheSpecificationSays(t *testing.T) {
	for _, c := range []struct {
		host, other string
		covers      bool
	}{
		{"*.example.com", "test.example.com", true},
		{"*.example.com", "foo.test.example.com", true},
		{"*.example.com", "*.foo.example.com", true},
		{"*.example.com", "example.com", false},
		{"*.example.com", "test.example.net", false},
		{"*.example.com", "badexample.com", false},
		{"*.example.com", "*", false},
		{"test.example.com", "*.example.com", false},
		{"*", "*.example.com", true},
	} {
		if got := covers(c.host, c.other); got != c.covers {
			t.Errorf("%s covers %s: %v", c.host, c.other, got)
		}
	}
}

func TestResourceName(t *testing.T) {
	long := strings.Repeat("gateway-", 10)
	a, b := resourceName(long, "one"), resourceName(long, "two")
	if len(a) != 63 || len(b) != 63 || a == b {
		t.Errorf("%s and %s", a, b)
	}
	if got := resourceName("edge", "mesh"); got != "edge-mesh" {
		t.Error(got)
	}
}
