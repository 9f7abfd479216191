package consul_test

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/meshknot/meshknot/test/golden"
	"github.com/meshknot/meshknot/translators"
	backend "github.com/meshknot/meshknot/translators/consul"
	"github.com/meshknot/meshknot/translators/interpret/consul"
)

func load(t *testing.T) []golden.Case {
	t.Helper()
	return golden.Cases(t, "../../../test/cases")
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
			result, err := run.Verify(c, backend.New(), target, consul.New)
			golden.Explained(t, fmt.Sprintf("%s, %v", c.Name, options), result, err)
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
func field(r golden.Removed) string {
	f := named.ReplaceAllString(r.Field, "$1$2.*")
	if rest, ok := strings.CutPrefix(f, "spec."); ok {
		f = initial.ReplaceAllStringFunc(rest, strings.ToUpper)
		f = strings.NewReplacer("Http", "HTTP").Replace(f)
	}
	return f
}

// What is left out of an entry is noticed, of every field that decides anything.
func TestRemovals(t *testing.T) {
	golden.Leaves{Cases: load(t), Backend: "consul", Read: consul.New, Tries: 25}.Account(t, idle, field, 150)
}
