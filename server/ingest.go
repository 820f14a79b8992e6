package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/trace"
)

const (
	// formOverhead is what the wrapping of a book may take on top of the book: boundaries,
	// part headers, title and author.
	formOverhead = 1 << 20
	maxFormParts = 16
	maxFormField = 4 << 10 // bytes of a title or an author
	// minUpload is the rate below which an upload is cut after Config.ReadTimeout. A book
	// holds one of few ingest slots while it arrives; a client that trickles must not keep it.
	minUpload = 64 << 10 // bytes per second

	ingestSetting = "--max-ingest-size"
)

// ingest answers POST /api/ingest.
func (s *Server) ingest(c *gin.Context) {
	ctx := c.Request.Context()
	if r := s.pressure(); r != nil {
		s.fail(c, r)
		return
	}
	// A recorder in a test has no deadline to move.
	_ = http.NewResponseController(c.Writer).SetWriteDeadline(time.Now().Add(s.cfg.IngestTimeout + s.cfg.ReadTimeout))
	// Before the body is read: what the slots bound is the memory of the books.
	x, asked := exchangeOf(c), time.Now()
	release, err := s.lib.EnterIngest(ctx)
	x.span.Record("wait for ingest slot", trace.Internal, time.Since(asked), s.failure(ctx, err))
	if err != nil {
		s.fail(c, err)
		return
	}
	defer release()
	doc, err := s.decodeIngest(c.Writer, c.Request)
	if err != nil {
		s.fail(c, err)
		return
	}
	result, err := s.lib.Ingest(ctx, x.owner, doc)
	if err != nil {
		s.fail(c, err)
		return
	}
	status := http.StatusCreated
	if result.Duplicate {
		status = http.StatusOK
	}
	c.Header("Location", fmt.Sprintf("/api/books/%d", result.BookID))
	s.answer(c, status, result)
}

// A pacedBody reads the body of an upload and gives it, as it arrives, more time: the
// deadline is Config.ReadTimeout plus what the bytes so far may take at minUpload, and
// Config.IngestTimeout at the latest. It ends at a bound that no wrapping of a book reaches.
type pacedBody struct {
	io.ReadCloser
	control     *http.ResponseController
	until, last time.Time
	left        int64
	err         error // of the connection, apart from the end of the body
}

var errBodyBound = errors.New("body beyond its bound")

func (s *Server) pace(w http.ResponseWriter, r *http.Request) *pacedBody {
	now := time.Now()
	p := &pacedBody{
		ReadCloser: r.Body, control: http.NewResponseController(w),
		until: now.Add(s.cfg.ReadTimeout), last: now.Add(s.cfg.IngestTimeout),
		left: s.cfg.MaxIngestBytes + 2*formOverhead,
	}
	// A recorder in a test has no deadline to move.
	_ = p.control.SetReadDeadline(p.until)
	r.Body = p
	return p
}

func (p *pacedBody) Read(b []byte) (int, error) {
	if p.left <= 0 {
		p.err = errBodyBound
		return 0, p.err
	}
	n, err := p.ReadCloser.Read(b)
	if n > 0 {
		p.left -= int64(n)
		p.until = p.until.Add(time.Duration(n) * time.Second / minUpload)
		if p.until.After(p.last) {
			p.until = p.last
		}
		_ = p.control.SetReadDeadline(p.until)
	}
	if err != nil && err != io.EOF {
		p.err = err
	}
	return n, err
}

// bookFields are what an ingest says of its book, in whatever form it comes.
type bookFields struct {
	title, author, filename setting[string]
	data                    []byte
	hasData                 bool
}

func (f *bookFields) setData(data []byte) error {
	if f.hasData {
		return badRequest(library.CodeConflict, "there is more than one book in the request: send one file, content or text")
	}
	f.data, f.hasData = data, true
	return nil
}

// setText takes what names the book. Other names are ignored.
func (f *bookFields) setText(name, value string, from source) error {
	var field *setting[string]
	switch name {
	case "title":
		field = &f.title
	case "author":
		field = &f.author
	case "filename":
		field = &f.filename
	default:
		return nil
	}
	if len(value) > maxFormField {
		return badRequest("field_too_long", "%s has %d bytes: want at most %d", name, len(value), maxFormField)
	}
	return field.set(value, from, name)
}

// decodeIngest reads a book: a JSON object, a multipart form with a file, a form of text, or
// the bare bytes of a file with title and author in the URL.
func (s *Server) decodeIngest(w http.ResponseWriter, r *http.Request) (library.Document, error) {
	body := s.pace(w, r)
	var f bookFields
	err := walkValues(r.URL.RawQuery, "malformed_url", func(name, v string) error { return f.setText(name, v, inURL) })
	if err != nil {
		return library.Document{}, err
	}
	if mediaType(r) == "multipart/form-data" {
		err = s.readMultipart(w, r, &f)
		if body.err == errBodyBound {
			err = s.tooLarge(w, r, s.cfg.MaxIngestBytes, ingestSetting)
		} else if body.err != nil {
			err = bodyError(body.err)
		}
	} else {
		err = s.readBook(w, r, &f)
	}
	if err != nil {
		return library.Document{}, err
	}
	if !f.hasData {
		return library.Document{}, badRequest("missing_content", `there is no book in the request: send {"title":"…","author":"…","content":"…"}, a multipart form with file, or the file itself`)
	}
	return library.Document{Title: f.title.value, Author: f.author.value, Filename: f.filename.value, Body: bytes.NewReader(f.data)}, nil
}

// readBook reads a body that is not multipart.
func (s *Server) readBook(w http.ResponseWriter, r *http.Request, f *bookFields) error {
	kind := mediaType(r)
	raw := strings.HasPrefix(kind, "text/") || kind == "application/epub+zip" || kind == "application/octet-stream" || kind == "application/xhtml+xml"
	bound := s.cfg.MaxIngestBytes
	if !raw {
		bound += formOverhead
	}
	body, err := s.readBody(w, r, bound, ingestSetting)
	if err != nil {
		return err
	}
	if raw {
		return f.setData(body)
	}
	start := bytes.TrimLeft(bytes.TrimPrefix(body, byteOrderMark), " \t\r\n")
	switch {
	case len(start) == 0:
		return nil
	case kind == "application/json", start[0] == '{':
		return f.takeJSON(body)
	case kind == "application/x-www-form-urlencoded":
		return f.takeForm(body)
	case kind == "":
		return f.setData(body)
	}
	return unsupportedBook(kind)
}

func unsupportedBook(kind string) error {
	return refuse(http.StatusUnsupportedMediaType, "unsupported_media_type",
		"a book is not read from %s: send application/json, multipart/form-data, text/plain, text/markdown, text/html or application/epub+zip", kind)
}

func (f *bookFields) takeJSON(body []byte) error {
	body, err := checkJSON(body)
	if err != nil {
		return err
	}
	if body[0] != '{' {
		return wrongType("the body", "a JSON object", body)
	}
	var in struct {
		Title    *string `json:"title"`
		Author   *string `json:"author"`
		Filename *string `json:"filename"`
		Content  *string `json:"content"`
		Text     *string `json:"text"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return badRequest("wrong_type", "%s is a %s: want a string", t.Field, t.Value)
		}
		return badRequest("malformed_json", "the body is not understood: %v", err)
	}
	for _, field := range []struct {
		name  string
		value *string
	}{{"title", in.Title}, {"author", in.Author}, {"filename", in.Filename}} {
		if field.value == nil {
			continue
		}
		if err := f.setText(field.name, *field.value, inBody); err != nil {
			return err
		}
	}
	for _, text := range []*string{in.Content, in.Text} {
		if text == nil {
			continue
		}
		if err := f.setData([]byte(*text)); err != nil {
			return err
		}
	}
	return nil
}

func (f *bookFields) takeForm(body []byte) error {
	err := walkValues(string(body), "malformed_form", func(name, v string) error {
		if name == "content" || name == "text" {
			return f.setData([]byte(v))
		}
		return f.setText(name, v, inForm)
	})
	if err != nil && f.hasData {
		return err
	}
	if !f.hasData {
		// curl --data-binary @file calls a file a form.
		return refuse(http.StatusUnsupportedMediaType, "unsupported_media_type",
			"a form needs a field content or text; to send a file as it is, add the header Content-Type: text/plain, or application/epub+zip for an EPUB")
	}
	return nil
}

// readMultipart reads a form part by part, so that a form of any size costs one book of memory.
func (s *Server) readMultipart(w http.ResponseWriter, r *http.Request, f *bookFields) error {
	if r.ContentLength > s.cfg.MaxIngestBytes+formOverhead {
		return s.tooLarge(w, r, s.cfg.MaxIngestBytes, ingestSetting)
	}
	form, err := r.MultipartReader()
	if err != nil {
		return malformedForm(err)
	}
	for n := 0; ; n++ {
		part, err := form.NextPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return malformedForm(err)
		}
		if n == maxFormParts {
			return badRequest("malformed_form", "the form has more than %d parts", maxFormParts)
		}
		if err := s.readPart(w, r, part, f); err != nil {
			return err
		}
	}
}

func (s *Server) readPart(w http.ResponseWriter, r *http.Request, part *multipart.Part, f *bookFields) error {
	name := part.FormName()
	isBook := part.FileName() != "" || name == "file" || name == "content" || name == "text"
	bound := int64(maxFormField)
	if isBook {
		bound = s.cfg.MaxIngestBytes
	}
	var buf bytes.Buffer
	if isBook && r.ContentLength > 0 {
		buf.Grow(int(min(r.ContentLength, bound)) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(part, bound+1))
	if err != nil {
		return malformedForm(err)
	}
	if isBook {
		if n > bound {
			return s.tooLarge(w, r, bound, ingestSetting)
		}
		if part.FileName() != "" && !f.filename.isSet() {
			if err := f.setText("filename", part.FileName(), inForm); err != nil {
				return err
			}
		}
		return f.setData(buf.Bytes())
	}
	if n > bound {
		return badRequest("field_too_long", "%s is longer than %d bytes", quoted(name), bound)
	}
	if !bytes.Equal(bytes.ToValidUTF8(buf.Bytes(), nil), buf.Bytes()) {
		return badRequest("invalid_utf8", "form field %s is not valid UTF-8", quoted(name))
	}
	return f.setText(name, buf.String(), inForm)
}

func malformedForm(err error) error {
	return badRequest("malformed_form", "the multipart form cannot be read: %s", strconv.QuoteToGraphic(err.Error()))
}
