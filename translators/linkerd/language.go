package linkerd

import (
	"encoding/binary"
	"regexp/syntax"
	"slices"
	"unicode"

	"github.com/meshknot/meshknot/translators/ir"
)

// maxStates bounds the automata that are built; what needs more is not known.
const maxStates = 600

// language is the set of values that a comparison holds for, as a complete
// deterministic automaton whose first state is the start. No value has a line break.
type language struct {
	// bounds are the first runes of the classes that are not told apart.
	bounds []rune
	// next is by state and class.
	next   [][]int
	accept []bool
}

// languageOf returns what a comparison holds for. It reports false where that
// would take too many states.
func languageOf(m ir.StringMatch) (language, bool) {
	re, err := syntax.Parse(expression(m), syntax.Perl)
	if err != nil {
		return language{}, false
	}
	return languageOfSyntax(re)
}

func languageOfSyntax(re *syntax.Regexp) (language, bool) {
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return language{}, false
	}
	b := builder{prog: prog, bounds: boundsOf(prog), ids: map[string]int{}}
	return b.build()
}

// boundsOf lists where runes begin to be treated differently.
func boundsOf(prog *syntax.Prog) []rune {
	out := []rune{0, '\n', '\n' + 1}
	span := func(lo, hi rune) {
		if out = append(out, lo); hi < unicode.MaxRune {
			out = append(out, hi+1)
		}
	}
	asserts := false
	for _, inst := range prog.Inst {
		switch inst.Op {
		case syntax.InstEmptyWidth:
			asserts = true
		case syntax.InstRune1:
			span(inst.Rune[0], inst.Rune[0])
		case syntax.InstRune:
			if len(inst.Rune) == 1 {
				span(inst.Rune[0], inst.Rune[0])
				for r := unicode.SimpleFold(inst.Rune[0]); r != inst.Rune[0]; r = unicode.SimpleFold(r) {
					span(r, r)
				}
				continue
			}
			for i := 0; i+1 < len(inst.Rune); i += 2 {
				span(inst.Rune[i], inst.Rune[i+1])
			}
		}
	}
	if asserts { // a word boundary tells these apart
		span('0', '9')
		span('A', 'Z')
		span('_', '_')
		span('a', 'z')
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// builder makes an automaton of a program by following all its threads at once.
type builder struct {
	prog   *syntax.Prog // INPUT
	bounds []rune
	ids    map[string]int
	states []threads
}

// threads are where a program may stand, and what stood before.
type threads struct {
	pcs  []uint32
	prev rune
}

func (b *builder) build() (language, bool) {
	l := language{bounds: b.bounds}
	b.id(threads{[]uint32{uint32(b.prog.Start)}, -1})
	for s := 0; s < len(b.states); s++ {
		if len(b.states) > maxStates {
			return language{}, false
		}
		row := make([]int, len(b.bounds))
		for c, r := range b.bounds {
			row[c] = b.id(b.step(b.states[s], r))
		}
		l.next = append(l.next, row)
		l.accept = append(l.accept, b.matches(b.states[s]))
	}
	return l.minimal(), true
}

func (b *builder) id(t threads) int {
	slices.Sort(t.pcs)
	t.pcs = slices.Compact(t.pcs)
	if len(t.pcs) == 0 {
		t.prev = 0
	}
	key := binary.AppendVarint(nil, int64(t.prev))
	for _, pc := range t.pcs {
		key = binary.AppendUvarint(key, uint64(pc))
	}
	id, ok := b.ids[string(key)]
	if !ok {
		id = len(b.states)
		b.ids[string(key)] = id
		b.states = append(b.states, t)
	}
	return id
}

func (b *builder) step(t threads, r rune) threads {
	out := threads{prev: ' '}
	if syntax.IsWordChar(r) {
		out.prev = 'a'
	}
	if r == '\n' { // no value has one
		return out
	}
	for _, pc := range b.follow(t, r) {
		inst := &b.prog.Inst[pc]
		switch inst.Op {
		case syntax.InstRune, syntax.InstRune1, syntax.InstRuneAny, syntax.InstRuneAnyNotNL:
			if inst.MatchRune(r) {
				out.pcs = append(out.pcs, inst.Out)
			}
		}
	}
	return out
}

func (b *builder) matches(t threads) bool {
	return slices.ContainsFunc(b.follow(t, -1), func(pc uint32) bool { return b.prog.Inst[pc].Op == syntax.InstMatch })
}

// follow returns where threads stand before the rune r, -1 for the end.
func (b *builder) follow(t threads, r rune) []uint32 {
	flags := syntax.EmptyOpContext(t.prev, r)
	seen := map[uint32]bool{}
	var out []uint32
	todo := slices.Clone(t.pcs)
	for len(todo) > 0 {
		pc := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[pc] {
			continue
		}
		seen[pc] = true
		switch inst := &b.prog.Inst[pc]; inst.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			todo = append(todo, inst.Out, inst.Arg)
		case syntax.InstCapture, syntax.InstNop:
			todo = append(todo, inst.Out)
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(inst.Arg)&^flags == 0 {
				todo = append(todo, inst.Out)
			}
		case syntax.InstFail:
		default:
			out = append(out, pc)
		}
	}
	return out
}

// and returns what both languages hold; but what l holds and o does not.
func (l language) and(o language) (language, bool) {
	return l.product(o, func(a, b bool) bool { return a && b })
}

func (l language) but(o language) (language, bool) {
	return l.product(o, func(a, b bool) bool { return a && !b })
}

func (l language) product(o language, holds func(a, b bool) bool) (language, bool) {
	out := language{bounds: slices.Concat(l.bounds, o.bounds)}
	slices.Sort(out.bounds)
	out.bounds = slices.Compact(out.bounds)
	left, right := l.classes(out.bounds), o.classes(out.bounds)
	ids := map[[2]int]int{{0, 0}: 0}
	pairs := [][2]int{{0, 0}}
	for i := 0; i < len(pairs); i++ {
		if len(pairs) > maxStates {
			return language{}, false
		}
		p := pairs[i]
		row := make([]int, len(out.bounds))
		for c := range out.bounds {
			to := [2]int{l.next[p[0]][left[c]], o.next[p[1]][right[c]]}
			id, ok := ids[to]
			if !ok {
				id = len(pairs)
				ids[to] = id
				pairs = append(pairs, to)
			}
			row[c] = id
		}
		out.next = append(out.next, row)
		out.accept = append(out.accept, holds(l.accept[p[0]], o.accept[p[1]]))
	}
	return out.minimal(), true
}

// classes maps each class of finer bounds to that of l.
func (l language) classes(finer []rune) []int {
	out := make([]int, len(finer))
	c := 0
	for i, r := range finer {
		for c+1 < len(l.bounds) && l.bounds[c+1] <= r {
			c++
		}
		out[i] = c
	}
	return out
}

// empty reports whether nothing is in the language.
func (l language) empty() bool { return !slices.Contains(l.accept, true) }

// minimal joins the states that lead to the same.
func (l language) minimal() language {
	group := make([]int, len(l.next))
	for s, a := range l.accept {
		if a {
			group[s] = 1
		}
	}
	count := 0
	for {
		ids := map[string]int{}
		finer := make([]int, len(group))
		for s, row := range l.next { // in order, so that the start stays first
			key := binary.AppendUvarint(nil, uint64(group[s]))
			for _, to := range row {
				key = binary.AppendUvarint(key, uint64(group[to]))
			}
			id, ok := ids[string(key)]
			if !ok {
				id = len(ids)
				ids[string(key)] = id
			}
			finer[s] = id
		}
		group = finer
		if len(ids) == count {
			break
		}
		count = len(ids)
	}
	out := language{bounds: l.bounds, next: make([][]int, count), accept: make([]bool, count)}
	for s, g := range group {
		if out.next[g] != nil {
			continue
		}
		row := make([]int, len(l.bounds))
		for c, to := range l.next[s] {
			row[c] = group[to]
		}
		out.next[g], out.accept[g] = row, l.accept[s]
	}
	return out
}
