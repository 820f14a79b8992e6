package loadtest

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
)

// A readerFiller is a wire made of a reader.
type readerFiller struct{ r io.Reader }

func (f readerFiller) fill(a *wireAnswer) (int, error) { return f.r.Read(a.space()) }

// A readAnswer is what a reader of answers made of one.
type readAnswer struct {
	status int
	body   string
	keep   bool   // the server leaves the wire open
	rest   string // what came behind, when it was buffered already
	err    error
	inBody bool // the head was right
}

// readOurs reads an answer from r, its body by Read or by WriteTo.
func readOurs(r io.Reader, method string, copied bool) readAnswer {
	a := &wireAnswer{from: readerFiller{r}, method: method}
	defer a.drop()
	if err := a.head(); err != nil {
		return readAnswer{err: err}
	}
	var body strings.Builder
	var err error
	if copied {
		_, err = io.Copy(&body, a)
	} else {
		_, err = io.Copy(&body, struct{ io.Reader }{a})
	}
	return readAnswer{status: a.status, body: body.String(), keep: a.keep, rest: string(a.buf[a.r:a.w]), err: err, inBody: true}
}

// readTheirs reads an answer as the transport of net/http does.
func readTheirs(text, method string) readAnswer {
	in := bufio.NewReader(strings.NewReader(text))
	if _, err := in.Peek(1); err != nil {
		return readAnswer{err: err}
	}
	for {
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			return readAnswer{err: err}
		}
		if resp.StatusCode >= 100 && resp.StatusCode <= 199 && resp.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		body, err := io.ReadAll(resp.Body)
		return readAnswer{status: resp.StatusCode, body: string(body), keep: !resp.Close && resp.StatusCode > 199, err: err, inBody: true}
	}
}

// stricter matches what we refuse and net/http reads: another version or an odd status in a first line, and fields that
// go on in the next line.
var stricter = regexp.MustCompile(`(?s)^(?:(?:.*\n)?[^\n]*\n[ \t]|(?:.*\n)?(?:HTTP/[^1]|HTTP/1\.[^01]|HTTP/1\.[01] +(?:0|[^0-9]|[0-9][^0-9]|[0-9][0-9][^0-9]|[0-9]{3}[^ \r\n])))`)

// agree holds our reading of an answer against that of net/http, and our two ways and paces against each other.
func agree(t *testing.T, text, method string) readAnswer {
	t.Helper()
	got := readOurs(strings.NewReader(text), method, true)
	for _, other := range []readAnswer{
		readOurs(iotest.OneByteReader(strings.NewReader(text)), method, false),
		readOurs(iotest.HalfReader(iotest.DataErrReader(strings.NewReader(text))), method, false),
	} {
		if other.status != got.status || other.body != got.body || other.keep != got.keep || kindOf(other) != kindOf(got) {
			t.Errorf("%q read in other pieces: %+v, at once %+v", text, other, got)
		}
	}
	want := readTheirs(text, method)
	switch {
	case got.err == nil && want.err != nil:
		t.Errorf("%q: net/http says %v and we read %+v", text, want.err, got)
	case got.err == nil:
		if got.status != want.status || got.body != want.body {
			t.Errorf("%q: we read %+v, net/http %+v", text, got, want)
		}
		if got.keep && !want.keep {
			t.Errorf("%q: we would keep the wire, net/http not", text)
		}
	case want.err == nil && !stricter.MatchString(text):
		t.Errorf("%q: we say %v and net/http reads %+v", text, got.err, want)
	}
	return got
}

func kindOf(r readAnswer) Kind {
	if r.err == nil {
		return OK
	}
	return kindOfError(r.err, r.inBody)
}

func TestWireAnswer(t *testing.T) {
	f := func(why, method, text string, want readAnswer, kind Kind) {
		t.Helper()
		text = strings.ReplaceAll(text, "\n", "\r\n")
		got := agree(t, text, method)
		if kind != OK {
			if kindOf(got) != kind {
				t.Errorf("%s: %v is %v, want %v", why, got.err, kindOf(got), kind)
			}
			// net/http judges also what there is of a line that was cut.
			if other := readTheirs(text, method); kindOf(other) != kind && !errors.Is(got.err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: net/http says %v, which is %v, want %v", why, other.err, kindOf(other), kind)
			}
			return
		}
		if got != want {
			t.Errorf("%s: %+v, want %+v", why, got, want)
		}
	}
	ok := func(body string, keep bool, rest string) readAnswer {
		return readAnswer{status: 200, body: body, keep: keep, rest: rest, inBody: true}
	}
	const head = "HTTP/1.1 200 OK\n"
	f("a length", "GET", head+"Content-Length: 3\n\nabc", ok("abc", true, ""), OK)
	f("the same length twice", "GET", head+"Content-Length: 3\ncontent-length: 3\n\nabc", ok("abc", true, ""), OK)
	f("bytes behind", "GET", head+"Content-Length: 3\n\nabcdef", ok("abc", true, "def"), OK)
	f("nothing", "GET", head+"Content-Length: 0\n\n", ok("", true, ""), OK)
	f("chunks", "GET", head+"Transfer-Encoding: chunked\n\n3\nabc\n4;x=y\ndefg\n0\n\n", ok("abcdefg", true, ""), OK)
	f("chunks and a length", "GET", head+"Content-Length: 1\nTransfer-Encoding: CHUNKED\n\n3 \nabc\n0\n\n", ok("abc", true, ""), OK)
	f("a trailer", "GET", head+"Transfer-Encoding: chunked\n\n3\nabc\n0\nContent-Length: 9\nB: c\n\n", ok("abc", true, ""), OK)
	f("until it is closed", "GET", head+"\nabc\ndef", ok("abc\r\ndef", false, ""), OK)
	f("closes by its own word", "GET", head+"Content-Length: 3\nConnection: x, Close\n\nabc", ok("abc", false, ""), OK)
	f("HTTP/1.0 closes", "GET", "HTTP/1.0 200 OK\nContent-Length: 3\n\nabc", ok("abc", false, ""), OK)
	f("HTTP/1.0 stays when it says so", "GET", "HTTP/1.0 200 OK\nContent-Length: 3\nConnection: keep-alive\n\nabc", ok("abc", true, ""), OK)
	f("HTTP/1.0 has no chunks", "GET", "HTTP/1.0 200 OK\nTransfer-Encoding: chunked\n\nabc", ok("abc", false, ""), OK)
	f("HEAD", "HEAD", head+"Content-Length: 3\n\n", ok("", true, ""), OK)
	f("204", "GET", "HTTP/1.1 204 No Content\nContent-Length: 3\n\n", readAnswer{status: 204, keep: true, inBody: true}, OK)
	f("304", "GET", "HTTP/1.1 304\nETag: x\n\n", readAnswer{status: 304, keep: true, inBody: true}, OK)
	f("interim heads", "GET", "HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Hints\nLink: x\nContent-Length: 9\n\n"+head+"Content-Length: 1\n\na", ok("a", true, ""), OK)
	f("another protocol", "GET", "HTTP/1.1 101 Switching\n\n", readAnswer{status: 101, inBody: true}, OK)
	f("a field that goes on", "GET", head+"A: b\n  c\nContent-Length: 1\n\na", ok("a", true, ""), OK)
	f("a long head", "GET", head+"A: "+strings.Repeat("x", maxHead/2)+"\nContent-Length: 1\n\na", ok("a", true, ""), OK)
	f("a long body", "GET", head+"Content-Length: 100000\n\n"+strings.Repeat("x", 100_000), ok(strings.Repeat("x", 100_000), true, ""), OK)
	f("a long chunk", "GET", head+"Transfer-Encoding: chunked\n\n186a0\n"+strings.Repeat("x", 100_000)+"\n0\n\n", ok(strings.Repeat("x", 100_000), true, ""), OK)

	f("closed at once", "GET", "", readAnswer{}, Closed)
	f("closed in the first line", "GET", "HTT", readAnswer{}, Closed)
	f("closed in the head", "GET", head+"A: b\n", readAnswer{}, Closed)
	f("closed behind an interim head", "GET", "HTTP/1.1 100 Continue\n\n", readAnswer{}, Closed)
	f("closed in a body", "GET", head+"Content-Length: 3\n\nab", readAnswer{}, Truncated)
	f("closed in a chunk", "GET", head+"Transfer-Encoding: chunked\n\n3\nab", readAnswer{}, Truncated)
	f("closed behind a chunk", "GET", head+"Transfer-Encoding: chunked\n\n3\nabc\n", readAnswer{}, Truncated)
	f("closed before the trailer", "GET", head+"Transfer-Encoding: chunked\n\n0\n", readAnswer{}, Truncated)
	for why, text := range map[string]string{
		"another protocol":      "220 mail.example ESMTP\n\n",
		"no status":             "HTTP/1.1\n\n",
		"a short status":        "HTTP/1.1 20 OK\n\n",
		"a field without colon": head + "A\n\n",
		"a field without name":  head + ": a\n\n",
		"a control character":   head + "A: b\x00\n\n",
		"blanks first":          head + " A: b\n\n",
		"a length of letters":   head + "Content-Length: ten\n\n",
		"no length":             head + "Content-Length: \n\n",
		"a length below 0":      head + "Content-Length: -1\n\n",
		"a length beyond bytes": head + "Content-Length: 9223372036854775808\n\n",
		"two lengths":           head + "Content-Length: 1\nContent-Length: 2\n\nab",
		"another encoding":      head + "Transfer-Encoding: gzip\n\n",
		"two encodings":         head + "Transfer-Encoding: gzip\nTransfer-Encoding: chunked\n\n0\n\n",
		"no chunk":              head + "Transfer-Encoding: chunked\n\nxyz\nabc\n0\n\n",
		"an empty chunk line":   head + "Transfer-Encoding: chunked\n\n\nabc\n0\n\n",
		"17 digits":             head + "Transfer-Encoding: chunked\n\n00000000000000003\nabc\n0\n\n",
		"a chunk too long":      head + "Transfer-Encoding: chunked\n\n3\nabcd\n0\n\n",
		"chunks of little":      head + "Transfer-Encoding: chunked\n\n" + strings.Repeat("1;"+strings.Repeat("x", 2000)+"\na\n", 20) + "0\n\n",
		"a trailer too long":    head + "Transfer-Encoding: chunked\n\n0\nA: " + strings.Repeat("x", maxChunkLine) + "\n\n",
	} {
		f(why, "GET", text, readAnswer{}, BadHTTP)
	}
}

// net/http has no bound of its own here, so this is ours alone.
func TestWireAnswerHeadTooLong(t *testing.T) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nA: " + strings.Repeat("x", maxHead),
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", maxHead/6),
		strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", maxHead/20),
		strings.Repeat("x", 2*maxHead),
	} {
		got := readOurs(strings.NewReader(text), "GET", true)
		var bad badAnswer
		if !errors.As(got.err, &bad) || kindOf(got) != BadHTTP {
			t.Errorf("%.30q…: %v", text, got.err)
		}
	}
}

func FuzzWireAnswer(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabcdef",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nA: b\r\n\r\n",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nabc",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\nA: b\n c\n\n",
	} {
		f.Add(text, false)
	}
	f.Fuzz(func(t *testing.T, text string, head bool) {
		if len(text) > 4000 {
			return // what net/http bounds by the size of its buffer
		}
		method := "GET"
		if head {
			method = "HEAD"
		}
		agree(t, text, method)
	})
}

func BenchmarkWireAnswer(b *testing.B) {
	const text = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Mon, 02 Jan 2006 15:04:05 GMT\r\nContent-Length: 15\r\n\r\n{\"results\":[1]}"
	in := strings.NewReader(text)
	a := &wireAnswer{}
	b.ReportAllocs()
	for b.Loop() {
		in.Reset(text)
		*a = wireAnswer{from: readerFiller{in}, method: "GET"}
		if err := a.head(); err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, a); n != 15 || err != nil {
			b.Fatal(n, err)
		}
		a.drop()
	}
}
