package answer

import (
	"strconv"
	"strings"
)

// maxCitation is the longest text in brackets that is looked at as a citation, bytes.
const maxCitation = 40

// A citer turns the citations of a streamed text, which name the passages as they were numbered
// for the model, into places in Result.PassageIDs. A citation of a passage that was not sent
// is dropped: it points nowhere. Text in brackets that is no number stays.
type citer struct {
	passages []Passage // those that were sent
	ids      []int64   // cited so far
	held     string    // the beginning of what may be a citation
}

// add takes the next text and returns what may be handed out, with the passages it cites.
func (c *citer) add(text string) (string, []int64) {
	text = c.held + text
	c.held = ""
	var out strings.Builder
	var ids []int64
	for text != "" {
		open := strings.IndexByte(text, '[')
		if open < 0 {
			out.WriteString(text)
			break
		}
		out.WriteString(text[:open])
		text = text[open:]
		end := 1
		for end < len(text) && end <= maxCitation && strings.IndexByte("0123456789,;- ", text[end]) >= 0 {
			end++
		}
		if end == len(text) && end <= maxCitation {
			c.held = text
			break
		}
		if end == len(text) || text[end] != ']' || end == 1 {
			out.WriteString(text[:end])
			text = text[end:]
			continue
		}
		ids = c.cite(&out, text[1:end], ids)
		text = text[end+1:]
	}
	return out.String(), ids
}

// rest returns what was held back when the text is over.
func (c *citer) rest() string {
	held := c.held
	c.held = ""
	return held
}

// cite writes the citations of list, such as "2", "1, 3" or "2-4".
func (c *citer) cite(out *strings.Builder, list string, ids []int64) []int64 {
	for one := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		from, to, ranged := strings.Cut(one, "-")
		first, err := strconv.Atoi(from)
		last := first
		if ranged && err == nil {
			last, err = strconv.Atoi(to)
		}
		if err != nil {
			continue
		}
		for n := max(first, 1); n <= min(last, len(c.passages)); n++ {
			id := c.passages[n-1].ID
			ids = append(ids, id)
			out.WriteByte('[')
			out.WriteString(strconv.Itoa(c.place(id)))
			out.WriteByte(']')
		}
	}
	return ids
}

// place returns where id is among the passages cited, from 1.
func (c *citer) place(id int64) int {
	for i, known := range c.ids {
		if known == id {
			return i + 1
		}
	}
	c.ids = append(c.ids, id)
	return len(c.ids)
}
