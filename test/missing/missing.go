// Package missing says what becomes of a test whose tool is not installed.
package missing

import (
	"os"
	"testing"
)

// Tool skips the test, and fails it under MINIMIZE_SKIP=fail, by which the continuous integration sees that nothing was left out.
func Tool(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("MINIMIZE_SKIP") == "fail" {
		t.Fatal(why)
	}
	t.Skip(why)
}
