package server

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/meshknot/meshknot/bench/world"
)

// Sizes of what the TCP floor writes for a change and reads for an ACK, in bytes:
// about what a change and its ACK are on gRPC's wire.
const (
	PushSize = 400
	AckSize  = 60
)

// tcp writes a change to plain connections, one after another.
type tcp struct {
	mu       sync.Mutex // guards conns
	accepted *sync.Cond // on mu
	conns    []net.Conn
}

func newTCP() Server {
	t := &tcp{}
	t.accepted = sync.NewCond(&t.mu)
	return t
}

// Load implements Server: there is nothing to be had but changes.
func (t *tcp) Load(world.World) error { return nil }

// Change implements Server. The index of the change is how many clients there are:
// they have connected before the server knows of them.
func (t *tcp) Change(c world.Change) error {
	push := make([]byte, PushSize)
	binary.BigEndian.PutUint64(push, uint64(c.Version))
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.conns) < c.Index {
		t.accepted.Wait()
	}
	for _, conn := range t.conns {
		if _, err := conn.Write(push); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
	}
	return nil
}

// Serve implements Server.
func (t *tcp) Serve(ctx context.Context, lis net.Listener) error {
	stop := context.AfterFunc(ctx, func() { lis.Close() })
	defer stop()
	for {
		conn, err := lis.Accept()
		if err != nil {
			return nil //nolint:nilerr // it was closed: nothing else ends it
		}
		t.mu.Lock()
		t.conns = append(t.conns, conn)
		t.accepted.Signal()
		t.mu.Unlock()
		go func() {
			defer conn.Close()
			b := make([]byte, AckSize)
			for {
				if _, err := io.ReadFull(conn, b); err != nil {
					return
				}
			}
		}()
	}
}
