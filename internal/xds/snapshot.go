package xds

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

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
	return d, nil
}

// contents is what proxies are to have, by kind and name.
type contents [types.UnknownType]map[string]resource

// forRole selects what a role gets: of resources that share a name, the one whose
// audience is the narrowest that the role is in. Endpoints count as changed when their
// cluster does: Envoy starts a changed cluster anew, and waits for endpoints
// that it does not ask for again.
func (d *desired) forRole(r role) contents {
	var c contents
	for kind := range c {
		c[kind] = map[string]resource{}
	}
	for _, res := range d.resources {
		if have, ok := c[res.kind][res.name]; res.audience.Includes(r.identity()) && (!ok || have.audience.Compare(res.audience) < 0) {
			c[res.kind][res.name] = res // of two audiences with a member in common the narrower is the greater
		}
	}
	for name, res := range c[types.Endpoint] {
		if cluster, ok := c[types.Cluster][name]; ok {
			res.hash = sha256.Sum256(slices.Concat(res.hash[:], cluster.hash[:]))
			c[types.Endpoint][name] = res
		}
	}
	return c
}

// snapshot makes contents ready for the cache. Every type has a version, also
// where there is nothing of it, for proxies wait for an answer.
func (c contents) snapshot() (*cache.Snapshot, error) {
	out := &cache.Snapshot{VersionMap: map[string]map[string]string{}}
	for kind, resources := range c {
		typeURL, err := cache.GetResponseTypeURL(types.ResponseType(kind))
		if err != nil {
			return nil, fmt.Errorf("naming a type: %w", err)
		}
		all := sha256.New()
		versions := map[string]string{}
		items := make([]types.Resource, 0, len(resources))
		for _, name := range slices.Sorted(maps.Keys(resources)) {
			res := resources[name]
			all.Write(res.hash[:])
			versions[name] = hex.EncodeToString(res.hash[:8])
			items = append(items, res.message)
		}
		out.Resources[kind] = cache.NewResources(hex.EncodeToString(all.Sum(nil)[:8]), items)
		out.VersionMap[typeURL] = versions
	}
	return out, nil
}

// steps lead from one state of a proxy to the next so that nothing breaks on the
// way: clusters come first and then their endpoints, next whatever speaks of
// them, and what nothing speaks of any more goes last.
func steps(old, next contents) []contents {
	clusters, endpoints := old, old
	clusters[types.Cluster] = both(old[types.Cluster], next[types.Cluster])
	endpoints[types.Cluster] = clusters[types.Cluster]
	endpoints[types.Endpoint] = both(old[types.Endpoint], next[types.Endpoint])
	return []contents{clusters, endpoints, next}
}

// both joins two states, the newer one of what is in both.
func both(old, next map[string]resource) map[string]resource {
	out := maps.Clone(old)
	maps.Copy(out, next)
	return out
}
