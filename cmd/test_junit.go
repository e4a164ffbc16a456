package cmd

import (
	"encoding/xml"
	"fmt"
	"os"
	"strings"
)

// junitSuites is the document that CI systems read as JUnit's: a test suite for each file of fixtures, a test case for each
// fixture. There is no standard; https://github.com/testmoapp/junitxml describes what they have in common.
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	File    string        `xml:"file,attr"`
	Line    int           `xml:"line,attr"`
	Failure *junitFailure `xml:"failure"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",cdata"`
}

func writeJUnit(file string, results []*result) error {
	doc := junitSuites{Tests: len(results), Failures: countFailed(results)}
	for _, r := range results {
		if n := len(doc.Suites); n == 0 || doc.Suites[n-1].Name != r.File {
			doc.Suites = append(doc.Suites, junitSuite{Name: r.File})
		}
		s := &doc.Suites[len(doc.Suites)-1]
		s.Tests++
		c := junitCase{Class: r.File, Name: r.Name, File: r.File, Line: r.Line}
		if !r.Passed {
			s.Failures++
			c.Failure = r.junitFailure()
		}
		s.Cases = append(s.Cases, c)
	}
	data, err := xml.MarshalIndent(doc, "", "  ")
	if err == nil {
		err = os.WriteFile(file, append([]byte(xml.Header), append(data, '\n')...), 0o644)
	}
	if err != nil {
		return fmt.Errorf("writing the JUnit file: %w", err)
	}
	return nil
}

func (r *result) junitFailure() *junitFailure {
	var text strings.Builder
	for _, d := range r.Differences {
		fmt.Fprintf(&text, "%s\n  want %s\n  got  %s\n", d.place(), orNothing(d.Want), orNothing(d.Got))
	}
	return &junitFailure{fmt.Sprintf("%d differences, the first at %s", len(r.Differences), r.Differences[0].place()), text.String()}
}

// place is where a difference is, in words.
func (d *difference) place() string {
	if d.At == "" {
		return "the whole body"
	}
	return d.At
}
