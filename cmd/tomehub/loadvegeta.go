package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// An outStream is a file that is written bit by bit while a test runs, and is there under its name when it is whole.
// What is no regular file (/dev/stdout, a pipe) is written as it is.
type outStream struct {
	*bufio.Writer
	path string
	file *os.File
	flag string // names the setting in errors
}

// newOutStream makes the file beside path.
func newOutStream(path, flag string) (*outStream, error) {
	s := &outStream{path: path, flag: flag}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		s.path = real
	}
	info, err := os.Stat(s.path)
	switch {
	case err == nil && info.IsDir():
		return nil, usageError{fmt.Errorf("%s %s is a directory", flag, path)}
	case err == nil && !info.Mode().IsRegular():
		s.file, err = os.OpenFile(s.path, os.O_WRONLY, 0)
	default:
		s.file, err = openBeside(s.path, 0o666)
	}
	if err != nil {
		return nil, usageError{fmt.Errorf("write %s: %w", flag, err)}
	}
	s.Writer = bufio.NewWriterSize(s.file, 256<<10)
	return s, nil
}

// close gives the file its name when keep says that it is whole, and removes it otherwise.
func (s *outStream) close(keep bool) error {
	beside := s.file.Name() != s.path
	err := errors.Join(s.Flush(), s.file.Close())
	switch {
	case beside && (err != nil || !keep):
		err = errors.Join(err, os.Remove(s.file.Name()))
	case beside:
		err = os.Rename(s.file.Name(), s.path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", s.flag, err)
	}
	return nil
}
