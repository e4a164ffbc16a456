package minimize

import (
	"net/http"
	"strings"
	"testing"
)

// TestEgressIdentity: what a proxy tells a backend of who signed in is not for a recipient, unless it knows us by it.
func TestEgressIdentity(t *testing.T) {
	r := newRecorder(t)
	g := egress(t, r, inContract+"\ndenied: strip\ncredentials: [X-Consumer-Id]", everything, toAds)
	for _, name := range []string{
		"Remote-User", "Remote_User", "Remote-Groups", "X-Auth-Request-User", "X-Auth-Request-Preferred-Username", "X-WEBAUTH-USER", "Tailscale-User-Login",
		"X-Consumer-Username", "X-Userinfo", "X-User-Id", "X-Ms-Client-Principal", "X-Ms-Client-Principal-Name", "Client-Cert", "X-Ssl-Client-Cert",
		"X-Forwarded-Client-Cert", "Ssl-Client-S-Dn", "X-Ssl-Client-Subject-Dn", "X-Any-Client-Principal", "Cf-Access-Authenticated-User-Email",
	} {
		if a := g.send("POST", "/", `{"a":1}`, jsonType, name+": CN=SECRET"); a.status != http.StatusOK {
			t.Fatalf("%s: got %d %s", name, a.status, a.body)
		}
		if strings.Contains(r.all(), "SECRET") {
			t.Fatalf("the recipient received %s", name)
		}
	}
	g.get("/", "X-Consumer-Id: ours", "X-State: paid")
	if req, _ := r.last(t); req.Header.Get("X-Consumer-Id") != "ours" || req.Header.Get("X-State") != "paid" {
		t.Errorf("the recipient received %v", req.Header)
	}
}
