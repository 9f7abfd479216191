package policies

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/meshknot/meshknot/translators/report"
)

// Inventory is data.inventory of a system that lives: objects come and go, and
// one object is checked against all of them without anything being built anew.
// Its methods may be called by several goroutines at once; an Engine.Review
// that has begun sees the objects that were there when it began.
type Inventory struct {
	// mu is held by who changes the inventory.
	mu sync.Mutex
	// versions tells under which apiVersion an object stands.
	versions map[report.Ref]string
	root     atomic.Pointer[branch]
	memory   memory
}

// NewInventory makes an inventory of nothing.
func NewInventory() *Inventory {
	inv := &Inventory{versions: map[report.Ref]string{}, memory: newMemory()}
	inv.root.Store(noObjects())
	return inv
}

// noObjects is data without any object: the two parts of the inventory are
// there, as rules expect.
func noObjects() *branch {
	empty := func() *branch { return &branch{children: map[string]*branch{}} }
	parts := empty()
	parts.children["cluster"], parts.children["namespace"] = empty(), empty()
	root := empty()
	root.children["inventory"] = parts
	return root
}

// Put adds objects, in place of those of the same names. Many at once cost much
// less than one after the other. An object that no rule could read is an error:
// what is known under its name is then left as it is, and the others are added.
func (inv *Inventory) Put(objects ...Object) error {
	values := make([]ast.Value, len(objects))
	var failed error
	for i, o := range objects {
		value, err := ast.InterfaceToValue(o.Value)
		if err != nil {
			failed = fmt.Errorf("%s: %w", o.Ref, err)
			continue
		}
		values[i] = value
	}
	inv.change(func(root *branch, b *batch) *branch {
		for i, o := range objects {
			if values[i] == nil {
				continue
			}
			at, version := o.Ref.Object(), apiVersion(o)
			if old, ok := inv.versions[at]; ok && old != version {
				root = root.without(pathOf(at, old), b)
			}
			inv.versions[at] = version
			root = root.with(pathOf(at, version), values[i], b)
		}
		return root
	})
	return failed
}

// Delete takes objects away.
func (inv *Inventory) Delete(refs ...report.Ref) {
	inv.change(func(root *branch, b *batch) *branch {
		for _, ref := range refs {
			at := ref.Object()
			if version, ok := inv.versions[at]; ok {
				delete(inv.versions, at)
				root = root.without(pathOf(at, version), b)
			}
		}
		return root
	})
}

// Len is the number of objects.
func (inv *Inventory) Len() int {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	return len(inv.versions)
}

// change lets f make another root, which all see from then on.
func (inv *Inventory) change(f func(*branch, *batch) *branch) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.root.Store(f(inv.root.Load(), &batch{}))
}

// over returns the inventory as it would be with an object in it. What rules
// found out is remembered only where the library is the one that this counts on.
func (inv *Inventory) over(o Object, value ast.Value, remember bool) view {
	inv.mu.Lock()
	root, at := inv.root.Load(), o.Ref.Object()
	old, known := inv.versions[at]
	inv.mu.Unlock()
	version := apiVersion(o)
	path := pathOf(at, version)
	seen := view{root: root, base: root, path: path}
	if remember {
		seen.memory = &inv.memory
	}
	if known && old != version {
		seen.root = root.without(pathOf(at, old), &batch{})
	}
	if there := root.find(path); there == nil || there.leaf.Compare(value) != 0 {
		seen.root = seen.root.covered(path, value)
	}
	return seen
}

// standing is an object of the inventory.
type standing struct {
	version string
	value   ast.Value
}

// objects returns every object, and the tree that they stand in.
func (inv *Inventory) objects() (map[report.Ref]standing, view) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	root := inv.root.Load()
	out := make(map[report.Ref]standing, len(inv.versions))
	for at, version := range inv.versions {
		if there := root.find(pathOf(at, version)); there != nil {
			out[at] = standing{version, there.leaf}
		}
	}
	return out, view{root: root, base: root}
}

// pathOf is where an object stands in Gatekeeper's layout.
func pathOf(at report.Ref, version string) []string {
	if at.Namespace == "" {
		return []string{"inventory", "cluster", version, at.Kind, at.Name}
	}
	return []string{"inventory", "namespace", at.Namespace, version, at.Kind, at.Name}
}
