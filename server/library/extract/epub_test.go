package extract

import (
	"archive/zip"
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A file of an EPUB under test.
type file struct{ name, data string }

const containerFile = `<?xml version="1.0"?><container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/></rootfiles></container>`

// packZip makes a zip archive.
func packZip(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		method := zip.Deflate
		if f.name == "mimetype" {
			method = zip.Store
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: f.name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// packEPUB makes an EPUB of a package document and other files under OEBPS/.
func packEPUB(t testing.TB, opf string, files ...file) []byte {
	t.Helper()
	all := []file{{"mimetype", "application/epub+zip"}, {containerXML, containerFile}, {"OEBPS/content.opf", opf}}
	return packZip(t, append(all, files...)...)
}

func page(body string) string {
	return `<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><head><title>ignored</title></head><body>` + body + `</body></html>`
}

// spineOf makes a package document that reads the named pages in order.
func spineOf(names ...string) string {
	var items, refs strings.Builder
	for i, n := range names {
		fmt.Fprintf(&items, `<item id="i%d" href="%s" media-type="application/xhtml+xml"/>`, i, n)
		fmt.Fprintf(&refs, `<itemref idref="i%d"/>`, i)
	}
	return `<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>T</dc:title></metadata><manifest>` +
		items.String() + `</manifest><spine>` + refs.String() + `</spine></package>`
}

func TestEPUB3(t *testing.T) {
	const opf = `<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:opf="http://www.idpf.org/2007/opf"><dc:title>Opticks &amp; Light</dc:title><dc:title>Second</dc:title>
<dc:creator>Isaac Newton</dc:creator><dc:creator opf:role="ill">A Draughtsman</dc:creator><dc:creator opf:role="aut">Another</dc:creator><dc:language>en-GB</dc:language></metadata>
<manifest><item id="two" href="text/two.xhtml" media-type="application/xhtml+xml"/><item id="one" href="text/one%20a.xhtml" media-type="application/xhtml+xml"/>
<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/><item id="pic" href="pic.jpg" media-type="image/jpeg"/></manifest>
<spine><itemref idref="nav"/><itemref idref="pic"/><itemref idref="one"/><itemref idref="two"/><itemref idref="one"/></spine></package>`
	const nav = `<html xmlns:epub="u"><body><h1>Contents</h1><nav epub:type="toc"><ol><li><a href="text/one%20a.xhtml">Book <i>One</i></a>
<ol><li><a href="text/one%20a.xhtml#c1">Chapter 1. Of Rays</a></li><li><a href="text/two.xhtml">Chapter 2. Of Colours</a></li></ol></li></ol></nav>
<nav epub:type="page-list"><ol><li><a href="text/one%20a.xhtml#p5">5</a></li><li><a href="text/two.xhtml">6</a></li></ol></nav></body></html>`
	got, err := Read(packEPUB(t, opf,
		file{"OEBPS/nav.xhtml", nav},
		file{"OEBPS/text/one a.xhtml", page(`<p>Preface <a id="p5"/>words.</p><section id="c1"><h1>Chapter 1</h1><h2>Of Rays</h2><p>Rays bend.<a epub:type="noteref" href="#n">1</a></p><h3>A part</h3><p>More.</p></section>`)},
		file{"OEBPS/text/two.xhtml", page(`<h1>Of Colours</h1><p>Red <span epub:type="pagebreak" id="x" aria-label="7"></span>and blue.</p><aside epub:type="footnote" id="n">A note.</aside>`)},
		file{"OEBPS/pic.jpg", "\xff\xd8"},
	), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := Text{
		Format: EPUB, Title: "Opticks & Light", Author: "Isaac Newton, Another", Language: "en-GB",
		Sections: []Section{
			{Chapter: "Book One", Paragraphs: []string{"Preface"}},
			{Chapter: "Book One", Page: 5, Paragraphs: []string{"words."}},
			{Chapter: "Book One / Chapter 1. Of Rays", Page: 5, Paragraphs: []string{"Chapter 1", "Of Rays", "Rays bend."}},
			{Chapter: "Book One / Chapter 1. Of Rays / A part", Page: 5, Paragraphs: []string{"A part", "More."}},
			{Chapter: "Book One / Chapter 2. Of Colours", Page: 6, Paragraphs: []string{"Of Colours", "Red"}},
			{Chapter: "Book One / Chapter 2. Of Colours", Page: 7, Paragraphs: []string{"and blue.", "A note."}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
}

func TestEPUB2(t *testing.T) {
	const opf = `<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="2.0"><metadata><dc:title xmlns:dc="d">Kitap</dc:title><dc:language xmlns:dc="d">tr</dc:language></metadata>
<manifest><item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/><item id="a" href="A.html" media-type="application/xhtml+xml"/><item id="b" href="b.html" media-type="text/html"/><item id="t" href="toc.html" media-type="application/xhtml+xml"/></manifest>
<spine toc="ncx"><itemref idref="t"/><itemref idref="a"/><itemref idref="b"/></spine><guide><reference type="toc" href="toc.html"/></guide></package>`
	const ncx = `<?xml version="1.0"?><!DOCTYPE ncx PUBLIC "-//NISO//DTD ncx 2005-1//EN" "http://www.daisy.org/z3986/2005/ncx-2005-1.dtd"><ncx xmlns="n"><docTitle><text>Kitap</text></docTitle>
<navMap><navPoint id="n1"><navLabel><text>Bölüm 1</text></navLabel><content src="a.html"/><navPoint id="n2"><navLabel><text>Alt</text></navLabel><content src="a.html#s"/></navPoint></navPoint><navPoint><navLabel><text>Bölüm 2</text></navLabel><content src="b.html"/></navPoint></navMap>
<pageList><pageTarget type="normal" value="3"><navLabel><text>3</text></navLabel><content src="a.html#p3"/></pageTarget><pageTarget type="front" value="4"><navLabel><text>iv</text></navLabel><content src="b.html"/></pageTarget></pageList></ncx>`
	got, err := Read(packEPUB(t, opf,
		file{"OEBPS/toc.ncx", ncx},
		file{"OEBPS/a.html", page(`<p>Bir.</p><p id="p3">Üç.</p><h2 id="s">Alt</h2><p>Dört.</p>`)}, // the manifest says A.html
		file{"OEBPS/b.html", page(`<p>Beş.</p>`)},
		file{"OEBPS/toc.html", page(`<p>Bölüm 1 ... 3</p>`)},
	), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := Text{
		Format: EPUB, Title: "Kitap", Language: "tr",
		Sections: []Section{
			{Chapter: "Bölüm 1", Paragraphs: []string{"Bir."}},
			{Chapter: "Bölüm 1", Page: 3, Paragraphs: []string{"Üç."}},
			{Chapter: "Bölüm 1 / Alt", Page: 3, Paragraphs: []string{"Alt", "Dört."}},
			{Chapter: "Bölüm 2", Paragraphs: []string{"Beş."}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Read (-want +got):\n%s", diff)
	}
}

func TestEPUBWithoutContents(t *testing.T) {
	got, err := Read(packEPUB(t, spineOf("a.xhtml", "b.xhtml"),
		file{"OEBPS/a.xhtml", page(`<h1>T</h1><h2>One</h2><p>x</p>`)},
		file{"OEBPS/b.xhtml", page(`<p>y</p><h2>Two</h2><p>z</p>`)},
	), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Section{
		{Chapter: "One", Paragraphs: []string{"T", "One", "x", "y"}}, // a chapter goes on in the next file
		{Chapter: "Two", Paragraphs: []string{"Two", "z"}},
	}
	if diff := cmp.Diff(want, got.Sections); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
}

// TestEPUBRepeats names one file by two ids, and has headings that repeat words of the chapter's title.
func TestEPUBRepeats(t *testing.T) {
	opf := strings.Replace(spineOf("a.xhtml", "a.xhtml"), "</manifest>", `<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/></manifest>`, 1)
	got, err := Read(packEPUB(t, opf,
		file{"OEBPS/nav.xhtml", `<nav epub:type="toc"><ol><li><a href="a.xhtml">1. Light and Colours</a></li></ol></nav>`},
		file{"OEBPS/a.xhtml", page(`<h1>Light and Colours</h1><p>x</p><h2>Light</h2><p>y</p><h2>Light</h2><p>z</p>`)},
	), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Section{
		{Chapter: "1. Light and Colours", Paragraphs: []string{"Light and Colours", "x"}},
		{Chapter: "1. Light and Colours / Light", Paragraphs: []string{"Light", "y"}},
		{Chapter: "1. Light and Colours / Light", Paragraphs: []string{"Light", "z"}},
	}
	if diff := cmp.Diff(want, got.Sections); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}
}

func TestEPUBRefused(t *testing.T) {
	one := file{"OEBPS/a.xhtml", page("<p>Some words.</p>")}
	sound := packEPUB(t, spineOf("a.xhtml"), one)
	if _, err := Read(sound, Limits{}); err != nil {
		t.Fatal(err)
	}
	f := func(name string, data []byte, kind Kind, says string) {
		t.Run(name, func(t *testing.T) {
			e := refused(t, data, Limits{})
			if e.Kind != kind || !strings.Contains(e.Detail, says) {
				t.Errorf("Read = %v %q, want %v with %q", e.Kind, e.Detail, kind, says)
			}
		})
	}
	encryption := func(algorithm, name string) file {
		return file{"META-INF/encryption.xml", `<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container" xmlns:enc="http://www.w3.org/2001/04/xmlenc#"><enc:EncryptedData><enc:EncryptionMethod Algorithm="` + algorithm + `"/><enc:CipherData><enc:CipherReference URI="` + name + `"/></enc:CipherData></enc:EncryptedData></encryption>`}
	}
	damaged := bytes.Clone(sound)
	at := bytes.Index(damaged, []byte("OEBPS/a.xhtml")) + len("OEBPS/a.xhtml") + 8
	damaged[at] ^= 0xff
	locked := bytes.Clone(sound)
	for i := 0; ; {
		n := bytes.Index(locked[i:], []byte(centralMark))
		if n < 0 {
			break
		}
		locked[i+n+8] |= 1
		i += n + 4
	}
	f("cut off", sound[:len(sound)-40], BadArchive, "EPUB is cut off")
	f("cut off in the middle", sound[:len(sound)/2], BadArchive, "EPUB is cut off")
	f("damaged", damaged, BadArchive, "a.xhtml")
	f("password", locked, BadArchive, "password")
	f("no container", packZip(t, file{"mimetype", "application/epub+zip"}, one), BadArchive, containerXML)
	f("empty container", packZip(t, file{containerXML, "<container/>"}), BadArchive, "package document")
	f("no package", packZip(t, file{containerXML, containerFile}), BadArchive, "content.opf")
	f("package cut off", packEPUB(t, spineOf("a.xhtml")[:150], one), BadArchive, "package document")
	f("nothing to read", packEPUB(t, spineOf(), one), BadArchive, "nothing to read")
	f("a missing chapter", packEPUB(t, spineOf("a.xhtml", "b.xhtml"), one), BadArchive, "b.xhtml")
	f("not UTF-8 inside", packEPUB(t, spineOf("a.xhtml"), file{"OEBPS/a.xhtml", "<html>\xff</html>"}), BadArchive, "a.xhtml")
	f("encrypted", packEPUB(t, spineOf("a.xhtml"), one, encryption("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "OEBPS/a.xhtml")), BadArchive, "DRM")
	f("pictures only", packEPUB(t, spineOf("a.xhtml"), file{"OEBPS/a.xhtml", page(`<img src="1.jpg" alt="page 1"/>`)}), NoText, "epub")
	f("Word", packZip(t, file{"[Content_Types].xml", "x"}, file{"word/document.xml", "<w/>"}), Unsupported, "DOCX")
	f("OpenDocument", packZip(t, file{"mimetype", "application/vnd.oasis.opendocument.text"}, file{"content.xml", "x"}), Unsupported, "ODT")
	f("any other zip, with an EPUB in it", packZip(t, file{"book.epub", string(sound)}), Unsupported, "ZIP")
	f("empty zip", packZip(t), Unsupported, "ZIP")
	f("deep XML", packEPUB(t, strings.Repeat("<a>", 100_000)+spineOf("a.xhtml")+strings.Repeat("</a>", 100_000), one), BadArchive, "package document")

	font := packEPUB(t, spineOf("a.xhtml"), one, encryption("http://www.idpf.org/2008/embedding", "OEBPS/font.otf"))
	if _, err := Read(font, Limits{}); err != nil {
		t.Errorf("a book with obfuscated fonts only: %v", err)
	}
}

func TestEPUBBombs(t *testing.T) {
	const mib = 1 << 20
	f := func(name string, data []byte, lim Limits, says string) {
		t.Run(name, func(t *testing.T) {
			e := refused(t, data, lim)
			if e.Kind != Bomb || !strings.Contains(e.Detail, says) {
				t.Errorf("Read of %d bytes = %v %q, want a bomb with %q", len(data), e.Kind, e.Detail, says)
			}
		})
	}
	zeros := file{"OEBPS/a.xhtml", "<html>" + strings.Repeat(" ", 20*mib)}
	f("ratio", packEPUB(t, spineOf("a.xhtml"), zeros), Limits{}, "200 times")
	noise := make([]byte, 2*mib)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	f("ratio of one file among others that do not pack", packEPUB(t, spineOf("a.xhtml"), zeros, file{"OEBPS/pic.jpg", string(noise)}), Limits{}, "200 times")
	f("size", packEPUB(t, spineOf("a.xhtml"), file{"OEBPS/a.xhtml", strings.Repeat("<p>some words</p>", 40_000)}), Limits{MaxTextBytes: mib / 2, MaxRatio: 1e6}, "512 KiB")
	f("size of many files together", packEPUB(t, spineOf("a.xhtml", "b.xhtml"),
		file{"OEBPS/a.xhtml", "<p>" + strings.Repeat("x", mib/2)}, file{"OEBPS/b.xhtml", "<p>" + strings.Repeat("x", mib*3/4)}), Limits{MaxTextBytes: mib, MaxRatio: 1e6}, "b.xhtml")
	var many []file
	for i := range 50 {
		many = append(many, file{fmt.Sprintf("OEBPS/%d", i), ""})
	}
	f("entries", packEPUB(t, spineOf("a.xhtml"), many...), Limits{MaxEntries: 40}, "53 files")
	f("package", packEPUB(t, strings.Repeat(" ", 30*mib)), Limits{MaxRatio: 1e6}, "content.opf")

	// A directory that declares a hundredth of what is unpacked.
	lying := packEPUB(t, spineOf("a.xhtml"), zeros)
	at := bytes.LastIndex(lying, []byte("OEBPS/a.xhtml")) - 46
	copy(lying[at+24:at+28], []byte{0, 0, 1, 0})
	if e := refused(t, lying, Limits{}); e.Kind != Bomb && e.Kind != BadArchive {
		t.Errorf("a lying directory = %v %q", e.Kind, e.Detail)
	}
	// Two names for the same packed bytes.
	shared := packEPUB(t, spineOf("a.xhtml", "b.xhtml"), file{"OEBPS/a.xhtml", page("<p>" + strings.Repeat("some words ", 30))}, file{"OEBPS/b.xhtml", page("<p>other")})
	a := bytes.LastIndex(shared, []byte("OEBPS/a.xhtml")) - 46
	b := bytes.LastIndex(shared, []byte("OEBPS/b.xhtml")) - 46
	copy(shared[b+16:b+28], shared[a+16:a+28]) // checksum and sizes
	copy(shared[b+42:b+46], shared[a+42:a+46]) // offset
	if text, err := Read(shared, Limits{MaxTextBytes: 2500}); err != nil {
		t.Logf("shared bytes: %v", err)
	} else if n := len(paragraphs(text)); n > 2 {
		t.Errorf("shared bytes gave %d paragraphs", n)
	}
}

// TestEPUBEntities holds the two classic attacks on XML readers.
func TestEPUBEntities(t *testing.T) {
	laughs := `<?xml version="1.0"?><!DOCTYPE p [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY x SYSTEM "file:///etc/passwd">]>` +
		strings.Replace(spineOf("a.xhtml"), "<dc:title>T", "<dc:title>&c;&x;", 1)
	chapter := `<?xml version="1.0"?><!DOCTYPE html [<!ENTITY x SYSTEM "file:///etc/passwd">]><html><body><p>Words &x; and &eacute;.</p></body></html>`
	text, err := Read(packEPUB(t, laughs, file{"OEBPS/a.xhtml", chapter}), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.Title, "ha") || strings.Contains(text.Title, "root") {
		t.Errorf("title %q: an entity was expanded", text.Title)
	}
	if last := strings.Join(paragraphs(text), " "); !strings.HasSuffix(last, "Words &x; and é.") {
		t.Errorf("text %q", last)
	}
}
