package main

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/tomehub/tomehub/loadtest"
	"github.com/tomehub/tomehub/reports"
)

// A delivery is where the result of a load test goes: files, a history, and the report on standard output.
type delivery struct {
	resultFiles
	format  string
	metrics string
	history string
}

func (d *delivery) addAll(s *settings) {
	d.addFiles(s)
	s.add(choiceValue{&d.format, reportFormats()}, "format", "TOMEHUB_LOADTEST_FORMAT", "how the report is written to standard output")
	s.add(textValue{&d.metrics}, "prometheus-out", "TOMEHUB_LOADTEST_PROMETHEUS_OUT", "file to write the result's figures to as metrics of Prometheus")
	s.add(textValue{&d.history}, "history", "TOMEHUB_LOADTEST_HISTORY", "directory that keeps a summary of each run; the report shows the trend of the last 20 like it")
}

// checkAll finds out before a long run whether all, and these files beside it, can be written.
func (d *delivery) checkAll(more ...namedFile) error {
	faults := []error{d.checkFiles(append(more, namedFile{"--prometheus-out", d.metrics})...)}
	if d.history != "" {
		if _, err := loadtest.OpenHistory(d.history); err != nil {
			faults = append(faults, usageError{fmt.Errorf("--history: %w", err)})
		}
	}
	return errors.Join(faults...)
}

// deliver writes the result and its report everywhere. target is the kind of its server, for the history. Of several
// faults none keeps the rest from being written.
func (a *app) deliver(result *loadtest.Result, d *delivery, report *reports.Report, target string) error {
	faults := []error{extendByHistory(d.history, report, result, target)}
	faults = append(faults, a.writeFiles(&d.resultFiles, *report, result), writePrometheus(d.metrics, result), a.writeReport(a.stdout, *report, d.format))
	return errors.Join(faults...)
}

// extendByHistory keeps the run in the directory, unless that is "", and shows in its report what came before. A run that
// was interrupted is no measure of anything and is not kept.
func extendByHistory(dir string, report *reports.Report, result *loadtest.Result, target string) error {
	if dir == "" {
		return nil
	}
	h, err := loadtest.OpenHistory(dir)
	if err != nil {
		return fmt.Errorf("--history: %w", err)
	}
	past := result.Past(target)
	if result.Interrupted {
		report.Notes = append(report.Notes, "History: this run was interrupted and is not kept.")
	} else if err := h.Add(past); err != nil {
		return fmt.Errorf("--history: %w", err)
	}
	trend, err := h.Trend(past)
	if err != nil {
		return fmt.Errorf("--history: %w", err)
	}
	trend.Extend(report)
	return nil
}

// writePrometheus writes the result's metrics to the file, unless that is "".
func writePrometheus(path string, result *loadtest.Result) error {
	if path == "" {
		return nil
	}
	var body bytes.Buffer
	if err := result.WritePrometheus(&body); err != nil {
		return err
	}
	return writeFile("--prometheus-out", path, body.Bytes(), 0o666)
}
