package consul_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/translators"
	backend "github.com/meshknot/meshknot/translators/consul"
	"github.com/meshknot/meshknot/translators/interpret"
	"github.com/meshknot/meshknot/translators/interpret/consul"
	"github.com/meshknot/meshknot/translators/verify"
)

func load(t *testing.T) []golden.Case {
	t.Helper()
	cases, err := golden.Load("../../../test/cases")
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// Every request of every case is decided as it is meant to be, or as the table
// says that it is not: whatever the agents do by default, in both forms.
func TestCases(t *testing.T) {
	for _, c := range load(t) {
		run := golden.Do(c)
		for _, options := range []map[string]string{{}, {"default": "allow"}, {"form": "kubernetes"}} {
			target := translators.Target{Backend: "consul", Options: maps.Clone(c.Options["consul"])}
			if target.Options == nil {
				target.Options = map[string]string{}
			}
			maps.Copy(target.Options, options)
			var pieces []translators.Piece
			for _, u := range run.Units {
				pieces = append(pieces, translators.Translate(u, backend.New(), target, c.Waivers))
			}
			out := translators.Assemble(backend.New(), target, pieces, c.Waivers)
			if out.Withheld {
				continue
			}
			found, err := verify.Check(interpret.WorldOf(run.Units), consul.New, out, pieces)
			if err != nil {
				t.Errorf("%s, %v: %v", c.Name, options, err)
			}
			for _, d := range found.Differences {
				if d.Shown == nil {
					t.Errorf("%s, %v: %s: %s: %s by %v", c.Name, options, d.Unit, d.Request, d.Difference, d.By)
				}
			}
		}
	}
}

// idle are the fields that decide nothing that is asked here, and why.
var idle = map[string]string{
	"Meta.managed-by":                "for people",
	"metadata.labels.*":              "for people",
	"Sources.Description":            "for people",
	"Routes.Destination.IdleTimeout": "a time without a byte is not decided",
	"UpstreamConfig.Defaults.PassiveHealthCheck.EnforcingConsecutive5xx": "failing endpoints are not decided",
	"UpstreamConfig.Defaults.PassiveHealthCheck.MaxEjectionPercent":      "failing endpoints are not decided",
	"HTTP.Incoming.RequestNormalization.PathWithEscapedSlashesAction":    "unset keeps them too",
}

var (
	named   = regexp.MustCompile(`(^metadata\.labels)\..*|(\.Set|\.Add)\.[^.]+`)
	initial = regexp.MustCompile(`(^|\.)[a-z]`)
)

// field is a field, whatever the names in it are, in the words of an entry.
func field(f string) string {
	f = named.ReplaceAllString(f, "$1$2.*")
	if rest, ok := strings.CutPrefix(f, "spec."); ok {
		f = initial.ReplaceAllStringFunc(rest, strings.ToUpper)
		f = strings.NewReplacer("Http", "HTTP").Replace(f)
	}
	return f
}

// What is left out of an entry is noticed, of every field that decides anything.
func TestRemovals(t *testing.T) {
	cases := load(t)
	noticed, tried, err := golden.Noticed(cases, "consul", consul.New, 25, 1)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for r := range tried {
		seen[field(r.Field)] += noticed[r]
	}
	for _, f := range slices.Sorted(maps.Keys(seen)) {
		switch why, ok := idle[f]; {
		case !ok && seen[f] == 0:
			t.Errorf("%s: nobody notices that it is missing", f)
		case ok && seen[f] > 0:
			t.Errorf("%s: it is said to decide nothing (%s), and does", f, why)
		}
	}
	for f := range idle {
		if _, ok := seen[f]; !ok {
			t.Errorf("%s: there is no such field", f)
		}
	}
}
