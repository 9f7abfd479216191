// Package golden runs the cases of test/cases: one behaviour, one file.
//
// A case is a txtar archive. Its comment says in a sentence what it fixes.
// Sections:
//
//	settings     optional: access=, dialect=, complete=true, workload=NS/ACCOUNT=k=v,
//	             option.BACKEND.KEY=VALUE, allow=CODE=Kind/ns/name
//	in/*.yaml    the input
//	expect.txt   requests and what must become of them, written by hand from the
//	             specification before any output was looked at
//	out/*        made by "make golden" and reviewed: ir.yaml, report.txt (there even
//	             when empty) and one file per back end
//
// To add a case, write the first three and run make golden. A section that
// nobody reads or makes is an error.
package golden

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"

	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// Case is one case file.
type Case struct {
	// Name is "area/name", without the extension.
	Name     string
	Path     string
	Archive  *txtar.Archive
	Settings input.Settings
	Options  map[string]map[string]string // by back end
	Waivers  []feature.Waiver
	Expect   []Expectation
	// Inputs are the in/ sections.
	Inputs []txtar.File
}

// Load reads every case below a directory, sorted by name.
func Load(dir string) ([]Case, error) {
	var out []Case
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".txtar" {
			return err
		}
		c, err := read(dir, path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		out = append(out, c)
		return nil
	})
	slices.SortFunc(out, func(a, b Case) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

func read(dir, path string) (Case, error) {
	a, err := txtar.ParseFile(path)
	if err != nil {
		return Case{}, err
	}
	rel, err := filepath.Rel(dir, path)
	if err != nil {
		return Case{}, err
	}
	c := Case{Name: strings.TrimSuffix(filepath.ToSlash(rel), ".txtar"), Path: path, Archive: a, Options: map[string]map[string]string{}}
	if strings.TrimSpace(string(a.Comment)) == "" {
		return c, fmt.Errorf("no prose says what the case is about")
	}
	for _, f := range a.Files {
		switch {
		case f.Name == "settings":
			err = c.settings(string(f.Data))
		case f.Name == "expect.txt":
			c.Expect, err = parseExpectations(string(f.Data))
		case strings.HasPrefix(f.Name, "in/"):
			c.Inputs = append(c.Inputs, f)
		case strings.HasPrefix(f.Name, "out/"):
		default:
			err = fmt.Errorf("section %s: nobody reads it", f.Name)
		}
		if err != nil {
			return c, err
		}
	}
	if len(c.Inputs) == 0 || c.Expect == nil {
		return c, fmt.Errorf("a case needs in/ and expect.txt")
	}
	return c, nil
}

func (c *Case) settings(text string) error {
	for _, line := range lines(text) {
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return fmt.Errorf("settings: %q is not key=value", line)
		}
		switch rest := strings.Split(key, "."); {
		case key == "access":
			c.Settings.Access = value
		case key == "dialect":
			c.Settings.Dialect = value
		case key == "complete":
			c.Settings.Complete = value == "true"
		case key == "workload":
			name, labels, err := input.ParseWorkload(value)
			if err != nil {
				return err
			}
			if c.Settings.Workloads == nil {
				c.Settings.Workloads = map[string]map[string]string{}
			}
			c.Settings.Workloads[name] = labels
		case key == "allow":
			w, err := feature.ParseWaiver(value)
			if err != nil {
				return err
			}
			c.Waivers = append(c.Waivers, w)
		case rest[0] == "option" && len(rest) > 2:
			if c.Options[rest[1]] == nil {
				c.Options[rest[1]] = map[string]string{}
			}
			c.Options[rest[1]][strings.Join(rest[2:], ".")] = value
		default:
			return fmt.Errorf("settings: unknown key %q", key)
		}
	}
	return nil
}

// Section returns a section's text.
func (c Case) Section(name string) (string, bool) {
	for _, f := range c.Archive.Files {
		if f.Name == name {
			return string(f.Data), true
		}
	}
	return "", false
}

// lines splits text, without comments and empty lines.
func lines(text string) []string {
	var out []string
	for _, l := range strings.Split(text, "\n") {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			out = append(out, l)
		}
	}
	return out
}

// object renders a reference as expectations name it: Kind/name.
func object(r report.Ref) string { return r.Kind + "/" + r.Name }
