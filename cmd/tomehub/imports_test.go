package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tomehub/tomehub"

// mayImport says which of our packages each package may import. A package that is not
// listed here fails the test: a new one states its place in the house first.
// Arrows run one way, downward; server, profiler and loadtest never meet.
var mayImport = map[string][]string{
	"cmd/tomehub": {
		"deploy", "internal/pool", "internal/supervisor", "loadtest", "profiler", "reports", "scenarios", "server", "server/answer", "server/breaker", "server/identity",
		"server/lab", "server/library", "server/library/demo", "server/limit", "server/memory", "server/store", "server/trace",
	},
	"server":                       {"internal/gate", "internal/pool", "server/answer", "server/breaker", "server/identity", "server/lab", "server/library", "server/limit", "server/memory", "server/page", "server/store", "server/trace"},
	"server/answer":                {"internal/gate", "server/breaker", "server/library/extract", "server/trace", "server/words"},
	"server/breaker":               {},
	"server/identity":              {},
	"server/limit":                 {},
	"server/memory":                {},
	"server/memory/memorytest":     {},
	"server/library":               {"internal/gate", "internal/pool", "server/library/extract", "server/store", "server/trace"},
	"server/lab":                   {"internal/pool", "server/memory"},
	"server/library/demo":          {},
	"server/library/extract":       {},
	"server/store":                 {"internal/pool", "server/trace", "server/words"},
	"server/store/storetest":       {"server/store"},
	"server/page":                  {},
	"internal/browser":             {},
	"internal/gate":                {},
	"internal/oracletest/tomedata": {"internal/oracletest"},
	"internal/pool":                {"internal/gate"},
	"internal/supervisor":          {},
	"internal/oracletest":          {},
	"server/trace":                 {},
	"server/words":                 {},
	"profiler":                     {"reports"},
	"loadtest":                     {"reports"},
	"reports":                      {},
	"scenarios":                    {},
	"deploy":                       {},
}

// onlyIn says where a foreign package may be imported by what goes into the binary. A test may
// hold our own work against any library.
var onlyIn = map[string]string{
	"github.com/gin-gonic/gin":                "server",
	"modernc.org/sqlite":                      "internal/pool",
	"github.com/sijms/go-ora/v2":              "internal/pool",
	"github.com/tsenart/vegeta/v12/lib":       "loadtest/attack.go loadtest/vegeta.go",
	"github.com/spf13/cobra":                  "cmd/tomehub",
	"github.com/spf13/pflag":                  "cmd/tomehub",
	"github.com/olekukonko/tablewriter":       "reports",
	"github.com/redis/go-redis/v9":            "server/library server/limit",
	"github.com/vbauerster/mpb/v8":            "cmd/tomehub",
	"charm.land/bubbletea/v2":                 "cmd/tomehub",
	"github.com/joho/godotenv":                "cmd/tomehub",
	"github.com/yuin/goldmark":                "server/library/extract",
	"github.com/maypok86/otter/v2":            "server/answer server/library server/identity",
	"github.com/coreos/go-systemd/v22":        "cmd/tomehub internal/supervisor",
	"github.com/sony/gobreaker/v2":            "server/breaker",
	"github.com/golang-jwt/jwt/v5":            "server/identity",
	"github.com/shirou/gopsutil/v3":           "loadtest server/memory",
	"github.com/rogpeppe/go-internal":         "cmd/tomehub",
	"github.com/pb33f/libopenapi":             "server",
	"github.com/HdrHistogram/hdrhistogram-go": "loadtest",
	"github.com/prometheus/client_golang":     "cmd/tomehub server",
	"github.com/prometheus/common":            "loadtest",
	"github.com/prometheus/client_model":      "loadtest",
	"go.opentelemetry.io/proto/slim/otlp":     "server/trace",
	"google.golang.org/protobuf":              "server/trace",
}

// testMayImport is what tests may import on top: real parts instead of fakes.
var testMayImport = map[string][]string{
	"internal/pool":  {"internal/oracletest"},
	"profiler":       {"internal/oracletest", "internal/oracletest/tomedata", "internal/pool"},
	"reports":        {"internal/browser"},
	"server":         {"internal/browser", "internal/oracletest", "internal/oracletest/tomedata", "server/library/demo", "server/store/storetest", "server/words"},
	"server/library": {"server/library/demo", "server/words"},
	"server/memory":  {"server/memory/memorytest"},
	"server/store":   {"internal/oracletest", "internal/oracletest/tomedata", "server/store/storetest"},
	"cmd/tomehub":    {"internal/oracletest", "internal/oracletest/tomedata", "server/library/extract", "server/memory/memorytest"},
}

func TestImportsRunOneWay(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	err = filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, file)
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			// tools holds modules of their own.
			if rel != "." && (strings.HasPrefix(d.Name(), ".") || rel == "tools" || d.Name() == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(rel, ".go") {
			seen[path.Dir(rel)] = true
			checkImports(t, file, rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range mayImport {
		if !seen[pkg] && pkg != "server/identity" {
			t.Errorf("mayImport lists %s, which is not in the tree", pkg)
		}
	}
}

// checkImports holds one file against the two tables.
func checkImports(t *testing.T, file, rel string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
	if err != nil {
		t.Error(err)
		return
	}
	pkg := path.Dir(rel)
	allowed, listed := mayImport[pkg]
	if !listed {
		t.Errorf("%s: package %s is not listed in mayImport", rel, pkg)
	}
	if strings.HasSuffix(rel, "_test.go") {
		allowed = append(append([]string{pkg}, allowed...), testMayImport[pkg]...)
	}
	for _, spec := range parsed.Imports {
		imported, _ := strconv.Unquote(spec.Path.Value)
		if ours, isOurs := strings.CutPrefix(imported, module+"/"); isOurs {
			if !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s; %s may import %v", rel, ours, pkg, allowed)
			}
			continue
		}
		if strings.HasSuffix(rel, "_test.go") {
			continue
		}
		for foreign, places := range onlyIn {
			if (imported == foreign || strings.HasPrefix(imported, foreign+"/")) && !inPlaces(rel, pkg, places) {
				t.Errorf("%s imports %s, which belongs in %s alone", rel, imported, places)
			}
		}
	}
}

func inPlaces(rel, pkg, places string) bool {
	for _, place := range strings.Fields(places) {
		if place == pkg || place == rel {
			return true
		}
	}
	return false
}

// Only cmd reads the environment, ends the process, or starts a context of its own.
func TestOnlyCmdTouchesTheProcess(t *testing.T) {
	root, _ := filepath.Abs("../..")
	f := func(file string) {
		fset := token.NewFileSet()
		parsed, err := parser.ParseFile(fset, file, nil, 0)
		if err != nil {
			t.Error(err)
			return
		}
		for _, use := range selectorUses(parsed) {
			switch use.name {
			case "os.Exit", "os.Getenv", "os.LookupEnv", "os.Environ", "context.Background", "context.TODO", "flag.Parse", "log.Fatal", "log.Printf":
				t.Errorf("%s uses %s; only cmd may", fset.Position(use.pos), use.name)
			}
		}
	}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, file)
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel != "." && (strings.HasPrefix(d.Name(), ".") || rel == "tools" || rel == "cmd" || d.Name() == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		// Test-support packages (storetest, oracletest) start tests, which have no caller's context.
		if strings.HasSuffix(rel, ".go") && !strings.HasSuffix(rel, "_test.go") && !strings.Contains(rel, "storetest/") && !strings.Contains(rel, "oracletest/") {
			f(file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

type selectorUse struct {
	name string
	pos  token.Pos
}

// selectorUses lists every package.Name that a file uses.
func selectorUses(f *ast.File) []selectorUse {
	var uses []selectorUse
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Obj == nil {
				uses = append(uses, selectorUse{pkg.Name + "." + sel.Sel.Name, sel.Pos()})
			}
		}
		return true
	})
	return uses
}
