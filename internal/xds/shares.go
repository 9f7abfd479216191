package xds

import "hash/fnv"

// Shares stand for what the proxies of a back end are given, a part for each. Replicas
// that have the same for the resources of a name agree on the share of that name, up to
// chance, and differ where theirs differ. Endpoints, which come and go and are no
// policy, count for nothing.
type Shares [256]uint32

// Share is the share that resources of a name are in, of any type.
func Share(name string) uint8 {
	h := fnv.New32a()
	h.Write([]byte(name))
	n := h.Sum32()
	return uint8(n ^ n>>8 ^ n>>16 ^ n>>24)
}

// weight is what a resource counts in its share: another for other contents, and for
// others that may see it.
func (r *resource) weight() uint32 {
	h := fnv.New32a()
	h.Write([]byte(r.audience.Namespace))
	h.Write([]byte{0})
	h.Write([]byte(r.audience.Account))
	return h.Sum32()*31 + uint32(r.hash)
}

// served are the shares of all that there is.
func (s *store) served() (out Shares) {
	for k := range s.kinds {
		if kind(k) == endpoints {
			continue
		}
		for i, n := range s.kinds[k].shares {
			out[i] = out[i]*31 + n
		}
	}
	return out
}
