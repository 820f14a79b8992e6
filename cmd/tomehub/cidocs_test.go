package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// The pipelines in docs/ci.md are YAML, and whoever pastes them finds every command, flag and scenario in this program.
func TestPipelinesInTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/ci.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	commands := 0
	for i, b := range blocks {
		b, _, _ = strings.Cut(b, "```")
		var pipeline any
		if err := yaml.Unmarshal([]byte(b), &pipeline); err != nil {
			t.Errorf("pipeline %d: %v", i+1, err)
			continue
		}
		for _, line := range pipelineCommands(pipeline) {
			if words, ok := strings.CutPrefix(line, "./tomehub "); ok {
				commands++
				if err := parses(strings.Fields(words)); err != nil {
					t.Errorf("pipeline %d: %s: %v", i+1, line, err)
				}
			}
		}
	}
	if len(blocks) != 3 || commands < 8 {
		t.Errorf("%d pipelines with %d commands of ours, want 3 with 8 and more", len(blocks), commands)
	}
	for _, line := range []string{"loadtest run smoke --target x --no-such-flag", "loadtest run no-such-scenario --spawn", "loadtest fly", "loadtest checkpoint e"} {
		if parses(strings.Fields(line)) == nil {
			t.Errorf("%q is taken for a command of ours", line)
		}
	}
}

// pipelineCommands are the commands of a pipeline: what stands under run, script, before_script and after_script.
func pipelineCommands(node any) []string {
	var all []string
	switch n := node.(type) {
	case map[string]any:
		for key, v := range n {
			if slices.Contains([]string{"run", "script", "before_script", "after_script"}, key) {
				all = append(all, texts(v)...)
			} else {
				all = append(all, pipelineCommands(v)...)
			}
		}
	case []any:
		for _, v := range n {
			all = append(all, pipelineCommands(v)...)
		}
	}
	return all
}

// texts are the lines of a text or of a list of them.
func texts(node any) []string {
	switch n := node.(type) {
	case string:
		return strings.Split(n, "\n")
	case []any:
		var all []string
		for _, v := range n {
			all = append(all, texts(v)...)
		}
		return all
	}
	return nil
}

// shellEnd is where the words of one command end.
var shellEnd = regexp.MustCompile(`^[0-9]*(>|<|\||&|;)`)

// parses tells whether words, as a shell would give them, are a command line of this program.
func parses(words []string) error {
	if i := slices.IndexFunc(words, shellEnd.MatchString); i >= 0 {
		words = words[:i]
	}
	cmd, rest, err := (&app{}).newRootCommand().Find(words)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err == nil {
		err = cmd.ValidateArgs(cmd.Flags().Args())
	}
	if err == nil && commandPath(cmd) == "loadtest run" {
		_, err = findScenario(cmd.Flags().Arg(0))
	}
	return err
}
