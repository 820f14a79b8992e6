package reports

import (
	"slices"
	"strings"

	"github.com/clipperhouse/displaywidth"
	"github.com/olekukonko/tablewriter/pkg/twwidth"
)

const (
	gap       = 2  // spaces between two columns
	leastCut  = 24 // a column of words is first cut down to this, before optional columns go
	leastCell = 8  // and after that to this, and no further
	wrapAt    = 60 // a column of sentences is never wider, because longer lines read badly
)

// fitted is a table cut to a width.
type fitted struct {
	columns []Column
	rows    [][]string
	left    []string // names of the columns that were left out
}

// fit cuts the widest columns of words first, because most of what they show still shows. When that does not do, the
// optional columns go, the last one first.
func fit(t Table, limit int) fitted {
	f := fitted{columns: make([]Column, len(t.Columns)), rows: padded(t)}
	widths := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		c.Name = oneLine(c.Name)
		f.columns[i], widths[i] = c, width(c.Name)
		for _, row := range f.rows {
			row[i] = oneLine(row[i])
			widths[i] = max(widths[i], width(row[i]))
		}
		if c.Wrap {
			widths[i] = min(widths[i], wrapAt)
		}
	}
	if limit > 0 {
		widths = f.squeeze(widths, limit)
	}
	for i := range f.columns {
		f.columns[i].Name = cut(f.columns[i].Name, widths[i])
		for _, row := range f.rows {
			if f.columns[i].Wrap {
				row[i] = wrap(row[i], "", widths[i])
			} else {
				row[i] = cut(row[i], widths[i])
			}
		}
	}
	return f
}

// squeeze leaves out columns and takes from widths until the table fits the limit, and returns the widths that are left.
func (f *fitted) squeeze(widths []int, limit int) []int {
	for i := len(f.columns) - 1; i >= 0; i-- {
		tried := slices.Clone(widths)
		if narrow(f.columns, tried, limit, leastCut); total(tried) <= limit {
			return tried // what a column that went has left goes to the words
		}
		if f.columns[i].Optional {
			f.left = append([]string{f.columns[i].Name}, f.left...)
			f.columns, widths = drop(f.columns, i), drop(widths, i)
			for j, row := range f.rows {
				f.rows[j] = drop(row, i)
			}
		}
	}
	narrow(f.columns, widths, limit, leastCell)
	return widths
}

// narrow takes from the widest column of words, one terminal column at a time, until the table fits or none is wider than
// least.
func narrow(columns []Column, widths []int, limit, least int) {
	for over := total(widths) - limit; over > 0; over-- {
		widest := -1
		for i, c := range columns {
			if c.Align == Left && widths[i] > least && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

func total(widths []int) int {
	sum := 0
	for _, w := range widths {
		sum += w + gap
	}
	return max(0, sum-gap)
}

func drop[T any](list []T, i int) []T { return append(list[:i:i], list[i+1:]...) }

// width is how many terminal columns s takes, counted as tablewriter counts them, so that what fits here is not padded
// apart there.
func width(s string) int { return twwidth.WidthNoCache(s) }

// cut shortens s to at most limit terminal columns, the last of them …, and never cuts through a character with its
// accents or a joined emoji.
func cut(s string, limit int) string {
	if width(s) <= limit {
		return s
	}
	room := limit - width("…")
	var b strings.Builder
	for g := displaywidth.StringGraphemes(s); g.Next(); {
		w := width(g.Value())
		if w > room {
			break
		}
		room -= w
		b.WriteString(g.Value())
	}
	return strings.TrimRight(b.String(), " ") + "…"
}

// wrap breaks a line at spaces before limit columns and begins the following lines with indent. A limit of 0 or less breaks
// nothing; a word longer than a line goes on in the next: in a sentence that says what to type, all of it must stand.
func wrap(s, indent string, limit int) string {
	if limit <= 0 || width(s) <= limit {
		return s
	}
	var b strings.Builder
	at := 0
	for i, word := range strings.Split(s, " ") {
		pieces := pieces(word, max(1, limit-width(indent)))
		for _, piece := range pieces[:len(pieces)-1] {
			if b.Len() > 0 {
				b.WriteString("\n" + indent)
			}
			b.WriteString(piece)
			at = limit // nothing more on this line
		}
		word = pieces[len(pieces)-1]
		w := width(word)
		switch {
		case i == 0 && len(pieces) == 1:
		case len(pieces) > 1 || at+1+w > limit:
			b.WriteString("\n" + indent)
			at = width(indent)
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += w
	}
	return b.String()
}

// pieces breaks a word into parts of at most limit terminal columns: behind a mark of the second half of the part, else between
// two characters. A character that is wider stands alone.
func pieces(word string, limit int) []string {
	var all []string
	from, at, mark := 0, 0, 0
	for g := displaywidth.StringGraphemes(word); g.Next(); {
		if at > from && width(word[from:at])+width(g.Value()) > limit {
			end := at
			if mark > from+(at-from)/2 {
				end = mark
			}
			all = append(all, word[from:end])
			from = end
		}
		at += len(g.Value())
		if strings.ContainsAny(g.Value(), "_.,;(/-") {
			mark = at
		}
	}
	return append(all, word[from:])
}
