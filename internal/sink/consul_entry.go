package sink

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/consul/api"

	"github.com/meshknot/meshknot/translators"
)

// entryType is the beginning of the type of a configuration entry, before its kind.
const entryType = "consul/"

// entryKinds are the kinds that the back end makes.
var entryKinds = []string{
	api.MeshConfig, api.ServiceDefaults, api.ServiceIntentions, api.ServiceResolver, api.ServiceRouter, api.ServiceSplitter,
}

// Keys of Meta, of which Consul takes 64 with keys of 128 bytes and values of 512.
const (
	metaManagedBy = "managed-by" // the back end writes it
	metaCluster   = "meshknot.io/cluster"
	metaBinding   = "meshknot.io/binding"
)

// entry is a configuration entry as JSON has it. The types of Consul's client
// would lose what they do not know.
type entry map[string]any

var _ api.ConfigEntry = entry{}

// GetKind implements api.ConfigEntry.
func (e entry) GetKind() string { return e.text("Kind") }

// GetName implements api.ConfigEntry.
func (e entry) GetName() string {
	if kind := e.GetKind(); kind == api.MeshConfig {
		return kind // there is one, without a name
	}
	return e.text("Name")
}

// GetPartition implements api.ConfigEntry.
func (e entry) GetPartition() string { return e.text("Partition") }

// GetNamespace implements api.ConfigEntry.
func (e entry) GetNamespace() string { return e.text("Namespace") }

// GetMeta implements api.ConfigEntry.
func (e entry) GetMeta() map[string]string {
	out := map[string]string{}
	all, _ := e["Meta"].(map[string]any)
	for k, v := range all {
		out[k], _ = v.(string)
	}
	return out
}

// GetCreateIndex implements api.ConfigEntry.
func (e entry) GetCreateIndex() uint64 { return e.index("CreateIndex") }

// GetModifyIndex implements api.ConfigEntry; of no entry it is zero.
func (e entry) GetModifyIndex() uint64 { return e.index("ModifyIndex") }

func (e entry) text(key string) string {
	s, _ := e[key].(string)
	return s
}

func (e entry) index(key string) uint64 {
	n, _ := e[key].(float64)
	return uint64(n)
}

// manager names who made an entry of somebody else's.
func (e entry) manager() string {
	meta := e.GetMeta()
	switch {
	case meta[metaManagedBy] == ManagedBy && meta[metaBinding] != "":
		return fmt.Sprintf("MeshBinding %s of cluster %s", meta[metaBinding], meta[metaCluster])
	case meta["external-source"] != "": // as Consul's own tools say it
		return meta["external-source"]
	case meta[metaManagedBy] != "" && meta[metaManagedBy] != ManagedBy:
		return meta[metaManagedBy]
	}
	return "nobody known"
}

// ownerOf is the MeshBinding of this cluster whose an entry is, if any.
func (c *Consul) ownerOf(e entry) string {
	if meta := e.GetMeta(); meta[metaManagedBy] == ManagedBy && meta[metaCluster] == c.cluster {
		return meta[metaBinding]
	}
	return ""
}

// fingerprint stands for what an entry says.
func (e entry) fingerprint() string {
	said := maps.Clone(e)
	for k := range indexes {
		delete(said, k)
	}
	text, err := json.Marshal(said)
	if err != nil {
		return "" // which is the fingerprint of none
	}
	return digest(text)
}

// wantedEntry is an entry as it is to be.
type wantedEntry struct {
	entry
	digest string
}

// want makes the entry that stands for an artifact of an owner.
func (c *Consul) want(owner Owner, a translators.Artifact) (wantedEntry, error) {
	text, err := json.Marshal(a.Payload)
	var e entry
	if err == nil {
		err = json.Unmarshal(text, &e)
	}
	if err != nil {
		return wantedEntry{}, fmt.Errorf("%s: %w", named(a.ID), err)
	}
	meta, _ := e["Meta"].(map[string]any)
	if meta == nil {
		meta = map[string]any{}
		e["Meta"] = meta
	}
	w := wantedEntry{e, digest(text)}
	meta[metaManagedBy], meta[metaCluster], meta[metaBinding], meta[DigestAnnotation] = ManagedBy, c.cluster, owner.Binding, w.digest
	return w, nil
}

// in reports whether a live entry says what is wanted, and nothing else but what
// Consul says by itself.
func (w wantedEntry) in(live entry) bool {
	return sameEntry(map[string]any(w.entry), map[string]any(live))
}

// indexes are fields that count writes.
var indexes = map[string]bool{"CreateIndex": true, "ModifyIndex": true, "Hash": true}

func sameEntry(wanted, live any) bool {
	switch wanted := wanted.(type) {
	case map[string]any:
		live, ok := live.(map[string]any)
		if !ok {
			return false
		}
		for k, l := range live {
			if w, ok := wanted[k]; !ok && !byItself(k, l) || ok && k != sources && !sameEntry(w, l) || ok && k == sources && !sameSources(w, l) {
				return false
			}
		}
		for k := range wanted {
			if _, ok := live[k]; !ok {
				return false
			}
		}
		return true
	case []any:
		live, _ := live.([]any)
		return slices.EqualFunc(wanted, live, sameEntry)
	}
	return wanted == live
}

// byItself reports whether Consul says a field that is not asked for: it counts
// writes, or says nothing, or ranks an intention, which are sorted by that.
func byItself(key string, v any) bool {
	return indexes[key] || key == "Precedence" || key == "Type" && v == "consul" || isZero(v)
}

func isZero(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		for k := range v {
			if !isZero(v[k]) {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	}
	return v == "" || v == false || v == float64(0)
}

// sources are those of an intention. Consul sorts them.
const sources = "Sources"

func sameSources(wanted, live any) bool {
	w, ok := wanted.([]any)
	l, also := live.([]any)
	if !ok || !also || len(w) != len(l) {
		return false
	}
	byName := func(a, b any) int { return strings.Compare(nameIn(a), nameIn(b)) }
	return slices.EqualFunc(slices.SortedStableFunc(slices.Values(w), byName), slices.SortedStableFunc(slices.Values(l), byName), sameEntry)
}

func nameIn(v any) string {
	o, _ := v.(map[string]any)
	return fmt.Sprint(o["Name"], o["Peer"], o["Partition"], o["Namespace"])
}

// passing are words of failures of Consul's that pass by themselves. All others
// that it calls internal errors are what it has against an entry.
var passing = []string{"No cluster leader", "leadership", "rpc error getting client", "EOF", "i/o timeout", "deadline exceeded",
	"timed out", "connection refused", "connection reset", "rate limit"}

// refusedByConsul says what an answer means for an entry.
func refusedByConsul(id translators.ID, err error) error {
	status := api.StatusError{}
	if err == nil || !errors.As(err, &status) {
		return err
	}
	transient := slices.ContainsFunc(passing, func(words string) bool { return strings.Contains(status.Body, words) })
	switch {
	case status.Code == http.StatusBadRequest, status.Code == http.StatusForbidden, status.Code == http.StatusInternalServerError && !transient:
		return &Refused{id, status.Body, status.Code == http.StatusForbidden}
	}
	return fmt.Errorf("%s: %w", named(id), err)
}
