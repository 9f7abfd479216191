// Package input reads objects: from files, directories, globs, standard input
// and kustomize directories. It knows the file, line and column of every field,
// but keeps that beside the objects, so that a moved document or a comment
// changes nothing that is made of them. It knows no API: what a kind looks like
// is told by the schemas that it is given.
package input

import (
	"cmp"
	"strings"
	"time"

	"github.com/meshknot/meshknot/translators/report"
)

// ID names an object. Version is not part of it: every version of a kind is
// converted to one form when it is read.
type ID struct{ Group, Kind, Namespace, Name string }

// Ref returns a reference to the object or, with a field path, to a field.
func (i ID) Ref(field string) report.Ref {
	return report.Ref{Group: i.Group, Kind: i.Kind, Namespace: i.Namespace, Name: i.Name, Field: field}
}

// Compare orders IDs by group, kind, namespace and name.
func (i ID) Compare(o ID) int {
	return cmp.Or(strings.Compare(i.Group, o.Group), strings.Compare(i.Kind, o.Kind),
		strings.Compare(i.Namespace, o.Namespace), strings.Compare(i.Name, o.Name))
}

// Object is one object as its schema decoded it.
type Object struct {
	ID
	// Version is the version that it was written in.
	Version string
	// Labels and Annotations of its metadata. Only annotations under
	// "meshknot.io/" are kept.
	Labels, Annotations map[string]string
	// Created is metadata.creationTimestamp; files rarely have one.
	Created time.Time
	// Value is what the schema's Decode returned. It holds everything of the
	// object that a front end may look at, and nothing else: two objects with
	// equal labels, annotations, creation time and Value are the same object to everybody.
	Value any
	// Leaves are the paths of all scalar fields (and empty lists and objects)
	// as written, sorted: what has to be accounted for. What identifies the
	// object (apiVersion, kind, metadata) is left out, and so is null, which
	// says nothing. A rejected object has none.
	Leaves []string
	// Rejected: the object is in error. It may close access, but must never
	// open it or route. Value is what could be decoded and may be nil.
	Rejected bool
}

// Schema tells how one kind is read in one version.
type Schema struct {
	Group, Version, Kind string
	// Cluster: objects of the kind have no namespace.
	Cluster bool
	// Wire is the zero value of the struct that describes the document. Fields
	// that it does not have are errors, found by its json tags; types with an
	// UnmarshalJSON of their own, and fields in Loose, are not looked into.
	Wire any
	// Loose are field paths, such as "spec.matches[].headers", whose insides
	// Decode checks itself.
	Loose []string
	// Decode makes Object.Value from a document. A nil Decode stores the decoded
	// *Wire. A finding of severity error rejects the object. It is also called,
	// its findings discarded, for a document that failed the check against Wire:
	// what it can make of that is the Value of a rejected object.
	Decode func(d Document) (any, report.Report)
}

// Document is one object's raw content, handed to Schema.Decode.
type Document struct {
	ID
	Version string
	// JSON is the object as JSON, duplicate keys refused, YAML 1.1 scalars
	// resolved as Kubernetes does.
	JSON []byte
	// Wire is JSON decoded into a new value of the schema's Wire type, or nil
	// where that failed, in which case WireErr says why.
	Wire    any
	WireErr error
}

// Reader answers a front end's questions about the objects, one key at a time.
// There is no way to list everything: an answer that was given is a dependency
// of the unit that asked, and so is a miss. Objects in its answers have neither
// Version nor Leaves, for no unit may depend on them.
type Reader interface {
	// Get returns the object with an ID.
	Get(id ID) (Object, bool)
	// Lookup returns the objects that an index holds under a key, ordered by
	// creation time (objects without one last), then namespace and name.
	// Rejected objects are among them.
	Lookup(index Index, key string) []Object
	// Complete reports whether everything in the namespace was given, so that
	// what is absent does not exist.
	Complete(namespace string) bool
	// Settings returns what was said about a namespace. Of "" it is what was said
	// about the run, which holds for every namespace of which nothing else was said.
	Settings(namespace string) Settings
}

// Index is a named secondary key. Keys computes the keys under which an object
// stands; it looks at nothing but the object, which may be of any kind, and
// rejected with a nil Value. The name stands for the function: two indexes of
// one name are the same index.
type Index struct {
	Name string
	Keys func(o Object) []string
}

// Settings are what the user said about the run, or about a namespace of it, and
// not in an object.
type Settings struct {
	// Access is "selected" (default), "strict" or "off".
	Access string
	// Dialect of SMI is "spec" (default), "osm" or "traefik".
	Dialect string
	// Complete: everything was given, in every namespace that they hold for.
	Complete bool
	// Workloads maps "namespace/account" to the labels of its pods.
	Workloads map[string]map[string]string
}

// Limits bound what an input may ask of us. Zero fields mean the defaults.
type Limits struct {
	// FileBytes is the size of one file in bytes (default 16 MiB); TotalBytes of
	// all together (default 256 MiB).
	FileBytes, TotalBytes int64
	// Files is the number of files read (default 20,000).
	Files int
	// Objects is the number of objects (default 200,000).
	Objects int
	// Values is the number of scalars, lists and objects in all documents
	// (default 8,000,000).
	Values int
	// PathBytes is the size of all Leaves in bytes (default 64 for each of Values).
	PathBytes int64
	// Depth is the nesting of one document (default 64).
	Depth int
	// Aliases is the number of YAML nodes that aliases expand to in one document
	// (default 10,000).
	Aliases int
}
