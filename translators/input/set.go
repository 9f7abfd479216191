package input

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/report"
)

// Set is what was read: the objects and, beside them, where each of their
// fields stands. It does not change after Read.
type Set struct {
	// Objects are the objects without error, sorted by ID; each ID is there once.
	Objects []Object
	// Rejected are the objects in error, sorted by ID. Their IDs are not among
	// Objects. An ID can be there several times: as often as it was given with
	// different content.
	Rejected []Object
	// Others are the objects of kinds that no schema knows, sorted by ID. Nothing
	// is made of them, so they have an ID and a Version only; rules may look at
	// their documents. Namespace is empty where the document gives none.
	Others []Object
	homes  map[ID]home
	// documents are the objects as written; homes may lack them.
	documents map[ID]*node
	lines     map[string]lines
}

// Locate returns the position of the field that a reference names or, if the
// object does not have it, of its nearest existing parent.
func (s *Set) Locate(ref report.Ref) (report.Position, bool) {
	h, ok := s.homes[ID{ref.Group, ref.Kind, ref.Namespace, ref.Name}]
	if !ok {
		return report.Position{}, false
	}
	return h.at(ref.Field), true
}

// Excerpt returns the line of input that a position is in.
func (s *Set) Excerpt(p report.Position) (string, bool) {
	l, ok := s.lines[p.File]
	if !ok || p.Line < 1 || p.Line > len(l.starts) {
		return "", false
	}
	line, _, _ := bytes.Cut(l.content[l.starts[p.Line-1]:], []byte{'\n'})
	return strings.TrimPrefix(strings.TrimSuffix(string(line), "\r"), string(byteOrderMark)), true
}

// JSON returns the document of an object as JSON, aliases resolved, or nil. Of
// an object that was given with different content it is one of them.
func (s *Set) JSON(id ID) []byte {
	if n := s.documents[id]; n != nil {
		return n.json(nil)
	}
	return nil
}

// lines is a text and where its lines start.
type lines struct {
	content []byte
	starts  []int32
}

func linesOf(content []byte) lines {
	starts := make([]int32, 1, bytes.Count(content, []byte{'\n'})+1)
	for i, c := range content {
		if c == '\n' && i+1 < len(content) {
			starts = append(starts, int32(i+1))
		}
	}
	return lines{content, starts}
}

// finish makes the set of what was found.
func (r *reading) finish() *Set {
	s := &Set{homes: map[ID]home{}, documents: map[ID]*node{}, lines: r.lines}
	ids := make([]ID, 0, len(r.found))
	for id := range r.found {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, ID.Compare)
	for _, id := range ids {
		kept := r.unique(id)
		s.homes[id], s.documents[id] = kept[0].home, kept[0].node
		for _, c := range kept {
			r.account(&c)
			if c.object.Rejected {
				s.Rejected = append(s.Rejected, c.object)
			} else {
				s.Objects = append(s.Objects, c.object)
			}
		}
	}
	s.keepOthers(r.others)
	if len(ids) == 0 && r.report.Worst(report.Error) == 0 {
		r.add(report.NothingRead, report.Position{}, report.Ref{}, "the input holds no object of a kind that is read", "")
	}
	return s
}

// keepOthers keeps the objects that nothing is made of. Of an ID that is given
// several times the document that comes first in order of position is kept.
func (s *Set) keepOthers(others []candidate) {
	slices.SortStableFunc(others, func(a, b candidate) int {
		if c := a.object.Compare(b.object.ID); c != 0 {
			return c
		}
		return comparePositions(a.home.at(""), b.home.at(""))
	})
	for _, c := range others {
		if _, twice := s.documents[c.object.ID]; twice {
			continue
		}
		s.homes[c.object.ID], s.documents[c.object.ID] = c.home, c.node
		s.Others = append(s.Others, c.object)
	}
}

// unique returns the candidates of an ID without repetitions; where they differ
// all of them are rejected. Their order depends on their content alone.
func (r *reading) unique(id ID) []candidate {
	all := r.found[id]
	if len(all) == 1 {
		return all
	}
	for i := range all {
		all[i].content = sha256.Sum256(all[i].node.canonical())
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return comparePositions(a.home.at(""), b.home.at("")) })
	var kept []candidate
	known := map[digest]int{} // what was kept, by all that makes a candidate the same
	for _, c := range all {
		same := c.sameness()
		i, ok := -1, false
		for _, d := range same {
			if !ok {
				i, ok = known[d]
			}
		}
		if !ok {
			i = len(kept)
			kept = append(kept, c)
		} else if id.Name != "" {
			r.add(report.IdenticalObject, c.home.at(""), id.Ref(""), "the same object is given at "+kept[i].home.at("").String(), "")
		}
		for _, d := range same {
			known[d] = i
		}
	}
	if len(kept) > 1 && id.Name != "" {
		r.different(id, kept)
	}
	if len(kept) > 1 {
		slices.SortFunc(kept, func(a, b candidate) int { return bytes.Compare(a.content[:], b.content[:]) })
	}
	return kept
}

// sameness returns digests of which two candidates share one if they are one
// object to everybody: written alike, or read alike from two versions of the kind.
func (c candidate) sameness() []digest {
	out := []digest{c.content}
	if !c.object.Rejected && c.object.Value != nil {
		out = append(out, digestOf(projection(c.object)))
	}
	return out
}

// different rejects candidates that claim the same ID.
func (r *reading) different(id ID, kept []candidate) {
	var places []string
	for i := range kept {
		kept[i].object.Rejected = true
		if i < 10 {
			places = append(places, kept[i].home.at("").String())
		}
	}
	r.add(report.DuplicateObject, kept[1].home.at(""), id.Ref(""),
		fmt.Sprintf("given %d times with different content, at %s; none is used", len(kept), strings.Join(places, " and ")), "")
}

func comparePositions(a, b report.Position) int {
	if c := strings.Compare(a.File, b.File); c != 0 {
		return c
	}
	if a.Line != b.Line {
		return a.Line - b.Line
	}
	return a.Column - b.Column
}
