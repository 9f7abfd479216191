package policies

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/policies.md and docs/policies")

// TestPages: the pages are what the rules say of themselves, and there is none
// about a rule that is gone.
func TestPages(t *testing.T) {
	docs := filepath.Join("..", "docs")
	pages := Pages()
	for name, want := range pages {
		file := filepath.Join(docs, name)
		if *update {
			write(t, file, want)
		}
		have, err := os.ReadFile(file)
		if err != nil || string(have) != want {
			t.Errorf("docs/%s is not what the rules say of themselves: run go test ./policies -run TestPages -update (%v)", name, err)
		}
	}
	written, err := filepath.Glob(filepath.Join(docs, "policies", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range written {
		if _, ok := pages["policies/"+filepath.Base(file)]; ok {
			continue
		}
		if !*update {
			t.Errorf("%s is about no rule", file)
		} else if err := os.Remove(file); err != nil {
			t.Error(err)
		}
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDocExample runs the rule that the page shows.
func TestDocExample(t *testing.T) {
	_, after, _ := strings.Cut(Pages()["policies.md"], "```rego\n")
	example, _, found := strings.Cut(after, "```")
	if !found {
		t.Fatal("the page shows no rule")
	}
	e := New(module("example.rego", example))
	got := e.Check(t.Context(), []Object{split("a")})
	if len(got) != 1 || got[0].Code != "TEAM001" || got[0].Source.Field != "metadata.annotations" {
		t.Errorf("got %+v", got)
	}
	owned := split("a")
	owned.Value["metadata"].(map[string]any)["annotations"] = map[string]any{"example.com/owner": "web"}
	if got := e.Check(t.Context(), []Object{owned}); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
}

// TestPagesAreComplete: every rule has a sample of each sort on its page, and
// says something of the failing one.
func TestPagesAreComplete(t *testing.T) {
	for name, page := range Pages() {
		if empty := regexp.MustCompile("```[a-z]*\n```\n\n").FindString(page + "\n"); empty != "" {
			t.Errorf("%s: a sample or message is missing", name)
		}
	}
}
