package sink

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators"
)

// marker is the file by which a directory is known to be ours. Its content
// says so to people.
const (
	marker     = ".meshknot"
	markerText = "This directory is made by \"meshknot translate\" and replaced as a whole.\n"
)

// maxFileName is the length in bytes up to which names are used as they are.
const maxFileName = 200

// Directory makes dir hold exactly the artifacts of outputs, a file each below
// a folder per target, and returns how many files that are. Everything is
// written beside dir first and then swapped in, so that dir is never half
// written. A directory that meshknot did not make is not touched.
func Directory(dir string, outputs []translators.Output) (int, error) {
	files, err := contents(outputs)
	if err != nil {
		return 0, err
	}
	return replace(dir, files)
}

// DirectoryWith is Directory with a page beside the folders, for people.
func DirectoryWith(dir string, outputs []translators.Output, page string, text []byte) (int, error) {
	files, err := contents(outputs)
	if err != nil {
		return 0, err
	}
	files[page] = text
	return replace(dir, files)
}

func replace(dir string, files map[string][]byte) (int, error) {
	dir = filepath.Clean(dir)
	if err := ours(dir); err != nil {
		return 0, err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return 0, err
	}
	next, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+"-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(next) // what is left is a temporary directory
	if err := write(next, files); err != nil {
		return 0, err
	}
	return len(files), swap(next, dir)
}

// ours reports whether dir may be replaced.
func ours(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && len(entries) == 0:
		return nil
	case err != nil:
		return err
	}
	if text, err := os.ReadFile(filepath.Join(dir, marker)); err != nil || string(text) != markerText {
		return fmt.Errorf("%s is not empty and meshknot did not make it: name another directory, or empty it", dir)
	}
	return nil
}

func write(dir string, files map[string][]byte) error {
	names := make([]string, 0, len(files))
	for n := range files {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		full := filepath.Join(dir, filepath.FromSlash(n))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(full, files[n], 0o644); err != nil {
			return err
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, marker), []byte(markerText), 0o644)
}

// swap puts next where dir is; on failure dir is put back.
func swap(next, dir string) error {
	old := next + ".old"
	if err := os.Rename(dir, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(next, dir); err != nil {
		return errors.Join(err, os.Rename(old, dir))
	}
	return os.RemoveAll(old)
}

// contents renders the artifacts by file name.
func contents(outputs []translators.Output) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, o := range outputs {
		shared := variants(o.Artifacts)
		for _, a := range o.Artifacts {
			text, err := document(a)
			if err != nil {
				return nil, err
			}
			name := fileName(a.ID)
			if dir, file := path.Split(name); shared[a.ID] > 1 {
				name = path.Join(dir, variantFolder(a.Audience), file)
			}
			files[path.Join(folderName(o.Target), name)] = append([]byte(forWhom(a)), text...)
		}
	}
	return files, nil
}

// folderName is what a target is called, for two may be of one back end; else its back
// end, with the version.
func folderName(t translators.Target) string {
	switch {
	case t.Name != "":
		return safeName(t.Name)
	case t.Version != "":
		return t.Backend + "-" + t.Version
	}
	return t.Backend
}

// fileName is "kind/namespace/name.yaml", lower case, or ".json". What cannot stand in a
// file name is replaced, and then a hash keeps two IDs apart.
func fileName(id translators.ID) string {
	kind := id.Type[strings.LastIndexAny(id.Type, "/.")+1:]
	parts := strings.Split(id.Name, "/")
	if strings.Contains(id.Type, "googleapis.com") {
		parts = []string{id.Name} // xDS names are no paths
	}
	for i, p := range parts {
		parts[i] = safeName(p)
	}
	extension := ".yaml"
	if inJSON(id) {
		extension = ".json"
	}
	return path.Join(append([]string{strings.ToLower(kind)}, parts...)...) + extension
}

// safeName is a name as one part of a path.
func safeName(name string) string {
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-._", r) {
			return r
		}
		return '_'
	}, name)
	if safe != name || len(safe) > maxFileName || strings.Trim(safe, ".") == "" {
		sum := sha256.Sum256([]byte(name))
		safe = safe[:min(len(safe), maxFileName)] + "-" + hex.EncodeToString(sum[:4])
	}
	return safe
}
