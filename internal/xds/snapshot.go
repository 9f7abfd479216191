package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"

	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"google.golang.org/protobuf/proto"

	"github.com/meshknot/meshknot/translators"
	"github.com/meshknot/meshknot/translators/ir"
	"github.com/meshknot/meshknot/translators/report"
)

// desired is what one back end wants its proxies to have.
type desired struct {
	resources []resource
}

// resource is an artifact that is ready to be sent.
type resource struct {
	kind     types.ResponseType
	typeURL  string
	name     string
	hash     [sha256.Size]byte
	audience ir.Audience
	message  proto.Message
	refs     []report.Ref
}

// newDesired checks that artifacts can be served and hashes their content.
func newDesired(artifacts []translators.Artifact) (*desired, error) {
	d := &desired{resources: make([]resource, 0, len(artifacts))}
	for _, a := range artifacts {
		m, ok := a.Payload.(proto.Message)
		kind := cache.GetResponseType(a.ID.Type)
		if !ok || kind == types.UnknownType || cache.GetResourceName(m) != a.ID.Name {
			return nil, fmt.Errorf("artifact %s %s is no xDS resource of that name", a.ID.Type, a.ID.Name)
		}
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("marshalling %s %s: %w", a.ID.Type, a.ID.Name, err)
		}
		d.resources = append(d.resources, resource{kind, a.ID.Type, a.ID.Name, sha256.Sum256(b), a.Audience, m, a.Refs})
	}
	slices.SortStableFunc(d.resources, func(a, b resource) int { return strings.Compare(a.name, b.name) })
	return d, nil
}

// snapshot makes what a role gets. Every type has a version, also where there
// is nothing of it, for proxies wait for an answer.
func (d *desired) snapshot(r role) *cache.Snapshot {
	var items [types.UnknownType][]types.Resource
	var hashes [types.UnknownType]hash.Hash
	for kind := range hashes {
		hashes[kind] = sha256.New()
	}
	for _, res := range d.resources {
		if res.audience.Includes(r.identity()) {
			items[res.kind] = append(items[res.kind], res.message)
			hashes[res.kind].Write(res.hash[:])
		}
	}
	out := &cache.Snapshot{}
	for kind, h := range hashes {
		out.Resources[kind] = cache.NewResources(hex.EncodeToString(h.Sum(nil)[:8]), items[kind])
	}
	return out
}

// same reports whether two snapshots have the same content.
func same(a, b *cache.Snapshot) bool {
	for kind := range a.Resources {
		if a.Resources[kind].Version != b.Resources[kind].Version {
			return false
		}
	}
	return true
}

// between is the step from one snapshot to the next that breaks nothing: the
// clusters and endpoints of both, and all else as it was.
func between(old, next *cache.Snapshot) *cache.Snapshot {
	out := &cache.Snapshot{Resources: old.Resources}
	for _, kind := range []types.ResponseType{types.Cluster, types.Endpoint} {
		was, will := old.Resources[kind], next.Resources[kind]
		items := maps.Clone(was.Items)
		maps.Copy(items, will.Items)
		version := will.Version
		if len(items) != len(will.Items) {
			version = was.Version + "+" + will.Version
		}
		out.Resources[kind] = cache.Resources{Version: version, Items: items}
	}
	return out
}
