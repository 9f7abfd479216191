package golden

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Documents that name a case must name one that exists.
func TestDocumentsNameCases(t *testing.T) {
	files, err := filepath.Glob("../../docs/decisions/*.md")
	if err != nil || len(files) == 0 {
		t.Fatal("no decisions", err)
	}
	named := regexp.MustCompile(`\b(split|access|specs|input|mesh|pairs)/[a-z0-9-]+`)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range named.FindAllString(string(text), -1) {
			if _, err := os.Stat(filepath.Join(dir, name+".txtar")); err != nil {
				t.Errorf("%s names case %s, which does not exist", f, name)
			}
		}
	}
}
