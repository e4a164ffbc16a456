// Package minimize is what `xcaddy build --with github.com/caddy-minimize/minimize` imports: the Caddy modules and the
// commands beside them. The module's path stands in go.mod, here and in the README; whoever renames it starts with those.
package minimize

import (
	_ "github.com/caddy-minimize/minimize/cmd"    // caddy minimize …
	_ "github.com/caddy-minimize/minimize/module" // http.handlers.minimize and its app
)
