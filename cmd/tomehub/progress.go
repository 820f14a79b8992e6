package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/tomehub/tomehub/loadtest"
)

// progressBar is a bar with a name before it and a line behind it, on a terminal; into a pipe it is nothing, and draw is nil. first is
// the line until draw is called. The function end erases the bar and must be called before anything else is printed.
func (a *app) progressBar(quiet bool, name, first string) (draw func(line string, done, of int64), end func()) {
	if quiet || !isTerminal(a.stderr) {
		return nil, func() {}
	}
	bars := mpb.New(mpb.WithOutput(a.stderr), mpb.WithAutoRefresh())
	var now atomic.Pointer[string]
	now.Store(&first)
	text := func(decor.Statistics) string { return " " + *now.Load() }
	bar := bars.AddBar(0, mpb.BarRemoveOnComplete(), mpb.PrependDecorators(decor.Name(name+" ")), mpb.AppendDecorators(decor.Any(text)))
	draw = func(line string, done, of int64) {
		now.Store(&line)
		bar.SetTotal(max(of, 1), false)
		bar.SetCurrent(done)
	}
	return draw, func() {
		bar.Abort(true)
		bars.Wait()
	}
}

// loadtestProgress draws how a load test goes.
func (a *app) loadtestProgress(quiet bool, name string) (show func(loadtest.Progress), end func()) {
	draw, end := a.progressBar(quiet, name, "starting")
	if draw == nil {
		return nil, end
	}
	show = func(p loadtest.Progress) {
		line := fmt.Sprintf("%s %s/%s  %d users  %.0f/s  p95 %s  errors %.1f %%", p.State,
			p.Elapsed.Truncate(time.Second), p.Total.Truncate(time.Second), p.Users, rate(p.Window), milliseconds(p.Window.P95MS), p.ErrorRate)
		if p.StatementsPerRequest >= 0 {
			line += fmt.Sprintf("  %.1f stmts/req", p.StatementsPerRequest)
		}
		if p.HitRate >= 0 {
			line += fmt.Sprintf("  %.0f %% hits", p.HitRate)
		}
		draw(line, min(p.Elapsed, p.Total).Milliseconds(), p.Total.Milliseconds())
	}
	return show, end
}

func rate(w loadtest.Window) float64 {
	if w.LengthS == 0 {
		return 0
	}
	return float64(w.Completed) / w.LengthS
}

func milliseconds(ms float64) string {
	return (time.Duration(ms * float64(time.Millisecond))).Round(100 * time.Microsecond).String()
}

// ingestProgress draws a bar of n files on a terminal. Lines printed to w come out above the bar.
func (a *app) ingestProgress(n int) (w io.Writer, step, end func()) {
	if !isTerminal(a.stderr) {
		return a.stdout, func() {}, func() {}
	}
	bars := mpb.New(mpb.WithOutput(a.stderr), mpb.WithAutoRefresh())
	bar := bars.AddBar(int64(n), mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.CountersNoUnit("%d of %d books ")), mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO)))
	return bars, bar.Increment, func() {
		bar.Abort(true)
		bars.Wait()
	}
}
