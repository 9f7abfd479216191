package input

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Scalars mean what they mean to Kubernetes, which reads YAML 1.1: "yes" and
// "on" are booleans, 010 is eight, a date is a string.

var floatForm = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)

// scalar resolves a scalar of YAML.
func scalar(n *yaml.Node) (kind, string, error) {
	if n.Style&yaml.TaggedStyle == 0 {
		if n.Style != 0 {
			return text, n.Value, nil
		}
		return resolve(n.Value)
	}
	return tagged(n.Tag, n.Value)
}

// tagged resolves a scalar with a tag of its own.
func tagged(tag, value string) (kind, string, error) {
	want, known := map[string]kind{"!!null": null, "!!bool": boolean, "!!int": number, "!!float": number}[tag]
	switch {
	case tag == "!!binary":
		data, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return text, "", fmt.Errorf("decoding a !!binary value: %w", err)
		}
		return text, string(data), nil
	case !known:
		return text, value, nil
	}
	k, literal, err := resolve(value)
	if err == nil && (k != want || tag == "!!int" && strings.ContainsAny(literal, ".eE")) {
		err = fmt.Errorf("%s is no %s", shorten(quote(value)), tag)
	}
	return k, literal, err
}

// resolve tells what a plain scalar is.
func resolve(s string) (kind, string, error) {
	switch s {
	case "", "~", "null", "Null", "NULL":
		return null, "null", nil
	case "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON":
		return boolean, "true", nil
	case "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF":
		return boolean, "false", nil
	case ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF":
		return number, "", fmt.Errorf("%s has no form in JSON", s)
	}
	if !strings.ContainsRune("+-.0123456789", rune(s[0])) {
		return text, s, nil
	}
	if literal, ok, err := numeral(s); ok || err != nil {
		return number, literal, err
	}
	return text, s, nil
}

// numeral reads a number and renders it as JSON.
func numeral(s string) (string, bool, error) {
	if s[0] != '.' {
		s = strings.ReplaceAll(s, "_", "")
		if i, ok := integer(s); ok {
			return i, true, nil
		}
		if !floatForm.MatchString(s) {
			return "", false, nil
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return "", false, nil
	}
	return float(f)
}

func float(f float64) (string, bool, error) {
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return "", false, fmt.Errorf("%v has no form in JSON", f)
	}
	out, err := json.Marshal(f)
	return string(out), err == nil, err
}

func integer(s string) (string, bool) {
	if i, err := strconv.ParseInt(s, 0, 64); err == nil {
		return strconv.FormatInt(i, 10), true
	}
	if u, err := strconv.ParseUint(s, 0, 64); err == nil {
		return strconv.FormatUint(u, 10), true
	}
	return "", false
}

// keyName renders a mapping key as the string that it becomes in JSON.
func keyName(n *yaml.Node) (string, error) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode {
		return "", fmt.Errorf("a key is %s", map[yaml.Kind]string{yaml.SequenceNode: "a list", yaml.MappingNode: "an object"}[n.Kind])
	}
	k, literal, err := scalar(n)
	if err == nil && k == null {
		err = fmt.Errorf("a key is null")
	}
	return literal, err
}
