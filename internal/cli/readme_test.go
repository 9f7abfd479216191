package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks returns the fenced blocks of a page in a language.
func blocks(page, language string) []string {
	var out []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(page, -1) {
		out = append(out, m[1])
	}
	return out
}

// TestPagesShow runs every "$ meshknot" of the pages and compares what they show with
// what is printed. A line "..." stands for any lines.
func TestPagesShow(t *testing.T) {
	for _, name := range pages {
		t.Run(name, func(t *testing.T) {
			page := pageText(t, name)
			atRoot(t)
			shown(t, page)
		})
	}
}

func shown(t *testing.T, page string) {
	t.Helper()
	ran := 0
	for _, block := range blocks(page, "console") {
		for _, one := range strings.Split("\n"+block, "\n$ meshknot ")[1:] {
			command, shown, _ := strings.Cut(one, "\n")
			var printed bytes.Buffer
			Main(strings.Fields(command), strings.NewReader(""), &printed, &printed)
			if !shows(lines(shown), lines(printed.String())) {
				t.Errorf("meshknot %s printed\n%s\nwhich is not\n%s", command, printed.String(), shown)
			}
			ran++
		}
	}
	if ran == 0 {
		t.Error("the page runs nothing")
	}
}

func lines(s string) []string {
	took := regexp.MustCompile(`in \d+ ms`) // it differs from run to run
	return strings.Split(strings.TrimSuffix(took.ReplaceAllString(s, "in N ms"), "\n"), "\n")
}

// shows reports whether lines are the shown ones, where "..." stands for any.
func shows(shown, printed []string) bool {
	if len(shown) == 0 {
		return len(printed) == 0
	}
	if shown[0] == "..." {
		return shows(shown[1:], printed) || len(printed) > 0 && shows(shown, printed[1:])
	}
	return len(printed) > 0 && shown[0] == printed[0] && shows(shown[1:], printed[1:])
}

func TestShows(t *testing.T) {
	for _, test := range []struct {
		name           string
		shown, printed string
		want           bool
	}{
		{"same", "a\nb", "a\nb", true},
		{"other", "a\nb", "a\nc", false},
		{"less", "a", "a\nb", false},
		{"more", "a\nb", "a", false},
		{"elided", "a\n...\nd", "a\nb\nc\nd", true},
		{"elided at both ends", "...\nb\n...", "a\nb\nc", true},
		{"nothing elided", "a\n...\nb", "a\nb", true},
		{"not there", "...\nx\n...", "a\nb\nc", false},
		{"times differ", "in 3 ms", "in 40 ms", true},
	} {
		if got := shows(lines(test.shown), lines(test.printed)); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// TestReadmeManifest: what the README shows of the example is in the example.
func TestReadmeManifest(t *testing.T) {
	var have strings.Builder
	files, err := filepath.Glob(filepath.Join(repository, "examples", "bookstore", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		have.Write(text)
	}
	shown := blocks(readme(t), "yaml")
	if len(shown) == 0 {
		t.Error("the README shows no manifest")
	}
	for _, block := range shown {
		for _, document := range strings.Split(block, "---\n") {
			if !strings.Contains(have.String(), document) {
				t.Errorf("not in the example:\n%s", document)
			}
		}
	}
}

// TestReadmeLinks: what the README links to is there.
func TestReadmeLinks(t *testing.T) {
	for _, m := range regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(readme(t), -1) {
		if strings.HasPrefix(m[1], "https://") {
			continue
		}
		if _, err := os.Stat(filepath.Join(repository, m[1])); err != nil {
			t.Error(err)
		}
	}
}
