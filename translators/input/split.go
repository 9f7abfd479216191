package input

import "bytes"

var byteOrderMark = []byte("\xef\xbb\xbf")

// segment is a part of a stream that holds one document, and how many lines
// stand before it.
type segment struct {
	text []byte
	line int
}

// most returns the number of values that the segment has at most: but for the
// first, a value needs a character that says so.
func (s segment) most() int {
	n := 2
	for _, c := range s.text {
		switch c {
		case '-', ',', ':', '?', '[', '{':
			n++
		}
	}
	return n
}

// splitter cuts a stream into documents, so that one that cannot be parsed
// hides no other.
type splitter struct {
	content []byte
	out     []segment
	// start and line are where the current segment begins.
	start, line int
	// marked: the segment has its "---"; filled: it has more than markers,
	// directives and comments.
	marked, filled bool
}

// split returns the documents of a stream that hold anything. A line that
// starts with "---" (or "...") and a blank ends a document wherever it stands:
// YAML allows it in no scalar.
func split(content []byte) []segment {
	s := &splitter{content: content}
	number := 0
	for at := 0; at < len(content); number++ {
		end := len(content)
		if i := bytes.IndexByte(content[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		line := bytes.TrimPrefix(content[at:end], byteOrderMark)
		switch {
		case marks(line, "---"):
			if s.marked || s.filled {
				s.cut(at, at, number)
			}
			s.marked = true
			s.filled = holds(line[3:])
		case marks(line, "..."):
			s.cut(at, end, number+1)
		case holds(line) && line[0] != '%':
			s.filled = true
		}
		at = end
	}
	s.cut(len(content), len(content), number)
	return s.out
}

// cut ends the segment and begins the next one.
func (s *splitter) cut(end, next, line int) {
	if s.filled {
		s.out = append(s.out, segment{bytes.TrimPrefix(s.content[s.start:end], byteOrderMark), s.line})
	}
	s.start, s.line, s.marked, s.filled = next, line, false, false
}

// marks reports whether a line is a document marker.
func marks(line []byte, marker string) bool {
	rest, ok := bytes.CutPrefix(line, []byte(marker))
	return ok && (len(rest) == 0 || bytes.ContainsAny(rest[:1], " \t\r\n"))
}

// holds reports whether a line is more than blanks and a comment.
func holds(line []byte) bool {
	line = bytes.TrimSpace(line)
	return len(line) > 0 && line[0] != '#'
}
