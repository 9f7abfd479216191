package verify

import (
	"strings"

	"github.com/meshknot/meshknot/translators/feature"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/semantics"
)

// Has reports whether a request has the property that an effect is limited to.
func Has(q semantics.Request, on feature.On) bool {
	switch on {
	case "":
		return true
	case feature.OnRawPath:
		path, _, _ := strings.Cut(q.Path, "?")
		return path != semantics.NormalisePath(q.Path)
	case feature.OnRepeatedHeader:
		for _, lines := range q.Headers {
			if len(lines) > 1 {
				return true
			}
		}
		return false
	case feature.OnRepeatedQuery:
		return repeated(q.Path)
	case feature.OnPlainText:
		return q.From == nil
	case feature.OnStraight:
		return q.Workload != (ir.Name{})
	case feature.OnRaw:
		return q.Raw
	}
	return false
}

func repeated(target string) bool {
	_, query, _ := strings.Cut(target, "?")
	seen := map[string]bool{}
	for _, pair := range strings.Split(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if seen[name] {
			return true
		}
		seen[name] = true
	}
	return false
}
