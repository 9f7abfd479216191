package cli

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// result is what a command line did.
type result struct {
	code     int
	out, err string
}

// run runs a command line in this process.
func run(t *testing.T, args ...string) result {
	t.Helper()
	var out, errw bytes.Buffer
	code := Main(args, strings.NewReader(""), &out, &errw)
	return result{code, out.String(), errw.String()}
}

// atRoot changes into a directory that holds the examples and the policies, as
// the root of the repository does.
func atRoot(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := copyExamples(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "policies"), os.DirFS(filepath.Join(repository, "policies"))); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
}

// TestFormatsKeepTheStatus: how findings are shown does not change the exit
// status, and each format is what it says, whatever the status.
func TestFormatsKeepTheStatus(t *testing.T) {
	atRoot(t)
	write(t, "broken.yaml", "kind: [")
	write(t, "unowned.rego", "package team.owner\n\nviolation contains {\"msg\": \"nobody owns it\"} if true\n")
	const refused = "examples/bookstore"
	wellFormed := map[string]func(string) bool{
		"text":     func(string) bool { return true },
		"json":     func(s string) bool { return json.Valid([]byte(s)) },
		"sarif":    func(s string) bool { return json.Valid([]byte(s)) },
		"junit":    func(s string) bool { return xml.Unmarshal([]byte(s), new(struct{})) == nil },
		"github":   func(s string) bool { return s == "" || strings.HasPrefix(s, "::") },
		"markdown": func(s string) bool { return s == "No findings.\n" || strings.HasPrefix(s, "| Severity |") },
	}
	for _, test := range []struct {
		verb string
		args []string
		want int
	}{
		{"validate", []string{"-f", refused}, exitOK},
		{"validate", []string{"-f", refused, "--fail-on", "info"}, exitNo},
		{"validate", []string{"-f", refused, "--policy", "."}, exitNo},
		{"validate", []string{"-f", refused, "-f", "broken.yaml"}, exitCannot},
		{"validate", []string{"-f", "absent.yaml"}, exitCannot},
		{"losses", []string{"--to", "grpc", "-f", refused}, exitOK},
		{"losses", []string{"--to", "istio", "-f", refused}, exitNo},
		{"losses", []string{"--to", "grpc", "-f", refused, "--fail-on", "info"}, exitNo},
		{"losses", []string{"--to", "istio", "-f", refused, "-f", "broken.yaml"}, exitCannot},
		{"policy eval", []string{"-f", refused}, exitOK},
		{"policy eval", []string{"-f", refused, "--policy", "."}, exitNo},
		{"policy eval", []string{"-f", refused, "-f", "broken.yaml", "--policy", "."}, exitCannot},
	} {
		for _, format := range findingFormats {
			args := append(append(strings.Fields(test.verb), test.args...), "-o", format)
			got := run(t, args...)
			if got.code != test.want {
				t.Errorf("%s: exit status %d, want %d", args, got.code, test.want)
			}
			if !wellFormed[format](got.out) {
				t.Errorf("%s printed\n%s", args, got.out)
			}
		}
	}
	for _, format := range []string{"yaml", "json"} {
		for to, want := range map[string]int{"envoy": exitOK, "istio": exitNo} {
			if got := run(t, "translate", "-f", refused, "--to", to, "-o", format); got.code != want || got.out == "" {
				t.Errorf("translate to %s as %s: exit status %d, want %d", to, format, got.code, want)
			}
			if got := run(t, "translate", "-f", refused, "-f", "broken.yaml", "--to", to, "-o", format); got.code != exitCannot {
				t.Errorf("translate of broken input to %s as %s: exit status %d", to, format, got.code)
			}
		}
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
