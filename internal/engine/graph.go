package engine

import (
	"maps"
	"slices"

	"github.com/meshknot/meshknot/translators/input"
)

// graph knows who asked what: an answer that changes concerns only those.
type graph map[input.Question]*asked

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

// node is what asks: an object, when it says which units it makes, or a unit.
type node struct {
	asks   []edge
	object *object
	unit   *unit
}

// edge is a question that a node asked, and its place among those who did.
type edge struct {
	*asked
	at int32
}

// connect makes questions those that a node asks, in place of others before. The
// same question mostly stands where it stood.
func (g graph) connect(n *node, questions []input.Question) {
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
		a := g[q]
		if a == nil {
			a = &asked{question: q}
			g[q] = a
		}
		n.asks = append(n.asks, edge{a, int32(len(a.by))})
		a.by = append(a.by, asker{n, int32(len(n.asks) - 1)})
	}
}

// leave takes a node from those who asked a question; the last of them takes its place.
func (g graph) leave(e edge) {
	last := e.by[len(e.by)-1]
	e.by[e.at] = last
	last.asks[last.edge].at = e.at
	e.asked.by[len(e.by)-1] = asker{}
	if e.asked.by = e.by[:len(e.by)-1]; len(e.asked.by) == 0 {
		delete(g, e.question)
	}
}

// compact gives back the memory of what is not asked any more.
func (g graph) compact() graph {
	for _, a := range g {
		a.by = slices.Clone(a.by)
	}
	return maps.Clone(g)
}
