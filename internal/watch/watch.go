// Package watch tells when files change: files, directories, globs, symbolic
// links that are swapped as Kubernetes does for ConfigMaps, and editors that
// write a new file and rename it. The file system's own events make it fast; a
// look now and then makes it certain, where events are missed or not to be had.
package watch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Options are the settings of a watch. Zero fields mean the defaults.
type Options struct {
	// Debounce is how long it has to be quiet before a change is told (100 ms),
	// but nobody waits longer than ten times that.
	Debounce time.Duration
	// Poll is how often files are looked at without being told of an event
	// (every 5 seconds; every second where there are no events).
	Poll time.Duration
	// NoEvents: do not use the file system's events.
	NoEvents bool
}

// Changes sends a signal after each change of what paths name, until ctx ends;
// then the channel is closed. Signals that nobody takes are joined. What changes
// after Changes has returned is never missed. A path need not exist yet.
func Changes(ctx context.Context, paths []string, o Options) <-chan struct{} {
	w := &watcher{paths: paths, out: make(chan struct{}, 1), watched: map[string]bool{}}
	w.debounce = cmp.Or(o.Debounce, 100*time.Millisecond)
	if !o.NoEvents {
		w.events, _ = fsnotify.NewWatcher() // without events there is still the poll
	}
	w.poll = cmp.Or(o.Poll, 5*time.Second)
	if w.events == nil && o.Poll == 0 {
		w.poll = time.Second
	}
	w.last = w.look()
	go w.run(ctx)
	return w.out
}

type watcher struct {
	paths    []string
	debounce time.Duration
	poll     time.Duration
	events   *fsnotify.Watcher
	out      chan struct{}
	// watched are the directories that events are told of.
	watched map[string]bool
	last    [sha256.Size]byte
}

func (w *watcher) run(ctx context.Context) {
	defer close(w.out)
	var events chan fsnotify.Event
	var errs chan error
	if w.events != nil {
		defer w.events.Close() // nothing is left to be done about it
		events, errs = w.events.Events, w.events.Errors
	}
	poll := time.NewTicker(w.poll)
	defer poll.Stop()
	quiet := time.NewTimer(w.debounce)
	defer quiet.Stop()
	quiet.Stop()
	var since time.Time // the first event that has not been looked into
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-events:
			if e.Op == fsnotify.Chmod {
				continue
			}
			if since.IsZero() {
				since = time.Now()
			}
			if time.Since(since) < 9*w.debounce {
				quiet.Reset(w.debounce)
			}
		case <-errs: //nolint:errcheck // events were lost
			quiet.Reset(w.debounce)
		case <-quiet.C:
			since = time.Time{}
			w.check()
		case <-poll.C:
			w.check()
		}
	}
}

// check sends a signal when anything looks different.
func (w *watcher) check() {
	now := w.look()
	if now == w.last {
		return
	}
	w.last = now
	select {
	case w.out <- struct{}{}:
	default:
	}
}

// look takes a fingerprint of everything that the paths name and asks for the
// events of all directories on the way. It asks before it looks, so that nothing
// falls between.
func (w *watcher) look() [sha256.Size]byte {
	s := &scan{watcher: w, dirs: map[string]bool{}, seen: map[string]bool{}}
	for _, path := range w.paths {
		path = filepath.Clean(path)
		if !strings.ContainsAny(path, "*?[") {
			s.entry(path)
			continue
		}
		s.watch(filepath.Dir(path))
		found, _ := filepath.Glob(path)
		for _, p := range found {
			s.entry(p)
		}
	}
	for dir := range maps.Keys(w.watched) {
		if w.events != nil && !s.dirs[dir] {
			_ = w.events.Remove(dir) // it may be gone already
			delete(w.watched, dir)
		}
	}
	return sha256.Sum256([]byte(s.print.String()))
}

// scan is one look.
type scan struct {
	*watcher
	print strings.Builder
	dirs  map[string]bool
	seen  map[string]bool // real paths of directories, for links may go in circles
}

// watch asks for the events of a directory.
func (s *scan) watch(dir string) {
	s.dirs[dir] = true
	if s.events == nil || s.watched[dir] {
		return
	}
	if s.events.Add(dir) == nil {
		s.watched[dir] = true
	}
}

// entry adds a file or directory that is named by path, through any links.
func (s *scan) entry(path string) {
	s.watch(filepath.Dir(path))
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		fmt.Fprintf(&s.print, "%s is missing\n", path)
		return
	}
	s.links(path)
	info, err := os.Stat(real)
	if err != nil {
		fmt.Fprintf(&s.print, "%s is missing\n", path)
		return
	}
	if !info.IsDir() {
		fmt.Fprintf(&s.print, "%s %s %d %d\n", path, real, info.Size(), info.ModTime().UnixNano())
		return
	}
	if s.seen[real] {
		return
	}
	s.seen[real] = true
	s.watch(path)
	entries, _ := os.ReadDir(path)
	for _, e := range entries {
		if e.IsDir() || e.Type().IsRegular() || e.Type()&fs.ModeSymlink != 0 {
			s.entry(filepath.Join(path, e.Name()))
		}
	}
}

// links asks for the events of every directory that a chain of links goes
// through: that is where a link is swapped.
func (s *scan) links(path string) {
	for range 40 {
		target, err := os.Readlink(path)
		if err != nil {
			return
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
		s.watch(filepath.Dir(path))
	}
}
