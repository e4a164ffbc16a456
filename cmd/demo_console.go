package cmd

import (
	"context"
	"io"
	"os"
	"os/exec"

	"golang.org/x/term"
)

// demoOfficer may see the console, and search for a person there.
func demoOfficer() *demoCaller {
	return &demoCaller{Name: "security", Who: "looks at the console", claims: map[string]any{"sub": "o-1", "role": "security"}}
}

// console is the address of the console, which signs the officer in.
func (d *demo) console() string { return d.url + "/console/" }

// shows reports whether somebody sits before it who has a browser: a terminal, on a display.
func shows(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) && (os.Getenv("DISPLAY") != "" || os.Getenv("WAYLAND_DISPLAY") != "") && os.Getenv("CI") == ""
}

// openBrowser opens a page as the desktop does. The address is printed, too: where it fails, nothing is lost.
func openBrowser(ctx context.Context, url string) {
	if c := exec.CommandContext(ctx, "xdg-open", url); c.Start() == nil {
		go func() { _ = c.Wait() }()
	}
}
