package loadtest

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// An encoder writes histograms as hdrhistogram's EncodeV2 does, byte for byte. That leaves 800 KiB of garbage for each, and a
// load test writes several each second: to collect it, and to write number by number, kept requests waiting that were due.
type encoder struct {
	plain  []byte
	packed bytes.Buffer
	zip    *zlib.Writer // to packed
}

var encoders = sync.Pool{New: func() any { return new(encoder) }}

// encoded writes a histogram in HdrHistogram's V2 compressed form, as base64. One without values is "".
func encoded(h *hdrhistogram.Histogram) (string, error) {
	if h.TotalCount() == 0 {
		return "", nil
	}
	e := encoders.Get().(*encoder)
	defer encoders.Put(e)
	text, err := e.encode(h.Export())
	if err != nil {
		return "", fmt.Errorf("encode histogram: %w", err)
	}
	return text, nil
}

// The first words of the form and of what is compressed in it, and how long they are with what follows them.
const (
	cookiePacked = uint32(hdrhistogram.V2CompressedEncodingCookieBase | 0x10)
	cookiePlain  = uint32(hdrhistogram.V2EncodingCookieBase | 0x10)
	headPacked   = 8
	headPlain    = 40
)

func (e *encoder) encode(s *hdrhistogram.Snapshot) (string, error) {
	e.plain = append(e.plain[:0], make([]byte, headPlain)...)
	e.counts(s.Counts)
	head := binary.BigEndian.AppendUint32(e.plain[:0], cookiePlain)
	head = binary.BigEndian.AppendUint32(head, uint32(len(e.plain)-headPlain))
	head = binary.BigEndian.AppendUint32(head, 0) // counts are in their places
	head = binary.BigEndian.AppendUint32(head, uint32(s.SignificantFigures))
	head = binary.BigEndian.AppendUint64(head, uint64(s.LowestTrackableValue))
	head = binary.BigEndian.AppendUint64(head, uint64(s.HighestTrackableValue))
	binary.BigEndian.AppendUint64(head, math.Float64bits(1)) // values are whole numbers

	e.packed.Reset()
	e.packed.Write(make([]byte, headPacked))
	if e.zip == nil {
		var err error
		if e.zip, err = zlib.NewWriterLevel(&e.packed, zlib.BestCompression); err != nil {
			return "", err
		}
	} else {
		e.zip.Reset(&e.packed)
	}
	if _, err := e.zip.Write(e.plain); err != nil {
		return "", err
	}
	if err := e.zip.Close(); err != nil {
		return "", err
	}
	packed := e.packed.Bytes()
	binary.BigEndian.PutUint32(packed, cookiePacked)
	binary.BigEndian.PutUint32(packed[4:], uint32(len(packed)-headPacked))
	return base64.StdEncoding.EncodeToString(packed), nil
}

// counts writes the counts up to the last that is not 0. Several zeros in a row are one negative number.
func (e *encoder) counts(counts []int64) {
	zeros := int64(0)
	for _, n := range counts {
		if n == 0 {
			zeros++
			continue
		}
		switch {
		case zeros > 1:
			e.plain = binary.AppendVarint(e.plain, -zeros)
		case zeros == 1:
			e.plain = binary.AppendVarint(e.plain, 0)
		}
		zeros = 0
		e.plain = binary.AppendVarint(e.plain, n)
	}
}
