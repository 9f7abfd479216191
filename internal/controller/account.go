package controller

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/meshknot/meshknot/internal/xds"
	"github.com/meshknot/meshknot/translators/report"
)

// account is what a replica says of its proxies.
type account struct {
	// Served stands for what it has for them, by back end.
	Served   map[string]xds.Shares `json:"served,omitempty"`
	Proxies  []proxyGroup          `json:"proxies,omitempty"`
	Refusals []proxyRefusal        `json:"refusals,omitempty"`
	// More: there are proxies that are waited for, or refusals, that it has no room for.
	More bool `json:"more,omitempty"`
}

// proxyGroup are proxies of which the same is to be said.
type proxyGroup struct {
	Backend   string `json:"backend"`
	Namespace string `json:"namespace,omitempty"`
	Account   string `json:"account,omitempty"`
	InSync    bool   `json:"inSync,omitempty"`
}

// rank puts those first that are waited for.
func (g proxyGroup) rank() int {
	if g.InSync {
		return 1
	}
	return 0
}

// proxyRefusal is a refusal in force.
type proxyRefusal struct {
	Node    string       `json:"node"`
	Backend string       `json:"backend"`
	Text    string       `json:"text"`
	Refs    []report.Ref `json:"refs,omitempty"`
}

// What an account has at most: an object has room for 256 KiB of annotations.
const (
	mostGroups   = 8192
	mostRefusals = 64
	mostRefs     = 64
	mostText     = 512
	mostNode     = 256
	// mostPacked is how long one is at most that is written.
	mostPacked = 200 << 10
	// mostUnpacked is how long one is at most that is read.
	mostUnpacked = 4 << 20
)

// accountOf makes a short account of a status. Of too many proxies those are left out
// that nobody waits for. What many proxies refuse alike is said once; a proxy of which
// not everything is said that it refuses is waited for.
func accountOf(s xds.Status) account {
	out := account{Served: s.Served}
	seen := map[proxyGroup]bool{}
	for _, n := range s.Nodes {
		settled := n.Settled
		for _, r := range n.Refusals {
			settled = out.refuse(n, r) && settled
		}
		seen[proxyGroup{n.Backend, n.Namespace, n.Account, settled}] = true
	}
	out.Proxies = slices.SortedFunc(maps.Keys(seen), func(a, b proxyGroup) int {
		return cmp.Or(a.rank()-b.rank(), cmp.Compare(a.Backend, b.Backend), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Account, b.Account))
	})
	out.shed(mostGroups, mostRefusals)
	return out
}

// refuse adds a refusal, and reports whether all of it is said.
func (a *account) refuse(n xds.NodeStatus, r xds.Nack) bool {
	now := proxyRefusal{shortened(n.Node, mostNode), n.Backend, shortened(r.Text, mostText), r.Refs[:min(len(r.Refs), mostRefs)]}
	if !slices.ContainsFunc(a.Refusals, func(b proxyRefusal) bool { now := now; now.Node = b.Node; return now.same(b) }) {
		if len(a.Refusals) == mostRefusals {
			return false
		}
		a.Refusals = append(a.Refusals, now)
	}
	return len(now.Refs) == len(r.Refs)
}

func shortened(text string, most int) string {
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

// shed leaves out what is beyond a number of groups and of refusals.
func (a *account) shed(groups, refusals int) {
	if len(a.Proxies) > groups {
		a.More = a.More || !a.Proxies[groups].InSync
		a.Proxies = a.Proxies[:groups]
	}
	if len(a.Refusals) > refusals {
		a.More, a.Refusals = true, a.Refusals[:refusals]
	}
}

func (r proxyRefusal) same(b proxyRefusal) bool {
	return r.Node == b.Node && r.Backend == b.Backend && r.Text == b.Text && slices.Equal(r.Refs, b.Refs)
}

func (a account) same(b account) bool {
	return a.More == b.More && maps.Equal(a.Served, b.Served) && slices.Equal(a.Proxies, b.Proxies) && slices.EqualFunc(a.Refusals, b.Refusals, proxyRefusal.same)
}

// packed is the form of an account in an annotation. It finds room there: of what is too
// long ever more is left out.
func (a account) packed() (string, error) {
	for {
		text, err := json.Marshal(a)
		if err != nil {
			return "", err
		}
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(text); err != nil {
			return "", err
		}
		if err := z.Close(); err != nil {
			return "", err
		}
		packed := base64.StdEncoding.EncodeToString(b.Bytes())
		if len(packed) <= mostPacked && len(text) <= mostUnpacked || len(a.Proxies)+len(a.Refusals) == 0 {
			return packed, nil
		}
		a.shed(len(a.Proxies)/2, len(a.Refusals)/2)
	}
}

func unpacked(text string) (a account, err error) {
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return a, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return a, err
	}
	plain, err := io.ReadAll(io.LimitReader(z, mostUnpacked))
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(plain, &a)
}
