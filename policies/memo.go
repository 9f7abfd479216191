package policies

import (
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
	// kinds are those that it looks at; empty: that of its arguments group and kind,
	// or, of the Gateway API, of its argument kind.
	kinds []string
}

var (
	targetKinds = []string{"TrafficTarget.access.smi-spec.io"}
	podKinds    = []string{"Pod", "Deployment.apps", "StatefulSet.apps", "DaemonSet.apps", "Job.batch", "CronJob.batch"}
	userKinds   = []string{"TrafficTarget.access.smi-spec.io", "TrafficSplit.split.smi-spec.io"}
)

var memos = []memoed{
	{inLibrary("inventory.targets"), true, targetKinds},
	{inLibrary("inventory.guarded"), false, targetKinds},
	{inLibrary("inventory.callers"), false, targetKinds},
	{inLibrary("inventory.rules"), true, targetKinds},
	{inLibrary("inventory.variants"), true, userKinds[1:]},
	{inLibrary("inventory.references"), true, userKinds},
	{inLibrary("inventory.pods"), true, podKinds},
	{inLibrary("inventory.accounts"), true, podKinds},
	{inLibrary("inventory.behind"), true, append(slices.Clone(podKinds), "Service")},
	{inLibrary("inventory.in_front"), true, append(slices.Clone(podKinds), "Service")},
	{inLibrary("inventory.everywhere"), false, nil},
	{inLibrary("route.attached"), true, nil},
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
	i := slices.IndexFunc(memos, func(m memoed) bool { return m.path.Equal(name) })
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
	switch last := args[len(args)-1]; {
	case len(m.kinds) > 0:
	case m.home:
		c.kinds = []string{last + ".gateway.networking.k8s.io"}
	default:
		c.kinds = []string{last + "." + args[0]}
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
