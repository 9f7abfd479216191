package policies

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"

	"github.com/meshknot/meshknot/translators/report"
)

// Limits on a bundle. What is unpacked is counted before any of it is kept, so
// that a small file cannot become a large one.
const (
	MaxBundleBytes   = 16 << 20
	maxUnpackedBytes = 64 << 20
	maxBundleFiles   = maxModules + 16
	headerBytes      = 4 << 10 // what an archive holds of a file beside its content
)

// bundleKeyID is the one that opa looks for when it is told none.
const bundleKeyID = "default"

// Bundle is a set of rules in one file, in OPA's format.
type Bundle struct {
	// Revision is a whole number or a semantic version.
	Revision string
	Modules  []Module
	// Verified: it has the signature of the key that was demanded.
	Verified bool
}

// Refused is the error of a bundle that must not be used: its rules are not
// those that were asked for. It stands for the code MK4005.
type Refused struct{ Reason string }

func (r Refused) Error() string { return r.Reason }

func refuse(format string, args ...any) error {
	return Refused{fmt.Sprintf(format, args...)}
}

// BuildBundle packs modules, with the library if they bring none, into a bundle
// that opa reads too. Tests stay out. The same modules and revision give the
// same bytes, unless the key is one whose signatures differ each time (ECDSA).
// Modules that do not load are told in the report, and nothing is built.
func BuildBundle(modules []Module, revision string, key *SigningKey) ([]byte, report.Report, error) {
	if _, err := parseRevision(revision); err != nil {
		return nil, nil, err
	}
	p := compile(modules, false)
	if len(p.problems) > 0 {
		return nil, p.problems.Sorted(), nil
	}
	b := bundle.Bundle{Data: map[string]any{}, Manifest: bundle.Manifest{Revision: revision}}
	b.Manifest.SetRegoVersion(ast.RegoV1)
	var packages []string
	for _, m := range withLibrary(modules) {
		module := p.modules[m.File]
		if module == nil {
			continue // a test, or a second copy
		}
		file := "/" + strings.TrimPrefix(path.Clean(m.File), "/")
		if !isV1(m) {
			if b.Manifest.FileRegoVersions == nil {
				b.Manifest.FileRegoVersions = map[string]int{}
			}
			b.Manifest.FileRegoVersions[file] = 0
		}
		b.Modules = append(b.Modules, bundle.ModuleFile{URL: file, Path: file, RelativePath: file, Raw: m.Source, Parsed: module})
		packages = append(packages, packagePath(module))
	}
	slices.SortFunc(b.Modules, func(x, y bundle.ModuleFile) int { return strings.Compare(x.Path, y.Path) })
	b.Manifest.Roots = rootsOf(packages)
	packed, err := pack(b, key)
	return packed, nil, err
}

// isV1 reports whether a module that is in order is Rego v1; else it is v0.
func isV1(m Module) bool {
	_, err := ast.ParseModuleWithOpts(m.File, string(m.Source), ast.ParserOptions{RegoVersion: ast.RegoV1})
	return err == nil
}

func packagePath(m *ast.Module) string {
	parts := []string{}
	for _, term := range m.Package.Path[1:] {
		s, _ := term.Value.(ast.String)
		parts = append(parts, string(s))
	}
	return strings.Join(parts, "/")
}

// rootsOf returns the packages of which none is below another, so that the
// bundle leaves the rest of data to other bundles.
func rootsOf(packages []string) *[]string {
	roots := []string{}
	slices.Sort(packages)
	for _, p := range slices.Compact(packages) {
		if !slices.ContainsFunc(roots, func(r string) bool { return strings.HasPrefix(p+"/", r+"/") }) {
			roots = append(roots, p)
		}
	}
	return &roots
}

// pack signs a bundle, if there is a key, and writes it.
func pack(b bundle.Bundle, key *SigningKey) ([]byte, error) {
	if key != nil {
		if err := b.GenerateSignature(bundle.NewSigningConfig(key.pem, key.algorithm, ""), bundleKeyID, true); err != nil {
			return nil, fmt.Errorf("signing the bundle: %w", err)
		}
	}
	var out bytes.Buffer
	if err := bundle.NewWriter(&out).UseModulePath(true).DisableFormat(true).Write(b); err != nil {
		return nil, fmt.Errorf("writing the bundle: %w", err)
	}
	if out.Len() > MaxBundleBytes {
		return nil, fmt.Errorf("the bundle has %d bytes: more than %d are never read", out.Len(), MaxBundleBytes)
	}
	return out.Bytes(), nil
}

// SignBundle signs a bundle, in the place of the signature that it may have.
// What is signed is what the bundle holds now: verify it first where it comes
// from somebody else.
func SignBundle(packed []byte, key *SigningKey) ([]byte, error) {
	b, err := unpack(packed, nil)
	if err != nil {
		return nil, err
	}
	b.Signatures = bundle.SignaturesConfig{}
	return pack(b, key)
}

// Trust is what is demanded of a bundle.
type Trust struct {
	// Key must have signed it; nil demands nothing.
	Key *PublicKey
	// MinRevision is the oldest revision that is taken; empty demands nothing.
	MinRevision string
}

// ReadBundle unpacks a bundle. The error is a Refused one where the bundle is not
// what is demanded of it. The names of its modules begin with name.
func ReadBundle(name string, packed []byte, t Trust) (Bundle, error) {
	b, err := unpack(packed, t.Key)
	if err != nil {
		return Bundle{}, err
	}
	if t.MinRevision != "" {
		least, err := parseRevision(t.MinRevision)
		if err != nil {
			return Bundle{}, err
		}
		if err := least.atMost(b.Manifest.Revision); err != nil {
			return Bundle{}, err
		}
	}
	out := Bundle{Revision: b.Manifest.Revision, Verified: t.Key != nil}
	for _, m := range b.Modules {
		out.Modules = append(out.Modules, Module{File: path.Join(name, m.Path), Source: m.Raw})
	}
	if len(out.Modules) == 0 {
		return Bundle{}, refuse("the bundle holds no rules")
	}
	return out, nil
}

// unpack reads a bundle and verifies it against a key, if there is one.
func unpack(packed []byte, key *PublicKey) (bundle.Bundle, error) {
	if err := measure(packed); err != nil {
		return bundle.Bundle{}, err
	}
	r := bundle.NewReader(bytes.NewReader(packed)).WithSizeLimitBytes(maxModuleBytes).WithRegoVersion(ast.RegoV1)
	if key != nil {
		keys := map[string]*bundle.KeyConfig{bundleKeyID: {Key: key.pem, Algorithm: key.algorithm}}
		r = r.WithBundleVerificationConfig(bundle.NewVerificationConfig(keys, bundleKeyID, "", nil))
	} else {
		r = r.WithSkipBundleVerification(true)
	}
	b, err := r.Read()
	if err != nil {
		return bundle.Bundle{}, refuse("%s", oneLine(err))
	}
	if b.Type() != bundle.SnapshotBundleType {
		return bundle.Bundle{}, refuse("the bundle changes another one, and holds no rules of its own")
	}
	if len(b.WasmModules)+len(b.PlanModules) > 0 || len(b.Data) > 0 {
		return bundle.Bundle{}, refuse("the bundle holds data, plans or WebAssembly beside rules, which are never used here: %s",
			strings.Join(beside(b), ", "))
	}
	return b, nil
}

// beside names what a bundle holds beside rules.
func beside(b bundle.Bundle) []string {
	names := slices.Sorted(maps.Keys(b.Data))
	for i, key := range names {
		names[i] = "data." + key
	}
	for _, m := range b.WasmModules {
		names = append(names, m.Path)
	}
	for _, m := range b.PlanModules {
		names = append(names, m.Path)
	}
	return names
}

// measure unpacks a bundle into nothing, to see that it keeps the limits, that no
// file is there twice, of which one might be verified and the other used, and that
// nothing is there that nobody verifies: a link, or what stands behind the end.
func measure(packed []byte) error {
	if len(packed) > MaxBundleBytes {
		return refuse("the bundle has more than %d bytes", MaxBundleBytes)
	}
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return refuse("not a bundle: %v", err)
	}
	content := &io.LimitedReader{R: unzipped, N: maxUnpackedBytes + headerBytes*maxBundleFiles}
	files := tar.NewReader(content)
	seen := map[string]bool{}
	total := int64(0)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return ended(content)
		}
		if err != nil {
			return refuse("not a bundle: %v", err)
		}
		name := path.Clean("/" + header.Name)
		total += header.Size
		switch {
		case header.Typeflag != tar.TypeReg && header.Typeflag != tar.TypeDir:
			return refuse("%s is neither a file nor a directory", name)
		case seen[name]:
			return refuse("%s is there twice", name)
		case len(seen) == maxBundleFiles:
			return refuse("the bundle has more than %d files", maxBundleFiles)
		case header.Size > maxModuleBytes:
			return refuse("%s has more than %d bytes", name, maxModuleBytes)
		case total > maxUnpackedBytes:
			return refuse("the bundle has more than %d bytes when it is unpacked", maxUnpackedBytes)
		}
		seen[name] = true
	}
}

// ended reads what stands behind the end of an archive: nothing but zeros may.
func ended(content *io.LimitedReader) error {
	rest := make([]byte, headerBytes)
	for {
		n, err := content.Read(rest)
		switch {
		case slices.ContainsFunc(rest[:n], func(b byte) bool { return b != 0 }):
			return refuse("something stands behind the end of the bundle")
		case content.N <= 0: // it was cut here, and goes on
			return refuse("the bundle has more than %d bytes when it is unpacked", maxUnpackedBytes)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return refuse("not a bundle: %v", err)
		}
	}
}
