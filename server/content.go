package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/tomehub/tomehub/server/library"
	"github.com/tomehub/tomehub/server/store"
)

// content answers GET /api/content/:id.
func (s *Server) content(c *gin.Context) {
	id, err := parseID("id", c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	ctx := c.Request.Context()
	p, err := s.lib.Content(ctx, exchangeOf(c).scope(), id)
	if err != nil {
		s.fail(c, err)
		return
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer release(buf)
	buf.Write(append(library.AppendPassage(buf.AvailableBuffer(), &p), '\n'))
	s.answerBytes(c, http.StatusOK, jsonType, buf.Bytes())
}

// maxID is the largest id that every JSON reader keeps exactly: 2^53 - 1.
const maxID = 1<<53 - 1

// parseID reads the id of a passage or a book.
func parseID(name, text string) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 1 || n > maxID || text[0] == '+' {
		return 0, badRequest("bad_id", "%s is %s: want an integer from 1 to %d", name, quoted(text), int64(maxID))
	}
	return n, nil
}

// batch answers POST /api/content/batch.
func (s *Server) batch(c *gin.Context) {
	start := time.Now()
	body, err := s.readBody(c.Writer, c.Request, s.cfg.MaxBodyBytes, "")
	if err != nil {
		s.fail(c, err)
		return
	}
	ids, err := decodeBatch(body)
	if err != nil {
		s.fail(c, err)
		return
	}
	ctx := c.Request.Context()
	found, unknown, err := s.lib.Batch(ctx, exchangeOf(c).scope(), ids)
	if err != nil {
		s.fail(c, err)
		return
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer release(buf)
	size := 128 + 20*len(unknown)
	for i := range found {
		size += 256 + len(found[i].Title) + len(found[i].Content) + len(found[i].Content)/32 + len(found[i].Metadata)
	}
	buf.Grow(size)
	buf.Write(appendBatch(buf.AvailableBuffer(), found, unknown, start))
	s.answerBytes(c, http.StatusOK, jsonType, buf.Bytes())
}

// appendBatch appends the answer to a batch that began at start.
func appendBatch(b []byte, found []store.Passage, unknown []int64, start time.Time) []byte {
	b = append(b, `{"items":[`...)
	for i := range found {
		if i > 0 {
			b = append(b, ',')
		}
		b = library.AppendPassage(b, &found[i])
	}
	b = append(b, `],"unknown_ids":[`...)
	for i, id := range unknown {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, id, 10)
	}
	b = strconv.AppendFloat(append(b, `],"execution_time_ms":`...), milliseconds(time.Since(start)), 'f', -1, 64)
	return append(b, "}\n"...)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// decodeBatch reads {"ids":[…]} or the bare list of the plan's B3.4. An id that is there
// twice is answered twice.
func decodeBatch(body []byte) ([]int64, error) {
	body, err := expandRange(body)
	if err != nil {
		return nil, err
	}
	body, err = checkJSON(body)
	if err != nil {
		return nil, err
	}
	list := json.RawMessage(body)
	if body[0] != '[' {
		list = nil
		err := walkObject(body, func(name string, raw json.RawMessage) error {
			if name != "ids" {
				return nil
			}
			if list != nil && !bytes.Equal(list, raw) {
				return badRequest(library.CodeConflict, "ids is there twice, with different values: give it once")
			}
			list = raw
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if list == nil {
		return nil, badRequest("missing_ids", `there is no list of ids: send {"ids":[1,2,3]}`)
	}
	return decodeIDs(list)
}

func tooManyIDs(n int) error {
	return badRequest(library.CodeIDsTooMany, "ids has %d ids: want 1 to %d", n, library.MaxBatch)
}

func decodeIDs(list json.RawMessage) ([]int64, error) {
	if list[0] != '[' {
		return nil, wrongType("ids", "an array of integers", list)
	}
	var raws []json.RawMessage
	if err := json.Unmarshal(list, &raws); err != nil {
		return nil, badRequest("malformed_json", "ids: %v", err)
	}
	if len(raws) == 0 {
		return nil, badRequest(library.CodeIDsEmpty, "ids is empty: want 1 to %d ids", library.MaxBatch)
	}
	if len(raws) > library.MaxBatch {
		return nil, tooManyIDs(len(raws))
	}
	ids := make([]int64, 0, len(raws))
	for i, raw := range raws {
		name := "ids[" + strconv.Itoa(i) + "]"
		if jsonKind(raw) != "a number" {
			return nil, wrongType(name, "an integer", raw)
		}
		id, err := parseID(name, string(raw))
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// ellipsis is a run of ids as the plan's batch command writes it: [1,2,3,...,100].
var ellipsis = regexp.MustCompile(`([0-9]{1,16})\s*,\s*\.\.\.\s*,\s*([0-9]{1,16})`)

// expandRange writes out the first run of ids of a body, so that the plan's command works as
// it is printed. Three dots stand nowhere in JSON outside a string, so no other body changes
// its meaning.
func expandRange(body []byte) ([]byte, error) {
	if !bytes.Contains(body, []byte("...")) {
		return body, nil
	}
	at := ellipsis.FindSubmatchIndex(body)
	if at == nil {
		return body, nil
	}
	first, _ := strconv.ParseInt(string(body[at[2]:at[3]]), 10, 64)
	last, _ := strconv.ParseInt(string(body[at[4]:at[5]]), 10, 64)
	if last <= first {
		return nil, badRequest("bad_id", "ids runs from %d to %d: want a rising run", first, last)
	}
	if last-first >= library.MaxBatch {
		return nil, tooManyIDs(int(last - first + 1))
	}
	out := bytes.Clone(body[:at[3]])
	for id := first + 1; id <= last; id++ {
		out = append(out, ',')
		out = strconv.AppendInt(out, id, 10)
	}
	return append(out, body[at[1]:]...), nil
}
