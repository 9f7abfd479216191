package sink

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v2"
)

// yamlText prints a plain value as a YAML document in block style, its keys
// sorted. The library prints one scalar at a time where quoting needs thought:
// ten thousand resources through its encoder take longer than everything else
// that is done to them.
func yamlText(v any) ([]byte, error) {
	var b bytes.Buffer
	if err := block(&b, v, 0, false); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// block prints a value that starts a line, or stands behind "- " when inline.
func block(b *bytes.Buffer, v any, depth int, inline bool) error {
	switch v := v.(type) {
	case map[string]any:
		if len(v) > 0 {
			return mapping(b, v, depth, inline)
		}
	case []any:
		if len(v) > 0 {
			return sequence(b, v, depth, inline)
		}
	}
	indent(b, depth, inline)
	return line(b, v)
}

func mapping(b *bytes.Buffer, v map[string]any, depth int, inline bool) error {
	for i, k := range slices.Sorted(maps.Keys(v)) {
		indent(b, depth, inline && i == 0)
		if err := scalar(b, k); err != nil {
			return err
		}
		b.WriteByte(':')
		if err := below(b, v[k], depth); err != nil {
			return err
		}
	}
	return nil
}

func sequence(b *bytes.Buffer, v []any, depth int, inline bool) error {
	for i, item := range v {
		indent(b, depth, inline && i == 0)
		b.WriteString("- ")
		if err := block(b, item, depth+1, true); err != nil {
			return err
		}
	}
	return nil
}

// line prints a scalar that ends a line.
func line(b *bytes.Buffer, v any) error {
	if err := scalar(b, v); err != nil {
		return err
	}
	return b.WriteByte('\n')
}

// below prints the value of a key: on the same line, or on the next ones, where
// a list stands no deeper than its key.
func below(b *bytes.Buffer, v any, depth int) error {
	switch w := v.(type) {
	case map[string]any:
		if len(w) > 0 {
			b.WriteByte('\n')
			return block(b, v, depth+1, false)
		}
	case []any:
		if len(w) > 0 {
			b.WriteByte('\n')
			return block(b, v, depth, false)
		}
	}
	b.WriteByte(' ')
	return line(b, v)
}

func indent(b *bytes.Buffer, depth int, not bool) {
	if !not {
		for range depth {
			b.WriteString("  ")
		}
	}
}

// plain reports whether no version of YAML reads s as anything but text: it
// starts with a letter or a slash, holds nothing that means something, and is no
// word such as "yes".
func plain(s string) bool {
	if s != "" && s[0] >= '0' && s[0] <= '9' {
		return addressOrSeconds(s)
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c == '/':
		case i > 0 && (c == '.' || c == '-' || c == '_' || c == '|' || c >= '0' && c <= '9'):
		case c == ':' && i > 0 && i+1 < len(s) && s[i+1] != ':':
		default:
			return false
		}
	}
	switch strings.ToLower(s) {
	case "", "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return false
	}
	return true
}

// addressOrSeconds reports whether s is an IPv4 address or a whole number of
// seconds, which start with a digit and are no numbers.
func addressOrSeconds(s string) bool {
	digits, isSeconds := strings.CutSuffix(s, "s")
	dots := strings.Count(digits, ".")
	for i := range len(digits) {
		if (digits[i] < '0' || digits[i] > '9') && digits[i] != '.' {
			return false
		}
	}
	return dots > 1 && !isSeconds || dots == 0 && isSeconds
}

// scalar prints what has no parts.
func scalar(b *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case int:
		b.WriteString(strconv.Itoa(v))
	case int32:
		b.WriteString(strconv.FormatInt(int64(v), 10))
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case uint32:
		b.WriteString(strconv.FormatUint(uint64(v), 10))
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			b.WriteString(strconv.FormatInt(int64(v), 10))
			return nil
		}
		b.WriteString(strconv.FormatFloat(v, 'g', -1, 64))
	case map[string]any:
		b.WriteString("{}")
	case []any:
		b.WriteString("[]")
	case string:
		return text(b, v)
	default:
		return fmt.Errorf("%T is no plain value", v)
	}
	return nil
}

func text(b *bytes.Buffer, s string) error {
	switch {
	case plain(s):
		b.WriteString(s)
		return nil
	case s == typeKey:
		b.WriteString("'" + typeKey + "'")
		return nil
	}
	if s == "<<" || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
		b.WriteString(strconv.QuoteToASCII(s)) // whose escapes are YAML's too
		return nil
	}
	out, err := yaml.Marshal(s)
	if err != nil {
		return fmt.Errorf("printing %q: %w", s, err)
	}
	if out = bytes.TrimSuffix(out, []byte("\n")); bytes.ContainsRune(out, '\n') { // folded
		out = strconv.AppendQuoteToASCII(nil, s)
	}
	b.Write(out)
	return nil
}
