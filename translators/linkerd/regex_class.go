package linkerd

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
)

func times(least, most int) string {
	switch {
	case least == 0 && most == 1:
		return "?"
	case most < 0:
		return "{" + strconv.Itoa(least) + ",}"
	case least == most:
		return "{" + strconv.Itoa(least) + "}"
	}
	return "{" + strconv.Itoa(least) + "," + strconv.Itoa(most) + "}"
}

// charClass writes a set of runes, given as the first and last of each range.
func charClass(pairs []rune) string {
	switch {
	case len(pairs) == 2 && pairs[0] == pairs[1]:
		return escaped(pairs[0])
	case len(pairs) == 0:
		return `[^\x{0}-\x{10FFFF}]`
	}
	if pairs[0] == 0 && pairs[len(pairs)-1] == unicode.MaxRune {
		rest := complement(pairs)
		if len(rest) == 0 {
			return "."
		}
		return "[^" + ranges(rest) + "]"
	}
	return "[" + ranges(pairs) + "]"
}

// complement returns the runes outside of ranges. A line break is left out, for
// no value has one.
func complement(pairs []rune) []rune {
	var out []rune
	at := rune(0)
	for i := 0; i+1 < len(pairs); i += 2 {
		if lo, hi := at, pairs[i]-1; lo <= hi && !(lo == '\n' && hi == '\n') {
			out = append(out, lo, hi)
		}
		at = pairs[i+1] + 1
	}
	if at <= unicode.MaxRune {
		out = append(out, at, unicode.MaxRune)
	}
	return out
}

func ranges(pairs []rune) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		b.WriteString(escaped(pairs[i]))
		if pairs[i+1] == pairs[i] {
			continue
		}
		if pairs[i+1] > pairs[i]+1 {
			b.WriteString("-")
		}
		b.WriteString(escaped(pairs[i+1]))
	}
	return b.String()
}

// special are the characters that mean something in an expression, or in one of
// its sets, to either engine.
const special = `\.+*?()|[]{}^$#&-~`

func escaped(r rune) string {
	switch {
	case strings.ContainsRune(special, r):
		return `\` + string(r)
	case r > ' ' && r < 0x7f:
		return string(r)
	case r == ' ': // a header's comparison may not have two in a row
		return `\x20`
	}
	return `\x{` + strings.ToUpper(strconv.FormatInt(int64(r), 16)) + "}"
}

// joined brings ranges in order and joins those that touch.
func joined(pairs [][2]rune) []rune {
	slices.SortFunc(pairs, func(a, b [2]rune) int { return int(a[0]) - int(b[0]) })
	var out []rune
	for _, p := range pairs {
		if n := len(out); n > 0 && p[0] <= out[n-1]+1 {
			out[n-1] = max(out[n-1], p[1])
			continue
		}
		out = append(out, p[0], p[1])
	}
	return out
}
