package cmd

import (
	"html/template"
	"net/http"
)

var demoTemplate = template.Must(template.ParseFS(demoFiles, "demo/page.html"))

// page shows in a browser what the terminal shows, asked anew each time: whoever edits the rules reloads it.
func (d *demo) page(w http.ResponseWriter, r *http.Request) {
	seen, err := d.ask(r.Context())
	if err != nil {
		http.Error(w, "asking as the demo's callers: "+err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = demoTemplate.Execute(w, map[string]any{ // a client that is gone needs no answer
		"Seen": seen, "Curls": d.curls(), "Export": d.curl(demoExport, d.callers[demoRefusedCaller]), "Dir": d.dir,
		"Withdraw": d.withdrawCurl(), "Agree": d.agreeCurl(),
	})
}
