package answer

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// all reads every event, and how they ended.
func all(e events) (list []string, err error) {
	for {
		event, err := e.next()
		if err != nil {
			return list, err
		}
		list = append(list, string(event))
	}
}

func TestServerSentEvents(t *testing.T) {
	f := func(why, stream string, end error, want ...string) {
		t.Helper()
		for _, r := range []io.Reader{strings.NewReader(stream), iotest.OneByteReader(strings.NewReader(stream))} {
			got, err := all(eventsOf("text/event-stream; charset=utf-8", r))
			if !errors.Is(err, end) || !slices.Equal(got, want) {
				t.Errorf("%s: %q, %v; want %q, %v", why, got, err, want, end)
			}
		}
	}
	f("empty", "", io.EOF)
	f("plain", "data: a\n\ndata:b\n\n", io.EOF, "a", "b")
	f("one space belongs to the syntax", "data:  a\n\n", io.EOF, " a")
	f("CRLF", "data: a\r\n\r\ndata: b\r\n\r\n", io.EOF, "a", "b")
	f("CR alone", "data: a\r\rdata: b\r\r", io.EOF, "a", "b")
	f("several lines", "data: a\ndata\ndata: b\n\n", io.EOF, "a\n\nb")
	f("comments and other fields", ": hi\nevent: x\nid: 1\nretry: 5\ndata: a\nfoo\n\n: bye\n\n", io.EOF, "a")
	f("byte order mark", "\xef\xbb\xbfdata: a\n\n", io.EOF, "a")
	f("an event without data is none", "event: ping\n\n\n\ndata: a\n\n", io.EOF, "a")
	f("an end without an empty line", "data: [DONE]", io.EOF, "[DONE]")
	f("the same with its line's end", "data: {}\n", io.EOF, "{}")
	f("broken off", "data: {\"a\":", io.EOF)
	f("JSON lines among events", "{\"a\":1}\n{\"b\":2}\ndata: c\n\n", io.EOF, `{"a":1}`, `{"b":2}`, "c")
	f("JSON line broken off", "{\"a\":1}\n{\"b\":", io.EOF, `{"a":1}`)
	f("long line", "data: "+strings.Repeat("a", maxLine), errTooLarge)
	f("longest line", "data: "+strings.Repeat("a", maxLine-6)+"\n\n", io.EOF, strings.Repeat("a", maxLine-6))
	f("long event", strings.Repeat("data: "+strings.Repeat("a", 1000)+"\n", 300), errTooLarge)
	f("long stream", strings.Repeat(":"+strings.Repeat(" ", 1022)+"\n", maxResponse/1024+1), errTooLarge)
}

func TestCitations(t *testing.T) {
	passages := []Passage{{ID: 10}, {ID: 20}, {ID: 30}}
	f := func(why, text, want string, ids ...int64) {
		t.Helper()
		for size := 1; size <= len(text); size++ { // however the text is cut into pieces
			c := citer{passages: passages}
			var out strings.Builder
			for part := range slices.Chunk([]byte(text), size) {
				piece, _ := c.add(string(part))
				out.WriteString(piece)
			}
			out.WriteString(c.rest())
			if out.String() != want || !slices.Equal(c.ids, ids) {
				t.Errorf("%s in pieces of %d: %q %v, want %q %v", why, size, out.String(), c.ids, want, ids)
			}
		}
	}
	f("none", "a b", "a b")
	f("renumbered in the order they are cited", "a [3]. b [1] c [3]", "a [1]. b [2] c [1]", 30, 10)
	f("lists and ranges", "a [1, 3] b [2-3]", "a [1][2] b [3][2]", 10, 30, 20)
	f("unknown passages", "a [4] b [0] c [2019]", "a  b  c ")
	f("a range of everything", "a [1-999999999]", "a [1][2][3]", 10, 20, 30)
	f("no citation", "a [sic] [1a] [] [", "a [sic] [1a] [] [")
	f("brackets in brackets", "[[2]]", "[[1]]", 20)
	f("a long one", "["+strings.Repeat("1 ", 100)+"]", "["+strings.Repeat("1 ", 100)+"]")
	f("never closed", "a [1, ", "a [1, ")
}

// FuzzEvents gives the reader anything that an API may send, in one read and byte by byte.
func FuzzEvents(f *testing.F) {
	for _, s := range []string{
		"data: " + delta("a [1]") + "\n\ndata: [DONE]\n\n", "data: {}\r\n\r\n:\r\r\n", "{\"error\":{\"code\":{}}}\n", `{"choices":[{"message":{"content":"a"}}]}`,
		"\xef\xbb\xbfdata\n\n", "data: [", `{"error":"x"}{"error":[429]}`, `{"choices":[{"delta":{"content":"\ud800["},"finish_reason":"length"}]}`, "data: 1\ndata: 2\n\n",
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, stream []byte, isSSE bool) {
		kind := "application/json"
		if isSSE {
			kind = "text/event-stream"
		}
		got, err := all(eventsOf(kind, bytes.NewReader(stream)))
		again, err2 := all(eventsOf(kind, iotest.OneByteReader(bytes.NewReader(stream))))
		if err == nil || (err == io.EOF) != (err2 == io.EOF) || cmp.Diff(got, again) != "" {
			t.Fatalf("in one read %q, %v; byte by byte %q, %v", got, err, again, err2)
		}
		size := 0
		for _, event := range got {
			size += len(event)
			if !isSSE && !json.Valid([]byte(event)) {
				t.Errorf("%q is not JSON", event)
			}
		}
		if size > len(stream) {
			t.Errorf("%d bytes of events from %d of stream", size, len(stream))
		}
		out := &output{}
		var r reader
		out.emit = r.emit
		w := &writing{citer: citer{passages: []Passage{{ID: 1}, {ID: 2}}}, out: out, idle: stopped()}
		if _, err = w.read(eventsOf(kind, bytes.NewReader(stream))); err == nil && w.text.Len() == 0 {
			t.Error("an empty answer was accepted")
		}
		if r.text.String() != w.text.String() {
			t.Errorf("pieces %q are not the text %q", r.text.String(), w.text.String())
		}
		for _, id := range w.cited() {
			if id != 1 && id != 2 {
				t.Errorf("cites %d", id)
			}
		}
	})
}
