package golden

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshknot/meshknot/internal/engine"
	"github.com/meshknot/meshknot/internal/sink"
	"github.com/meshknot/meshknot/translators/all"
	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/ir"
)

// names lists the namespaces, Services, accounts and headers of a case that can
// be renamed without changing what it means.
func names(units []ir.Unit) []string {
	var out []string
	add := func(n ...string) { out = append(out, n...) }
	match := func(matches []ir.Match) {
		for _, m := range matches {
			for _, h := range m.Headers {
				add(h.Name)
			}
			for _, q := range m.Query {
				add(q.Name)
			}
		}
	}
	for _, u := range units {
		switch {
		case u.Service != nil:
			add(u.Service.Namespace, u.Service.Name)
			for _, p := range u.Service.Ports {
				for _, r := range p.AllRoutes() {
					match(r.Matches)
				}
			}
		case u.Gateway != nil:
			add(u.Gateway.Namespace, u.Gateway.Name)
		case u.VirtualHost != nil:
			for _, r := range u.VirtualHost.Routes {
				match(r.Matches)
			}
		case u.Workload != nil:
			add(u.Workload.Namespace, u.Workload.Account)
			for _, g := range u.Workload.Grants {
				match(g.Matches)
				for _, s := range g.Sources {
					add(s.Identity.Namespace, s.Identity.Account)
				}
			}
		}
	}
	slices.Sort(out)
	// These mean something in themselves.
	keep := regexp.MustCompile(`^(default|host|http|tcp|grpc.*|:.*|.*-bin|v1|v2|app|api|name|spec|kind|exact|header|method|prefix|query|x-request-id|.*\..*|.{60,})$`)
	return slices.DeleteFunc(slices.Compact(out), func(n string) bool { return n == "" || keep.MatchString(n) || feature.InlineHeader(n) })
}

// renamed replaces whole words.
func renamed(text string, from []string, suffix string) string {
	for _, n := range from {
		text = regexp.MustCompile(`(?i)(^|[^A-Za-z0-9_-])(`+regexp.QuoteMeta(n)+`)([^A-Za-z0-9_-]|$)`).ReplaceAllString(text, "${1}${2}"+suffix+"${3}")
	}
	return text
}

var hash = regexp.MustCompile(`-[0-9a-f]{6,16}\b`)

// artifactsOf renders what is made of a case, a string an artifact, sorted.
func artifactsOf(t *testing.T, r Run, undo string) []string {
	t.Helper()
	var out []string
	for _, o := range r.Result.Outputs {
		for _, a := range o.Artifacts {
			p, err := sink.Plain(a.Payload)
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(unordered(t, copied(t, p), undo))
			if err != nil {
				t.Fatal(err)
			}
			s := o.Target.Backend + " " + a.ID.Type + " " + a.ID.Name + " " + string(text)
			s = strings.NewReplacer(`\\`+undo, "", undo, "").Replace(s) // a hyphen may be escaped in an expression
			out = append(out, hash.ReplaceAllString(s, "-#"))
		}
	}
	slices.Sort(out)
	return out
}

func copied(t *testing.T, v any) any {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// unordered sorts every list of a payload, without the suffix of renaming: names
// give the order of many of them.
func unordered(t *testing.T, v any, undo string) any {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for k := range v {
			v[k] = unordered(t, v[k], undo)
		}
	case []any:
		for i := range v {
			v[i] = unordered(t, v[i], undo)
		}
		slices.SortFunc(v, func(a, b any) int {
			x, err1 := json.Marshal(a)
			y, err2 := json.Marshal(b)
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			return strings.Compare(strings.ReplaceAll(string(x), undo, ""), strings.ReplaceAll(string(y), undo, ""))
		})
	}
	return v
}

// Renaming everything that has a name gives the same output with other names.
func TestRenaming(t *testing.T) {
	const suffix = "-0q9" // sorts before whatever else may follow a name
	for _, c := range load(t) {
		t.Run(c.Name, func(t *testing.T) {
			before := runs(c)
			other := c
			other.Inputs = slices.Clone(c.Inputs)
			words := names(before.Units)
			for i, f := range other.Inputs {
				other.Inputs[i].Data = []byte(renamed(string(f.Data), words, suffix))
			}
			if settings, ok := c.Section("settings"); ok && (strings.Contains(settings, "workload=") || strings.Contains(settings, "option.") || strings.Contains(settings, "allow=")) {
				t.Skip("its settings name objects too")
			}
			after := Do(other)
			if d := cmp.Diff(artifactsOf(t, before, suffix), artifactsOf(t, after, suffix)); d != "" {
				t.Errorf("renaming %v changes more than the names (-before +after):\n%s", words, d)
			}
		})
	}
}

// Comments and moved documents recompile nothing and change no artifact.
func TestCommentsAndMovedDocuments(t *testing.T) {
	p := all.Pipeline()
	for _, c := range load(t) {
		e := engine.New(p, Targets(c), c.Waivers)
		store := func(inputs []input.File) *input.Store {
			set, _ := input.ReadFiles(inputs, input.Options{Schemas: p.Schemas()})
			return input.NewStore(set, c.Settings)
		}
		first := e.Run(store(files(c.Inputs)))
		var moved []input.File
		for i, f := range files(c.Inputs) {
			docs := strings.Split(string(f.Data), "\n---\n")
			slices.Reverse(docs)
			text := "# a comment\n\n" + strings.Join(docs, "\n---\n# another\n")
			moved = append([]input.File{{Name: "moved/" + string(rune('a'+i)) + ".yaml", Data: []byte(text)}}, moved...)
		}
		second := e.Run(store(moved))
		if len(first.Recompiled) == 0 || len(second.Recompiled) > 0 {
			t.Errorf("%s: the first run compiled %d units, the second %v", c.Name, len(first.Recompiled), second.Recompiled)
		}
		a, b := artifactsOf(t, Run{Result: first}, "\x00"), artifactsOf(t, Run{Result: second}, "\x00")
		if d := cmp.Diff(a, b); d != "" {
			t.Errorf("%s: artifacts changed:\n%s", c.Name, d)
		}
	}
}

// An edit recompiles what it touches, and the result is that of a fresh run.
func TestEditRecompilesWhatItTouches(t *testing.T) {
	p := all.Pipeline()
	for _, c := range load(t) {
		e := engine.New(p, Targets(c), c.Waivers)
		run := func(inputs []input.File) engine.Result {
			set, _ := input.ReadFiles(inputs, input.Options{Schemas: p.Schemas()})
			return e.Run(input.NewStore(set, c.Settings))
		}
		full := files(c.Inputs)
		for drop := range full { // a file vanishes, and comes back
			run(slices.Delete(slices.Clone(full), drop, drop+1))
			again := run(full)
			fresh := runs(c)
			if d := cmp.Diff(artifactsOf(t, fresh, "\x00"), artifactsOf(t, Run{Result: again}, "\x00")); d != "" {
				t.Errorf("%s: the engine ends elsewhere than a fresh run:\n%s", c.Name, d)
			}
			if d := cmp.Diff(fresh.Findings, again.Findings); d != "" {
				t.Errorf("%s: findings differ from a fresh run's:\n%s", c.Name, d)
			}
		}
	}
}
