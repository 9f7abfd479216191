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
	Served   map[string]string `json:"served,omitempty"`
	Proxies  []proxyGroup      `json:"proxies,omitempty"`
	Refusals []proxyRefusal    `json:"refusals,omitempty"`
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
	// mostUnpacked is how long one is at most that is read.
	mostUnpacked = 4 << 20
)

// accountOf makes a short account of a status. Of too many proxies those are left out
// that nobody waits for.
func accountOf(s xds.Status) account {
	out := account{Served: s.Served}
	seen := map[proxyGroup]bool{}
	for _, n := range s.Nodes {
		seen[proxyGroup{n.Backend, n.Namespace, n.Account, n.InSync}] = true
		for _, r := range n.Refusals {
			text := strings.ToValidUTF8(r.Text[:min(len(r.Text), mostText)], "")
			out.Refusals = append(out.Refusals, proxyRefusal{n.Node, n.Backend, text, r.Refs[:min(len(r.Refs), mostRefs)]})
		}
	}
	out.Proxies = slices.SortedFunc(maps.Keys(seen), func(a, b proxyGroup) int {
		return cmp.Or(a.rank()-b.rank(), cmp.Compare(a.Backend, b.Backend), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Account, b.Account))
	})
	out.Proxies = out.Proxies[:min(len(out.Proxies), mostGroups)]
	out.Refusals = out.Refusals[:min(len(out.Refusals), mostRefusals)]
	return out
}

func (a account) same(b account) bool {
	return maps.Equal(a.Served, b.Served) && slices.Equal(a.Proxies, b.Proxies) &&
		slices.EqualFunc(a.Refusals, b.Refusals, func(a, b proxyRefusal) bool {
			return a.Node == b.Node && a.Backend == b.Backend && a.Text == b.Text && slices.Equal(a.Refs, b.Refs)
		})
}

// packed is the form of an account in an annotation.
func (a account) packed() (string, error) {
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
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
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
