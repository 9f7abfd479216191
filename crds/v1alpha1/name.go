package v1alpha1

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
)

const maxName = 253 // of an object, in bytes

// groups are those whose first labels tell their kinds apart.
var groups = []string{"", "access.smi-spec.io", "apps", "batch", "discovery.k8s.io", "gateway.networking.k8s.io", "specs.smi-spec.io", "split.smi-spec.io", Group}

// ReportName returns the name of the report on an object: its kind in lower
// case, the first label of its group ("core" where that is empty) and its name,
// such as "trafficsplit.split.reviews". A name that is too long or is no DNS name,
// and one of a group that is not known here, are cut and have a hash behind the
// group, "trafficsplit.split-0123456789abcdef01234567.reviews". No two objects of
// a namespace have one name.
func ReportName(group, kind, name string) string {
	label, _, _ := strings.Cut(group, ".")
	if label == "" {
		label = "core"
	}
	full := strings.ToLower(kind) + "." + label + "." + name
	if len(full) <= maxName && plain(name) && slices.Contains(groups, group) {
		return full
	}
	sum := sha256.Sum256([]byte(group + "\x00" + kind + "\x00" + name))
	full = cut(strings.ToLower(kind), 63) + "." + cut(label, 38) + "-" + hex.EncodeToString(sum[:12]) + "." + cut(name, maxName)
	return strings.Trim(full[:min(len(full), maxName)], "-.")
}

// plain reports whether a name can be the end of the name of an object.
func plain(name string) bool {
	return name != "" && strings.Trim(name, "-.") == name && !strings.Contains(name, "..") && !strings.Contains(name, ".-") && !strings.Contains(name, "-.") &&
		strings.IndexFunc(name, odd) < 0
}

func odd(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
}

// cut shortens a text and replaces what no name may hold.
func cut(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		if odd(r) || r == '.' {
			return '-'
		}
		return r
	}, s)
	s = strings.Trim(s[:min(len(s), most)], "-")
	if s == "" {
		return "x"
	}
	return s
}
