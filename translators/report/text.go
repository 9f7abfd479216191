package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// paint returns s in the color of a severity.
func paint(s string, severity Severity, color bool) string {
	if !color {
		return s
	}
	code := map[Severity]string{Error: "31", Warning: "33", Info: "36"}[severity]
	return "\x1b[1;" + code + "m" + s + "\x1b[0m"
}

func renderText(w io.Writer, findings []located, o RenderOptions) error {
	var b bytes.Buffer
	for _, f := range findings {
		if at := f.at.String(); at != "" {
			b.WriteString(clean(at) + ": ")
		}
		fmt.Fprintf(&b, "%s %s %s%s\n", paint(string(f.Severity), f.Severity, o.Color), f.Code, clean(f.backend()), clean(f.says()))
		excerpt(&b, f, o)
		for _, r := range f.Related {
			fmt.Fprintf(&b, "  see: %s\n", clean(strings.TrimPrefix(positionOf(r, o.Locator).String()+": "+r.String(), ": ")))
		}
		if f.Waived != "" {
			fmt.Fprintf(&b, "  waived: %s\n", clean(f.Waived))
		}
		if f.Hint != "" {
			fmt.Fprintf(&b, "  hint: %s\n", clean(f.Hint))
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}

// widest is how much of a line an excerpt shows, in characters.
const widest = 120

// excerpt shows the line that a finding is about, with a caret below its column.
func excerpt(b *bytes.Buffer, f located, o RenderOptions) {
	if o.Locator == nil || f.at.Column < 1 {
		return
	}
	text, ok := o.Locator.Excerpt(f.at)
	if !ok {
		return
	}
	line, caret := cleanLine(text), f.at.Column-1
	if caret > len(line) {
		return
	}
	if skip := min(caret-widest/2, len(line)-widest); skip > 0 {
		line, caret = append([]rune("..."), line[skip:]...), caret-skip+3
	}
	if len(line) > widest {
		line = append(line[:widest:widest], []rune("...")...)
	}
	number := fmt.Sprint(f.at.Line)
	fmt.Fprintf(b, "  %s | %s\n", number, strings.TrimRight(string(line), " "))
	fmt.Fprintf(b, "  %s | %s%s\n", strings.Repeat(" ", len(number)), strings.Repeat(" ", caret), paint("^", f.Severity, o.Color))
}
