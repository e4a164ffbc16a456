package cmd

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

var update = flag.Bool("update", false, "write the table of promises anew")

// promiseFile is the table that tells what keeps each promise of the five policies.
const promiseFile = "../test/scenarios/PROMISES.md"

// promise is one promise of a policy, in our words, and what keeps it: fixtures whose names start with its id, tests, or why a
// gateway cannot.
type promise struct {
	ID, Clause, Promise string
	Not, Partly         string
	Tests               []string
}

// platform is a file of promises.
type platform struct {
	name     string
	promises []promise
}

// TestPromises holds the table against the promises, the fixtures and the tests. `go test ./cmd -run TestPromises -update` writes it.
func TestPromises(t *testing.T) {
	platforms := readPlatforms(t)
	if len(platforms) == 0 {
		t.Fatal("there are no promises")
	}
	proofs := map[string][]string{}
	for _, s := range scenarioSuites(t) {
		for _, f := range s.fixtures {
			addProof(proofs, f.Name)
		}
	}
	for _, of := range proofs {
		slices.SortStableFunc(of, byNumber)
	}
	table, errs := promiseTable(platforms, proofs, testNames(t))
	for _, err := range errs {
		t.Error(err)
	}
	wantAllPromises(t, platforms)
	if *update {
		if err := os.WriteFile(promiseFile, []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(promiseFile); err != nil || string(have) != table {
		t.Errorf("%s is not what the promises, fixtures and tests say: write it anew with -update", promiseFile)
	}
}

func readPlatforms(t *testing.T) (platforms []platform) {
	t.Helper()
	files, err := filepath.Glob("../test/scenarios/*.promises.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p := platform{name: strings.TrimSuffix(filepath.Base(file), ".promises.yaml")}
		if err := yaml.Load(data, &p.promises, yaml.WithKnownFields()); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		platforms = append(platforms, p)
	}
	return platforms
}

// proving is how a fixture names the promise that it proves: C0-2.1/1, or with an x one beyond the sample of scenarios.
var proving = regexp.MustCompile(`^([A-Z]\d-[^/ ]+)/(x?\d+) `)

func addProof(proofs map[string][]string, fixture string) {
	if m := proving.FindStringSubmatch(fixture); m != nil {
		proofs[m[1]] = append(proofs[m[1]], m[2])
	}
}

// byNumber puts the sample's scenarios first.
func byNumber(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) }

// testNames are the tests of the whole repository.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err := filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range declared.FindAllSubmatch(text, -1) {
			names[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// promiseTable writes the table, and finds what is promised and not proven.
func promiseTable(platforms []platform, proofs map[string][]string, tests map[string]bool) (table string, errs []error) {
	var b strings.Builder
	seen, policies := map[string]bool{}, map[string]bool{} // policies by how their ids start: C0-
	all, whole, partly, not := 0, 0, 0, 0
	for _, platform := range platforms {
		fmt.Fprintf(&b, "\n## %s\n\n| promise | clause | | kept by |\n|---|---|---|---|\n", platform.name)
		for _, p := range platform.promises {
			if seen[p.ID] {
				errs = append(errs, fmt.Errorf("%s stands there twice", p.ID))
			}
			seen[p.ID], policies[p.ID[:min(3, len(p.ID))]] = true, true
			errs = append(errs, p.check(proofs[p.ID], tests)...)
			switch {
			case p.Not != "":
				not++
			case p.Partly != "":
				partly++
			default:
				whole++
			}
			all++
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", p.ID, cell(p.Clause), cell(p.Promise), cell(p.keptBy(proofs[p.ID])))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(proofs)) {
		if policies[id[:3]] && !seen[id] {
			errs = append(errs, fmt.Errorf("fixtures prove %s, which nobody promised", id))
		}
	}
	head := fmt.Sprintf(`# What the five policies promise, and what keeps it

Written by a test, from the promises beside this file, the fixtures and the tests: see cmd/promises_test.go. Of %d promises a
gateway keeps %d as far as data passes it, %d in part, and %d not at all. Fixtures are named by the promise that they prove, with
an x beyond the sample of scenarios; run them with `+"`minimize test --run 'ID/' test/scenarios`"+`.
`, all, whole, partly, not)
	return head + b.String(), errs
}

// check reports what a promise lacks.
func (p *promise) check(proofs []string, tests map[string]bool) (errs []error) {
	fail := func(why string) { errs = append(errs, fmt.Errorf("%s %s", p.ID, why)) }
	if p.ID == "" || p.Promise == "" || p.Clause == "" {
		fail("lacks its id, its clause or its words")
	}
	switch proven := len(proofs)+len(p.Tests) > 0; {
	case p.Not != "" && p.Partly != "":
		fail("is kept in part and not at all")
	case p.Not != "" && proven:
		fail("cannot be kept, and something proves it")
	case p.Not == "" && !proven:
		fail("is proven by nothing, and nothing says why")
	}
	for _, name := range p.Tests {
		if !tests[name] {
			fail("names the test " + name + ", which does not exist")
		}
	}
	return errs
}

func (p *promise) keptBy(proofs []string) string {
	var by []string
	if len(proofs) > 0 {
		by = append(by, p.ID+"/"+strings.Join(proofs, ", /"))
	}
	by = append(by, p.Tests...)
	text := strings.Join(by, "; ")
	switch {
	case p.Not != "":
		return "**not**: " + p.Not
	case p.Partly != "":
		return text + "<br>**in part**: " + p.Partly
	}
	return text
}

// cell is a text as a table of Markdown can hold it.
func cell(text string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(text, "|", `\|`)), " ")
}

// platformCount is how many policies there are, promiseCount how many promises in them.
const platformCount, promiseCount = 5, 184

// wantAllPromises misses what the policies promise and nobody wrote down.
func wantAllPromises(t *testing.T, platforms []platform) {
	t.Helper()
	var ids []string
	prefixes := map[string]bool{}
	for _, platform := range platforms {
		for _, p := range platform.promises {
			ids = append(ids, p.ID)
			prefix, _, _ := strings.Cut(p.ID, "-")
			prefixes[prefix] = true
		}
	}
	if len(platforms) >= platformCount && len(ids) != promiseCount {
		t.Errorf("there are %d promises, want %d", len(ids), promiseCount)
	}
	index, err := os.ReadFile("../../shared/promises/promises.md")
	if errors.Is(err, fs.ErrNotExist) {
		return // they are not beside the checkout
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^\| (([A-Z]\d)-[^ |]+) \|`).FindAllStringSubmatch(string(index), -1) {
		if prefixes[m[2]] && !slices.Contains(ids, m[1]) {
			t.Errorf("the promise %s is missing", m[1])
		}
	}
}

// TestPromiseTable: a promise without a proof is found, and so is one with a wrong one.
func TestPromiseTable(t *testing.T) {
	proofs := map[string][]string{}
	for _, name := range []string{"A0-1/1 first", "A0-1/x1 more", "A0-2/1 second", "A0-9/1 nobody's", "9/1 of a law"} {
		addProof(proofs, name)
	}
	table, errs := promiseTable([]platform{{"a", []promise{
		{ID: "A0-1", Clause: "1", Promise: "this | that"},
		{ID: "A0-2", Clause: "2", Promise: "p", Partly: "what\npasses elsewhere"},
		{ID: "A0-3", Clause: "3", Promise: "p", Not: "it is paper"},
		{ID: "A0-4", Clause: "4", Promise: "p", Tests: []string{"TestThere"}},
	}}, {"b", []promise{
		{ID: "A0-1", Clause: "1", Promise: "p"}, {ID: "A0-5", Clause: "5", Promise: "p"}, {ID: "A0-6", Promise: "p", Not: "n"},
		{ID: "A0-2", Clause: "2", Promise: "p", Not: "n"}, {ID: "A0-7", Clause: "7", Promise: "p", Not: "n", Partly: "n"},
		{ID: "A0-8", Clause: "8", Promise: "p", Tests: []string{"TestGone"}},
	}}}, proofs, map[string]bool{"TestThere": true})
	for _, row := range []string{
		"| A0-1 | 1 | this \\| that | A0-1/1, /x1 |", "| A0-2 | 2 | p | A0-2/1<br>**in part**: what passes elsewhere |",
		"| A0-3 | 3 | p | **not**: it is paper |", "| A0-4 | 4 | p | TestThere |", "Of 10 promises",
	} {
		if !strings.Contains(table, row) {
			t.Errorf("%q is not in the table", row)
		}
	}
	got := errors.Join(errs...).Error()
	for _, want := range []string{
		"A0-1 stands there twice", "A0-5 is proven by nothing", "A0-6 lacks", "A0-2 cannot be kept", "A0-7 is kept in part and not at all",
		"A0-8 names the test TestGone", "fixtures prove A0-9",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not found:\n%s", want, got)
		}
	}
	if len(errs) != 8 { // A0-2 stands there twice, too
		t.Errorf("%d errors:\n%s", len(errs), got)
	}
}
