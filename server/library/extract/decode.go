package extract

import (
	"bytes"
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"
	"golang.org/x/text/transform"
)

// decode returns data as valid UTF-8. A byte-order mark decides; without one, HTML and XML may name their own encoding,
// and everything else has to be UTF-8, because a guess would fill the library with words nobody can find.
func decode(data []byte, lim Limits) (string, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return validUTF8(data, 3)
	case bytes.HasPrefix(data, []byte("\xff\xfe\x00\x00")), bytes.HasPrefix(data, []byte("\x00\x00\xfe\xff")):
		return "", refuse(NotText, "the file looks like UTF-32 text; %s", accepted)
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		return decodeUTF16(data, binary.LittleEndian, lim)
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		return decodeUTF16(data, binary.BigEndian, lim)
	}
	if looksUTF16(data) {
		return "", refuse(NotText, "the file looks like UTF-16 without a byte-order mark; save it with one, or as UTF-8")
	}
	if label := declaredCharset(data); label != "" {
		return decodeCharset(data, label, lim)
	}
	return validUTF8(data, 0)
}

// validUTF8 returns data after its first skip bytes. The offset in a refusal counts from the file's first byte.
func validUTF8(data []byte, skip int) (string, error) {
	body := data[skip:]
	if utf8.Valid(body) {
		return string(body), nil
	}
	at := 0
	for at < len(body) {
		r, n := utf8.DecodeRune(body[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return "", refuse(NotText, "the file is not valid UTF-8 at byte offset %d (byte 0x%02X); %s", skip+at, body[at], accepted)
}

func decodeUTF16(data []byte, order binary.ByteOrder, lim Limits) (string, error) {
	if len(data)%2 != 0 {
		return "", refuse(NotText, "the file begins as UTF-16 but ends in half a character at byte offset %d", len(data)-1)
	}
	var b strings.Builder
	b.Grow(min(len(data), int(min(lim.MaxTextBytes, 1<<30))))
	for i := 2; i < len(data); i += 2 {
		r := rune(order.Uint16(data[i:]))
		if utf16.IsSurrogate(r) {
			pair := utf8.RuneError
			if i+4 <= len(data) {
				pair = utf16.DecodeRune(r, rune(order.Uint16(data[i+2:])))
			}
			if pair == utf8.RuneError {
				return "", refuse(NotText, "the file is not valid UTF-16 at byte offset %d (half of a surrogate pair)", i)
			}
			r = pair
			i += 2
		}
		b.WriteRune(r)
		if int64(b.Len()) > lim.MaxTextBytes {
			return "", refuse(TooLarge, "the file's text is longer than the %s allowed", size(lim.MaxTextBytes))
		}
	}
	return b.String(), nil
}

// looksUTF16 reports whether every second byte of the head is NUL, as it is in UTF-16 of a Latin script.
func looksUTF16(data []byte) bool {
	head := data[:min(len(data), 512)&^1]
	if len(head) < 8 {
		return false
	}
	var even, odd int
	for i := 0; i < len(head); i += 2 {
		if head[i] == 0 {
			even++
		}
		if head[i+1] == 0 {
			odd++
		}
	}
	half := len(head) / 2
	return (even > half*3/4 && odd == 0) || (odd > half*3/4 && even == 0)
}

// declaredCharset returns the encoding which an XML declaration or a <meta> within the first KiB names, or "". Only a
// file which begins as markup is believed. As HTML rules it, a <meta> that says UTF-16 means UTF-8, since it could be read.
func declaredCharset(data []byte) string {
	head := data[:min(len(data), 1024)]
	if trimmed := bytes.TrimLeft(head, " \t\r\n\f"); len(trimmed) == 0 || trimmed[0] != '<' {
		return ""
	} else if label := xmlEncoding(trimmed); label != "" {
		return notUTF16(label)
	}
	z := html.NewTokenizer(bytes.NewReader(head))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return ""
		case html.StartTagToken, html.SelfClosingTagToken:
			tok := z.Token()
			if tok.Data != "meta" {
				continue
			}
			if label := metaCharset(tok); label != "" {
				return notUTF16(label)
			}
		}
	}
}

func xmlEncoding(head []byte) string {
	if !bytes.HasPrefix(head, []byte("<?xml")) {
		return ""
	}
	decl, _, _ := bytes.Cut(head, []byte("?>"))
	_, rest, ok := bytes.Cut(decl, []byte("encoding"))
	if !ok {
		return ""
	}
	rest = bytes.TrimLeft(rest, " \t\r\n=")
	if len(rest) < 2 || (rest[0] != '"' && rest[0] != '\'') {
		return ""
	}
	label, _, _ := bytes.Cut(rest[1:], rest[:1])
	return string(label)
}

func metaCharset(tok html.Token) string {
	for _, a := range tok.Attr {
		if a.Key == "charset" {
			return strings.TrimSpace(a.Val)
		}
		if a.Key == "content" {
			if _, label, ok := strings.Cut(strings.ToLower(a.Val), "charset="); ok {
				return strings.Trim(label, " \"';")
			}
		}
	}
	return ""
}

func notUTF16(label string) string {
	if l := strings.ToLower(label); strings.HasPrefix(l, "utf-16") || strings.HasPrefix(l, "ucs-2") {
		return "utf-8"
	}
	return label
}

func decodeCharset(data []byte, label string, lim Limits) (string, error) {
	enc, name := charset.Lookup(label)
	if enc == nil {
		return "", refuse(NotText, "the file says its encoding is %q, which is not known; save it as UTF-8", clip(label, 40))
	}
	if name == "utf-8" {
		return validUTF8(data, 0)
	}
	out := &boundedBuilder{max: lim.MaxTextBytes}
	w := transform.NewWriter(out, enc.NewDecoder())
	_, err := w.Write(data)
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if out.full {
		return "", refuse(TooLarge, "the file's text is longer than the %s allowed", size(lim.MaxTextBytes))
	}
	if err != nil {
		return "", refuse(NotText, "the file says its encoding is %s, but cannot be decoded as that", name)
	}
	return out.String(), nil
}

// A boundedBuilder refuses to grow beyond max bytes.
type boundedBuilder struct {
	strings.Builder
	max  int64
	full bool
}

func (b *boundedBuilder) Write(p []byte) (int, error) {
	if int64(b.Len()+len(p)) > b.max {
		b.full = true
		return 0, transform.ErrShortDst
	}
	return b.Builder.Write(p)
}

// checkControls refuses text with a NUL in it, and text of which more than one character in fifty is a control
// character: such bytes are valid UTF-8 by accident. Tab, line ends, form feed and escape do not count.
func checkControls(s string) error {
	if at := strings.IndexByte(s, 0); at >= 0 {
		return refuse(NotText, "the file has a NUL character at byte offset %d, so it looks like binary data; %s", at, accepted)
	}
	n := 0
	for i := range len(s) {
		if c := s[i]; c < ' ' && (c < '\t' || c > '\r') && c != 0x1b || c == 0x7f {
			n++
		}
	}
	if n*50 > len(s) {
		return refuse(NotText, "the file has %d control characters in %d bytes, so it looks like binary data; %s", n, len(s), accepted)
	}
	return nil
}
