package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// oracleService is the part of a compose file and of a workflow that both must agree on.
type oracleService struct {
	Image       string
	Environment map[string]string
	Env         map[string]string
	Ports       []string
}

// readYAML reads a file of the tree, in which a field that to has must not be of another kind.
func readYAML(t *testing.T, name string, to any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, to); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// TestOracleDeployment holds that what starts an Oracle database for the live tests, and what runs
// them, name the same user, database and tests. Neither can be tried without a container.
func TestOracleDeployment(t *testing.T) {
	var compose struct {
		Services struct{ Oracle oracleService }
	}
	readYAML(t, "deploy/compose.oracle.yaml", &compose)
	var workflow struct {
		Jobs struct {
			Live struct {
				Services struct{ Oracle oracleService }
				Env      map[string]string
				Steps    []struct{ Run, Uses string }
			}
		}
	}
	readYAML(t, ".github/workflows/oracle.yml", &workflow)
	ours, theirs := compose.Services.Oracle, workflow.Jobs.Live.Services.Oracle
	if ours.Image == "" || ours.Image != theirs.Image || strings.Contains(ours.Image, "slim") || strings.Count(ours.Image, "/") != 1 {
		t.Errorf("images %q and %q; want the same, with Oracle Text and without a registry's host", ours.Image, theirs.Image)
	}
	for key, want := range ours.Environment {
		if got := theirs.Env[key]; got != want {
			t.Errorf("%s is %q here and %q in the workflow", key, want, got)
		}
	}
	for _, s := range []oracleService{ours, theirs} {
		if len(s.Ports) != 1 || !strings.HasSuffix(s.Ports[0], "1521:1521") {
			t.Errorf("ports %v", s.Ports)
		}
	}
	login := ours.Environment["APP_USER"] + "/" + ours.Environment["APP_USER_PASSWORD"] + "@127.0.0.1:1521/FREEPDB1"
	if got := workflow.Jobs.Live.Env["TOMEHUB_TEST_ORACLE"]; got != login {
		t.Errorf("the workflow logs in as %q, want %q", got, login)
	}
	ran := false
	for _, s := range workflow.Jobs.Live.Steps {
		ran = ran || s.Run == "make live"
	}
	if !ran {
		t.Error("the workflow does not run make live")
	}
	checkMakefile(t, login)
}

// checkMakefile holds that the targets exist, name files that exist, and select tests that exist.
func checkMakefile(t *testing.T, login string) {
	t.Helper()
	raw, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	recipe := func(target string) string {
		m := regexp.MustCompile(`(?m)^` + target + `:.*\n((?:\t.*\n)+)`).FindSubmatch(raw)
		if m == nil {
			t.Fatalf("the Makefile has no target %s", target)
		}
		return string(m[1])
	}
	if r := recipe("oracle"); !strings.Contains(r, "-f deploy/compose.oracle.yaml up") {
		t.Errorf("make oracle runs %s", r)
	}
	live := recipe("live")
	m := regexp.MustCompile(`-run '([^']+)' \S*((?: \S+)*)`).FindStringSubmatch(live)
	if m == nil || !strings.Contains(live, login) {
		t.Fatalf("make live runs %s", live)
	}
	names, selects := testsOf(t, strings.Fields(m[2])), regexp.MustCompile(m[1])
	if r := recipe("oracle"); !strings.Contains(r, "< docs/oracle-grants.sql") {
		t.Errorf("make oracle grants nothing: %s", r)
	}
	for _, want := range []string{"TestLiveOracleProfile", "TestLiveOracleConformance", "TestLiveOracleMigrations", "TestLiveOraclePools", "TestLiveOracleReplicas"} {
		if !slices.Contains(names, want) || !selects.MatchString(want) {
			t.Errorf("make live does not run %s", want)
		}
	}
}

// testsOf lists the tests of packages by reading their files; `go test -list` would compile each of them.
func testsOf(t *testing.T, packages []string) []string {
	t.Helper()
	var names []string
	for _, pkg := range packages {
		files, err := filepath.Glob(filepath.Join("../..", pkg, "*_test.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no tests, %v", pkg, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(text, -1) {
				names = append(names, string(m[1]))
			}
		}
	}
	return names
}
