package traffic

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// number reads a size from the environment.
func number(t *testing.T, name string, otherwise int64) int64 {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(text, 10, 64)
	must(t, err)
	return n
}

// TestNoRequestFails edits policies at random for as long as it takes real Envoys
// to be asked MESHKNOT_TRAFFIC_REQUESTS times (200,000), and a hundred times at
// least. Edits come one by one, and in bursts in which no proxy has confirmed the
// one before.
func TestNoRequestFails(t *testing.T) {
	want := number(t, "MESHKNOT_TRAFFIC_REQUESTS", 200_000)
	seed := number(t, "MESHKNOT_TRAFFIC_SEED", 1)
	w := newWorld(t)
	l := &load{history: &history{}, at: w.at}
	p := begin()
	must(t, w.serve(p, l.history))
	w.proxies()

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { l.run(ctx, 4); close(ended) }()
	defer func() { stop(); <-ended }()

	random := rand.New(rand.NewPCG(uint64(seed), 0))
	done := map[string]int{}
	edited := 0
	for ; (l.asked.Load() < want || edited < 100) && l.failed.Load() == 0; edited++ {
		q, name := next(p, random, edited)
		if err := w.serve(q, l.history); err != nil {
			t.Fatalf("edit %d (%s): %v", edited, name, err)
		}
		p = q
		done[name]++
		if edited%10 < 5 { // a burst
			time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
			continue
		}
		must(t, w.Eventually("proxies that have confirmed "+name, 30*time.Second, w.inSync))
		l.settled()
		if edited%10 == 9 { // nothing but this policy may show any more
			time.Sleep(grace + 300*time.Millisecond)
		}
	}
	stop()
	<-ended
	t.Logf("%d requests, %d edits of %d kinds, %d failed", l.asked.Load(), edited, len(done), l.failed.Load())
	if n := l.failed.Load(); n > 0 {
		t.Errorf("seed %d: %d of %d requests failed after %d edits:\n%s", seed, n, l.asked.Load(), edited, strings.Join(l.said, "\n"))
	}
	for _, e := range edits {
		if done[e.name] == 0 {
			t.Errorf("%q was never done", e.name)
		}
	}
	must(t, w.Err())
}
