package routes

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/meshknot/meshknot/translators"
)

// The objects as they are written. What is not here is not read, and an object
// that has it is an error: an interpreter must not pass over what it is told.

type wireRoute struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   Metadata `json:"metadata"`
	Spec       struct {
		ParentRefs []wireParent `json:"parentRefs"`
		Rules      []wireRule   `json:"rules"`
	} `json:"spec"`
}

// Metadata is what names an object, and its age.
type Metadata struct {
	Name              string            `json:"name"`
	Namespace         string            `json:"namespace"`
	CreationTimestamp string            `json:"creationTimestamp"`
	Labels            map[string]string `json:"labels"`
	Annotations       map[string]string `json:"annotations"`
}

type wireParent struct {
	Group       *string `json:"group"`
	Kind        *string `json:"kind"`
	Namespace   string  `json:"namespace"`
	Name        string  `json:"name"`
	SectionName string  `json:"sectionName"`
	Port        int32   `json:"port"`
}

type wireRule struct {
	Name        string        `json:"name"`
	Matches     []wireMatch   `json:"matches"`
	Filters     []wireFilter  `json:"filters"`
	BackendRefs []wireBackend `json:"backendRefs"`
	Timeouts    struct {
		Request        *string `json:"request"`
		BackendRequest *string `json:"backendRequest"`
	} `json:"timeouts"`
}

type wireMatch struct {
	Path        *wireValue      `json:"path"`
	Method      json.RawMessage `json:"method"`
	Headers     []wireValue     `json:"headers"`
	QueryParams []wireValue     `json:"queryParams"`
}

type wireValue struct {
	Type  *string `json:"type"`
	Name  string  `json:"name"`
	Value *string `json:"value"`
}

type wireCall struct {
	Type    *string `json:"type"`
	Service *string `json:"service"`
	Method  *string `json:"method"`
}

type wireFilter struct {
	Type     string        `json:"type"`
	Request  *wireEdit     `json:"requestHeaderModifier"`
	Response *wireEdit     `json:"responseHeaderModifier"`
	Redirect *wireRedirect `json:"requestRedirect"`
	Rewrite  *wireRewrite  `json:"urlRewrite"`
	Mirror   *wireMirror   `json:"requestMirror"`
}

type wireEdit struct {
	Set    []wireHeader `json:"set"`
	Add    []wireHeader `json:"add"`
	Remove []string     `json:"remove"`
}

type wireHeader struct {
	Name  *string `json:"name"`
	Value *string `json:"value"`
}

type wireRedirect struct {
	Scheme     string        `json:"scheme"`
	Hostname   string        `json:"hostname"`
	Path       *wirePathEdit `json:"path"`
	Port       int32         `json:"port"`
	StatusCode *int          `json:"statusCode"`
}

type wireRewrite struct {
	Hostname string        `json:"hostname"`
	Path     *wirePathEdit `json:"path"`
}

type wirePathEdit struct {
	Type   string  `json:"type"`
	Full   *string `json:"replaceFullPath"`
	Prefix *string `json:"replacePrefixMatch"`
}

type wireMirror struct {
	BackendRef *wireBackend `json:"backendRef"`
	Percent    *uint32      `json:"percent"`
	Fraction   *struct {
		Numerator   *uint32 `json:"numerator"`
		Denominator *uint32 `json:"denominator"`
	} `json:"fraction"`
}

type wireBackend struct {
	Group     *string      `json:"group"`
	Kind      *string      `json:"kind"`
	Namespace string       `json:"namespace"`
	Name      string       `json:"name"`
	Port      int32        `json:"port"`
	Weight    *int64       `json:"weight"`
	Filters   []wireFilter `json:"filters"`
}

// Decode reads the payload of an artifact, an object, into a value that names
// every field that may stand there. An object has a name and a namespace.
func Decode(a translators.Artifact, into any) error {
	object, ok := a.Payload.(map[string]any)
	if !ok {
		return fmt.Errorf("%s %s: %T is no object", a.ID.Type, a.ID.Name, a.Payload)
	}
	text, err := json.Marshal(object)
	if err != nil {
		return fmt.Errorf("%s %s: %w", a.ID.Type, a.ID.Name, err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%s %s: %w", a.ID.Type, a.ID.Name, err)
	}
	metadata, _ := object["metadata"].(map[string]any)
	if name, _ := metadata["name"].(string); name == "" {
		return fmt.Errorf("%s %s: it has no name", a.ID.Type, a.ID.Name)
	}
	if namespace, _ := metadata["namespace"].(string); namespace == "" {
		return fmt.Errorf("%s %s: it has no namespace", a.ID.Type, a.ID.Name)
	}
	return nil
}

// Kind returns apiVersion and kind of an artifact that is an object; empty for
// what is none.
func Kind(a translators.Artifact) (apiVersion, kind string) {
	object, _ := a.Payload.(map[string]any)
	apiVersion, _ = object["apiVersion"].(string)
	kind, _ = object["kind"].(string)
	return apiVersion, kind
}
