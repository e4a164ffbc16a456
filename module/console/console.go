// Package console is what the web page for security teams looks like: a frame, and a template for each page. It knows
// neither Caddy nor where the numbers come from: it draws what it is given.
//
// A page NAME is NAME.html, whose template "main" shows the view struct of NAME.go. It works without script; console.js
// freshens what has a data-live attribute, and helps.
package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io"
	"path"
	"strings"
)

//go:embed *.html static
var files embed.FS

// Page is one of the console's pages.
type Page struct {
	Name  string // the last step of its path
	Title string
	About string // a sentence below the title
}

// Pages are all pages, in the order of the navigation. The first one is shown where none is named.
var Pages = []Page{
	{"now", "Now", "Decisions as they are made, the refused ones first, and how each route is protected."},
	{"matrix", "Matrix", "What the rules let each role and recipient have, and the rule that says so."},
	{"try", "Try", "A document before and after, with the reason for each change. Nothing of it is kept."},
	{"flows", "Flows", "Which categories of data went to whom, and to which countries."},
	{"evidence", "Evidence", "The audit log: who received what, and whether the log is whole."},
	{"consents", "Consents", "What a person agreed to, objected to, and took back."},
}

// Frame is what stands around a page.
type Frame struct {
	Page Page
	Role string // of whom it is shown to
}

// Refusal is the view of a page that is not shown.
type Refusal struct {
	Status int
	Text   string
}

// refusal is the page of a Refusal. It has no place in the navigation.
const refusal = "refusal"

var templates = parse()

func parse() map[string]*template.Template {
	functions := template.FuncMap{
		"asset": assetPath, "pages": func() []Page { return Pages }, "clock": clock, "moment": moment, "count": count,
		"plural": plural, "join": strings.Join, "first": first, "directions": directions, "actions": Actions, "treated": treated,
	}
	layout := template.Must(template.New("layout.html").Funcs(functions).ParseFS(files, "layout.html", "parts.html"))
	all := make(map[string]*template.Template)
	for _, page := range append(Pages[:len(Pages):len(Pages)], Page{Name: refusal}) {
		all[page.Name] = template.Must(template.Must(layout.Clone()).ParseFS(files, page.Name+".html"))
	}
	return all
}

// Find returns the page of a name.
func Find(name string) (Page, bool) {
	for _, p := range Pages {
		if p.Name == name {
			return p, true
		}
	}
	return Page{}, false
}

// Render writes a page with its view.
func Render(w io.Writer, frame Frame, view any) error {
	return render(w, frame.Page.Name, frame, view)
}

// Refuse writes the page of a refusal. It shows nothing but its text: whoever reads it may not be known.
func Refuse(w io.Writer, r Refusal) error {
	return render(w, refusal, Frame{Page: Page{Title: r.Text}}, r)
}

func render(w io.Writer, name string, frame Frame, view any) error {
	return templates[name].Execute(w, struct {
		Frame
		View any
	}{frame, view})
}

// Asset is a file that pages link to.
type Asset struct {
	Type string
	Data []byte
}

// assets are the files by their hashed names, so that a browser may keep them for good.
var assets, hashed = readAssets()

func readAssets() (map[string]Asset, map[string]string) {
	assets, hashed := make(map[string]Asset), make(map[string]string)
	for name, mediaType := range map[string]string{
		"console.css": "text/css; charset=utf-8", "console.js": "text/javascript; charset=utf-8", "mark.svg": "image/svg+xml",
	} {
		data, err := files.ReadFile("static/" + name)
		if err != nil {
			panic(fmt.Sprintf("reading an embedded file: %v", err)) // the binary was built without it
		}
		sum := sha256.Sum256(data)
		ext := path.Ext(name)
		own := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
		assets[own], hashed[name] = Asset{mediaType, data}, own
	}
	return assets, hashed
}

// FindAsset returns the file of a hashed name.
func FindAsset(name string) (Asset, bool) {
	a, ok := assets[name]
	return a, ok
}

// assetPath is a file's path from any page.
func assetPath(name string) string { return "static/" + hashed[name] }
