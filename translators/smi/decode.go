package smi

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// decoder holds a document and what was found in it.
type decoder struct {
	input.Document               // INPUT
	found          report.Report // OUTPUT
}

// errorf reports an error at a field; an empty hint leaves the code's own.
func (d *decoder) errorf(code report.Code, field, hint, format string, args ...any) {
	d.say(report.Error, code, field, hint, fmt.Sprintf(format, args...))
}

func (d *decoder) say(s report.Severity, code report.Code, field, hint, message string) {
	f := report.New(code, d.Ref(field), message)
	f.Severity = s
	if hint != "" {
		f.Hint = hint
	}
	d.found = append(d.found, f)
}

// require reports a field that has to say something and does not.
func (d *decoder) require(value, field, what string) {
	if value == "" {
		d.errorf(report.MissingField, field, "", "%s is missing", what)
	}
}

// wire returns the document as its wire type. Where it does not fit, which is
// reported by whoever checks documents against the type, it returns the fields
// that do.
func wire[W any](doc input.Document) W {
	if w, ok := doc.Wire.(*W); ok && w != nil {
		return *w
	}
	var w W
	_ = json.Unmarshal(doc.JSON, &w) // goes on after a field of the wrong type
	return w
}

// absent reports whether a raw value is not there, or null, which says the same.
func absent(raw json.RawMessage) bool {
	return len(raw) == 0 || bytes.Equal(raw, []byte("null"))
}

// text returns a raw value that is a string.
func text(raw json.RawMessage) (string, bool) {
	var s string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}

// describe names the type of a raw value, as its author would.
func describe(raw json.RawMessage) string {
	switch {
	case absent(raw):
		return "null"
	case raw[0] == '"':
		return "a string"
	case raw[0] == '{':
		return "an object"
	case raw[0] == '[':
		return "a list"
	case raw[0] == 't', raw[0] == 'f':
		return "a boolean"
	}
	return "a number"
}
