package policies

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshknot/meshknot/translators/report"
)

const ownerRule = `# METADATA
# custom:
#   code: TEAM001
package team.owner

violation contains {"msg": "no owner", "field": "metadata"} if not input.metadata.annotations.owner
`

func liveRules(t *testing.T) *Live {
	t.Helper()
	l, err := NewLive(NewInventory(), Shipped(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func codesOf(found report.Report) string {
	var out []string
	for _, f := range found {
		out = append(out, string(f.Code))
	}
	return strings.Join(out, " ")
}

// TestLastGood: a source that is not in order keeps the rules that it had, harms no
// other, and says what is wrong; one that is gone has none.
func TestLastGood(t *testing.T) {
	module := func(name, text string) Source {
		return Source{Name: name, Modules: []Module{{File: name + "/rule.rego", Source: []byte(text)}}}
	}
	other := strings.ReplaceAll(strings.ReplaceAll(ownerRule, "TEAM001", "TEAM002"), "team.owner", "team.other")
	steps := []struct {
		name  string
		do    func(l *Live)
		want  string // codes found in a split without owner
		wrong string // name of a source with problems
	}{
		{"none", func(*Live) {}, "", ""},
		{"one", func(l *Live) { l.Set(module("a", ownerRule)) }, "TEAM001", ""},
		{"broken", func(l *Live) { l.Set(module("a", "package team.owner\nviolation contains")) }, "TEAM001", "a"},
		{"another", func(l *Live) { l.Set(module("b", other)) }, "TEAM001 TEAM002", "a"},
		{"forbidden", func(l *Live) {
			l.Set(module("b", "package team.other\ndeny if http.send({}).status == 1"))
		}, "TEAM001 TEAM002", "b"},
		{"unreadable", func(l *Live) { l.Set(Source{Name: "a", Err: os.ErrPermission}) }, "TEAM001 TEAM002", "a"},
		{"mended", func(l *Live) { l.Set(module("a", strings.ReplaceAll(ownerRule, "TEAM001", "TEAM003"))) }, "TEAM002 TEAM003", "b"},
		{"gone", func(l *Live) { l.Remove("b") }, "TEAM003", ""},
		{"parameters", func(l *Live) {
			l.Set(Source{Name: "p", Modules: module("p", other).Modules, Parameters: []string{"split-weight-total.none=1"}})
		}, "TEAM003", "p"},
		{"together", func(l *Live) { // a function of one name, with values that contradict each other
			l.Set(Source{Name: "p", Modules: module("p", "package team.owner\nviolation := 7").Modules})
		}, "TEAM003", "p"},
	}
	l := liveRules(t)
	for _, s := range steps {
		s.do(l)
		select {
		case <-l.wake:
			l.compile()
		default:
		}
		good := split("a")
		good.Value["spec"] = map[string]any{"service": "a", "backends": []any{map[string]any{"service": "a", "weight": 100}}}
		if got := codesOf(l.Review(t.Context(), good)); got != s.want {
			t.Errorf("%s: got %q, want %q; %v", s.name, got, s.want, l.States())
		}
		wrong := ""
		for _, state := range l.States() {
			if len(state.Problems) > 0 && (wrong == "" || state.Name == s.wrong) {
				wrong = state.Name
			}
		}
		if wrong != s.wrong {
			t.Errorf("%s: %q has problems, want %q: %v", s.name, wrong, s.wrong, l.States())
		}
	}
}

// TestFollowDirectory: what changes on disk is in force without anybody saying so.
func TestFollowDirectory(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "rule.rego")
	if err := os.WriteFile(file, []byte(ownerRule), 0o600); err != nil {
		t.Fatal(err)
	}
	l := liveRules(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	given := make(chan Source)
	go Follow(ctx, dir, Trust{}, time.Millisecond, func(s Source) { given <- s })
	take := func(want string) {
		t.Helper()
		l.Set(<-given)
		<-l.wake
		l.compile()
		if got := codesOf(l.Review(ctx, split("a"))); !strings.Contains(got, want) {
			t.Errorf("got %q, want %s", got, want)
		}
	}
	take("TEAM001")
	if err := os.WriteFile(file+".new", []byte(strings.ReplaceAll(ownerRule, "TEAM001", "TEAM009")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	take("TEAM009")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	take("TEAM009") // an empty directory is no wish to have no rules
	if states := l.States(); len(states) != 1 || len(states[0].Problems) == 0 {
		t.Errorf("nothing is said of it: %v", states)
	}
}

// TestOpenDemandsSignature: where a key is demanded, neither a directory nor a
// bundle that nobody signed is a source.
func TestOpenDemandsSignature(t *testing.T) {
	dir := t.TempDir()
	packed, _, err := BuildBundle([]Module{{File: "a.rego", Source: []byte(ownerRule)}}, "1", nil)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "bundle.tar.gz")
	if err := os.WriteFile(file, packed, 0o600); err != nil {
		t.Fatal(err)
	}
	if s := Open(file, Trust{}); s.Err != nil || len(s.Modules) == 0 {
		t.Errorf("%v", s.Err)
	}
	for _, name := range []string{file, dir} {
		if s := Open(name, Trust{Key: &PublicKey{}}); s.Err == nil || len(s.Modules) > 0 {
			t.Errorf("%s was taken", name)
		}
	}
}
