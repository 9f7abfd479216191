package sidecar

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
)

// Lines returns the values of a header that a proxy compares, none where it is
// absent: each line alone or, of an inline header and with an Envoy before 1.39 of
// every header, all of them joined with commas. The pseudo-header of the host is what HTTP/1 calls host.
func Lines(headers map[string][]string, name string, joined bool) []string {
	name = strings.ToLower(name)
	if name == Authority {
		name = Host
	}
	lines := headers[name]
	if len(lines) > 1 && (joined || Inline(name)) {
		return []string{strings.Join(lines, ",")}
	}
	return lines
}

// The names of the host.
const (
	Authority = ":authority"
	Host      = "host"
)

// Edits are what is done to headers, one after the other.
type Edits struct{ done ir.HeaderEdit }

// Remove removes a header.
func (e *Edits) Remove(name string) {
	name = strings.ToLower(name)
	e.forget(name)
	e.done.Remove = append(e.done.Remove, name)
}

// Set replaces all lines of a header by one.
func (e *Edits) Set(name, value string) {
	name = strings.ToLower(name)
	e.forget(name)
	e.done.Set = append(e.done.Set, ir.Header{Name: name, Value: value})
}

// Add puts a line behind those that are there.
func (e *Edits) Add(name, value string) {
	e.done.Add = append(e.done.Add, ir.Header{Name: strings.ToLower(name), Value: value})
}

func (e *Edits) forget(name string) {
	of := func(h ir.Header) bool { return h.Name == name }
	e.done.Set = slices.DeleteFunc(e.done.Set, of)
	e.done.Add = slices.DeleteFunc(e.done.Add, of)
	e.done.Remove = slices.DeleteFunc(e.done.Remove, func(n string) bool { return n == name })
}

// Edit is what the edits come to; nil where nothing is done.
func (e *Edits) Edit() *ir.HeaderEdit {
	if len(e.done.Set)+len(e.done.Add)+len(e.done.Remove) == 0 {
		return nil
	}
	out := e.done
	return &out
}

// Value reads what is to be written into a header. An Envoy takes a percent sign
// for the beginning of a variable, and two for one; what a variable would stand for
// nobody knows here, so it is an error.
func Value(v string) (string, error) {
	if strings.Contains(strings.ReplaceAll(v, "%%", ""), "%") {
		return "", fmt.Errorf("the value %q holds a variable", v)
	}
	return strings.ReplaceAll(v, "%%", "%"), nil
}
