package input

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/meshknot/meshknot/translators/report"
)

// account lists the leaves of an object that is not in error. A path repeats all that it
// is within, so a small document can have leaves beyond measure: where they and those
// before them exceed the limit, the object is rejected and they are not made.
func (r *reading) account(c *candidate) {
	if c.object.Rejected {
		return
	}
	var l leafList
	l.document(c.node)
	if l.size > r.limits.PathBytes-r.paths {
		c.object.Rejected = true
		r.add(report.LimitExceeded, c.home.at(""), c.object.Ref(""),
			fmt.Sprintf("the paths of its fields and of those before them have more bytes than PathBytes = %d; it is not used", r.limits.PathBytes), "")
		return
	}
	r.paths += l.size
	c.object.Leaves = l.made(c.node)
}

// leafList finds the paths of what a document says. They are measured first: only those
// that are kept become strings.
type leafList struct {
	path   []byte
	number int
	size   int64
	out    []string // or nil, while they are measured
}

// made returns the paths, sorted. They have been measured.
func (l *leafList) made(n *node) []string {
	if l.number == 0 {
		return nil
	}
	l.out = make([]string, 0, l.number)
	l.document(n)
	slices.Sort(l.out)
	return l.out
}

func (l *leafList) document(n *node) {
	for i, k := range n.keys {
		if k.name != "apiVersion" && k.name != "kind" && k.name != "metadata" {
			l.field(k.name)
			l.below(n.items[i])
			l.path = l.path[:0]
		}
	}
}

func (l *leafList) leaf() {
	if l.out != nil {
		l.out = append(l.out, string(l.path))
		return
	}
	l.number++
	l.size += int64(len(l.path))
}

// field and element go into a value, as Field and Element say it.
func (l *leafList) field(name string) {
	switch {
	case !plain(name):
		l.path = append(append(append(l.path, '['), strconv.Quote(name)...), ']')
	case len(l.path) == 0:
		l.path = append(l.path, name...)
	default:
		l.path = append(append(l.path, '.'), name...)
	}
}

func (l *leafList) element(i int) {
	l.path = append(strconv.AppendInt(append(l.path, '['), int64(i), 10), ']')
}

func (l *leafList) below(n *node) {
	if n.kind == null {
		return
	}
	if len(n.items) == 0 {
		l.leaf()
		return
	}
	end := len(l.path)
	for i, item := range n.items {
		if n.kind == object {
			l.field(n.keys[i].name)
		} else {
			l.element(i)
		}
		l.below(item)
		l.path = l.path[:end]
	}
}
