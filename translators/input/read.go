package input

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/meshknot/meshknot/translators/report"
)

// Options say how input is read.
type Options struct {
	// Schemas are the kinds and versions that are understood.
	Schemas []Schema
	Limits  Limits
	// Stdin is read for the path "-".
	Stdin io.Reader
}

// withDefaults returns l with the documented value for each zero field.
func (l Limits) withDefaults() Limits {
	values := cmp.Or(l.Values, 8_000_000)
	return Limits{
		FileBytes:  cmp.Or(l.FileBytes, 16<<20),
		TotalBytes: cmp.Or(l.TotalBytes, 256<<20),
		Files:      cmp.Or(l.Files, 20_000),
		Objects:    cmp.Or(l.Objects, 200_000),
		Values:     values,
		PathBytes:  cmp.Or(l.PathBytes, 64*min(int64(values), math.MaxInt64/64)),
		Depth:      cmp.Or(l.Depth, 64),
		Aliases:    cmp.Or(l.Aliases, 10_000),
	}
}

// groupKind names a kind in every version.
type groupKind struct{ group, kind string }

// reading is the state of one Read.
type reading struct {
	stdin   io.Reader
	limits  Limits
	schemas map[groupKind][]Schema
	wires   *wires
	// own are the wires of those who decode ahead, each with its own.
	own    []*wires
	report report.Report
	lines  map[string]lines
	found  map[ID][]candidate
	// others are of kinds that no schema knows.
	others []candidate
	// seen are the files and directories read already.
	seen map[string]bool
	// files, objects, values and bytes count against the limits; full: one of
	// them was reached, and nothing more is read.
	files, objects, values int
	bytes                  int64
	full                   bool
	// paths are the bytes of all Leaves.
	paths int64
}

// candidate is an object that was read, before it is known to be the only one
// of its ID.
type candidate struct {
	object Object
	node   *node
	home   home
	// content stands for what the document says, where there are several.
	content digest
}

// Read reads the objects that the paths name: files, directories (with all that
// is below), globs, kustomize directories, and "-" for Options.Stdin. What is
// wrong with one document or object hides no other; every finding has its place.
func Read(paths []string, o Options) (*Set, report.Report) {
	r := newReading(o)
	for _, p := range paths {
		r.path(p)
	}
	set := r.finish()
	return set, r.report.Sorted()
}

// File is a file that is not read from disk.
type File struct {
	Name string
	Data []byte
}

// ReadFiles is Read for files that are in memory.
func ReadFiles(files []File, o Options) (*Set, report.Report) {
	r := newReading(o)
	for _, f := range files {
		if content, ok := r.content(f.Name, bytes.NewReader(f.Data)); ok {
			r.stream(f.Name, content)
		}
	}
	set := r.finish()
	return set, r.report.Sorted()
}

func newReading(o Options) *reading {
	r := &reading{
		stdin: o.Stdin, limits: o.Limits.withDefaults(), schemas: map[groupKind][]Schema{}, wires: newWires(),
		lines: map[string]lines{}, found: map[ID][]candidate{}, seen: map[string]bool{},
	}
	for _, s := range o.Schemas {
		gk := groupKind{s.Group, s.Kind}
		r.schemas[gk] = append(r.schemas[gk], s)
	}
	return r
}

// add reports a finding at a place.
func (r *reading) add(code report.Code, at report.Position, ref report.Ref, message, hint string) {
	f := report.New(code, ref, message)
	f.At = at
	if hint != "" {
		f.Hint = hint
	}
	r.report = append(r.report, f)
}

// over reports a limit of the whole input that was reached, and ends reading.
func (r *reading) over(file, what, limit string, value int64) {
	r.full = true
	r.add(report.LimitExceeded, report.Position{File: file}, report.Ref{},
		fmt.Sprintf("more %s than %s = %d; what follows is not read", what, limit, value), "")
}

// stream reads the documents of a file.
func (r *reading) stream(file string, content []byte) {
	r.lines[file] = linesOf(content)
	for _, p := range r.documents(file, content) {
		if r.full {
			return
		}
		switch {
		case p.fatal != nil:
			r.problem(home{file: file}, ID{}, p.fatal)
			r.counted(file)
		case p.root.kind == null:
			r.counted(file)
		default:
			r.object(entry{home: home{file, p.root}, node: p.root, flaws: p.flaws, decoded: p.decoded})
		}
	}
}

// documents parses a file.
func (r *reading) documents(file string, content []byte) []parsed {
	if wide(content) {
		return []parsed{{fatal: &problem{code: report.Undecodable, line: 1, column: 1, message: "the text is UTF-16 or UTF-32; write it as UTF-8"}}}
	}
	var out []parsed
	isJSON := filepath.Ext(file) == ".json"
	segments := split(content)
	for len(segments) > 0 && len(out) <= r.limits.Objects { // counting them will tell
		n := r.room(segments)
		if n == 0 {
			s := segments[0]
			out = append(out, parsed{fatal: &problem{code: report.LimitExceeded, line: s.line + 1, column: 1,
				message: fmt.Sprintf("this document and those before it may have more values than Values = %d; it is not read", r.limits.Values)}})
			segments = segments[1:]
			continue
		}
		for _, documents := range r.parseAll(segments[:n], isJSON) {
			for _, p := range documents {
				r.values += p.values
				out = append(out, p)
			}
		}
		segments = segments[n:]
	}
	return out
}

// batch is how many segments are parsed before their values are counted, and
// share how many of them one processor takes at a time.
const batch, share = 1024, 32

// room returns how many of the next segments can be parsed and stay within the
// limit on values, whatever is in them.
func (r *reading) room(segments []segment) int {
	most := r.values
	for i, s := range segments[:min(len(segments), batch)] {
		if most += s.most(); most > r.limits.Values {
			return i
		}
	}
	return min(len(segments), batch)
}

// parseAll parses segments and decodes what they hold, each alone, on all processors.
func (r *reading) parseAll(segments []segment, isJSON bool) [][]parsed {
	out := make([][]parsed, len(segments))
	var next atomic.Int64
	var g errgroup.Group
	for i := range min(runtime.GOMAXPROCS(0), (len(segments)+share-1)/share) {
		if i == len(r.own) {
			r.own = append(r.own, newWires())
		}
		w := r.own[i]
		g.Go(func() error {
			for start := int(next.Add(share)) - share; start < len(segments); start = int(next.Add(share)) - share {
				for i := start; i < min(start+share, len(segments)); i++ {
					out[i] = parse(segments[i], r.limits, isJSON)
					for j := range out[i] {
						out[i][j].decoded = r.ahead(out[i][j], w)
					}
				}
			}
			return nil
		})
	}
	_ = g.Wait() // a document that cannot be parsed says so itself
	return out
}

// counted counts a document or an item of a list against the limit.
func (r *reading) counted(file string) bool {
	if r.objects++; r.objects > r.limits.Objects {
		r.over(file, "objects", "Objects", int64(r.limits.Objects))
		return false
	}
	return true
}

// wide reports whether a text starts with a byte order mark of two or four bytes.
func wide(content []byte) bool {
	return len(content) > 1 && (content[0] == 0xfe && content[1] == 0xff || content[0] == 0xff && content[1] == 0xfe)
}

// parse reads a segment as JSON if it is that, and as YAML otherwise. Where it
// is neither, the reading that got further tells why.
func parse(s segment, l Limits, isJSON bool) []parsed {
	j, ok := s.asJSON()
	if !ok {
		return yamlDocuments(s, l)
	}
	values, ok := jsonDocuments(j, l)
	if ok {
		return values
	}
	documents := yamlDocuments(s, l)
	failed := slices.ContainsFunc(documents, func(p parsed) bool { return p.fatal != nil })
	if failed && (isJSON || len(values) > 1) {
		return values
	}
	return documents
}

// problem reports a problem of a text.
func (r *reading) problem(h home, id ID, p *problem) {
	var ref report.Ref
	if id != (ID{}) {
		ref = id.Ref("")
	}
	r.add(p.code, report.Position{File: h.file, Line: p.line, Column: p.column}, ref, p.message, p.hint)
}
