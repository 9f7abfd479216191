package feed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/meshknot/meshknot/translators/input"
	"github.com/meshknot/meshknot/translators/report"
)

// head is what a feed has to know of an object before it reads the rest.
type head struct {
	id  input.ID
	uid string
	// version is the object's resource version.
	version    string
	generation int64
	created    time.Time
	// ends: an initial list that is streamed ends with this bookmark.
	ends bool
}

// headOf reads the metadata of an object.
func (k Kind) headOf(raw []byte) (head, error) {
	var h head
	var err error
	members(raw, func(key, value []byte) {
		if string(key) != `"metadata"` {
			return
		}
		var kept struct {
			Name, Namespace, UID, ResourceVersion string
			Generation                            int64
			CreationTimestamp                     time.Time
			Annotations                           struct {
				Ends string `json:"k8s.io/initial-events-end"`
			}
		}
		if err = json.Unmarshal(without(value, `"managedFields"`), &kept); err != nil {
			return
		}
		h = head{input.ID{Group: k.Group, Kind: k.Kind, Namespace: kept.Namespace, Name: kept.Name},
			kept.UID, kept.ResourceVersion, kept.Generation, kept.CreationTimestamp, kept.Annotations.Ends == "true"}
	})
	if err == nil && h.version == "" {
		err = fmt.Errorf("the server sent an object of %s without a resource version", k.Resource)
	}
	return h, err
}

// change reads an object. Decoding needs neither managedFields nor status, which
// are the better part of many objects.
func (f *Feed) change(k Kind, version string, h head, raw []byte) Change {
	c := Change{ID: h.id, Meta: Meta{h.uid, h.generation, h.version, version}}
	if k.Raw {
		if f.o.Keep == nil || f.o.Keep(k, raw) {
			c.JSON = k.trim(raw, version, true)
		}
		return c
	}
	text := k.trim(raw, version, false)
	if len(text) > f.o.ObjectBytes {
		c.Object = &input.Object{ID: h.id, Version: version, Created: h.created, Rejected: true}
		c.Findings = report.Report{report.New(report.LimitExceeded, h.id.Ref(""),
			fmt.Sprintf("the object has more bytes than ObjectBytes = %d; it is not read", f.o.ObjectBytes))}
		return c
	}
	var o input.Object
	o, c.Findings = f.decoder.Decode(text)
	if o.ID != h.id { // not even its name could be read as ours are
		o = input.Object{ID: h.id, Version: version, Created: h.created, Rejected: true}
	}
	c.Object = &o
	if k.KeepJSON {
		if c.JSON = text; k.KeepStatus {
			c.JSON = k.trim(raw, version, true)
		}
	}
	return c
}

// trim copies an object without managedFields and, unless asked for, status. The
// items of a list do not say what they are; the copy does.
func (k Kind) trim(raw []byte, version string, status bool) []byte {
	out := make([]byte, 0, len(raw))
	api := version
	if k.Group != "" {
		api = k.Group + "/" + version
	}
	out = append(out, `{"apiVersion":"`+api+`","kind":"`+k.Kind+`"`...)
	members(raw, func(key, value []byte) {
		switch string(key) {
		case `"apiVersion"`, `"kind"`:
			return
		case `"status"`:
			if !status {
				return
			}
		case `"metadata"`:
			value = without(value, `"managedFields"`)
		}
		out = append(append(append(append(out, ','), key...), ':'), value...)
	})
	return bytes.Clone(append(out, '}'))
}

// without copies an object of JSON without a key.
func without(object []byte, name string) []byte {
	out := make([]byte, 0, len(object))
	out = append(out, '{')
	members(object, func(key, value []byte) {
		if string(key) == name {
			return
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, key...), ':'), value...)
	})
	return append(out, '}')
}

// members calls f with each key, in its quotes, and value of an object of JSON,
// which is known to be well formed. Of anything else there are none.
func members(object []byte, f func(key, value []byte)) {
	rest := bytes.TrimLeft(object, " \t\r\n")
	if len(rest) == 0 || rest[0] != '{' {
		return
	}
	rest = bytes.TrimLeft(rest[1:], " \t\r\n,")
	for len(rest) > 0 && rest[0] == '"' {
		n := extent(rest)
		key := rest[:n]
		rest = bytes.TrimLeft(rest[n:], " \t\r\n:")
		n = extent(rest)
		f(key, rest[:n])
		rest = bytes.TrimLeft(rest[n:], " \t\r\n,")
	}
}

// extent is the length of the value of JSON that a text starts with.
func extent(text []byte) int {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case c == '{' || c == '[':
			depth++
			continue
		case c == '}' || c == ']':
			depth--
		case depth > 0 || !strings.ContainsRune(",:}] \t\r\n", rune(peek(text, i+1))):
			continue // within a list or an object, or a number or word that goes on
		}
		if depth <= 0 {
			return min(i+1, len(text))
		}
	}
	return len(text)
}

// peek is a byte of a text, or a blank where it ends.
func peek(text []byte, i int) byte {
	if i < len(text) {
		return text[i]
	}
	return ' '
}

// entry is what is remembered of an object that was handed out.
type entry struct {
	uid, version string
	generation   int64
	created      int64 // in seconds
	// api is the version of the kind that it was read in.
	api string
}

func entryOf(h head, api string) entry {
	return entry{h.uid, h.version, h.generation, h.created.Unix(), api}
}

// older reports whether what a server says is not news. Resource versions are
// compared as numbers, in which every server of Kubernetes counts since 1.35 says
// so; of others only what surely is older is left out.
func (e entry) older(h head, api string) bool {
	if order, err := resourceversion.CompareResourceVersion(h.version, e.version); err == nil {
		return order < 0 || order == 0 && e.api == api
	}
	switch {
	case h.version == e.version:
		return e.api == api
	case h.uid == e.uid:
		return h.generation < e.generation
	}
	return h.created.Unix() < e.created
}

// before reports whether a resource version is surely older than another.
func before(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && order < 0
}
