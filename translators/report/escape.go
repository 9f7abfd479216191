package report

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// clean makes a string safe for a terminal and for one line: what does not
// print, such as control characters and marks that change the direction of
// writing, is shown as an escape.
func clean(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !unprintable(r):
			b.WriteRune(r)
		default:
			b.WriteString(escaped(r))
		}
	}
	return b.String()
}

// unprintable also holds for U+FFFD, which stands for bytes that are no text.
func unprintable(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }

// escaped renders a character as JSON does, so that it cannot act.
func escaped(r rune) string {
	if r > 0xffff {
		r -= 0x10000
		return fmt.Sprintf(`\u%04x\u%04x`, 0xd800+(r>>10), 0xdc00+(r&0x3ff))
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// cleanJSON escapes in a JSON text what does not print. Outside of strings JSON
// has nothing of the kind but white space, so the meaning stays the same.
func cleanJSON(text []byte) []byte {
	if !slices.ContainsFunc(text, func(c byte) bool { return c > '~' || c < ' ' && c != '\n' }) {
		return text // as nearly always
	}
	var b strings.Builder
	for _, r := range string(text) {
		if r == '\n' || r == utf8.RuneError || !unprintable(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(escaped(r))
		}
	}
	return []byte(b.String())
}

// cleanLine makes a line of input safe to show, character by character, so that
// columns stay as they are.
func cleanLine(s string) []rune {
	out := []rune(s)
	for i, r := range out {
		switch {
		case r == '\t':
			out[i] = ' '
		case unprintable(r):
			out[i] = '·'
		}
	}
	return out
}
