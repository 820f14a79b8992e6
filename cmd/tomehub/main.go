// Command tomehub serves a library of books, profiles its SQL and load-tests it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
)

// version is set by the linker in a release: -X main.version=v1.2.3.
var version = ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, lookup: os.LookupEnv}
	code := a.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// app is what every command shares: the streams, the environment, the logger.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	lookup         func(string) (string, bool)
	args           []string // of the command line being run, for workers

	level     slog.LevelVar
	logFormat string
	envFile   string
	shared    *settings // of every command: log level and format
}

// run executes one command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	a.args = args
	root := a.newRootCommand()
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(a.stderr, "tomehub: %v\n", err)
	code := exitCode(err)
	if code == exitUsage {
		fmt.Fprintf(a.stderr, "Run '%s --help' for usage.\n", cmd.CommandPath())
	}
	return code
}

func (a *app) newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "tomehub",
		Short: "Serve a library of books, profile its SQL, and load-test it",
		Long: `tomehub is a service in which people search their own library (books cut into
passages), the profiler that says which SQL statements cost the time, and the
load test that proves how many users it carries. Start with:

  tomehub serve --demo`,
		Example: `  tomehub serve --demo                             a server on http://127.0.0.1:5001 with a demo library
  tomehub ingest book.epub notes.md                put books into the library
  tomehub migrate --dry-run --dialect oracle       print the schema of an Oracle database
  tomehub loadtest run checkpoint-a --spawn        start a server and prove a checkpoint
  tomehub profile --url http://127.0.0.1:5002      which statements take the time`,
		Version:       buildVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("tomehub {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w (see 'tomehub %s --help')", err, commandPath(c))}
	})
	a.logFormat = "auto"
	a.shared = &settings{flags: root.PersistentFlags()}
	a.shared.add(levelValue{&a.level}, "log-level", "TOMEHUB_LOG_LEVEL", "least serious level logged")
	a.shared.add(choiceValue{&a.logFormat, []string{"auto", "text", "json"}}, "log-format", "TOMEHUB_LOG_FORMAT",
		"auto is text on a terminal and JSON otherwise")
	root.PersistentFlags().StringVar(&a.envFile, "env-file", ".env", "file of NAME=value lines that the environment overrides; empty for none")
	root.AddCommand(a.newServeCommand(), a.newIngestCommand(), a.newMigrateCommand(), a.newLoadtestCommand(), a.newProfileCommand(), a.newHealthCommand())
	return root
}

// commandPath is the command's path without the program's name.
func commandPath(c *cobra.Command) string {
	return strings.TrimSpace(strings.TrimPrefix(c.CommandPath(), c.Root().Name()))
}

// buildVersion is the release, or the revision that the go command recorded.
func buildVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v, revision, dirty := info.Main.Version, "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			revision = s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = "+changes"
		}
	}
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	if revision != "" {
		v += " (" + revision + dirty + ")"
	}
	return v + " " + info.GoVersion
}

// load resolves the settings of a command that has been parsed. preset, when it is not
// nil, tells the preset of the phase, once the setting --phase is resolved. All faults
// of all settings are returned joined.
func (a *app) load(c *cobra.Command, s *settings, preset func() (map[string]string, string)) error {
	src, err := loadSources(a.envFile, c.Flags().Changed("env-file"), a.lookup)
	faults := []error{err, a.shared.resolve(src, nil, "")}
	var values map[string]string
	var name string
	if preset != nil {
		phase := settings{list: s.only("phase")}
		if err := phase.resolve(src, nil, ""); err == nil { // its fault is found again below
			values, name = preset()
		}
	}
	faults = append(faults, s.resolve(src, values, name))
	if err := errors.Join(faults...); err != nil {
		return usageError{err}
	}
	return nil
}

// logger writes to stderr: text for people, JSON for machines.
func (a *app) logger() *slog.Logger {
	opt := &slog.HandlerOptions{Level: &a.level}
	if a.logFormat == "text" || a.logFormat == "auto" && isTerminal(a.stderr) {
		return slog.New(slog.NewTextHandler(a.stderr, opt))
	}
	return slog.New(slog.NewJSONHandler(a.stderr, opt))
}

func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}
