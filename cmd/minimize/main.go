// Command minimize is Caddy with its standard modules and the minimizing gateway.
package main

import (
	"os"
	_ "time/tzdata" // a minimal container image has no time zones of its own

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/caddy-minimize/minimize"
	"github.com/caddy-minimize/minimize/cmd"
)

func main() {
	caddy.CustomBinaryName = "minimize"
	os.Args = cmd.Shorten(os.Args)
	caddycmd.Main()
}
