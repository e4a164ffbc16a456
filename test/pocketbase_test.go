package test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/test/missing"
)

// pocketBase is an API server that nobody here wrote, with an empty database of its own.
type pocketBase struct {
	t     *testing.T
	url   string
	token string
}

// startPocketBase runs PocketBase until the test ends, or skips the test where the binary is missing.
func startPocketBase(t *testing.T) *pocketBase {
	t.Helper()
	binary, dir, address := pocketBaseBinary(t), t.TempDir(), freeAddress(t)
	const user, password = "root@example.com", "correct horse battery"
	if out, err := exec.Command(binary, "superuser", "upsert", user, password, "--dir", dir).CombinedOutput(); err != nil {
		t.Fatalf("creating PocketBase's superuser: %v\n%s", err, out)
	}
	server := exec.Command(binary, "serve", "--http", address, "--dir", dir, "--dev=false",
		"--hooksDir", filepath.Join(dir, "hooks"), "--publicDir", filepath.Join(dir, "public"), "--migrationsDir", filepath.Join(dir, "migrations"))
	server.Stderr = t.Output()
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait() // it was killed: its exit status says nothing
	})
	b := &pocketBase{t: t, url: "http://" + address}
	b.wait()
	login := b.post("/api/collections/_superusers/auth-with-password", map[string]any{"identity": user, "password": password})
	b.token = login["token"].(string)
	return b
}

func pocketBaseBinary(t *testing.T) string {
	t.Helper()
	if binary := os.Getenv("MINIMIZE_POCKETBASE"); binary != "" {
		return binary
	}
	if binary, err := exec.LookPath("pocketbase"); err == nil {
		return binary
	}
	if cache, err := os.UserCacheDir(); err == nil {
		if binary := filepath.Join(cache, "minimize-test", "pocketbase"); exec.Command(binary, "--version").Run() == nil {
			return binary
		}
	}
	missing.Tool(t, "PocketBase is missing: test/run installs it, or MINIMIZE_POCKETBASE names its binary")
	return ""
}

func (b *pocketBase) wait() {
	b.t.Helper()
	for range 200 {
		if response, err := http.Get(b.url + "/api/health"); err == nil {
			response.Body.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.t.Fatal("PocketBase did not come up within 10 seconds")
}

// post sends a document as the superuser and returns the answer.
func (b *pocketBase) post(path string, document map[string]any) map[string]any {
	b.t.Helper()
	body, err := json.Marshal(document)
	if err != nil {
		b.t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodPost, b.url+path, bytes.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", b.token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	var result map[string]any
	if err := json.NewDecoder(response.Body).Decode(&result); err != nil || response.StatusCode != http.StatusOK {
		b.t.Fatalf("POST %s to PocketBase: status %d, %v, %v", path, response.StatusCode, result, err)
	}
	return result
}

// collection makes a table that everybody may read: a backend that tells more than its callers need.
func (b *pocketBase) collection(name string, fields ...map[string]any) string {
	b.t.Helper()
	return b.post("/api/collections", map[string]any{"name": name, "type": "base", "listRule": "", "viewRule": "", "fields": fields})["id"].(string)
}

// fill creates both collections and returns the ids of the customers.
func (b *pocketBase) fill(people []customer, bought []order) []string {
	b.t.Helper()
	text := func(names ...string) (fields []map[string]any) {
		for _, name := range names {
			fields = append(fields, map[string]any{"name": name, "type": "text"})
		}
		return fields
	}
	customers := b.collection("customers", text("real_name", "phone", "email", "birthday", "id_card", "passport", "bank_account", "country")...)
	b.collection("orders", append(text("order_no", "status", "card_number", "card_expiry", "ip", "remark"),
		map[string]any{"name": "buyer", "type": "relation", "collectionId": customers, "maxSelect": 1},
		map[string]any{"name": "amount", "type": "number"},
		map[string]any{"name": "imei", "type": "number"},
		map[string]any{"name": "consignee", "type": "json"},
		map[string]any{"name": "device", "type": "json"},
		map[string]any{"name": "items", "type": "json"},
		map[string]any{"name": "created_at", "type": "autodate", "onCreate": true})...)
	ids := make([]string, len(people))
	for i, c := range people {
		ids[i] = b.post("/api/collections/customers/records", c.fields)["id"].(string)
	}
	for _, o := range bought {
		o.fields["buyer"] = ids[o.buyer]
		b.post("/api/collections/orders/records", o.fields)
	}
	return ids
}
