// Package cmd holds the commands that the gateway adds to Caddy: `caddy minimize test`, `caddy minimize demo` and the others of
// `caddy minimize --help`.
package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
)

// commands are registered below `caddy minimize`, in the order of its help.
var commands = []func() *cobra.Command{
	initCommand, testCommand, explainCommand, showCommand, lintCommand, scanCommand, coverageCommand, consentCommand, auditCommand, dashboardsCommand, demoCommand,
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

// The exit codes of all commands.
const (
	exitOK     = iota
	exitFound  // what a pipeline should stop for
	exitBroken // the input or the usage: nothing was done
)

// usageError says what is wrong with the command line.
func usageError(c *cobra.Command, err error) error {
	c.SilenceErrors, c.SilenceUsage = true, true
	fmt.Fprintf(c.ErrOrStderr(), "Error: %v\nSee: %s --help\n", err, once(c.CommandPath()))
	return exitWith(c, exitBroken)
}

// exitWith makes an error that Caddy turns into the exit code, and of which it prints nothing.
func exitWith(c *cobra.Command, code int) error {
	switch code {
	case 0:
		return nil
	case 1:
		return errors.New("exiting with status 1")
	default:
		// Caddy keeps its error with an exit code to itself, and makes one here.
		return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(c, nil)
	}
}

// broken says why nothing was done.
func broken(errs io.Writer, err error, nothing string) int {
	fmt.Fprintf(errs, "%v\n%s Mend this first.\n", err, nothing)
	return exitBroken
}

// printJSON prints what machines read.
func printJSON(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
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
