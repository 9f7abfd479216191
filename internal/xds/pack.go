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

// pack is the content of a response. While one client alone got it, it keeps
// nothing of it.
type pack struct {
	items  []item
	cargo  []mark // of the items
	sotw   bool
	buffer mem.Buffer
	used   time.Time
}

// cost is what a pack keeps alive, in bytes: its own, and its resources'.
func (p *pack) cost() int {
	if p.buffer == nil {
		return 0
	}
	return 2 * p.buffer.Len()
}

const (
	// packed is how many resources a response must have to be worth a pack.
	packed = 32
	// maxPacks and maxPacked bound how many packs there are and what they take.
	maxPacks, maxPacked = 256, 64 << 20
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
	switch {
	case have == nil:
		if len(p.byContent) < maxPacks {
			p.byContent[key] = &pack{used: now}
		}
		return
	case have.buffer == nil:
		size := r.size()
		if p.bytes+2*size > maxPacked {
			return
		}
		b := make([]byte, 0, size)
		for _, i := range r.items {
			b = append(b, i.resource.bytes(r.sotw).ReadOnlyData()...)
		}
		have.items, have.cargo, have.sotw, have.buffer = r.items, r.flight.cargo, r.sotw, mem.SliceBuffer(b)
		p.bytes += have.cost()
	case have.sotw != r.sotw || !slices.Equal(have.items, r.items):
		return
	}
	have.used = now
	r.items, r.flight.cargo, r.packed = have.items, have.cargo, have.buffer
}

func (p *packs) remove(key uint64) {
	if have := p.byContent[key]; have != nil {
		p.bytes -= have.cost()
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
