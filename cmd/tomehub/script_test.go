package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write the generated references anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tomehub": main, leaky: leakyMain, misled: misledMain})
}

// TestScripts drives the command line as a user does.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", RequireExplicitExec: true, RequireUniqueNames: true})
}

// docs/flags.md is written from the program; a change of a flag without it fails here.
func TestFlagsReference(t *testing.T) {
	a := &app{}
	got := flagsReference(a.newRootCommand())
	file := filepath.Join("..", "..", "docs", "flags.md")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("docs/flags.md is stale; run 'make docs' (-file +program):\n%s", diff)
	}
}

// flagsReference lists every command and flag in Markdown.
func flagsReference(root *cobra.Command) string {
	var b bytes.Buffer
	b.WriteString("# Commands and settings\n\nWritten by `make docs` from the program; do not edit.\n\n" +
		"A flag wins over the environment name in brackets, that over a line in `.env`, that over the preset of `--phase`, that over the default.\n" +
		"Secrets have no flag: `DB_PASSWORD`, `ANSWER_API_KEY`, or the same with `_FILE` naming a file. Exit codes: 0 ok, 1 error, 2 usage, 3 a check failed,\n" +
		"4 inconclusive, 75 restart wanted.\n")
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Hidden || c.Name() == "help" || c.Name() == "completion" {
			return
		}
		b.WriteString("\n## " + c.CommandPath() + "\n\n" + c.Short + ".\n")
		rows := 0
		c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
			if rows == 0 {
				b.WriteString("\n| flag | default | what it does |\n| --- | --- | --- |\n")
			}
			rows++
			def := f.DefValue
			if def == "" {
				def = "-"
			}
			b.WriteString("| `--" + f.Name + "` | " + def + " | " + strings.ReplaceAll(f.Usage, "|", `\|`) + " |\n")
		})
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	b.WriteString("\n## Variables of OpenTelemetry\n\nOf `tomehub serve`, from the environment or `.env`; they have no flags, because they are set for all services alike. docs/operations.md says what is traced.\n" +
		"\n| variable | default | what it does |\n| --- | --- | --- |\n")
	var c traceSettings
	s := &settings{}
	c.register(s)
	for _, one := range s.list {
		def := one.shown()
		if def == "" || def == "0" || def == "false" {
			def = "-"
		}
		b.WriteString("| `" + one.env + "` | " + def + " | " + one.usage + " |\n")
	}
	return b.String()
}
