package report

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Locator finds places in the input.
type Locator interface {
	// Locate returns the position of what a reference names.
	Locate(Ref) (Position, bool)
	// Excerpt returns the line of input that a position is in.
	Excerpt(Position) (string, bool)
}

// RenderOptions say how findings are rendered.
type RenderOptions struct {
	// Locator may be nil: then only findings that know their place show it.
	Locator Locator
	// Color uses the terminal's colors in text.
	Color bool
	// Version of meshknot, named in SARIF.
	Version string
}

// format is a way to render findings.
type format struct {
	name   string
	render func(io.Writer, []located, RenderOptions) error
}

// formats lists the formats that Render knows.
func formats() []format {
	return []format{
		{"text", renderText},
		{"json", renderJSON},
		{"sarif", renderSARIF},
		{"junit", renderJUnit},
		{"github", renderGitHub},
		{"markdown", renderMarkdown},
	}
}

// Formats returns the names of the formats that Render knows.
func Formats() []string {
	var out []string
	for _, f := range formats() {
		out = append(out, f.name)
	}
	return out
}

// Render writes findings in a format, sorted by place. Nothing in an input can
// break out of the format: what a terminal, a table or a log would take for a
// command is escaped.
func Render(w io.Writer, name string, r Report, o RenderOptions) error {
	for _, f := range formats() {
		if f.name != name {
			continue
		}
		if err := f.render(w, locate(r, o.Locator), o); err != nil {
			return fmt.Errorf("rendering findings as %s: %w", name, err)
		}
		return nil
	}
	return fmt.Errorf("no format %q of findings; known are %s", name, strings.Join(Formats(), ", "))
}

// located is a finding with its place.
type located struct {
	Finding
	at Position
}

// locate sorts findings by their place; those without one are last.
func locate(r Report, l Locator) []located {
	var out []located
	for _, f := range r.Sorted() {
		out = append(out, located{f, f.position(l)})
	}
	slices.SortStableFunc(out, func(a, b located) int {
		return cmp.Or(
			compareBools(a.at.File == "", b.at.File == ""), strings.Compare(a.at.File, b.at.File),
			cmp.Compare(a.at.Line, b.at.Line), cmp.Compare(a.at.Column, b.at.Column))
	})
	return out
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// position returns the finding's place: its own, or that of its source.
func (f Finding) position(l Locator) Position {
	if f.At.File != "" {
		return f.At
	}
	return positionOf(f.Source, l)
}

func positionOf(r Ref, l Locator) Position {
	if l == nil || r.IsZero() {
		return Position{}
	}
	p, _ := l.Locate(r)
	return p
}

// String renders "file:line:column", or as much of it as is known.
func (p Position) String() string {
	switch {
	case p.File == "" || p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// says renders what a finding says of whom: "TrafficSplit shop/a: spec: message".
func (f Finding) says() string {
	if f.Source.IsZero() {
		return f.Message
	}
	return f.Source.String() + ": " + f.Message
}

// backend renders the back end and class of a finding: "[istio: narrowed] ".
func (f Finding) backend() string {
	switch {
	case f.Backend == "" && f.Class == "":
		return ""
	case f.Backend == "" || f.Class == "":
		return fmt.Sprintf("[%s%s] ", f.Backend, f.Class)
	}
	return fmt.Sprintf("[%s: %s] ", f.Backend, f.Class)
}
