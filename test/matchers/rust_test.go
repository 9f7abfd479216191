package matchers

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// What \d, \w and \s are in Rust, where they go by Unicode.
const (
	rustDigit = `\p{Nd}`
	rustWord  = `\p{L}\p{Nl}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D}`
	rustSpace = `\t\n\x0b\f\r \x{85}\p{Z}`
)

var counted = regexp.MustCompile(`^\{[0-9]+(,[0-9]*)?\}`)

// rustRegexp writes an expression of Rust's regex crate for Go's package. It
// refuses what Rust refuses, and what Rust reads in a way that is not simulated.
func rustRegexp(expr string) (*regexp.Regexp, error) {
	var b strings.Builder
	for rest := expr; rest != ""; {
		n, err := 1, error(nil)
		switch {
		case rest[0] == '\\':
			n, err = rustEscape(rest, &b, false)
		case rest[0] == '[':
			n, err = rustClass(rest, &b)
		case strings.HasPrefix(rest, "(?"):
			n, err = rustGroup(rest, &b)
		case rest[0] == '{':
			at := counted.FindStringIndex(rest)
			if b.Len() == 0 || at == nil {
				return nil, errors.New("a brace that counts nothing")
			}
			n = at[1]
			b.WriteString(rest[:n])
		default:
			b.WriteByte(rest[0])
		}
		if err != nil {
			return nil, err
		}
		rest = rest[n:]
	}
	return regexp.Compile(b.String())
}

func rustGroup(rest string, b *strings.Builder) (int, error) {
	end := strings.IndexAny(rest, ":)<")
	if end < 0 || strings.ContainsAny(rest[2:end], "xuR") {
		return 0, fmt.Errorf("the group %q", rest)
	}
	b.WriteString(rest[:end+1])
	return end + 1, nil
}

// rustEscape writes an escape and returns its length.
func rustEscape(rest string, b *strings.Builder, class bool) (int, error) {
	if len(rest) < 2 {
		return 0, errors.New("nothing is escaped")
	}
	sets := map[byte]string{'d': rustDigit, 'w': rustWord, 's': rustSpace}
	switch c := rest[1]; {
	case sets[c] != "" && class:
		b.WriteString(sets[c])
	case sets[c] != "":
		b.WriteString("[" + sets[c] + "]")
	case sets[c|0x20] != "" && class:
		return 0, errors.New("a negated set in a class")
	case sets[c|0x20] != "":
		b.WriteString("[^" + sets[c|0x20] + "]")
	case c == 'p' || c == 'P' || c == 'x':
		end := 3
		if len(rest) > 2 && rest[2] == '{' {
			end = strings.IndexByte(rest, '}') + 1
		} else if c == 'x' {
			end = 4
		}
		if end <= 0 || end > len(rest) {
			return 0, errors.New("an escape without an end")
		}
		b.WriteString(rest[:end])
		return end, nil
	case strings.IndexByte("bBAzntrfva", c) >= 0 && (!class || strings.IndexByte("bBAz", c) < 0):
		b.WriteString(rest[:2])
	case c > ' ' && c < 0x7f && strings.IndexByte("<>", c) < 0 && !isAlphanumeric(c):
		b.WriteString(rest[:2])
	default:
		return 0, fmt.Errorf("the escape %q", rest[:2])
	}
	return 2, nil
}

func isAlphanumeric(c byte) bool {
	return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// rustClass writes a class and returns its length. In Rust classes nest, and
// "&&", "--" and "~~" stand for operations on them.
func rustClass(rest string, b *strings.Builder) (int, error) {
	i := 1
	if strings.HasPrefix(rest, "[^") {
		i = 2
	}
	b.WriteString(rest[:i])
	for first := true; i < len(rest); first = false {
		switch {
		case rest[i] == ']' && !first:
			b.WriteByte(']')
			return i + 1, nil
		case rest[i] == '\\':
			n, err := rustEscape(rest[i:], b, true)
			if err != nil {
				return 0, err
			}
			i += n
		case strings.HasPrefix(rest[i:], "[:") && strings.Contains(rest[i:], ":]"):
			end := i + strings.Index(rest[i:], ":]") + 2
			b.WriteString(rest[i:end])
			i = end
		case rest[i] == '[', strings.HasPrefix(rest[i:], "&&"), strings.HasPrefix(rest[i:], "--"), strings.HasPrefix(rest[i:], "~~"):
			return 0, fmt.Errorf("the class %q is not what it seems", rest)
		default:
			b.WriteByte(rest[i])
			i++
		}
	}
	return 0, errors.New("a class without an end")
}
