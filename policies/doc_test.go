package policies

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/policies.md")

func TestDoc(t *testing.T) {
	page := filepath.Join("..", "docs", "policies.md")
	if *update {
		if err := os.MkdirAll(filepath.Dir(page), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(page, []byte(Doc()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != Doc() {
		t.Error("docs/policies.md is not what the rules say of themselves: run go test ./policies -run TestDoc -update")
	}
}

// TestDocExample runs the rule that the page shows.
func TestDocExample(t *testing.T) {
	_, after, _ := strings.Cut(Doc(), "```rego\n")
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

// TestDocIsComplete: every rule has a sample of each sort on the page.
func TestDocIsComplete(t *testing.T) {
	if empty := regexp.MustCompile("```yaml\n```").FindString(Doc()); empty != "" {
		t.Error("a sample is missing")
	}
}
