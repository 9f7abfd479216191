package policies

import (
	"maps"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
)

// branch is a place in a tree of objects. Once it was handed out it does not
// change: a change makes new branches from the root to the place and shares all
// others. Rules read values of OPA's kind; a branch makes its own when it is
// first asked for, and keeps it, so that after a change only those above the
// place are made anew, and only if a rule looks at them as a whole.
type branch struct {
	// owner may change the branch in place, for nobody else has seen it.
	owner    *batch
	children map[string]*branch
	// leaf is the object that stands here; children are then nil.
	leaf ast.Value
	// key and cover, if set, take the place of one child of under, which has the
	// rest. It saves copying all children for one check.
	under *branch
	key   string
	cover *branch

	value atomic.Pointer[ast.Value]
}

// batch is one change of many objects. It has a size, so that two differ.
type batch struct{ _ byte }

func (n *branch) child(key string) *branch {
	switch {
	case n == nil || n.leaf != nil:
		return nil
	case n.under == nil:
		return n.children[key]
	case n.key == key:
		return n.cover
	}
	return n.under.child(key)
}

// find returns the branch at a path, or nil.
func (n *branch) find(path []string) *branch {
	for _, key := range path {
		if n = n.child(key); n == nil {
			return nil
		}
	}
	return n
}

// owned returns n, or a copy of it, that a batch may change.
func (n *branch) owned(b *batch) *branch {
	if n == nil {
		return &branch{owner: b, children: map[string]*branch{}}
	}
	if n.owner == b {
		n.value.Store(nil)
		return n
	}
	return &branch{owner: b, children: maps.Clone(n.children)}
}

// with returns the tree with an object at a path.
func (n *branch) with(path []string, leaf ast.Value, b *batch) *branch {
	if len(path) == 0 {
		return &branch{leaf: leaf}
	}
	out := n.owned(b)
	out.children[path[0]] = out.children[path[0]].with(path[1:], leaf, b)
	return out
}

// without returns the tree without the object at a path, and without the
// branches that have nothing any more, for a rule may ask whether there is one;
// the two parts of the inventory are always there.
func (n *branch) without(path []string, b *batch) *branch { return n.prune(path, b, 0) }

func (n *branch) prune(path []string, b *batch, depth int) *branch {
	if n == nil || len(path) == 0 {
		return nil
	}
	out := n.owned(b)
	if kept := out.children[path[0]].prune(path[1:], b, depth+1); kept != nil {
		out.children[path[0]] = kept
	} else {
		delete(out.children, path[0])
	}
	if len(out.children) == 0 && depth > 2 {
		return nil
	}
	return out
}

// covered is with, at the cost of the depth of the path alone.
func (n *branch) covered(path []string, leaf ast.Value) *branch {
	if len(path) == 0 {
		return &branch{leaf: leaf}
	}
	if n == nil {
		n = &branch{}
	}
	return &branch{under: n, key: path[0], cover: n.child(path[0]).covered(path[1:], leaf)}
}

// ast returns the value that rules read.
func (n *branch) ast() ast.Value {
	if n.leaf != nil {
		return n.leaf
	}
	if made := n.value.Load(); made != nil {
		return *made
	}
	var items [][2]*ast.Term
	n.each(func(key string, c *branch) {
		items = append(items, [2]*ast.Term{ast.StringTerm(key), ast.NewTerm(c.ast())})
	})
	var made ast.Value = ast.NewObject(items...)
	n.value.Store(&made)
	return made
}

func (n *branch) each(f func(key string, c *branch)) {
	if n.under == nil {
		for key, c := range n.children {
			f(key, c)
		}
		return
	}
	f(n.key, n.cover)
	n.under.each(func(key string, c *branch) {
		if key != n.key {
			f(key, c)
		}
	})
}
