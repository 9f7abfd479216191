package linkerd

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"

	"github.com/meshknot/meshknot/translators/ir"
)

// expression writes a comparison as a regular expression for the whole value.
func expression(m ir.StringMatch) string {
	quoted := regexp.QuoteMeta(m.Value)
	switch m.Kind {
	case ir.MatchExact:
		return quoted
	case ir.MatchPrefix:
		return quoted + ".*"
	case ir.MatchSegments:
		return quoted + "(?:/.*)?"
	case ir.MatchSuffix:
		return ".*" + quoted
	case ir.MatchContains:
		return ".*" + quoted + ".*"
	case ir.MatchRegex:
		return m.Value
	}
	return ".*"
}

// anchored writes a comparison as Linkerd needs it: its proxies look for the
// leftmost match that their engine prefers and then ask whether that is the
// whole value, so the expression is tied at both ends. It is printed from its
// syntax, in what RE2 and Rust's engine read alike: no \d, \w or \s, which Rust
// takes for all of Unicode, no \Q, no boundaries.
func anchored(m ir.StringMatch) (string, bool) {
	re, err := syntax.Parse(expression(m), syntax.Perl)
	if err != nil {
		return "", false
	}
	var p printer
	if p.print(untied(re), lowest); !p.failed {
		return tied(p.String()), true
	}
	l, ok := languageOfSyntax(re) // it has boundaries inside
	if !ok || l.empty() {
		return "", false
	}
	return l.anchored()
}

// untied leaves out what ties an expression at its ends, as tied does again.
func untied(re *syntax.Regexp) *syntax.Regexp {
	if re.Op != syntax.OpConcat {
		return re
	}
	out := *re
	if len(out.Sub) > 0 && out.Sub[0].Op == syntax.OpBeginText {
		out.Sub = out.Sub[1:]
	}
	if n := len(out.Sub); n > 0 && out.Sub[n-1].Op == syntax.OpEndText {
		out.Sub = out.Sub[:n-1]
	}
	return &out
}

func tied(expr string) string { return "^(?:" + expr + ")$" }

// The precedence of operators, for brackets.
const (
	lowest = iota // alternatives
	sequence
	atom // may be repeated
)

// printer writes the syntax of an expression.
type printer struct {
	strings.Builder
	failed bool // there is something without a plain form
}

func (p *printer) print(re *syntax.Regexp, in int) {
	switch re.Op {
	case syntax.OpEmptyMatch:
		p.WriteString("(?:)")
	case syntax.OpLiteral:
		p.literal(re, in)
	case syntax.OpCharClass:
		p.WriteString(charClass(re.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL: // no value has a line break
		p.WriteString(".")
	case syntax.OpCapture:
		p.print(re.Sub[0], in)
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		p.repeat(re, in)
	case syntax.OpConcat:
		p.open(in > sequence)
		for _, sub := range re.Sub {
			p.print(sub, sequence)
		}
		p.close(in > sequence)
	case syntax.OpAlternate:
		p.open(in > lowest)
		for i, sub := range re.Sub {
			if i > 0 {
				p.WriteString("|")
			}
			p.print(sub, lowest)
		}
		p.close(in > lowest)
	default:
		p.failed = true
	}
}

func (p *printer) open(brackets bool) {
	if brackets {
		p.WriteString("(?:")
	}
}

func (p *printer) close(brackets bool) {
	if brackets {
		p.WriteString(")")
	}
}

func (p *printer) literal(re *syntax.Regexp, in int) {
	p.open(in > sequence && len(re.Rune) > 1)
	for _, r := range re.Rune {
		if re.Flags&syntax.FoldCase != 0 {
			p.WriteString(folded(r))
			continue
		}
		p.WriteString(escaped(r))
	}
	p.close(in > sequence && len(re.Rune) > 1)
}

// folded writes a rune in every letter case.
func folded(r rune) string {
	all := []rune{r}
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		all = append(all, f)
	}
	slices.Sort(all)
	var pairs []rune
	for _, one := range all {
		pairs = append(pairs, one, one)
	}
	return charClass(pairs)
}

// repeat writes a repetition. Which length an engine prefers does not count, as
// both ends are tied.
func (p *printer) repeat(re *syntax.Regexp, in int) {
	p.open(in >= atom) // a repetition is not repeated again: x** is an error somewhere
	p.print(re.Sub[0], atom)
	switch re.Op {
	case syntax.OpStar:
		p.WriteString("*")
	case syntax.OpPlus:
		p.WriteString("+")
	case syntax.OpQuest:
		p.WriteString("?")
	default:
		p.WriteString(times(re.Min, re.Max))
	}
	p.close(in >= atom)
}
