package policies

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// Much of what rules ask of the inventory is asked again for every object: who
// guards a namespace, what pods it has. The functions of the library below depend on
// their arguments and on some kinds of objects alone, so an inventory remembers
// what they gave until one of those objects changes.

// memoed is such a function.
type memoed struct {
	path ast.Ref
	// home: its first argument is the only namespace that it looks at; else it
	// looks at all of them.
	home bool
	// kinds are those that it looks at; empty: that of its last argument, in group
	// or, where that is empty, in the group of its first argument.
	kinds []string
	group string
}

var (
	targetKinds = []string{"TrafficTarget.access.smi-spec.io"}
	podKinds    = []string{"Pod", "Deployment.apps", "StatefulSet.apps", "DaemonSet.apps", "Job.batch", "CronJob.batch"}
	routeKinds  = []string{"HTTPRoute." + routeGroup, "GRPCRoute." + routeGroup, "TCPRoute." + routeGroup, "TLSRoute." + routeGroup}
	userKinds   = []string{"TrafficTarget.access.smi-spec.io", "TrafficSplit.split.smi-spec.io"}
)

var memos = []memoed{
	{path: inLibrary("inventory.targets"), home: true, kinds: targetKinds},
	{path: inLibrary("inventory.guarded"), kinds: targetKinds},
	{path: inLibrary("inventory.callers"), kinds: targetKinds},
	{path: inLibrary("inventory.rules"), home: true, kinds: targetKinds},
	{path: inLibrary("inventory.variants"), home: true, kinds: userKinds[1:]},
	{path: inLibrary("inventory.references"), home: true, kinds: userKinds},
	{path: inLibrary("inventory.pods"), home: true, kinds: podKinds},
	{path: inLibrary("inventory.accounts"), home: true, kinds: podKinds},
	{path: inLibrary("inventory.behind"), home: true, kinds: append(slices.Clone(podKinds), "Service")},
	{path: inLibrary("inventory.in_front"), home: true, kinds: append(slices.Clone(podKinds), "Service")},
	{path: inLibrary("inventory.everywhere")},
	{path: inLibrary("route.attached"), home: true, group: routeGroup},
	{path: inLibrary("route.routed"), kinds: routeKinds},
}

const routeGroup = "gateway.networking.k8s.io"

// memoOf finds the function of a path among memos: -1 where it is none of them.
func memoOf(path ast.Ref) int {
	if len(path) != len(memos[0].path) { // most are not even of that form, and it is asked very often
		return -1
	}
	return slices.IndexFunc(memos, func(m memoed) bool {
		last := len(path) - 1
		return path[last].Value.Compare(m.path[last].Value) == 0 && m.path.Equal(path)
	})
}

func inLibrary(name string) ast.Ref { return ast.MustParseRef("data.lib." + name) }

// maxMemos bounds what an inventory remembers.
const maxMemos = 1 << 14

// memory is what an inventory remembers, by function and arguments.
type memory struct {
	mu     sync.RWMutex
	made   map[string]memo
	scopes map[string]*scope
}

// memo is what a function gave. It holds while its scope does.
type memo struct {
	value *ast.Term
	scope *scope
}

// scope is a part of the inventory, as it is in a tree: the same scope stands for
// it in another tree while the same branches are there.
type scope struct {
	root atomic.Pointer[branch]
	from map[*branch]bool
}

func newMemory() memory { return memory{made: map[string]memo{}, scopes: map[string]*scope{}} }

// scope returns that of a call in a tree.
func (m *memory) scope(c call, root *branch) *scope {
	m.mu.RLock()
	known := m.scopes[c.scope]
	m.mu.RUnlock()
	if known != nil && known.root.Load() == root {
		return known
	}
	from := c.looksAt(root)
	if known != nil && maps.Equal(known.from, from) {
		known.root.Store(root)
		return known
	}
	now := &scope{from: from}
	now.root.Store(root)
	m.mu.Lock()
	defer m.mu.Unlock()
	makeRoom(m.scopes)
	m.scopes[c.scope] = now
	return now
}

func (m *memory) get(c call, root *branch) *ast.Term {
	m.mu.RLock()
	found, ok := m.made[c.key]
	m.mu.RUnlock()
	if !ok || found.scope != m.scope(c, root) {
		return nil
	}
	return found.value
}

func (m *memory) put(c call, root *branch, value *ast.Term) {
	at := m.scope(c, root)
	m.mu.Lock()
	defer m.mu.Unlock()
	makeRoom(m.made)
	m.made[c.key] = memo{value, at}
}

// makeRoom lets a map forget something where it is full.
func makeRoom[V any](m map[string]V) {
	for key := range m {
		if len(m) < maxMemos {
			return
		}
		delete(m, key)
	}
}

// call is a function that is remembered, with arguments.
type call struct {
	key       string
	scope     string // of namespace and kinds
	namespace string // empty: all
	kinds     []string
}

// callOf reads what topdown keeps the result of a function under.
func callOf(ref ast.Ref) (call, bool) {
	if len(ref) < 2 {
		return call{}, false
	}
	name, ok := ref[0].Value.(ast.Ref)
	if !ok {
		return call{}, false
	}
	i := memoOf(name)
	if i < 0 {
		return call{}, false
	}
	m := memos[i]
	c := call{key: strconv.Itoa(i), kinds: m.kinds}
	var args []string
	for _, t := range ref[1:] {
		s, ok := t.Value.(ast.String)
		if !ok {
			return call{}, false
		}
		args = append(args, string(s))
		c.key += strconv.Quote(string(s)) // so that no two calls have one key
	}
	if m.home {
		c.namespace = args[0]
	}
	if len(m.kinds) == 0 {
		c.kinds = []string{args[len(args)-1] + "." + cmp.Or(m.group, args[0])}
	}
	c.scope = c.namespace + "/" + strings.Join(c.kinds, ",")
	return c, !m.home || c.namespace != ""
}

// looksAt returns the branches of the kinds that a call looks at.
func (c call) looksAt(root *branch) map[*branch]bool {
	out := map[*branch]bool{}
	in := func(namespace *branch) {
		if namespace == nil {
			return
		}
		namespace.each(func(version string, kinds *branch) {
			for _, k := range c.kinds {
				if kind, group, _ := strings.Cut(k, "."); group == groupOf(version) {
					if b := kinds.child(kind); b != nil {
						out[b] = true
					}
				}
			}
		})
	}
	namespaces := root.find([]string{"inventory", "namespace"})
	if c.namespace != "" {
		in(namespaces.child(c.namespace))
		return out
	}
	namespaces.each(func(_ string, n *branch) { in(n) })
	return out
}

// groupOf is the group of an apiVersion.
func groupOf(version string) string {
	if group, _, ok := strings.Cut(version, "/"); ok {
		return group
	}
	return ""
}

// concerns reports whether a call may look at what stands at a path. Which
// namespaces there are is seen by all.
func (c call) concerns(path []string) bool {
	return len(path) == 6 && (c.namespace == "" || c.namespace == path[2]) && slices.ContainsFunc(c.kinds, func(k string) bool {
		kind, group, _ := strings.Cut(k, ".")
		return kind == path[4] && group == groupOf(path[3])
	})
}

// remembering is what one query has found out, over what the inventory
// remembers. What the object under review may change is not looked up there.
type remembering struct {
	topdown.VirtualCache
	depth int
	view  view
}

// Push is called where "with" puts something in the place of data or input.
func (r *remembering) Push() { r.depth++; r.VirtualCache.Push() }

// Pop ends what Push began.
func (r *remembering) Pop() { r.depth--; r.VirtualCache.Pop() }

// Get returns what is known of a document or a call.
func (r *remembering) Get(ref ast.Ref) (*ast.Term, bool) {
	if value, undefined := r.VirtualCache.Get(ref); value != nil || undefined {
		return value, undefined
	}
	if c, ok := r.call(ref); ok {
		return r.view.memory.get(c, r.view.base), false
	}
	return nil, false
}

// Put takes down what a document or a call came to.
func (r *remembering) Put(ref ast.Ref, value *ast.Term) {
	r.VirtualCache.Put(ref, value)
	if c, ok := r.call(ref); ok && value != nil {
		r.view.memory.put(c, r.view.base, value)
	}
}

func (r *remembering) call(ref ast.Ref) (call, bool) {
	if r.depth > 0 {
		return call{}, false
	}
	c, ok := callOf(ref)
	return c, ok && !c.concerns(r.view.path)
}
