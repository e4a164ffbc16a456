package cmd

import (
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

//go:embed init
var initFiles embed.FS

func initCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "init [folder]",
		Short: "Writes a first Caddyfile, rule document and fixtures",
		Long: `Writes a Caddyfile in report mode, a rule document and fixtures for it, with comments that say what to change, into this folder or
the one that is named. They run as they are. Where one of these files is there already, nothing is written.

Exit codes: 0 written, 1 nothing was written, 2 wrong usage.`,
		SilenceErrors: true, // printed readably already
		SilenceUsage:  true,
	}
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usageError(c, errors.New("name one folder, or none for this one"))
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		dir := "."
		if len(args) > 0 {
			dir = args[0]
		}
		ours := once(strings.TrimSuffix(c.CommandPath(), " init"))
		return exitWith(c, writeFirstFiles(c.OutOrStdout(), c.ErrOrStderr(), dir, ours, c.Root().Name()))
	}
	return c
}

// writeFirstFiles writes all of the first files or none, and says what to do with them. ours and caddys are how commands
// are called.
func writeFirstFiles(out, errs io.Writer, dir, ours, caddys string) int {
	files, err := firstFiles(dir)
	for _, file := range files {
		if err == nil {
			err = writeFirstFile(dir, file)
		}
	}
	if err != nil {
		fmt.Fprintf(errs, "writing the first files: %v\n", err)
		return exitFound
	}
	p := newPainter(out)
	fmt.Fprintln(out, p.paint(green, "Written:"))
	for _, file := range files {
		fmt.Fprintln(out, "  "+filepath.Join(dir, file))
	}
	fmt.Fprintln(out, "\n"+p.paint(bold, "Next:"))
	if dir != "." {
		fmt.Fprintln(out, "  cd "+dir)
	}
	for _, step := range []struct{ command, does string }{
		{ours + " test fixtures", "runs the fixtures against the rules; both are yours to change"},
		{ours + " explain --role support --purpose after_sales YOUR.json", "says of each value of yours what happens to it, and why"},
		{ours + " show", "what each role gets"},
		{caddys + " validate", "checks the Caddyfile and the rules"},
		{caddys + " run", "starts the gateway, once the Caddyfile names your issuer and your API"},
	} {
		fmt.Fprintf(out, "  %s   %s\n", step.command, p.paint(faint, "# "+step.does))
	}
	return exitOK
}

// firstFiles are the names of what is written. It is an error if one of them is there.
func firstFiles(dir string) (files []string, err error) {
	var there []string
	err = fs.WalkDir(initFiles, "init", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		file := filepath.FromSlash(strings.TrimPrefix(path, "init/"))
		if _, err := os.Lstat(filepath.Join(dir, file)); !errors.Is(err, fs.ErrNotExist) {
			there = append(there, filepath.Join(dir, file))
		}
		files = append(files, file)
		return nil
	})
	if err == nil && len(there) > 0 {
		err = fmt.Errorf("%s: there already, and nothing is overwritten; name another folder", strings.Join(there, ", "))
	}
	return files, err
}

func writeFirstFile(dir, file string) error {
	data, err := initFiles.ReadFile("init/" + filepath.ToSlash(file))
	if err != nil {
		return err
	}
	path := filepath.Join(dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
