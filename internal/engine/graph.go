package engine

import (
	"maps"
	"slices"

	"github.com/meshknot/meshknot/translators/input"
)

// graph knows who asked what: an answer that changes concerns only those.
type graph struct {
	asked map[input.Question]*asked
	// derived are the nodes of the answers that were derived.
	derived map[input.Question]*node
	// left are derived answers that somebody asked and then nobody.
	left []input.Question
}

func newGraph() graph {
	return graph{asked: map[input.Question]*asked{}, derived: map[input.Question]*node{}}
}

// asked is a question and who asked it.
type asked struct {
	question input.Question
	by       []asker
}

// asker is a node and the place of the question among those that it asked.
type asker struct {
	*node
	edge int32
}

// node is what asks: an object, when it says which units it makes, a unit, or an
// answer that is derived of others.
type node struct {
	asks    []edge
	object  *object
	unit    *unit
	derived input.Question
}

// edge is a question that a node asked, and its place among those who did.
type edge struct {
	*asked
	at int32
}

// connect makes questions those that a node asks, in place of others before. The
// same question mostly stands where it stood.
func (g *graph) connect(n *node, questions []input.Question) {
	same := 0
	for same < min(len(questions), len(n.asks)) && n.asks[same].question == questions[same] {
		same++
	}
	for i := same; i < len(n.asks); i++ {
		g.leave(n.asks[i])
	}
	clear(n.asks[same:])
	n.asks = slices.Grow(n.asks[:same], len(questions)-same)
	for _, q := range questions[same:] {
		a := g.asked[q]
		if a == nil {
			a = &asked{question: q}
			g.asked[q] = a
		}
		n.asks = append(n.asks, edge{a, int32(len(a.by))})
		a.by = append(a.by, asker{n, int32(len(n.asks) - 1)})
	}
}

// leave takes a node from those who asked a question; the last of them takes its place.
func (g *graph) leave(e edge) {
	last := e.by[len(e.by)-1]
	e.by[e.at] = last
	last.asks[last.edge].at = e.at
	e.asked.by[len(e.by)-1] = asker{}
	if e.asked.by = e.by[:len(e.by)-1]; len(e.asked.by) == 0 {
		delete(g.asked, e.question)
		if e.question.Derived() {
			g.left = append(g.left, e.question)
		}
	}
}

// derive takes down what derived answers were made of, and lets a memory forget
// those that nobody asks for any more.
func (g *graph) derive(m *input.Memory) {
	made := m.Made()
	for _, q := range made {
		asked, ok := m.Asked(q)
		if !ok {
			continue // somebody made it, and it was forgotten since
		}
		if g.derived[q] == nil {
			g.derived[q] = &node{derived: q}
		}
		g.connect(g.derived[q], asked)
	}
	g.left = append(g.left, made...)
	for len(g.left) > 0 {
		q := g.left[len(g.left)-1]
		g.left = g.left[:len(g.left)-1]
		if g.asked[q] != nil {
			continue
		}
		m.Forget(q)
		if n := g.derived[q]; n != nil {
			delete(g.derived, q)
			g.connect(n, nil)
		}
	}
	g.left = nil
}

// compact gives back the memory of what is not asked any more.
func (g *graph) compact() {
	for _, a := range g.asked {
		a.by = slices.Clone(a.by)
	}
	g.asked, g.derived = maps.Clone(g.asked), maps.Clone(g.derived)
}
