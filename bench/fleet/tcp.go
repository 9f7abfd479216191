package fleet

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// TCP is the clients of a server on plain TCP. Each reads pushes of a size and
// answers each with so many bytes.
type TCP struct {
	conns   []net.Conn
	want    atomic.Int64
	goal    atomic.Pointer[Goal]
	strayed atomic.Int64
}

// DialTCP connects clients.
func DialTCP(addr string, n, push, answer int) (*TCP, error) {
	f := &TCP{}
	f.goal.Store(newGoal(0, n, 1, 0))
	for i := range n {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("dialling %s: %w", addr, err)
		}
		f.conns = append(f.conns, conn)
		go f.follow(i, conn, push, answer)
	}
	return f, nil
}

func (f *TCP) follow(i int, conn net.Conn, push, answer int) {
	in, out := make([]byte, push), make([]byte, answer)
	for {
		if _, err := io.ReadFull(conn, in); err != nil {
			return
		}
		if binary.BigEndian.Uint64(in) != uint64(f.want.Load()) {
			f.strayed.Add(1)
		}
		g := f.goal.Load()
		before := g.clients[i].count.Add(1) - 1
		if _, err := conn.Write(out); err != nil {
			return
		}
		g.acked(i, before)
	}
}

// Expect sets the version that every client is to receive from now on.
func (f *TCP) Expect(version int) *Goal {
	f.want.Store(int64(version))
	g := newGoal(0, len(f.conns), 1, 0)
	f.goal.Store(g)
	return g
}

// Wait for a goal, as Goal.Wait does.
func (f *TCP) Wait(ctx context.Context, g *Goal) ([]time.Duration, error) {
	times, err := g.Wait(ctx)
	if n := f.strayed.Load(); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d pushes were of another version", n))
	}
	return times, err
}

// Close ends all connections.
func (f *TCP) Close() {
	for _, c := range f.conns {
		c.Close()
	}
}
