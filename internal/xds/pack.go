package xds

import (
	"slices"
	"time"

	"google.golang.org/grpc/mem"
)

// packs are contents of large responses that several clients get, each in one
// piece: the transport is slow with many small ones. They belong to the lock of
// the Server.
type packs struct {
	byContent map[uint64]*pack
	bytes     int
}

// pack is the content of a response. It has no bytes while one client alone got it.
type pack struct {
	items  []item
	sotw   bool
	buffer mem.Buffer
	used   time.Time
}

const (
	// packed is how many resources a response must have to be worth a pack.
	packed = 32
	// maxPacks and maxPacked bound how many packs there are and what they take.
	maxPacks, maxPacked = 256, 32 << 20
	// packAge is how long a pack stays that nobody gets.
	packAge = 10 * time.Second
)

// share gives a response the bytes, and the list, of an equal one before.
func (p *packs) share(r *response, now time.Time) {
	if len(r.items) < packed {
		return
	}
	key := uint64(len(r.items))
	for _, i := range r.items {
		key = key*0x9E3779B97F4A7C15 + i.resource.hash + uint64(i.id)
	}
	have := p.byContent[key]
	if have == nil || have.sotw != r.sotw || !slices.Equal(have.items, r.items) {
		if len(p.byContent) < maxPacks {
			p.remove(key)
			p.byContent[key] = &pack{items: r.items, sotw: r.sotw, used: now}
		}
		return
	}
	have.used = now
	if have.buffer == nil {
		size := r.size()
		if p.bytes+size > maxPacked {
			return
		}
		b := make([]byte, 0, size)
		for _, i := range r.items {
			b = append(b, i.resource.bytes(r.sotw).ReadOnlyData()...)
		}
		have.buffer = mem.SliceBuffer(b)
		p.bytes += size
	}
	r.items, r.packed = have.items, have.buffer
}

func (p *packs) remove(key uint64) {
	if have := p.byContent[key]; have != nil {
		if have.buffer != nil {
			p.bytes -= have.buffer.Len()
		}
		delete(p.byContent, key)
	}
}

// expire forgets packs that nobody got for a while.
func (p *packs) expire(now time.Time) {
	for key, have := range p.byContent {
		if now.Sub(have.used) > packAge {
			p.remove(key)
		}
	}
}
