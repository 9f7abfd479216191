package input

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/meshknot/meshknot/translators/report"
)

// problem is what is wrong with a text, and where. As an error it ends the document.
type problem struct {
	code         report.Code
	line, column int
	message      string
	hint         string
}

func (p *problem) Error() string { return p.message }

// parsed is one document: its nodes and the flaws of single ones, or what kept
// it from being read.
type parsed struct {
	root  *node
	flaws flaws
	fatal *problem
	// values is the number of values in it.
	values int
	// decoded is what its schema makes of it, where nothing is wrong with it.
	decoded *decoded
}

// flaws are problems of objects that could be read nevertheless.
type flaws map[*node][]*problem

// within returns the flaws of a node and everything in it.
func (f flaws) within(n *node) []*problem {
	var out []*problem
	if len(f) > 0 {
		n.walk(func(m *node) { out = append(out, f[m]...) })
	}
	return out
}

// yamlDocuments reads the documents of one segment of a stream.
func yamlDocuments(s segment, l Limits) []parsed {
	var out []parsed
	d := yaml.NewDecoder(bytes.NewReader(s.text))
	for {
		var n yaml.Node
		err := guarded(func() error { return d.Decode(&n) })
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			return append(out, parsed{fatal: syntax(err, s.line)})
		}
		out = append(out, build(&n, s.line, l))
	}
}

// guarded turns a panic of a parser that is not ours into an error.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return f()
}

var lineInError = regexp.MustCompile(`^line (\d+): `)

// syntax makes a problem of a parser's error, whose lines count from the segment.
func syntax(err error, offset int) *problem {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := lineInError.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
	}
	p := &problem{code: report.Undecodable, line: line + offset, column: 1, message: message}
	if strings.Contains(message, "cannot start any token") {
		p.hint = "YAML is indented with spaces, never with tabs; a value that starts with @ or ` needs quotes"
	}
	return p
}

// builder makes nodes of YAML, expanding aliases within limits.
type builder struct {
	limits Limits
	offset int
	flaws  flaws
	// open are the anchored nodes that an alias is being expanded in.
	open   map[*yaml.Node]bool
	values int
	// aliased and aliasedBytes count what aliases expanded to.
	aliased      int
	aliasedBytes int64
}

func build(doc *yaml.Node, offset int, l Limits) parsed {
	b := &builder{limits: l, offset: offset, flaws: flaws{}, open: map[*yaml.Node]bool{}}
	n := doc
	if doc.Kind == yaml.DocumentNode {
		n = doc.Content[0]
	}
	root, err := b.value(n, 1)
	var p *problem
	if errors.As(err, &p) {
		return parsed{fatal: p}
	}
	return parsed{root: root, flaws: b.flaws, values: b.values}
}

func (b *builder) problem(n *yaml.Node, code report.Code, format string, args ...any) *problem {
	return &problem{code: code, line: n.Line + b.offset, column: n.Column, message: fmt.Sprintf(format, args...)}
}

func (b *builder) value(n *yaml.Node, depth int) (*node, error) {
	if depth > b.limits.Depth {
		return nil, b.problem(n, report.LimitExceeded, "values are nested deeper than Depth = %d", b.limits.Depth)
	}
	if err := b.count(n); err != nil {
		return nil, err
	}
	out := &node{line: int32(n.Line + b.offset), column: int32(n.Column)}
	switch n.Kind {
	case yaml.AliasNode:
		return b.alias(n, depth)
	case yaml.SequenceNode:
		return out, b.list(out, n, depth)
	case yaml.MappingNode:
		return out, b.object(out, n, depth)
	}
	var err error
	if out.kind, out.scalar, err = scalar(n); err != nil {
		return nil, b.problem(n, report.Undecodable, "%v", err)
	}
	return out, nil
}

// count counts a node, and one that stands within an alias against the limits.
func (b *builder) count(n *yaml.Node) error {
	b.values++
	if len(b.open) == 0 || n.Kind == yaml.AliasNode {
		return nil
	}
	b.aliased++
	b.aliasedBytes += int64(len(n.Value))
	if b.aliased > b.limits.Aliases {
		return b.problem(n, report.LimitExceeded, "aliases expand to more than Aliases = %d values", b.limits.Aliases)
	}
	if b.aliasedBytes > b.limits.FileBytes {
		return b.problem(n, report.LimitExceeded, "aliases expand to more than FileBytes = %d bytes", b.limits.FileBytes)
	}
	return nil
}

func (b *builder) alias(n *yaml.Node, depth int) (*node, error) {
	if b.open[n.Alias] {
		return nil, b.problem(n, report.Undecodable, "the anchor %q contains itself", n.Value)
	}
	b.open[n.Alias] = true
	out, err := b.value(n.Alias, depth)
	delete(b.open, n.Alias)
	return out, err
}

func (b *builder) list(out *node, n *yaml.Node, depth int) error {
	out.kind = list
	out.items = make([]*node, len(n.Content))
	for i, c := range n.Content {
		var err error
		if out.items[i], err = b.value(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// mapping is an object being built: where each key stands and whether a merge
// key brought it.
type mapping struct {
	*node
	at     map[string]int
	merged map[string]bool
}

func (b *builder) object(out *node, n *yaml.Node, depth int) error {
	out.kind = object
	m := mapping{node: out, at: map[string]int{}, merged: map[string]bool{}}
	merges := 0
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if isMerge(k) {
			if merges++; merges > 1 {
				b.flaws[m.node] = append(b.flaws[m.node], b.problem(k, report.DuplicateKey, "the merge key << is given twice"))
			}
			if err := b.merge(m, v, depth); err != nil {
				return err
			}
			continue
		}
		if err := b.entry(m, k, v, depth); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) entry(m mapping, k, v *yaml.Node, depth int) error {
	name, err := keyName(k)
	if err != nil {
		return b.problem(k, report.Undecodable, "%v", err)
	}
	value, err := b.value(v, depth+1)
	if err != nil {
		return err
	}
	if i, ok := m.at[name]; ok && !m.merged[name] {
		b.flaws[m.node] = append(b.flaws[m.node], b.problem(k, report.DuplicateKey, "the key %s was given in line %d already", shorten(quote(name)), m.keys[i].line))
	}
	m.set(key{name, int32(k.Line + b.offset), int32(k.Column)}, value)
	delete(m.merged, name)
	return nil
}

// set adds a key or gives it another value.
func (m mapping) set(k key, v *node) {
	if i, ok := m.at[k.name]; ok {
		m.keys[i], m.items[i] = k, v
		return
	}
	m.at[k.name] = len(m.keys)
	m.keys, m.items = append(m.keys, k), append(m.items, v)
}

func isMerge(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "<<" && n.Tag == "!!merge"
}

// merge adds what a merge key refers to: one object or a list of them, of
// which the first that has a key gives it.
func (b *builder) merge(m mapping, v *yaml.Node, depth int) error {
	from, err := b.value(v, depth)
	if err != nil {
		return err
	}
	parts := []*node{from}
	if from.kind == list {
		parts = from.items
	}
	for _, part := range parts {
		if part.kind != object {
			return b.problem(v, report.Undecodable, "the merge key << needs an object or a list of objects, found %s", part.kind)
		}
		for i, k := range part.keys {
			b.mergeKey(m, v, k, part.items[i])
		}
	}
	return nil
}

// mergeKey adds one merged key. Readers disagree about a key that stands before
// the merge key, so that is refused.
func (b *builder) mergeKey(m mapping, at *yaml.Node, k key, v *node) {
	if _, ok := m.at[k.name]; !ok {
		m.set(k, v)
		m.merged[k.name] = true
		return
	}
	if !m.merged[k.name] {
		p := b.problem(at, report.DuplicateKey, "the merge key << brings %s, which stands before it already", shorten(quote(k.name)))
		p.hint = "write << first: then every reader lets the key that follows win"
		b.flaws[m.node] = append(b.flaws[m.node], p)
	}
}
