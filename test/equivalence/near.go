package equivalence

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// NearMiss changes a request a little: other words for the same, or the same
// words for something else. What it then means, the model says.
func NearMiss(q semantics.Request, r *rand.Rand) semantics.Request {
	if q.Raw || q.Path == "" {
		return q
	}
	q.Headers = maps.Clone(q.Headers)
	path, query, asked := strings.Cut(q.Path, "?")
	i := r.IntN(len(path))
	switch r.IntN(12) {
	case 0:
		path += "/"
	case 1:
		path = path[:i] + "/" + path[i:]
	case 2:
		path = "/." + path
	case 3:
		path = "/x/%2e%2e" + path
	case 4: // the escape of an unreserved character is that character
		if c := path[i]; c >= 'a' && c <= 'z' {
			path = fmt.Sprintf("%s%%%02X%s", path[:i], c, path[i+1:])
		}
	case 5:
		path = strings.Replace(path, "/", "/%2F", 1)
	case 6:
		path = swapCase(path, i)
	case 7:
		path = path[:max(1, len(path)-1)]
	case 8:
		q.Method = []string{"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"}[r.IntN(7)]
	case 9:
		query, asked = strings.TrimPrefix(query+"&meshknot=1", "&"), true
	default:
		headers(&q, r)
	}
	if q.Path = path; asked {
		q.Path += "?" + query
	}
	return q
}

func swapCase(s string, i int) string {
	c := s[i : i+1]
	if up := strings.ToUpper(c); up != c {
		return s[:i] + up + s[i+1:]
	}
	return s[:i] + strings.ToLower(c) + s[i+1:]
}

// headers repeats a header, changes its case or gives it to the wrong name.
func headers(q *semantics.Request, r *rand.Rand) {
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(q.Headers)), func(n string) bool {
		return n == "host" || len(q.Headers[n]) == 0 || q.Headers[n][0] == ""
	})
	if len(names) == 0 {
		q.From = &ir.Identity{Namespace: "meshknot-nowhere", Account: "nobody"}
		if q.Gateway != (ir.Name{}) {
			q.From = nil
		}
		return
	}
	name := names[r.IntN(len(names))]
	lines := slices.Clone(q.Headers[name])
	switch r.IntN(3) {
	case 0:
		lines = append([]string{"meshknot"}, lines...)
	case 1:
		lines[0] = swapCase(lines[0], r.IntN(len(lines[0])))
	default:
		lines[0] += "x"
	}
	q.Headers[name] = lines
}
