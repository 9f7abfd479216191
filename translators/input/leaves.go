package input

import (
	"slices"
	"strconv"
)

// leaves returns the paths of what a document says, sorted.
func leaves(n *node) []string {
	var l leafList
	for i, k := range n.keys {
		if k.name != "apiVersion" && k.name != "kind" && k.name != "metadata" {
			l.field(k.name)
			l.below(n.items[i])
			l.path = l.path[:0]
		}
	}
	if len(l.out) == 0 {
		return nil
	}
	out := append(make([]string, 0, len(l.out)), l.out...) // which is kept, without spare room
	slices.Sort(out)
	return out
}

// leafList collects paths. Only those that are kept become strings.
type leafList struct {
	path []byte
	out  []string
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
		l.out = append(l.out, string(l.path))
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
