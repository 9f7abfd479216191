package sink

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
)

// forWhom is the comment above an xDS resource that is not for every proxy. An
// object of an API says by itself what it is about.
func forWhom(a translators.Artifact) string {
	_, resource := a.Payload.(proto.Message)
	switch n, account := a.Audience.Namespace, a.Audience.Account; {
	case !resource || a.Audience == (ir.Audience{}):
		return ""
	case account == "":
		return fmt.Sprintf("# for the proxies of namespace %s\n", n)
	default:
		return fmt.Sprintf("# for the proxies of account %s\n", ir.Name{Namespace: n, Name: account})
	}
}

// variants counts the artifacts of an output that share an ID.
func variants(all []translators.Artifact) map[translators.ID]int {
	out := make(map[translators.ID]int, len(all))
	for _, a := range all {
		out[a.ID]++
	}
	return out
}

// variantFolder holds the variant of an artifact for an audience: no two files of
// artifacts that share an ID have one name. What is for everybody needs none.
func variantFolder(a ir.Audience) string {
	switch {
	case a == (ir.Audience{}):
		return ""
	case a.Account == "":
		return "for-" + a.Namespace
	}
	return "for-" + a.Namespace + "_" + a.Account // no name has an underscore
}
