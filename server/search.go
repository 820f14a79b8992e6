package server

import (
	"bytes"
	"encoding/json"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/tomehub/tomehub/server/library"
)

// search answers GET and POST /api/search.
func (s *Server) search(c *gin.Context) {
	req, err := s.decodeSearch(c.Writer, c.Request, false)
	if err != nil {
		s.fail(c, err)
		return
	}
	ctx := c.Request.Context()
	asked := req.SearchRequest
	asked.IncludeDetails = asked.IncludeDetails || req.answer
	result, err := s.lib.Search(ctx, exchangeOf(c).scope(), asked)
	if err != nil {
		s.fail(c, err)
		return
	}
	if s.deps.Tracer != nil {
		exchangeOf(c).found(result)
	}
	if req.answer {
		s.searchAnswered(c, req, result)
		return
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer release(buf)
	body, err := result.AppendJSON(buf.AvailableBuffer())
	if err != nil {
		s.fail(c, err)
		return
	}
	buf.Write(append(body, '\n')) // in place, unless the answer outgrew the buffer
	s.answerBytes(c, http.StatusOK, jsonType, buf.Bytes())
}

// searchFields are the parameters of a search, from the URL and the body alike.
type searchFields struct {
	query, cursor   setting[string]
	details, answer setting[bool]
	page, size      setting[int64]
}

// A searchRequest is a search and whether an answer is wanted with it.
type searchRequest struct {
	library.SearchRequest
	answer bool
}

// decodeSearch reads the parameters from the URL and from the body. A body is JSON when it
// begins like JSON, whatever its Content-Type says: curl -d calls everything a form. answered is
// whether an answer is wanted when the request does not say.
func (s *Server) decodeSearch(w http.ResponseWriter, r *http.Request, answered bool) (searchRequest, error) {
	var f searchFields
	if r.URL.RawQuery != "" {
		err := walkValues(r.URL.RawQuery, "malformed_url", func(name, v string) error { return f.takeValue(name, v, inURL) })
		if err != nil {
			return searchRequest{}, err
		}
	}
	body, err := s.readBody(w, r, s.cfg.MaxBodyBytes, "")
	if err != nil {
		return searchRequest{}, err
	}
	if err := f.takeBody(r, body); err != nil {
		return searchRequest{}, err
	}
	if !f.answer.isSet() {
		f.answer.value = answered
	}
	return f.request()
}

func (f *searchFields) takeBody(r *http.Request, body []byte) error {
	start := bytes.TrimLeft(bytes.TrimPrefix(body, byteOrderMark), " \t\r\n")
	if len(start) == 0 {
		return nil
	}
	if start[0] != '{' && start[0] != '[' {
		switch mediaType(r) {
		case "application/x-www-form-urlencoded":
			return walkValues(string(body), "malformed_form", func(name, v string) error { return f.takeValue(name, v, inForm) })
		case "multipart/form-data":
			return refuse(http.StatusUnsupportedMediaType, "unsupported_media_type", "a search is not read from multipart/form-data: send JSON, a form of curl -d, or URL parameters")
		}
	}
	valid, err := checkJSON(body)
	if err != nil {
		return err
	}
	return walkObject(valid, f.takeJSON)
}

// takeValue reads one parameter of a URL or a form. Names it does not know are ignored.
func (f *searchFields) takeValue(name, v string, from source) error {
	switch name {
	case "q", "query":
		return f.query.set(v, from, name)
	case "cursor":
		return f.cursor.set(v, from, name)
	case "include_details", "answer":
		on, err := parseBool(name, v)
		if err != nil {
			return err
		}
		return f.flag(name).set(on, from, name)
	case "include":
		return f.include(strings.SplitSeq(v, ","), from)
	case "page", "page_size", "max_results":
		n, err := parseInt(name, v)
		if err != nil {
			return err
		}
		return f.number(name, n, from)
	}
	return nil
}

// takeJSON reads one field of a JSON body. Names it does not know are ignored, so that a
// client may send what a later version understands.
func (f *searchFields) takeJSON(name string, raw json.RawMessage) error {
	switch name {
	case "q", "query":
		v, err := jsonString(name, raw)
		if err != nil {
			return err
		}
		return f.query.set(v, inBody, name)
	case "cursor":
		v, err := jsonString(name, raw)
		if err != nil {
			return err
		}
		return f.cursor.set(v, inBody, name)
	case "include_details", "answer":
		on, err := jsonBool(name, raw)
		if err != nil {
			return err
		}
		return f.flag(name).set(on, inBody, name)
	case "include":
		var list []string
		if raw[0] == '[' && json.Unmarshal(raw, &list) == nil {
			return f.include(slices.Values(list), inBody)
		}
		v, err := jsonString(name, raw)
		if err != nil {
			return wrongType(name, `"details" or ["details"]`, raw)
		}
		return f.include(strings.SplitSeq(v, ","), inBody)
	case "page", "page_size", "max_results":
		n, err := jsonInt(name, raw)
		if err != nil {
			return err
		}
		return f.number(name, n, inBody)
	}
	return nil
}

func (f *searchFields) flag(name string) *setting[bool] {
	if name == "answer" {
		return &f.answer
	}
	return &f.details
}

// include takes a list of what to include; "details" is all there is.
func (f *searchFields) include(list iter.Seq[string], from source) error {
	for v := range list {
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "":
		case "details":
			if err := f.details.set(true, from, "include"); err != nil {
				return err
			}
		default:
			return badRequest("unknown_include", "include has %s: the only thing to include is details", quoted(v))
		}
	}
	return nil
}

// number takes page and page_size; max_results is how the plan's first model names the latter.
func (f *searchFields) number(name string, n int64, from source) error {
	field, most := &f.size, int64(library.MaxPageSize)
	if name == "page" {
		field, most = &f.page, maxPage
	}
	if n < 1 || n > most {
		return outOfRange(name, strconv.FormatInt(n, 10))
	}
	return field.set(n, from, name)
}

// outOfRange refuses a number of number, in its digits: it may have too many for an integer.
func outOfRange(name, digits string) error {
	if name == "page" {
		return badRequest(library.CodePageRange, "page is %s: want 1 to %d", digits, maxPage)
	}
	return badRequest(library.CodePageSizeRange, "%s is %s: want 1 to %d", name, digits, library.MaxPageSize)
}

// request makes the search, with the defaults in place.
func (f *searchFields) request() (searchRequest, error) {
	if strings.TrimSpace(f.query.value) == "" {
		return searchRequest{}, badRequest(library.CodeQueryEmpty, `there is nothing to search for: give q or query, such as /api/search?q=dasein or {"query":"dasein"}`)
	}
	page, size := f.pages()
	if f.cursor.value != "" && !f.page.isSet() {
		page = 0 // the cursor's
	}
	return searchRequest{library.SearchRequest{
		Query: f.query.value, Cursor: f.cursor.value, IncludeDetails: f.details.value,
		Page: page, PageSize: size,
	}, f.answer.value}, nil
}

// pages returns the page and its size, with the defaults in place.
func (f *searchFields) pages() (page, size int) {
	page, size = 1, library.DefaultPageSize
	if f.page.isSet() {
		page = int(f.page.value)
	}
	if f.size.isSet() {
		size = int(f.size.value)
	}
	return page, size
}
