package test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const modulePath = "github.com/caddy-minimize/minimize"

// TestRulesKnowNoServer holds what the domain is made of against a list, so that no policy ever hangs on HTTP, Caddy or
// a metric, and a new dependency is a decision.
func TestRulesKnowNoServer(t *testing.T) {
	modules := []string{
		"go.yaml.in/yaml/v4",
		"golang.org/x/text",
		modulePath + "/rules",
	}
	for _, path := range goList(t, "-deps", "./rules/...") {
		first, _, _ := strings.Cut(path, "/")
		switch {
		case path == "net/http" || path == "database/sql" || path == "os/exec":
			t.Errorf("rules reaches %s: the domain speaks to nobody", path)
		case !strings.Contains(first, "."): // the standard library
		case !slices.ContainsFunc(modules, func(m string) bool { return path == m || strings.HasPrefix(path, m+"/") }):
			t.Errorf("rules reaches %s: it is not in this test's list", path)
		}
	}
}

// TestEveryPackageSaysWhatItIs wants a doc comment for each package.
func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, line := range goList(t, "-f", "{{if .GoFiles}}{{.ImportPath}}\t{{.Doc}}{{end}}", "./...") {
		if path, doc, _ := strings.Cut(line, "\t"); doc == "" {
			t.Errorf("package %s has no doc comment", path)
		}
	}
}

func goList(t *testing.T, args ...string) []string {
	t.Helper()
	command := exec.Command("go", append([]string{"list"}, args...)...)
	command.Dir = ".."
	command.Stderr = os.Stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list %s: %v", strings.Join(args, " "), err)
	}
	return slices.DeleteFunc(strings.Split(string(out), "\n"), func(line string) bool { return line == "" })
}

// TestOptionsAreDocumented wants a comment on each field that an operator may write in the JSON configuration: it is the
// reference that Caddy's module documentation prints.
func TestOptionsAreDocumented(t *testing.T) {
	options := 0
	for _, file := range sources(t, "../module") {
		ast.Inspect(file, func(n ast.Node) bool {
			typ, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			if s, ok := typ.Type.(*ast.StructType); ok && typ.Name.IsExported() {
				for _, field := range s.Fields.List {
					if !isOption(field) {
						continue
					}
					options++
					if field.Doc == nil {
						t.Errorf("the option %s.%s has no comment", typ.Name, field.Names[0])
					}
				}
			}
			return true
		})
	}
	if options == 0 {
		t.Error("no option was found: does this test still look where they are?")
	}
}

func isOption(field *ast.Field) bool {
	if field.Tag == nil || len(field.Names) == 0 || !field.Names[0].IsExported() {
		return false
	}
	name, _, _ := strings.Cut(reflect.StructTag(strings.Trim(field.Tag.Value, "`")).Get("json"), ",")
	return name != "" && name != "-"
}

func sources(t *testing.T, dir string) (files []*ast.File) {
	t.Helper()
	paths, err := filepath.Glob(dir + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// machinePath finds a directory that only one machine has.
var machinePath = regexp.MustCompile(`(^|[^\w.~*])/(home/\w|root/|Users/\w|work/)`)

// TestNothingNamesOneMachine reads every text of the repository.
func TestNothingNamesOneMachine(t *testing.T) {
	err := filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if entry.Name() == ".git" {
				return fs.SkipDir
			}
			return nil
		}
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() > 1<<20 || entry.Name() == "house_test.go" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, line := range strings.Split(string(text), "\n") {
			if machinePath.MatchString(line) {
				t.Errorf("%s:%d names a path of one machine", path, i+1)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
