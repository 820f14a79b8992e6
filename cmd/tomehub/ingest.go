package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tomehub/tomehub/internal/pool"
	"github.com/tomehub/tomehub/server/library"
)

func (a *app) newIngestCommand() *cobra.Command {
	var c serveSettings
	var owner, title, author string
	cmd := &cobra.Command{
		Use:   "ingest FILE...",
		Short: "Put books into the library",
		Long: `Put text, Markdown, HTML and EPUB files into the library: the embedded one in --data-dir, or with
DB_DSN the one in an Oracle database. What a file is, is told by its content and not by its name;
directories and pipes are refused. A file that the library has already is not stored again.
A server on the same library may run meanwhile, and finds the books at once.

Exit code 1 when a file could not be stored; the others are stored all the same.`,
		Example: `  tomehub ingest walden.epub notes/*.md
  tomehub ingest opticks.txt --title Opticks --author "Isaac Newton"`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("ingest wants at least one file (see 'tomehub ingest --help')")}
			}
			return nil
		},
	}
	s := &settings{flags: cmd.Flags()}
	c.registerLibrary(s)
	s.add(textValue{&owner}, "owner", "TOMEHUB_INGEST_OWNER", "user whose library the books go into; empty is the shared one")
	cmd.Flags().StringVar(&title, "title", "", "title, when there is one file; otherwise the file's own")
	cmd.Flags().StringVar(&author, "author", "", "author, when there is one file; otherwise the file's own")
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		err := a.load(cmd, s, nil)
		if len(files) > 1 && (title != "" || author != "") {
			err = errors.Join(err, fmt.Errorf("--title and --author name one book, but there are %d files", len(files)))
		}
		if err = errors.Join(err, c.validateDatabase()); err != nil {
			return usageError{err}
		}
		return a.ingest(cmd.Context(), &c, files, owner, library.Document{Title: title, Author: author})
	}
	return cmd
}

func (a *app) ingest(ctx context.Context, c *serveSettings, files []string, owner string, doc library.Document) (err error) {
	ctx = pool.WithKind(ctx, "ingest")
	h, err := openHouse(ctx, c, watchers{}, a.logger())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close()) }()
	lines, step, end := a.ingestProgress(len(files))
	started, failed, passages := time.Now(), 0, 0
	for _, file := range files {
		n, fileErr := h.ingestFile(ctx, lines, file, owner, doc)
		if fileErr != nil {
			failed++
			fmt.Fprintf(lines, "%s: %v\n", file, fileErr)
		}
		passages += n
		step()
		if ctx.Err() != nil {
			break
		}
	}
	end()
	if passages > 0 {
		err = h.store.Optimize(ctx)
	}
	took := time.Since(started)
	fmt.Fprintf(a.stdout, "%d passages stored in %.1f s (%.0f per second)\n", passages, took.Seconds(), float64(passages)/took.Seconds())
	if ctx.Err() != nil {
		return fmt.Errorf("interrupted: %w", ctx.Err())
	}
	if failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d files were not stored", failed, len(files)))
	}
	return err
}

// ingestFile stores one file and writes a line about it. It returns the passages newly stored.
func (h *house) ingestFile(ctx context.Context, w io.Writer, file, owner string, doc library.Document) (int, error) {
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	if info.IsDir() {
		return 0, fmt.Errorf("is a directory: name the files in it, such as %s", filepath.Join(file, "*"))
	}
	if !info.Mode().IsRegular() {
		return 0, errors.New("is not a regular file")
	}
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	doc.Filename, doc.Body = filepath.Base(file), f
	got, err := h.library.Ingest(ctx, owner, doc)
	if err != nil {
		return 0, err
	}
	what := fmt.Sprintf("%d passages, %d concepts, %d relations", got.Passages, got.Concepts, got.Relations)
	if got.Duplicate {
		what = "in the library already"
	}
	by := ""
	if got.Author != "" {
		by = " by " + got.Author
	}
	fmt.Fprintf(w, "%s: book %d, %q%s (%s): %s\n", strings.TrimSpace(file), got.BookID, got.Title, by, got.Format, what)
	if got.Duplicate {
		return 0, nil
	}
	return got.Passages, nil
}
