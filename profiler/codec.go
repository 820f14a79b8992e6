package profiler

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// SaveSnapshot writes a snapshot as JSON, a statement a line. The file appears whole or not at all, and only its owner may
// read it: SQL may hold literals.
func SaveSnapshot(path string, s Snapshot) error {
	s.SchemaVersion = SchemaVersion
	tmp, err := os.CreateTemp(filepath.Dir(path), ".snapshot-*") // mode 0600
	if err != nil {
		return fmt.Errorf("save snapshot: %w", err)
	}
	err = errors.Join(encode(tmp, s), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("save snapshot: %w", errors.Join(err, os.Remove(tmp.Name())))
	}
	return nil
}

// encode writes what decode reads, statement after statement, so that the text of a hundred thousand is never in memory.
func encode(w io.Writer, s Snapshot) error {
	statements := s.Statements
	s.Statements = nil
	frame, err := json.Marshal(s)
	if err != nil {
		return err
	}
	const none = `"statements":null` // the quotes keep it from being found within a text, which has them escaped
	head, tail, ok := bytes.Cut(frame, []byte(none))
	if !ok {
		return errors.New("a snapshot without statements")
	}
	b := bufio.NewWriterSize(w, 64<<10)
	size := len(frame)
	b.Write(head)
	b.WriteString(`"statements":[`)
	for i := range statements {
		line, err := json.Marshal(&statements[i])
		if err != nil {
			return err
		}
		if size += len(line) + 2; size >= MaxSnapshotBytes {
			return fmt.Errorf("more than LoadSnapshot's bound of %d bytes, at statement %d of %d", MaxSnapshotBytes, i+1, len(statements))
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
		b.Write(line)
	}
	b.WriteString("\n]")
	b.Write(tail)
	b.WriteByte('\n')
	return b.Flush() // which has the first error of all writes
}

// LoadSnapshot reads what SaveSnapshot wrote, or the saved answer of a tomehub's /statements.
func LoadSnapshot(path string) (Snapshot, error) {
	f, err := os.Open(path)
	if err != nil {
		return Snapshot{}, fmt.Errorf("load snapshot: %w", err)
	}
	defer f.Close()
	s, err := decode(f)
	if err != nil {
		return Snapshot{}, fmt.Errorf("load snapshot %s: %w", path, err)
	}
	return s, nil
}

// decode reads one snapshot and nothing behind it. It takes statement after statement, so that bytes which are not to be
// trusted cannot ask for more memory than the bounds allow. An error of reading is returned as it is, one of the bytes is
// an ErrNotSnapshot.
func decode(r io.Reader) (Snapshot, error) {
	in := &boundedReader{r: r, left: MaxSnapshotBytes}
	dec := json.NewDecoder(in)
	s, err := decodeObject(dec)
	switch {
	case err == io.EOF && dec.InputOffset() == 0:
		err = errors.New("it is empty")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = errors.New("it ends in the middle: was it written whole?")
	case err == nil:
		if _, err = dec.Token(); err == io.EOF {
			err = nil
		} else if err == nil {
			err = errors.New("there is more behind its end")
		}
	}
	if err == nil {
		err = s.check()
	}
	switch {
	case in.err != nil:
		return Snapshot{}, in.err
	case errors.Is(err, errBound):
		return Snapshot{}, err
	case err != nil:
		return Snapshot{}, fmt.Errorf("%w: %w", ErrNotSnapshot, err)
	}
	return s, nil
}

// maxPartBytes bounds each part of a snapshot but its statements, which have a bound of their own. The largest is what is
// known of the statements shown: a few hundred texts and plans. Bytes can become fifty times as much memory, as
// many empty instances do.
const maxPartBytes = 8 << 20

var errBound = errors.New("beyond the profiler's bound")

// boundedReader reads at most left bytes and keeps the error that ended the reading, unless it was the end.
type boundedReader struct {
	r    io.Reader
	left int64
	err  error
}

func (b *boundedReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p[:min(int64(len(p)), b.left+1)])
	b.left -= int64(n)
	if b.left < 0 {
		err = fmt.Errorf("%w: more than %d MiB", errBound, MaxSnapshotBytes>>20)
	}
	if err != nil && err != io.EOF {
		b.err = err
	}
	return n, err
}

func decodeObject(dec *json.Decoder) (Snapshot, error) {
	var s Snapshot
	switch start, err := dec.Token(); {
	case err != nil:
		return s, err
	case start != json.Delim('{'):
		return s, fmt.Errorf("%.40q where \"{\" is expected", fmt.Sprint(start))
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return s, err
		}
		var into any
		switch name {
		case "schema_version":
			into = &s.SchemaVersion
		case "source":
			into = &s.Source
		case "server":
			into = &s.Server
		case "phase":
			into = &s.Phase
		case "kind":
			into = &s.Kind
		case "view":
			into = &s.View
		case "instances":
			into = &s.Instances
		case "since":
			into = &s.Since
		case "gone":
			into = &s.Gone
		case "time_model":
			into = &s.Time
		case "warnings":
			into = &s.Warnings
		case "own":
			into = &s.Own
		case "details":
			into = &s.Details
		case "tables": // a snapshot has none
			return s, errors.New("it is a report of --format json, which --compare takes; --save writes snapshots")
		case "started_at":
			into = &s.StartedAt
		case "now":
			into = &s.Now
		case "statements":
			if err := decodeStatements(dec, &s); err != nil {
				return s, err
			}
			continue
		default: // of a newer server
			into = new(json.RawMessage)
		}
		before := dec.InputOffset()
		var part json.RawMessage // a value as large as the whole file at most, before it becomes one of many small parts
		if err := dec.Decode(&part); err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
		if size := dec.InputOffset() - before; size > maxPartBytes {
			return s, fmt.Errorf("%w: %s has %d bytes, and at most %d MiB are read", errBound, name, size, maxPartBytes>>20)
		}
		if err := json.Unmarshal(part, into); err != nil {
			return s, fmt.Errorf("%s: %w", name, err)
		}
	}
	_, err := dec.Token() // the closing brace
	return s, err
}

func decodeStatements(dec *json.Decoder, s *Snapshot) error {
	switch start, err := dec.Token(); {
	case err != nil:
		return err
	case start == nil: // null, as a server writes a list that was never made
		return nil
	case start != json.Delim('['):
		return fmt.Errorf("statements: %.40q where \"[\" is expected", fmt.Sprint(start))
	}
	for dec.More() {
		if len(s.Statements) == MaxStatements {
			return fmt.Errorf("%w: more than %d statements", errBound, MaxStatements)
		}
		var st Statement
		if err := dec.Decode(&st); err != nil {
			return fmt.Errorf("statement %d: %w", len(s.Statements)+1, err)
		}
		s.Statements = append(s.Statements, st)
	}
	_, err := dec.Token()
	return err
}
