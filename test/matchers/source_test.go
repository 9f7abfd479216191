package matchers

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
)

// part is the part of a request that a source speaks of.
type part int

const (
	inPath part = iota
	inHeader
	inQuery
)

func (p part) String() string { return [...]string{"path", "header", "query"}[p] }

// source is a condition as it was written: what the model makes of it, and what
// it means by the definition of the API that it was written in.
type source struct {
	dialect, written string
	part             part
	model            []ir.StringMatch // any of them
	means            func(string) bool
	// hit makes a string that may well fulfil it.
	hit func(*rand.Rand) string
}

func (s source) String() string {
	return fmt.Sprintf("%s %s %q (%v)", s.dialect, s.part, s.written, s.model)
}

// expression is a compiled expression whose longest match is found first, so that
// where it is tied to can be read from what it matches.
type expression struct{ *regexp.Regexp }

func compile(expr string) (expression, error) {
	re, err := regexp.Compile(expr)
	if err != nil {
		return expression{}, err
	}
	re.Longest()
	return expression{re}, nil
}

// whole: the expression matches the whole value, as RE2's FullMatch has it.
func (e expression) whole(s string) bool {
	at := e.FindStringIndex(s)
	return at != nil && at[0] == 0 && at[1] == len(s)
}

// start: it matches from the start of the value; anything may follow.
func (e expression) start(s string) bool {
	at := e.FindStringIndex(s)
	return at != nil && at[0] == 0
}

// dialects of expressions for a path: SMI's text ties them to the start, as
// Traefik did; OSM compared the whole path. Gateway API leaves it open, and every
// implementation compares the whole path.
var dialects = []struct {
	name   string
	part   part
	anchor ir.Anchor
}{
	{"SMI spec", inPath, ir.AnchorStart},
	{"SMI traefik", inPath, ir.AnchorStart},
	{"SMI osm", inPath, ir.AnchorWhole},
	{"SMI", inHeader, ir.AnchorWhole},
	{"Gateway API RegularExpression", inPath, ir.AnchorWhole},
	{"Gateway API RegularExpression", inHeader, ir.AnchorWhole},
	{"Gateway API RegularExpression", inQuery, ir.AnchorWhole},
}

// drawSource makes a random condition; now and then it makes none.
func drawSource(r *rand.Rand) (source, bool) {
	switch r.IntN(10) {
	case 0:
		return drawModel(r), true
	case 1:
		return exact(r), true
	case 2:
		return pathPrefix(r), true
	}
	d := dialects[r.IntN(len(dialects))]
	written := drawExpression(r, d.part)
	re, err := compile(written)
	if err != nil {
		return source{}, false
	}
	model, err := ir.ParsePattern(written, d.anchor)
	if err != nil {
		return source{}, false
	}
	if d.part != inPath && len(model) > 1 { // a header is compared with one value
		model = []ir.StringMatch{{Kind: ir.MatchRegex, Value: re.String()}}
		if strings.Contains(written, `\Q`) {
			return source{}, false
		}
	}
	s := source{d.name, written, d.part, model, re.whole, sampler(written)}
	if d.anchor == ir.AnchorStart {
		s.means = re.start
	}
	return s, true
}

func exact(r *rand.Rand) source {
	s := source{dialect: "Gateway API Exact", part: part(r.IntN(3))}
	s.written = drawText(r, s.part)
	s.model = []ir.StringMatch{{Kind: ir.MatchExact, Value: s.written}}
	s.means = func(v string) bool { return v == s.written }
	s.hit = func(*rand.Rand) string { return s.written }
	return s
}

// pathPrefix compares element by element; a slash at the end says nothing.
func pathPrefix(r *rand.Rand) source {
	s := source{dialect: "Gateway API PathPrefix", written: drawText(r, inPath)}
	want := elements(s.written)
	s.model = []ir.StringMatch{{Kind: ir.MatchAny}}
	if len(want) > 0 {
		s.model = []ir.StringMatch{{Kind: ir.MatchSegments, Value: "/" + strings.Join(want, "/")}}
	}
	s.means = func(v string) bool {
		got := elements(v)
		return len(got) >= len(want) && slices.Equal(got[:len(want)], want)
	}
	s.hit = func(*rand.Rand) string { return s.written }
	return s
}

func elements(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" })
}

// drawModel is a comparison of the model itself, of any kind.
func drawModel(r *rand.Rand) source {
	means := map[ir.MatchKind]func(v, value string) bool{
		ir.MatchAny:      func(string, string) bool { return true },
		ir.MatchPrefix:   strings.HasPrefix,
		ir.MatchSuffix:   strings.HasSuffix,
		ir.MatchContains: strings.Contains,
		ir.MatchExact:    func(v, value string) bool { return v == value },
	}
	kinds := []ir.MatchKind{ir.MatchAny, ir.MatchPrefix, ir.MatchSuffix, ir.MatchContains, ir.MatchExact}
	m := ir.StringMatch{Kind: kinds[r.IntN(len(kinds))]}
	s := source{dialect: "model " + string(m.Kind), part: part(r.IntN(3))}
	if m.Kind != ir.MatchAny {
		m.Value = drawText(r, s.part)
		if s.part == inPath && m.Kind != ir.MatchExact && m.Kind != ir.MatchPrefix && r.IntN(2) == 0 {
			m.Value = m.Value[1:]
		}
	}
	s.written, s.model = m.Value, []ir.StringMatch{m}
	s.means = func(v string) bool { return means[m.Kind](v, m.Value) }
	s.hit = func(*rand.Rand) string {
		if s.part == inPath && !strings.HasPrefix(m.Value, "/") {
			return "/" + m.Value
		}
		return m.Value
	}
	return s
}
