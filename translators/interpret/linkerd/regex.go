package linkerd

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/meshknot/meshknot/translators/interpret/routes"
)

// Linkerd's proxies search for an expression of Rust's regex crate and ask whether
// what is found first spans the whole value. Both that crate and Go's package find
// the leftmost match and, of several there, the one that the first alternatives
// and the greedy or lazy repetitions prefer, so the search is Go's own. What is
// written alike and means another thing is written anew, or refused as not known:
// classes go by Unicode, escapes and groups that only one of the two has, nested
// classes and their operators, and braces that count nothing.

// What \d, \w and \s are in Rust. Alphabetic characters are letters, letter
// numbers, marks and the letters in circles and squares.
const (
	digits = `\p{Nd}`
	words  = `\p{L}\p{Nl}\p{M}\p{Nd}\p{Pc}\x{200C}\x{200D}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189}`
	spaces = `\t-\r\x{85}\p{Z}`
)

// Regex compiles an expression: what is made holds where the first match that is
// found spans the value, which has to be text. The error says what Linkerd refuses
// in it, or what is not known here.
func Regex(expression string) (func(string) bool, error) {
	text, err := translate(expression)
	if err != nil {
		return nil, fmt.Errorf("the expression %q: %w", expression, err)
	}
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, fmt.Errorf("the expression %q: %w", expression, err)
	}
	return func(s string) bool {
		at := re.FindStringIndex(s)
		return at != nil && at[0] == 0 && at[1] == len(s)
	}, nil
}

// searched lets the expressions of headers look at text only: what holds any other
// character than the visible ones of ASCII, spaces and tabs is not searched.
func searched(headers []routes.Condition) {
	for i, h := range headers {
		if h.Type != routes.Expression {
			continue
		}
		headers[i].Holds = func(s string) bool {
			return !strings.ContainsFunc(s, func(r rune) bool { return r != '\t' && (r < ' ' || r > '~') }) && h.Holds(s)
		}
	}
}

var counts = regexp.MustCompile(`^\{[0-9]+(,[0-9]*)?\}`)

func translate(expression string) (string, error) {
	var b strings.Builder
	for rest := expression; rest != ""; {
		n, err := 1, error(nil)
		switch {
		case rest[0] == '\\':
			n, err = escape(rest, &b, false)
		case rest[0] == '[':
			n, err = class(rest, &b)
		case strings.HasPrefix(rest, "(?"):
			n, err = group(rest, &b)
		case rest[0] == '{':
			if n = len(counts.FindString(rest)); n == 0 || b.Len() == 0 {
				err = errors.New("a brace that counts nothing")
			}
			b.WriteString(rest[:n])
		default:
			b.WriteByte(rest[0])
		}
		if err != nil {
			return "", err
		}
		rest = rest[n:]
	}
	return b.String(), nil
}

// group writes what follows "(?": flags or a name.
func group(rest string, b *strings.Builder) (int, error) {
	end := strings.IndexAny(rest, ":)<")
	if end < 0 || strings.Trim(rest[2:end], "imsU-P") != "" || strings.HasPrefix(rest[end:], "<=") || strings.HasPrefix(rest[end:], "<!") {
		return 0, errors.New("a group that is not known")
	}
	b.WriteString(rest[:end+1])
	return end + 1, nil
}

// escape writes an escape and returns its length.
func escape(rest string, b *strings.Builder, inClass bool) (int, error) {
	if len(rest) < 2 {
		return 0, errors.New("nothing is escaped")
	}
	sets := map[byte]string{'d': digits, 'w': words, 's': spaces}
	switch c := rest[1]; {
	case sets[c] != "" && inClass:
		b.WriteString(sets[c])
	case sets[c] != "":
		b.WriteString("[" + sets[c] + "]")
	case c == 'D' && inClass:
		b.WriteString(`\P{Nd}`)
	case sets[c|0x20] != "" && c < 'a' && !inClass:
		b.WriteString("[^" + sets[c|0x20] + "]")
	case c == 'p' || c == 'P' || c == 'x':
		return number(rest, b)
	case strings.IndexByte("Azb", c) >= 0 && !inClass, strings.IndexByte("ntrfva", c) >= 0:
		b.WriteString(rest[:2])
	case c > ' ' && c < 0x7f && !letter(c) && c != '<' && c != '>':
		b.WriteString(rest[:2])
	default:
		return 0, fmt.Errorf("the escape %q is not known", rest[:2])
	}
	return 2, nil
}

func letter(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' }

// number writes a class by name or a character by number, as they are.
func number(rest string, b *strings.Builder) (int, error) {
	end := map[byte]int{'x': 4, 'p': 3, 'P': 3}[rest[1]]
	if len(rest) > 2 && rest[2] == '{' {
		end = strings.IndexByte(rest, '}') + 1
	}
	if end == 0 || end > len(rest) {
		return 0, errors.New("an escape without its end")
	}
	b.WriteString(rest[:end])
	return end, nil
}

// class writes a class and returns its length. In Rust classes nest, and "&&",
// "--" and "~~" are operations on them.
func class(rest string, b *strings.Builder) (int, error) {
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
			n, err := escape(rest[i:], b, true)
			if err != nil {
				return 0, err
			}
			i += n
		case strings.HasPrefix(rest[i:], "[:") && strings.Contains(rest[i:], ":]"):
			end := i + strings.Index(rest[i:], ":]") + 2
			b.WriteString(rest[i:end])
			i = end
		case rest[i] == '[', strings.HasPrefix(rest[i:], "&&"), strings.HasPrefix(rest[i:], "--"), strings.HasPrefix(rest[i:], "~~"):
			return 0, errors.New("a class within a class")
		default:
			b.WriteByte(rest[i])
			i++
		}
	}
	return 0, errors.New("a class without its end")
}
