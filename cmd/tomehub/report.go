package main

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/tomehub/tomehub/reports"
)

// reportFormats are the ways in which a report can be written.
func reportFormats() []string { return words(reports.Formats()) }

// words turns a closed set of names into the choices of a flag.
func words[S ~string](names []S) []string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = string(n)
	}
	return list
}

// writeReport writes a report; text takes colour and width from the terminal.
func (a *app) writeReport(w io.Writer, r reports.Report, format string) error {
	f, err := reports.ParseFormat(format)
	if err != nil {
		return usageError{err}
	}
	var opt reports.TextOptions
	if file, ok := w.(*os.File); ok && isTerminal(w) {
		_, noColor := a.lookup("NO_COLOR")
		opt.Color = !noColor
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			opt.Width = width
		}
	}
	return r.Write(w, f, opt)
}
