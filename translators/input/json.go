package input

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/meshknot/meshknot/translators/report"
)

// jsonReader makes nodes of a stream of JSON values.
type jsonReader struct {
	data   []byte
	tokens *json.Decoder
	limits Limits
	// from is the place up to which line and column have been counted.
	from, line, column int
	flaws              flaws
	values             int
}

// asJSON returns the segment without its marker if it may be JSON.
func (s segment) asJSON() (segment, bool) {
	text := bytes.TrimLeft(s.text, " \t\r\n")
	if rest, ok := bytes.CutPrefix(text, []byte("---")); ok {
		text = bytes.TrimLeft(rest, " \t\r\n")
	}
	if len(text) == 0 || text[0] != '{' && text[0] != '[' {
		return segment{}, false
	}
	before := bytes.ReplaceAll(s.text[:len(s.text)-len(text)], []byte("-"), []byte(" "))
	return segment{append(before, text...), s.line}, true
}

// jsonDocuments reads the JSON values of a segment. ok is false when the
// segment is not JSON throughout; the last document then tells why.
func jsonDocuments(s segment, l Limits) (out []parsed, ok bool) {
	r := &jsonReader{data: s.text, tokens: json.NewDecoder(bytes.NewReader(s.text)), limits: l, line: s.line + 1, column: 1}
	r.tokens.UseNumber()
	for {
		r.flaws, r.values = flaws{}, 0
		root, err := r.value(1)
		var p *problem
		switch {
		case errors.Is(err, io.EOF):
			return out, true
		case errors.As(err, &p):
			return append(out, parsed{fatal: p}), p.code == report.LimitExceeded
		case err != nil:
			r.advance()
			p = &problem{code: report.Undecodable, line: r.line, column: r.column, message: err.Error()}
			return append(out, parsed{fatal: p}), false
		}
		out = append(out, parsed{root: root, flaws: r.flaws, values: r.values})
	}
}

// advance counts lines and columns up to the next token.
func (r *jsonReader) advance() {
	at := int(r.tokens.InputOffset())
	for at < len(r.data) && bytes.IndexByte([]byte(" \t\r\n,:"), r.data[at]) >= 0 {
		at++
	}
	passed := r.data[r.from:at]
	if n := bytes.Count(passed, []byte{'\n'}); n > 0 {
		r.line += n
		r.column = 1
		passed = passed[bytes.LastIndexByte(passed, '\n')+1:]
	}
	r.column += utf8.RuneCount(passed)
	r.from = at
}

func (r *jsonReader) value(depth int) (*node, error) {
	r.advance()
	r.values++
	n := &node{line: int32(r.line), column: int32(r.column)}
	if depth > r.limits.Depth {
		return nil, &problem{code: report.LimitExceeded, line: r.line, column: r.column,
			message: fmt.Sprintf("values are nested deeper than Depth = %d", r.limits.Depth)}
	}
	token, err := r.token(depth)
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		if t == '{' {
			n.kind = object
			return n, r.object(n, depth)
		}
		n.kind = list
		return n, r.list(n, depth)
	case string:
		n.kind, n.scalar = text, t
	case json.Number:
		n.kind, n.scalar = number, t.String()
	case bool:
		n.kind, n.scalar = boolean, fmt.Sprint(t)
	default:
		n.kind, n.scalar = null, "null"
	}
	return n, nil
}

func (r *jsonReader) list(n *node, depth int) error {
	for r.tokens.More() {
		item, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
	return r.closing(depth)
}

func (r *jsonReader) object(n *node, depth int) error {
	m := mapping{node: n, at: map[string]int{}}
	for r.tokens.More() {
		r.advance()
		k := key{line: int32(r.line), column: int32(r.column)}
		token, err := r.token(depth + 1)
		if err != nil {
			return err
		}
		k.name, _ = token.(string)
		v, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		if i, ok := m.at[k.name]; ok {
			r.flaws[n] = append(r.flaws[n], &problem{code: report.DuplicateKey, line: int(k.line), column: int(k.column),
				message: fmt.Sprintf("the key %s was given in line %d already", shorten(quote(k.name)), n.keys[i].line)})
		}
		m.set(k, v)
	}
	return r.closing(depth)
}

// closing reads the bracket that ends a list or an object.
func (r *jsonReader) closing(depth int) error {
	_, err := r.token(depth + 1)
	return err
}

// token reads a token. Only between values may the text end.
func (r *jsonReader) token(depth int) (json.Token, error) {
	t, err := r.tokens.Token()
	if depth > 1 && errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return t, err
}
