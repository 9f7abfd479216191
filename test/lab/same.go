package lab

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/semantics"
)

// Target is a request target, path and query, whose path is normalised.
func Target(asked string) string {
	_, query, has := strings.Cut(asked, "?")
	path := semantics.NormalisePath(asked)
	if has {
		path += "?" + query
	}
	return path
}

// Place is an address without the port that its scheme implies, and with a
// normalised path: two such are one place exactly if they are equal. What is no
// address with a host stays as it is.
func Place(location string) string {
	u, err := url.Parse(location)
	if err != nil || u.Host == "" {
		return location
	}
	host := strings.ToLower(u.Host)
	if u.Port() == map[string]string{"http": "80", "https": "443"}[u.Scheme] {
		host = strings.ToLower(u.Hostname())
	}
	_, target, _ := strings.Cut(location, u.Host)
	return u.Scheme + "://" + host + Target(target)
}

// Lines are headers by names in small letters, as the model has them.
func Lines(h http.Header) map[string][]string {
	out := map[string][]string{}
	for k, v := range h {
		out[strings.ToLower(k)] = v
	}
	return out
}

// SameLines compares the headers that are wanted or, where there are no lines,
// wanted to be gone. Lines may be joined by commas on the way, those of a cookie by
// semicolons (RFC 9113 section 8.2.3). It returns the first that differs, and
// nothing where none does.
func SameLines(got, want map[string][]string) string {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if name == "host" || name == "connection" {
			continue
		}
		by := ","
		if name == "cookie" {
			by = ";"
		}
		g, w := strings.Join(got[name], by), strings.Join(want[name], by)
		if strings.ReplaceAll(g, by+" ", by) != strings.ReplaceAll(w, by+" ", by) || (got[name] == nil) != (want[name] == nil) {
			return fmt.Sprintf("%s %q, not %q", name, want[name], got[name])
		}
	}
	return ""
}
