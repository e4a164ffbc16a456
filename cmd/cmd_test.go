package cmd

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestUnknownFlag: a flag that no command has is told, once, and is no finding.
func TestUnknownFlag(t *testing.T) {
	root := &cobra.Command{Use: "minimize"}
	addCommands(root)
	var try func(c *cobra.Command, path ...string)
	try = func(c *cobra.Command, path ...string) {
		for _, sub := range c.Commands() {
			try(sub, append(path, sub.Name())...)
		}
		if !c.Runnable() {
			return
		}
		code, out, errs := runCommand(t, "", append(path, "--bogus")...)
		want := "Error: unknown flag: --bogus\nSee: minimize " + strings.Join(path, " ") + " --help\n"
		if code != 2 || out != "" || errs != want {
			t.Errorf("%v: exit code %d, output %q, errors %q", path, code, out, errs)
		}
	}
	try(root)
}
