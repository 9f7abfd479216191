package input

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/report"
)

// stdinName is what positions in standard input call it.
const stdinName = "<stdin>"

// path reads what one path names.
func (r *reading) path(p string) {
	if p == "-" {
		r.standardInput()
		return
	}
	if _, err := os.Stat(p); err == nil || !strings.ContainsAny(p, "*?[") {
		r.resolved(p)
		return
	}
	matches, err := filepath.Glob(p)
	if err == nil && len(matches) == 0 {
		err = errors.New("no file matches")
	}
	if err != nil {
		r.unreadable(p, err)
	}
	for _, m := range matches {
		if !hidden(m, p) {
			r.resolved(m)
		}
	}
}

// hidden reports whether a glob matched a hidden entry without asking for it.
func hidden(match, pattern string) bool {
	separator := string(filepath.Separator)
	asked := strings.Split(filepath.Clean(pattern), separator)
	for i, name := range strings.Split(filepath.Clean(match), separator) {
		if strings.HasPrefix(name, ".") && (i >= len(asked) || !strings.HasPrefix(asked[i], ".")) {
			return true
		}
	}
	return false
}

// resolved reads a file, a directory or a kustomize directory.
func (r *reading) resolved(p string) {
	p = filepath.Clean(p)
	info, err := os.Stat(p)
	switch {
	case err != nil:
		r.unreadable(p, err)
	case !info.IsDir() && isKustomization(p):
		r.kustomize(filepath.Dir(p))
	case !info.IsDir():
		r.file(p)
	case kustomization(p) != "":
		r.kustomize(p)
	default:
		r.directory(p)
	}
}

// directory reads the files below a directory. A kustomize directory among them
// is built, not read.
func (r *reading) directory(dir string) {
	// The separator makes a link to a directory be followed.
	err := filepath.WalkDir(dir+string(filepath.Separator), func(p string, d fs.DirEntry, err error) error {
		p = filepath.Clean(p)
		switch {
		case r.full:
			return fs.SkipAll
		case err != nil:
			r.unreadable(p, err)
		case p != dir && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case d.IsDir() && kustomization(p) != "":
			r.kustomize(p)
			return fs.SkipDir
		case !d.IsDir() && manifest(p) && regular(p):
			r.file(p)
		}
		return nil
	})
	if err != nil {
		r.unreadable(dir, err)
	}
}

// manifest reports whether a file in a directory holds objects, by its name.
// Traffic tests lie beside the objects that they are about, and are none.
func manifest(p string) bool {
	ext := filepath.Ext(p)
	return slices.Contains([]string{".yaml", ".yml", ".json"}, ext) && !strings.HasSuffix(strings.TrimSuffix(p, ext), "_traffic")
}

// regular reports whether a path leads to a regular file, or to nothing, which
// is then reported.
func regular(p string) bool {
	info, err := os.Stat(p)
	return err != nil || info.Mode().IsRegular()
}

func (r *reading) file(p string) {
	if !r.first(p) {
		return
	}
	f, err := os.Open(p)
	if err != nil {
		r.unreadable(p, err)
		return
	}
	defer f.Close()
	if content, ok := r.content(filepath.ToSlash(p), f); ok {
		r.stream(filepath.ToSlash(p), content)
	}
}

func (r *reading) standardInput() {
	if r.stdin == nil || !r.first(stdinName) {
		return
	}
	if content, ok := r.content(stdinName, r.stdin); ok {
		r.stream(stdinName, content)
	}
}

// first reports whether a file or directory has not been read yet: paths may overlap.
func (r *reading) first(p string) bool {
	if abs, err := filepath.Abs(p); err == nil && p != stdinName {
		p = abs
	}
	if r.full || r.seen[p] {
		return false
	}
	r.seen[p] = true
	return true
}

// content reads a file within the limits.
func (r *reading) content(file string, from io.Reader) ([]byte, bool) {
	if r.files++; r.files > r.limits.Files {
		r.over(file, "files", "Files", int64(r.limits.Files))
		return nil, false
	}
	content, err := io.ReadAll(io.LimitReader(from, r.limits.FileBytes+1))
	if err != nil {
		r.unreadable(file, err)
		return nil, false
	}
	return content, r.fits(file, int64(len(content)))
}

// fits counts a file's size against the limits.
func (r *reading) fits(file string, size int64) bool {
	if size > r.limits.FileBytes {
		r.add(report.LimitExceeded, report.Position{File: file}, report.Ref{},
			fmt.Sprintf("the file has more bytes than FileBytes = %d; it is not read", r.limits.FileBytes), "")
		return false
	}
	if r.bytes += size; r.bytes > r.limits.TotalBytes {
		r.over(file, "bytes", "TotalBytes", r.limits.TotalBytes)
		return false
	}
	return true
}

// unreadable reports a path that cannot be read.
func (r *reading) unreadable(p string, err error) {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	r.add(report.UnreadableFile, report.Position{File: filepath.ToSlash(p)}, report.Ref{}, "cannot read: "+err.Error(), "")
}
