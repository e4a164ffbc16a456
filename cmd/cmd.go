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
	initCommand, testCommand, explainCommand, showCommand, lintCommand, scanCommand, coverageCommand, consentCommand, auditCommand, demoCommand,
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
