package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// writeOut writes the file that --out names, whole or not at all: until all of it is on the disk the file that was there before stays.
// What is no regular file (/dev/stdout, a pipe) is written as it is.
func writeOut(path string, body []byte, mode os.FileMode) error {
	return writeFile("--out", path, body, mode)
}

// writeFile is writeOut for the file that another flag names.
func writeFile(flag, path string, body []byte, mode os.FileMode) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write result (%s): %w", flag, err)
		}
	}()
	if real, linkErr := filepath.EvalSymlinks(path); linkErr == nil {
		path = real
	}
	if info, statErr := os.Stat(path); statErr == nil && !info.Mode().IsRegular() {
		return os.WriteFile(path, body, mode)
	}
	tmp, err := openBeside(path, mode)
	if err != nil {
		return err
	}
	_, err = tmp.Write(body)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(tmp.Name()))
	}
	return err
}

// checkOut finds out before a long measurement whether its result can be written.
func checkOut(path string) error { return checkFile("--out", path) }

// checkFile is checkOut for the file that another flag names.
func checkFile(flag, path string) error {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return usageError{fmt.Errorf("%s %s is a directory", flag, path)}
	case err == nil && !info.Mode().IsRegular():
		return nil
	}
	tmp, err := openBeside(path, 0o600)
	if err == nil {
		err = errors.Join(tmp.Close(), os.Remove(tmp.Name()))
	}
	if err != nil {
		return usageError{fmt.Errorf("write result (%s): %w", flag, err)}
	}
	return nil
}

// A namedFile is a file to write, and the flag that names it.
type namedFile struct{ flag, path string }

// checkNamed is checkFile for each of these but the empty ones, and refuses two flags that name one file, of which the later would
// destroy what the earlier left.
func checkNamed(files []namedFile) error {
	var faults []error
	flags := map[string]string{}
	for _, f := range files {
		if f.path == "" {
			continue
		}
		faults = append(faults, checkFile(f.flag, f.path))
		if info, err := os.Stat(f.path); err == nil && !info.Mode().IsRegular() {
			continue // a pipe or a terminal may take two
		}
		real := f.path
		if dir, err := filepath.EvalSymlinks(filepath.Dir(real)); err == nil {
			real = filepath.Join(dir, filepath.Base(real))
		}
		if whole, err := filepath.Abs(real); err == nil {
			real = whole
		}
		if first := flags[real]; first != "" {
			faults = append(faults, usageError{fmt.Errorf("%s and %s name the same file, %s", first, f.flag, f.path)})
		}
		flags[real] = f.flag
	}
	return errors.Join(faults...)
}

// openBeside makes an empty file in the directory of path, under a name of its own. The mode is subject to the umask.
func openBeside(path string, mode os.FileMode) (*os.File, error) {
	dir, name := filepath.Split(path)
	if info, err := os.Stat(filepath.Clean(dir)); dir != "" && (err != nil || !info.IsDir()) {
		return nil, fmt.Errorf("%s: no directory %s", path, dir)
	}
	return os.OpenFile(filepath.Join(dir, fmt.Sprintf(".%s.%d-%08x.tmp", name, os.Getpid(), rand.Uint32())), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
}
