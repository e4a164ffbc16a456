// Package cmd holds the commands that the gateway adds to Caddy: `caddy minimize test`, `caddy minimize demo` and the others of
// `caddy minimize --help`.
package cmd

import (
	"slices"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// commands are registered below `caddy minimize`, in the order of its help.
var commands = []func() *cobra.Command{
	initCommand, testCommand, explainCommand, matrixCommand, lintCommand, scanCommand, coverageCommand, consentCommand, auditCommand, demoCommand,
}

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:      "minimize",
		Short:     "Tests rules and shows what the minimizing gateway does",
		Long:      "Commands of the gateway that minimizes personal data. The gateway itself is configured in a Caddyfile and started by `run`.",
		CobraFunc: addCommands,
	})
}

func addCommands(c *cobra.Command) {
	cobra.AddTemplateFunc("once", once)
	c.SetUsageTemplate(strings.NewReplacer(
		"{{.UseLine}}", "{{once .UseLine}}", "{{.CommandPath}}", "{{once .CommandPath}}",
	).Replace(c.UsageTemplate()))
	c.SetFlagErrorFunc(usageError) // of all below it
	for _, command := range commands {
		c.AddCommand(command())
	}
}

// once is how a command is called: our own binary needs the word `minimize` only once, see Shorten.
func once(path string) string { return strings.Replace(path, "minimize minimize", "minimize", 1) }

// Shorten lets our own binary be called without the word `minimize` in the middle: `minimize demo` is `caddy minimize demo`.
func Shorten(args []string) []string {
	if len(args) < 2 {
		return args
	}
	for _, command := range commands {
		if command().Name() == args[1] {
			return slices.Insert(slices.Clone(args), 1, "minimize")
		}
	}
	return args
}
