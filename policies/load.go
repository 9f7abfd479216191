package policies

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

//go:embed lib/*.rego */rule.rego */rule_test.rego */samples/*.yaml
var shipped embed.FS

// library is the folder of the modules that every engine has.
const library = "lib"

// Limits on a folder of rules: far above what people write, far below what
// hurts.
const (
	maxModules     = 2000
	maxModuleBytes = 1 << 20
)

// Module is a file of Rego.
type Module struct {
	// File is the name that findings show.
	File   string
	Source []byte
}

// isTest reports whether the module holds tests, by the name of its file.
func (m Module) isTest() bool { return strings.HasSuffix(m.File, "_test.rego") }

// Files returns the shipped rules with their tests and samples: a folder per
// rule, laid out as Test expects it.
func Files() fs.FS { return shipped }

// Shipped returns the shipped rules.
func Shipped() []Module {
	modules, err := Load(shipped, "")
	if err != nil {
		panic(fmt.Sprintf("reading embedded rules: %v", err)) // the build would have failed
	}
	return modules
}

// Load reads every .rego file below the root of fsys, tests included. Names of
// files begin with dir, so that a reader finds them. A folder without a rule
// file is an error: it is a mistyped path more often than a wish.
func Load(fsys fs.FS, dir string) ([]Module, error) {
	var modules []Module
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() || path.Ext(name) != ".rego":
			return nil
		case len(modules) == maxModules:
			return fmt.Errorf("more than %d files", maxModules)
		}
		source, err := readModule(fsys, name)
		if err != nil {
			return err
		}
		modules = append(modules, Module{File: path.Join(dir, name), Source: source})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading rules: %w", err)
	}
	if len(modules) == 0 {
		return nil, fmt.Errorf("reading rules: no .rego file in %q", path.Join(dir, "."))
	}
	return modules, nil
}

// readModule reads a regular file, or a link to one.
func readModule(fsys fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", name)
	case info.Size() > maxModuleBytes:
		return nil, fmt.Errorf("%s: larger than %d bytes", name, maxModuleBytes)
	}
	return fs.ReadFile(fsys, name)
}

// libraryModules returns what the shipped rules share.
func libraryModules() []Module {
	return slices.DeleteFunc(Shipped(), func(m Module) bool { return path.Dir(m.File) != library })
}

// packageClause finds the package of a module without parsing it.
var packageClause = regexp.MustCompile(`(?m)^package[ \t]+([A-Za-z0-9_.]+)`)

func packageOf(m Module) string {
	if found := packageClause.FindSubmatch(m.Source); found != nil {
		return string(found[1])
	}
	return ""
}

// isLibrary reports whether a package is one of the library's.
func isLibrary(name string) bool { return slices.Contains(libraryPackages, name) }

// ours reports whether a module is one of the library's, to the letter.
func ours(m Module) bool {
	return slices.ContainsFunc(libraryModules(), func(own Module) bool { return string(own.Source) == string(m.Source) })
}

// libraryPackages are those of the folder library.
var libraryPackages = []string{"lib.inventory", "lib.meshknot", "lib.route"}

// withLibrary adds the library to modules, unless they bring their own, as those
// of a bundle do: it may be that of another version.
func withLibrary(modules []Module) []Module {
	if slices.ContainsFunc(modules, func(m Module) bool { return isLibrary(packageOf(m)) }) {
		return modules
	}
	return append(libraryModules(), modules...)
}
