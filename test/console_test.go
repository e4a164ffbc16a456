//go:build linux

package test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/tidwall/gjson"
)

var consolePages = []string{"now", "matrix", "try", "flows", "evidence", "consents"}

// demoSecrets are the values that the demo's shop has of its buyers. Some are the rules' own words or too short to be told
// from anything else.
func demoSecrets(t *testing.T) (secrets []string) {
	t.Helper()
	data, err := os.ReadFile("../cmd/demo/orders.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"buyer.name", "buyer.phone", "buyer.email", "buyer.id_card", "buyer.passport", "consignee.address.street",
		"payment.card_number", "device.imei", "device.iccid", "device.oaid", "device.idfa", "device.ip", "remark",
	} {
		for _, value := range gjson.GetBytes(data, "#."+path).Array() {
			if value.String() != "" {
				secrets = append(secrets, value.String())
			}
		}
	}
	slices.Sort(secrets)
	if secrets = slices.Compact(secrets); len(secrets) < 50 {
		t.Fatalf("the demo has only %d values", len(secrets))
	}
	return secrets
}

func noSecrets(t *testing.T, where, text string, secrets []string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%s shows %q", where, secret)
		}
	}
}

// TestConsole drives all pages of the console in a real browser, while the demo's traffic goes on.
func TestConsole(t *testing.T) {
	b := openTab(t)
	gateway, err := gatewayBinary()
	if err != nil {
		t.Fatal(err)
	}
	address, dir := startDemo(t, gateway)
	site := "http://" + address
	axe, secrets, ids := axeCore(t), demoSecrets(t), []string{"c-1001", "c-1003", "c-1008"}
	b.look(1280, "light")
	b.open(site + "/console/") // signs in by itself
	b.until("waiting for the demo's first round of traffic", `document.querySelector("#refused tr[data-key]")`)

	t.Run("looks", func(t *testing.T) {
		b.t = t
		for _, width := range []int64{1280, 390} {
			for _, scheme := range []string{"light", "dark"} {
				b.look(width, scheme)
				for _, page := range consolePages {
					b.settled("clicking "+page, chromedp.Click(`nav a[href="`+page+`"]`, chromedp.ByQuery))
					if title := b.text("document.title"); !strings.HasPrefix(strings.ToLower(title), page) {
						t.Errorf("%s has the title %q", page, title)
					}
					name := fmt.Sprintf("%s-%d-%s", page, width, scheme)
					b.fits(name)
					b.ends(name)
					b.accessible(name, axe)
					noSecrets(t, name, b.keep(name), slices.Concat(secrets, ids))
				}
			}
		}
	})

	b.look(1280, "light")
	for _, part := range []struct {
		name  string
		drive func(t *testing.T, b *tab, site, axe string)
	}{
		{"now", driveNow}, {"matrix", driveMatrix}, {"try", driveTry}, {"flows", driveFlows}, {"evidence", driveEvidence}, {"consents", driveConsents},
		{"keyboard", driveByKeyboard}, {"phone", driveOnAPhone}, {"without script", driveWithoutScript},
	} {
		t.Run(part.name, func(t *testing.T) {
			b.t = t
			part.drive(t, b, site, axe)
		})
	}
	b.t = t

	noSecrets(t, "the metrics", get(t, site+"/metrics", "").everything(), slices.Concat(secrets, ids))
	log, err := os.ReadFile(filepath.Join(dir, "audit.jsonl"))
	if err != nil || len(log) == 0 {
		t.Fatalf("the audit log: %v", err)
	}
	noSecrets(t, "the audit log", string(log), slices.Concat(secrets, ids, []string{tried}))
	b.clean(site)
}

// seen wants words on the page.
func (b *tab) seen(words ...string) {
	b.t.Helper()
	text := b.text("document.querySelector('main').innerText")
	for _, word := range words {
		if !strings.Contains(text, word) {
			b.t.Errorf("the page does not show %q:\n%s", word, text[:min(len(text), 3000)])
		}
	}
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.settled("clicking "+selector, chromedp.Click(selector, chromedp.ByQuery))
}

func (b *tab) fill(selector, text string) {
	b.t.Helper()
	quoted, _ := json.Marshal(selector)
	b.do("typing", chromedp.Evaluate(`document.querySelector(`+string(quoted)+`).value = ""`, nil), chromedp.SendKeys(selector, text, chromedp.ByQuery))
}

func driveNow(t *testing.T, b *tab, site, _ string) {
	b.open(site + "/console/now")
	first := b.text(`document.querySelector("#messages tr").dataset.key`)
	b.until("waiting for the next decision", `document.querySelector("#messages tr").dataset.key !== "`+first+`"`)
	b.do("choosing", chromedp.SetValue(`select[name="show"]`, "refused", chromedp.ByQuery))
	b.click("form.filter button")
	if plain := b.text(`document.querySelectorAll("#messages .tag:not(.k-bad)").length`); plain != "0" {
		t.Errorf("of the refused ones %s were not", plain)
	}
	decision := b.text(`document.querySelector("#messages a").href.split("=")[1]`)
	b.settled("following a decision", chromedp.Evaluate(`document.querySelector("#messages a").click()`, nil)) // it may move meanwhile
	b.seen(decision, "refused")
}

func driveMatrix(_ *testing.T, b *tab, site, axe string) {
	b.open(site + "/console/matrix?purpose=after_sales")
	b.settled("clicking a cell", chromedp.Click(`td.c.a-mask a`, chromedp.ByQuery))
	b.seen("support-sees-masked", "rules.yaml:")
	b.accessible("a cell", axe)
	b.keep("matrix-cell")
}

func driveFlows(t *testing.T, b *tab, site, _ string) {
	b.open(site + "/console/flows")
	if n := b.text(`document.querySelectorAll("svg.flows path").length`); n == "0" {
		t.Error("nothing flows")
	}
	b.seen("warehouse", "ads-partner")
}

// tried is typed into Try, and nowhere to be found afterwards.
const tried = "13987650123"

func driveTry(t *testing.T, b *tab, site, axe string) {
	b.open(site + "/console/try")
	b.do("choosing", chromedp.SetValue(`select[name="purpose"]`, "after_sales", chromedp.ByQuery), chromedp.SetValue(`input[name="country"]`, "CN", chromedp.ByQuery),
		chromedp.Click(`input[name="role"][value="support"]`, chromedp.ByQuery))
	b.fill(`input[name="operation"]`, "GET /api/orders")
	b.fill("textarea", `{"orders": [{"order_no": "D1", "buyer": {"id": "u-1", "name": "Ada Example", "phone": "`+tried+`", "id_card": "x"}, "secret": [1, 2]}]}`)
	b.click("form button.primary")
	b.seen("Before", "After", "Why", tried, "support-sees-masked", "minimized")
	after := b.text(`Array.from(document.querySelectorAll("table.both td:nth-child(2)"), td => td.innerText).join("\n")`)
	if strings.Contains(after, tried) || !strings.Contains(after, "0123") {
		t.Errorf("the phone number is not masked on the right:\n%s", after)
	}
	if strings.Contains(b.text("location.href"), "?") {
		t.Error("something of the form is in the address")
	}
	b.accessible("what was tried", axe)
	b.fits("what was tried")
	b.keep("try-after")

	b.fill("textarea", "{\n  \"phone\": \""+tried+"\",\n  \"broken\": ]\n}")
	b.click("form button.primary")
	b.seen("line 3, column 13")
	if kept := b.text(`document.querySelector("textarea").value`); !strings.Contains(kept, tried) || !strings.Contains(kept, "]") {
		t.Errorf("what was typed is gone: %q", kept)
	}
	if role := b.text(`document.querySelector('input[value="support"]').checked`); role != "true" {
		t.Error("the chosen role is gone")
	}
	b.accessible("what is broken", axe)
	b.keep("try-broken")
}

func driveEvidence(t *testing.T, b *tab, site, axe string) {
	b.open(site + "/console/evidence")
	b.do("choosing", chromedp.SetValue(`select[name="role"]`, "courier", chromedp.ByQuery))
	b.click("#search button.primary")
	if strangers := b.text(`Array.from(document.querySelectorAll("table.log tbody td:nth-child(3) strong"), e => e.innerText).filter(r => r !== "courier").length`); strangers != "0" {
		t.Errorf("%s entries are not about the courier", strangers)
	}
	b.seen("for delivery")
	newest := b.text(`document.querySelector("table.log a").href`)
	b.fill(`input[name="subject"]`, "c-1001")
	b.do("choosing", chromedp.SetValue(`select[name="role"]`, "customer", chromedp.ByQuery))
	b.click("#search button.primary")
	b.seen("own_orders")
	if at := b.text("location.href"); strings.Contains(at, "c-1001") {
		t.Errorf("a data subject is in the address %s", at)
	}
	b.fill(`input[name="subject"]`, "nobody-of-that-id")
	b.click("#search button.primary")
	b.seen("No entry")
	b.click(`button[name="verify"]`)
	b.seen("verified", "nothing was changed")
	b.accessible("the chain", axe)
	b.keep("evidence-verified")
	b.open(newest)
	b.seen("Decision", "hash")
	b.accessible("a decision", axe)
	b.keep("evidence-decision")
}

func driveConsents(t *testing.T, b *tab, site, axe string) {
	b.open(site + "/console/consents")
	b.fill(`input[name="subject"]`, "c-1003")
	b.click("form button.primary")
	b.seen("advertising", "ads-partner", "separate", "given")
	if at := b.text("location.href"); strings.Contains(at, "c-1003") {
		t.Errorf("a data subject is in the address %s", at)
	}
	b.accessible("a person", axe)
	b.fits("a person")
	b.keep("consents-person")
	b.fill(`input[name="subject"]`, "c-9999")
	b.click("form button.primary")
	b.seen("knows nobody")
	b.open(site + "/console/evidence") // the look is in the log
	b.do("choosing", chromedp.SetValue(`select[name="direction"]`, "consent", chromedp.ByQuery), chromedp.SetValue(`select[name="role"]`, "", chromedp.ByQuery))
	b.click("#search button.primary")
	b.seen("read")
}

// driveByKeyboard goes to every page and does what it is for, without a mouse.
func driveByKeyboard(t *testing.T, b *tab, site, _ string) {
	b.open(site + "/console/")
	b.tabTo(".skip")
	b.press(kb.Enter)
	if at := b.text("document.activeElement.id"); at != "main" {
		t.Errorf("skipping leads to %q", at)
	}
	for _, page := range consolePages {
		b.open(site + "/console/")
		b.tabTo(`nav a[href="` + page + `"]`)
		b.settled("pressing Enter", chromedp.KeyEvent(kb.Enter))
		if at := b.text("location.pathname"); at != "/console/"+page {
			t.Errorf("Enter leads to %s, not to %s", at, page)
		}
	}
	// Consents: the last page that was opened.
	b.tabTo(`input[name="subject"]`)
	b.do("typing", chromedp.KeyEvent("c-1001"))
	b.settled("pressing Enter", chromedp.KeyEvent(kb.Enter))
	b.seen("advertising")

	b.open(site + "/console/try")
	b.tabTo(`input[name="role"][value="courier"]`)
	b.press(" ")
	b.tabTo("textarea")
	b.tabTo("form button.primary")
	b.settled("pressing Enter", chromedp.KeyEvent(kb.Enter))
	b.seen("to courier")
	b.tabTo("summary")
	b.press(kb.Enter)
	if open := b.text(`document.querySelector("details").open`); open != "true" {
		t.Error("Enter opens no reason")
	}

	b.open(site + "/console/matrix?purpose=delivery")
	b.tabTo("td.c.a-keep a")
	b.settled("pressing Enter", chromedp.KeyEvent(kb.Enter))
	b.seen("permits", "keep")

	b.open(site + "/console/evidence")
	b.tabTo(`button[name="verify"]`)
	b.settled("pressing Enter", chromedp.KeyEvent(kb.Enter))
	b.seen("verified")
}

// driveOnAPhone tries a document on a narrow screen.
func driveOnAPhone(_ *testing.T, b *tab, site, axe string) {
	b.look(390, "light")
	defer b.look(1280, "light")
	b.open(site + "/console/try")
	b.click("form button.primary")
	b.fits("what was tried, on a phone")
	b.accessible("what was tried, on a phone", axe)
	b.keep("try-after-390")
	b.open(site + "/console/consents")
	b.fill(`input[name="subject"]`, "c-1001")
	b.click("form button.primary")
	b.fits("a person, on a phone")
	b.keep("consents-person-390")
}

// driveWithoutScript does what each page is for in a browser that runs no script.
func driveWithoutScript(t *testing.T, b *tab, site, _ string) {
	b.do("switching scripts off", emulation.SetScriptExecutionDisabled(true))
	defer b.do("switching scripts on", emulation.SetScriptExecutionDisabled(false))
	for _, page := range consolePages {
		b.open(site + "/console/" + page)
		if title := b.text("document.title"); !strings.HasPrefix(strings.ToLower(title), page) {
			t.Errorf("%s has the title %q", page, title)
		}
	}
	b.open(site + "/console/now")
	newest := b.text(`document.querySelector("#messages tr").dataset.key`)
	time.Sleep(3 * time.Second) // with a script it is freshened after two, as driveNow proves
	if now := b.text(`document.querySelector("#messages tr").dataset.key`); now != newest {
		t.Error("a script runs: this test proves nothing")
	}
	b.do("choosing", chromedp.SetValue(`select[name="show"]`, "refused", chromedp.ByQuery))
	b.click("form.filter button")
	b.seen("refused")
	b.open(site + "/console/matrix?purpose=after_sales")
	b.click("td.c.a-mask a")
	b.seen("support-sees-masked")
	b.open(site + "/console/try")
	b.click("form button.primary")
	b.seen("Before", "After")
	b.open(site + "/console/evidence")
	b.do("choosing", chromedp.SetValue(`select[name="role"]`, "courier", chromedp.ByQuery))
	b.click("#search button.primary")
	b.seen("for delivery")
	b.click(`button[name="verify"]`)
	b.seen("nothing was changed")
	b.open(site + "/console/consents")
	b.do("typing", chromedp.SetValue(`input[name="subject"]`, "c-1003", chromedp.ByQuery))
	b.click("form button.primary")
	b.seen("advertising", "ads-partner")
}
