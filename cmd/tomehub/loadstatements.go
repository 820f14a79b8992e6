package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/tomehub/tomehub/loadtest"
	"github.com/tomehub/tomehub/profiler"
)

// topListed is how many statements a load test's report shows.
const topListed = 10

// topStatements reads a server's statements at both ends of a load test's measured time; nil without an admin listener.
func topStatements(admin string) func(context.Context) (func(context.Context) (*loadtest.StatementWindow, error), error) {
	if admin == "" {
		return nil
	}
	return func(ctx context.Context) (func(context.Context) (*loadtest.StatementWindow, error), error) {
		src, err := profiler.NewServer(admin, nil)
		if err != nil {
			return nil, err
		}
		before, err := src.Snapshot(ctx, nil)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) (*loadtest.StatementWindow, error) {
			after, err := src.Snapshot(ctx, &before)
			if err != nil {
				return nil, err
			}
			p, err := profiler.Between(before, after, profiler.Options{Top: topListed})
			if err != nil {
				return nil, err
			}
			return statementWindow(p), nil
		}, nil
	}
}

// statementWindow tells a profile in the words of a load test, which knows no profiler.
func statementWindow(p *profiler.Profile) *loadtest.StatementWindow {
	w := &loadtest.StatementWindow{
		Source: p.Source, WindowS: p.WindowUS.Seconds(), Executions: p.Total.Executions, TotalMS: 1000 * p.Total.Elapsed.Seconds(),
		Statements: []loadtest.TopStatement{},
	}
	for i := range p.Statements {
		r := &p.Statements[i]
		avg, _ := r.Avg()
		w.Statements = append(w.Statements, loadtest.TopStatement{
			Name: cmp.Or(r.Name, r.SQL), SQL: r.SQL, Executions: r.Executions, TotalMS: 1000 * r.Elapsed.Seconds(), AvgMS: 1000 * avg,
			Share: 100 * r.Share, Rows: r.Rows, Errors: r.Errors, WaitMS: 1000 * r.AcquireWait.Seconds(),
		})
	}
	for _, f := range p.Findings {
		text := f.Evidence + ". " + f.Advice
		if f.Statement != "" {
			text = f.Statement + ": " + text
		}
		w.Findings = append(w.Findings, fmt.Sprintf("%s, %s", f.Kind, text))
	}
	return w
}
