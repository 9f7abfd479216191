// Package sink takes desired state to where it is wanted. A sink computes its
// own difference and never touches what it did not write.
package sink

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/translators"
)

// Plain turns an artifact's payload into maps and lists; an xDS resource
// carries its "@type".
func Plain(payload any) (any, error) {
	m, ok := payload.(proto.Message)
	if !ok {
		return payload, nil
	}
	v, err := plainMessage(m.ProtoReflect())
	out, ok := v.(map[string]any)
	if err != nil || !ok {
		return nil, fmt.Errorf("printing %T: %w", payload, err)
	}
	out[typeKey] = "type.googleapis.com/" + string(m.ProtoReflect().Descriptor().FullName())
	return out, nil
}

// YAML prints artifacts as YAML documents: objects ready to be applied, xDS
// resources with their type, Consul's entries in JSON as its own tools read them.
func YAML(w io.Writer, artifacts []translators.Artifact) error {
	texts, err := documents(artifacts)
	if err != nil {
		return err
	}
	for _, text := range texts {
		if _, err := fmt.Fprintf(w, "---\n%s", text); err != nil {
			return err
		}
	}
	return nil
}

// documents prints each artifact. Printing takes the most time of a
// translation, so all processors take part.
func documents(artifacts []translators.Artifact) ([][]byte, error) {
	out := make([][]byte, len(artifacts))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	const share = 32 // what one processor takes at a time
	for start := 0; start < len(artifacts); start += share {
		g.Go(func() error {
			for i := start; i < min(start+share, len(artifacts)); i++ {
				text, err := document(artifacts[i])
				if err != nil {
					return err
				}
				out[i] = append([]byte(forWhom(artifacts[i])), text...)
			}
			return nil
		})
	}
	return out, g.Wait()
}

func document(a translators.Artifact) ([]byte, error) {
	p, err := Plain(a.Payload)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", a.ID.Type, a.ID.Name, err)
	}
	if inJSON(a.ID) {
		text, err := json.MarshalIndent(p, "", "  ")
		return append(text, '\n'), err
	}
	return yamlText(p)
}

// inJSON reports whether an artifact is one that its mesh reads as JSON: Consul's
// configuration entries, which are no objects of Kubernetes.
func inJSON(id translators.ID) bool { return strings.HasPrefix(id.Type, "consul/") }
