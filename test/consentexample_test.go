package test

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestConsentExample does what the example's first lines say: marketing sees those who agreed, and one of them no more once
// she has withdrawn.
func TestConsentExample(t *testing.T) {
	backend := httptest.NewServer(http.FileServer(http.Dir("../caddyfile-examples/backend")))
	defer backend.Close()
	gateway, dir := startExample(t, "consent", backend.Listener.Addr().String(), newIssuer(t))
	command := exec.Command("go", "run", "../cmd/minimize", "consent", "import", "--config", filepath.Join(dir, "Caddyfile"), filepath.Join(dir, "consents.csv"))
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const agreed, bundled, email = "李娜", "Greta", "li.na@example.com"
	marketing := func() string { return getWith(t, gateway+orders, basicAuth("marketing", "advertising")).everything() }
	if got := marketing(); !strings.Contains(got, agreed) || !strings.Contains(got, email) || strings.Contains(got, bundled) {
		t.Errorf("marketing sees\n%s", got)
	}
	request, err := http.NewRequest(http.MethodDelete, gateway+"/consent/subjects/me/consents/advertising", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header = basicAuth("c-1001", "")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		t.Fatalf("withdrawing: status %d", response.StatusCode)
	}
	if got := marketing(); strings.Contains(got, agreed) || strings.Contains(got, email) || !strings.Contains(got, "D2026110300017") {
		t.Errorf("after she withdrew marketing sees\n%s", got)
	}
	if got := getWith(t, gateway+orders, basicAuth("c-1001", "own_orders")).everything(); !strings.Contains(got, email) {
		t.Errorf("she herself sees\n%s", got)
	}
}
