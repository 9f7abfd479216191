// Package krm speaks the language of KRM functions: it reads a ResourceList with the
// objects of a package and a configuration, and writes one with what became of
// them and what is to be said of it (the Configuration Functions Specification of
// kubernetes-sigs/kustomize, cmd/config/docs/api-conventions/functions-spec.md).
// It knows what a function is given and gives, and nothing of translating.
package krm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"sigs.k8s.io/kustomize/kyaml/kio"
	"sigs.k8s.io/kustomize/kyaml/yaml"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/meshknot/meshknot/translators/input"
)

// What a ResourceList is called.
const (
	listVersion = "config.kubernetes.io/v1"
	listKind    = "ResourceList"
)

// Annotations that say in which file of a package an object stands, and at which
// place there. Older tools know the second pair.
const (
	pathAnnotation        = "internal.config.kubernetes.io/path"
	indexAnnotation       = "internal.config.kubernetes.io/index"
	legacyPathAnnotation  = "config.kubernetes.io/path"
	legacyIndexAnnotation = "config.kubernetes.io/index"
)

// managedBy is the label by which the translator's own objects are known.
const managedBy, ours = "app.kubernetes.io/managed-by", "meshknot"

// MaxBytes is how large a ResourceList may be, in bytes.
const MaxBytes = 256 << 20

// List is a ResourceList: the objects of a package, the configuration of the
// function, and what is said of them.
type List struct {
	Items   []Item
	Config  *yaml.RNode
	Results []Result
	// version is the apiVersion in which it was given.
	version string
}

// Item is an object of a list.
type Item struct {
	input.ID
	// Version is that of its apiVersion, without the group.
	Version string
	// Ours: a translation made it.
	Ours bool
	// File is where it stands in its package; zero where nobody says so.
	File File

	node   *yaml.RNode
	legacy bool
}

// File is a place in a package: a file and which of its objects, counted from 0.
type File struct {
	Path  string `json:"path,omitempty"`
	Index int    `json:"index,omitempty"`
}

// Read reads a list. What is no ResourceList is an error.
func Read(r io.Reader) (*List, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > MaxBytes:
		return nil, fmt.Errorf("standard input holds more than %d bytes", MaxBytes)
	}
	reader := kio.ByteReader{Reader: bytes.NewReader(text), OmitReaderAnnotations: true}
	nodes, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("standard input: %w", err)
	}
	if reader.WrappingKind != listKind {
		return nil, errors.New("standard input is no ResourceList: a KRM function is started by kustomize, kpt or their like")
	}
	l := &List{Config: reader.FunctionConfig, version: reader.WrappingAPIVersion}
	for i, n := range nodes {
		item, err := itemOf(n)
		if err != nil {
			return nil, fmt.Errorf("items[%d]: %w", i, err)
		}
		l.Items = append(l.Items, item)
	}
	return l, nil
}

func itemOf(n *yaml.RNode) (Item, error) {
	if n.YNode().Kind != yaml.MappingNode {
		return Item{}, errors.New("no object")
	}
	group, version := splitVersion(n.GetApiVersion())
	notes := n.GetAnnotations()
	path, at := notes[pathAnnotation], notes[indexAnnotation]
	if path == "" {
		path, at = notes[legacyPathAnnotation], notes[legacyIndexAnnotation]
	}
	index, err := strconv.Atoi(at)
	if at != "" && err != nil {
		return Item{}, fmt.Errorf("annotation %s: %q is no number", indexAnnotation, at)
	}
	return Item{
		ID:      input.ID{Group: group, Kind: n.GetKind(), Namespace: n.GetNamespace(), Name: n.GetName()},
		Version: version,
		Ours:    n.GetLabels()[managedBy] == ours,
		File:    File{Path: path, Index: index},
		node:    n,
		legacy:  notes[legacyPathAnnotation] != "",
	}, nil
}

// Text returns the object as YAML.
func (i Item) Text() ([]byte, error) {
	text, err := i.node.String()
	return []byte(text), err
}

// Write writes the list in the version in which it was given.
func (l *List) Write(w io.Writer) error {
	writer := kio.ByteWriter{Writer: w, KeepReaderAnnotations: true, WrappingKind: listKind,
		WrappingAPIVersion: l.version, FunctionConfig: l.Config}
	if l.version == "" {
		writer.WrappingAPIVersion = listVersion
	}
	if len(l.Results) > 0 {
		text, err := sigsyaml.Marshal(l.Results)
		if err != nil {
			return err
		}
		if writer.Results, err = yaml.Parse(string(text)); err != nil {
			return err
		}
	}
	nodes := make([]*yaml.RNode, len(l.Items))
	for i, item := range l.Items {
		nodes[i] = item.node
	}
	return writer.Write(nodes)
}
