package cli

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// screen is text for people: columns, and notes that are wrapped. Whatever comes
// from an input is made printable.
type screen struct {
	b   bytes.Buffer
	out *app
	set *input.Set
	// also tells where things stand that are not in set; it may be nil.
	also  *input.Set
	color bool
	width int
}

// unlimited is the width of what is not a terminal: somebody else cuts lines.
const unlimited = 100

func (a *app) screen(set *input.Set, view viewFlags) *screen {
	f := view.findings()
	s := &screen{out: a, set: set, color: f.colored(a.out), width: unlimited}
	if file, ok := a.out.(*os.File); ok {
		if w, _, err := term.GetSize(int(file.Fd())); err == nil && w >= 40 {
			s.width = w
		}
	}
	return s
}

// flush writes what was put on the screen.
func (s *screen) flush() error {
	_, err := s.out.out.Write(s.b.Bytes())
	return err
}

// The colors, as a terminal knows them.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (s *screen) paint(text, color string) string {
	if !s.color || color == "" {
		return text
	}
	return "\x1b[1;" + color + "m" + text + "\x1b[0m"
}

// line writes one line; a color paints its first word.
func (s *screen) line(text string) { s.b.WriteString(text + "\n") }

// head starts a section.
func (s *screen) head(title string) { s.line("\n" + s.paint(title, cyan)) }

// wrapped writes words in lines of the screen's width; all but the first are
// indented further.
func (s *screen) wrapped(indent, text string) { s.named(indent, "", "", text) }

// named is wrapped behind a name, which is kept as it is and may be painted.
func (s *screen) named(indent, name, color, text string) {
	line, more := indent+s.paint(name, color), indent+"  "
	used := utf8.RuneCountInString(indent + name)
	first := name == ""
	for _, word := range strings.Fields(printable(text)) {
		n := utf8.RuneCountInString(word)
		switch {
		case first:
			line, used = line+word, used+n
		case used+1+n > s.width:
			s.line(line)
			line, used = more+word, len(more)+n
		default:
			line, used = line+" "+word, used+1+n
		}
		first = false
	}
	s.line(line)
}

// columns writes rows in columns. What is painted must be in the last column or
// painted in every row, for colors count as letters.
func (s *screen) columns(rows [][]string) {
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	if w.Flush() != nil { // a buffer takes everything
		return
	}
	for line := range strings.Lines(b.String()) {
		s.line(strings.TrimRight(line, " \n"))
	}
}

// place renders "file:line:col", or the reference where it has no position.
func (s *screen) place(r report.Ref) string {
	if _, ok := position(s.set, r); !ok && s.also != nil {
		return place(s.also, r)
	}
	return place(s.set, r)
}

func place(set *input.Set, r report.Ref) string {
	if p, ok := position(set, r); ok {
		return printable(p.String())
	}
	return printable(r.String())
}

// position is where a reference stands; an object stands where its name does.
func position(set *input.Set, r report.Ref) (report.Position, bool) {
	if r.Field == "" {
		r = r.At("metadata.name")
	}
	return set.Locate(r)
}

// excerpt returns the line that a reference is in, cut to the screen.
func (s *screen) excerpt(r report.Ref) string {
	p, ok := position(s.set, r)
	if !ok {
		return ""
	}
	text, ok := s.set.Excerpt(p)
	if !ok {
		return ""
	}
	line := []rune(printable(strings.ReplaceAll(strings.TrimSpace(text), "\t", " ")))
	if most := max(s.width-14, 20); len(line) > most {
		line = append(line[:most-3], []rune("...")...)
	}
	return fmt.Sprintf("%d | %s", p.Line, string(line))
}
