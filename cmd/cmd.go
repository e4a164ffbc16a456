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
		Name:  "minimize",
		Short: "Tests rules and shows what the minimizing gateway does",
		Long: `Commands of the gateway that minimizes personal data: for its rules, its consents and its audit log.

The gateway itself is Caddy, configured in a Caddyfile: ` + "`minimize run`" + ` starts it, and validate, reload, adapt, fmt, list-modules and all other
commands of Caddy are there; ` + "`minimize help run`" + ` tells more. ` + "`minimize demo`" + ` shows all of it at work.`,
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

// Shorten lets our own binary be called without the word `minimize` in the middle: `minimize demo` is `caddy minimize demo`,
// and `minimize --help` tells of our commands, since Caddy's help knows nothing of them.
func Shorten(args []string) []string {
	helps := len(args) > 1 && slices.Contains([]string{"help", "--help", "-h"}, args[1])
	switch {
	case len(args) == 1, len(args) == 2 && helps:
		return []string{args[0], "minimize", "--help"}
	case helps && isOurs(args[2]):
		return slices.Insert(slices.Clone(args), 2, "minimize")
	case isOurs(args[1]):
		return slices.Insert(slices.Clone(args), 1, "minimize")
	}
	return args
}

func isOurs(name string) bool {
	return slices.ContainsFunc(commands, func(command func() *cobra.Command) bool { return command().Name() == name })
}
