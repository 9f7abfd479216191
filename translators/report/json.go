package report

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
)

// FindingJSON is the shape of a finding in JSON documents. It is a contract:
// fields are added, never changed.
type FindingJSON struct {
	Code     Code        `json:"code"`
	Severity Severity    `json:"severity"`
	Class    Class       `json:"class"`
	Backend  string      `json:"backend"`
	Message  string      `json:"message"`
	Hint     string      `json:"hint"`
	Source   PlaceJSON   `json:"source"`
	Related  []PlaceJSON `json:"related,omitempty"`
	Waived   string      `json:"waived,omitempty"`
}

// PlaceJSON is the shape of a place in JSON documents: what is meant and where
// it stands. Line and column are 0 where they are not known.
type PlaceJSON struct {
	Group     string `json:"group"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Field     string `json:"field"`
	File      string `json:"file"`
	Line      int    `json:"line"`
	Column    int    `json:"column"`
}

// JSON returns a finding in the shape that it has in JSON documents.
func JSON(f Finding, l Locator) FindingJSON {
	out := FindingJSON{
		Code: f.Code, Severity: f.Severity, Class: f.Class, Backend: f.Backend,
		Message: f.Message, Hint: f.Hint, Source: placeJSON(f.Source, f.position(l)), Waived: f.Waived,
	}
	for _, r := range f.Related {
		out.Related = append(out.Related, placeJSON(r, positionOf(r, l)))
	}
	return out
}

func placeJSON(r Ref, p Position) PlaceJSON {
	return PlaceJSON{r.Group, r.Kind, r.Namespace, r.Name, r.Field, p.File, p.Line, p.Column}
}

func renderJSON(w io.Writer, findings []located, o RenderOptions) error {
	out := struct {
		Findings []FindingJSON `json:"findings"`
	}{[]FindingJSON{}}
	for _, f := range findings {
		out.Findings = append(out.Findings, JSON(f.Finding, o.Locator))
	}
	return WriteJSON(w, out)
}

// WriteJSON writes a document with findings as indented JSON that is safe to
// show on a terminal: what does not print is escaped.
func WriteJSON(w io.Writer, v any) error {
	text, err := IndentedJSON(v, 0)
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// IndentedJSON returns a value as WriteJSON has it so deep within a document,
// without what stands before and behind it.
func IndentedJSON(v any, depth int) ([]byte, error) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent(strings.Repeat("  ", depth), "  ")
	e.SetEscapeHTML(false) // no browser reads it, and "->" is to be found in it
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return cleanJSON(bytes.TrimSuffix(text.Bytes(), []byte{'\n'})), nil
}
