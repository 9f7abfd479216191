package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Result is what one benchmark found.
type Result struct {
	Bench string `json:"bench"`
	Title string `json:"title"`
	// How it was measured, in a sentence or two.
	How string `json:"how"`
	// Seconds it took; Load is the machine's load average before and after.
	Seconds float64    `json:"seconds"`
	Load    [2]float64 `json:"load"`
	Rows    []Row      `json:"rows"`
	// Figures are what the table of musts speaks of, by name.
	Figures map[string]float64 `json:"figures"`
	Notes   []string           `json:"notes,omitempty"`
}

// Row is what one program took for one case.
type Row struct {
	Case   string  `json:"case"`
	Who    string  `json:"who"`
	Values []Value `json:"values"`
}

// Value is a measured figure. Its name holds its unit.
type Value struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

func (r *Result) row(of, who string, values ...Value) {
	r.Rows = append(r.Rows, Row{of, who, values})
}

func (r *Result) figure(name string, v float64) { r.Figures[name] = v }

func (r *Result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// find returns a value of a row.
func (r *Result) find(of, who, name string) (float64, bool) {
	for _, row := range r.Rows {
		for _, v := range row.Values {
			if row.Case == of && row.Who == who && v.Name == name {
				return v.Value, true
			}
		}
	}
	return 0, false
}

// ratio sets a figure to the ratio of a value in two rows of a case.
func (r *Result) ratio(figure, of, name, over, under string) {
	a, ok := r.find(of, over, name)
	b, found := r.find(of, under, name)
	if ok && found && b > 0 {
		r.figure(figure, a/b)
	}
}

func ms(name string, d time.Duration) Value {
	return Value{name + " ms", float64(d) / float64(time.Millisecond)}
}

func us(name string, d time.Duration) Value {
	return Value{name + " µs", float64(d) / float64(time.Microsecond)}
}

func mib(name string, bytes float64) Value { return Value{name + " MiB", bytes / (1 << 20)} }

func kib(name string, bytes float64) Value { return Value{name + " KiB", bytes / (1 << 10)} }

func number(name string, v float64) Value { return Value{name, v} }

// show writes a value with three digits that count.
func show(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 1000 || v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	case v >= 0.1:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.2g", v)
}

// tables groups rows that have the same columns.
func (r *Result) tables() [][]Row {
	var out [][]Row
	columns := ""
	for _, row := range r.Rows {
		names := strings.Join(row.columns(), "|")
		if names != columns {
			out, columns = append(out, nil), names
		}
		out[len(out)-1] = append(out[len(out)-1], row)
	}
	return out
}

func (row Row) columns() []string {
	out := []string{"case", "who"}
	for _, v := range row.Values {
		out = append(out, v.Name)
	}
	return out
}

func (row Row) cells() []string {
	out := []string{row.Case, row.Who}
	for _, v := range row.Values {
		out = append(out, show(v.Value))
	}
	return out
}

// print writes a result for people.
func (r *Result) print(w io.Writer) {
	fmt.Fprintf(w, "\n== %s %s (%.0f s, load %.1f to %.1f)\n", r.Bench, r.Title, r.Seconds, r.Load[0], r.Load[1])
	for _, rows := range r.tables() {
		lines := [][]string{rows[0].columns()}
		for _, row := range rows {
			lines = append(lines, row.cells())
		}
		align(w, lines)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "   note: %s\n", n)
	}
	for _, c := range checks(r) {
		fmt.Fprintf(w, "   %s\n", c)
	}
}

// align writes lines as columns, numbers to the right.
func align(w io.Writer, lines [][]string) {
	width := make([]int, len(lines[0]))
	for _, l := range lines {
		for i, c := range l {
			width[i] = max(width[i], len([]rune(c)))
		}
	}
	for _, l := range lines {
		var b strings.Builder
		for i, c := range l {
			pad := strings.Repeat(" ", width[i]-len([]rune(c)))
			if i < 2 {
				b.WriteString("   " + c + pad)
			} else {
				b.WriteString("   " + pad + c)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}
