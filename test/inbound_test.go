package test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// wiretap is a backend that keeps every byte it receives.
type wiretap struct {
	address string

	mu    sync.Mutex
	bytes bytes.Buffer
}

func newWiretap(t *testing.T) *wiretap {
	t.Helper()
	tap := new(wiretap)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, "{}")
	})}
	go server.Serve(tapped{listener, tap})
	t.Cleanup(func() { server.Close() })
	tap.address = listener.Addr().String()
	return tap
}

// received is everything so far.
func (tap *wiretap) received() string {
	tap.mu.Lock()
	defer tap.mu.Unlock()
	return tap.bytes.String()
}

type tapped struct {
	net.Listener
	tap *wiretap
}

// Accept taps a connection.
func (l tapped) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	return &tappedConn{conn, l.tap}, err
}

type tappedConn struct {
	net.Conn
	tap *wiretap
}

// Read keeps what is read.
func (c *tappedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.tap.mu.Lock()
	defer c.tap.mu.Unlock()
	c.tap.bytes.Write(p[:n])
	return n, err
}

// someone is what a client could tell of one person.
var someone = []planted{
	{"phone", "13817640235"}, {"imei", "860531030123452"}, {"idCard", "310104199003072515"}, {"cardNumber", "6222021000000000017"},
	{"email", "greta.lindqvist@example.com"}, {"iban", "DE89370400440532013000"}, {"password", "Tr0ub4dor&3"}, {"realName", "Greta Lindqvist"},
}

// TestInboundPlanted plants a person in every place of a request. Where nobody may collect it, no byte of it reaches the
// backend; where all may be collected, all of it does.
func TestInboundPlanted(t *testing.T) {
	for _, all := range []bool{false, true} {
		t.Run(fmt.Sprintf("collects all: %v", all), func(t *testing.T) {
			tap, dir, address := newWiretap(t), t.TempDir(), freeAddress(t)
			keep := "[general]"
			if all {
				keep = "[general, personal, sensitive, secret]"
			}
			rules := "minimize: 1\npurposes: [search]\nallow:\n  - {id: collect, to: us, for: search, keep: " + keep + "}\n"
			if err := os.WriteFile(filepath.Join(dir, "rules.yaml"), []byte(rules), 0o600); err != nil {
				t.Fatal(err)
			}
			startCaddy(t, filepath.Join(dir, "Caddyfile"), withoutAdmin("{\n\tminimize {\n\t\trules rules.yaml\n\t}\n}\nhttp://"+address+
				" {\n\tminimize {\n\t\tinbound\n\t\tcaller {\n\t\t\tpurpose search\n\t\t}\n\t}\n\treverse_proxy "+tap.address+"\n}\n"))
			for _, secret := range someone {
				for place, request := range placed(t, "http://"+address+"/search", secret) {
					before := len(tap.received())
					response, err := http.DefaultClient.Do(request)
					if err != nil {
						t.Fatal(err)
					}
					io.Copy(io.Discard, response.Body)
					response.Body.Close()
					got := tap.received()[before:]
					if response.StatusCode != http.StatusOK || !strings.Contains(got, "size") {
						t.Errorf("%s in %s: the request is broken: %d", secret.kind, place, response.StatusCode)
					}
					if found := len(leaks(got, []planted{secret})) > 0; found != all {
						t.Errorf("%s in %s: it arrived: %v", secret.kind, place, found)
					}
				}
			}
		})
	}
}

// placed are requests that tell something in one place each.
func placed(t *testing.T, target string, p planted) map[string]*http.Request {
	t.Helper()
	pair := url.Values{p.kind: {p.value}, "size": {"large"}}.Encode()
	member := fmt.Sprintf(`{"size":"large",%q:%q}`, p.kind, p.value)
	var parts bytes.Buffer
	form := multipart.NewWriter(&parts)
	form.WriteField("size", "large")
	form.WriteField(p.kind, p.value)
	form.Close()
	const plain = "/?size=large"
	requests := make(map[string]*http.Request)
	for place, r := range map[string]struct{ query, mediaType, body, header, value string }{
		"body":           {mediaType: "application/json", body: member},
		"a list":         {mediaType: "application/json", body: fmt.Sprintf(`{"size":1,"a":[[{"b":%s}]]}`, member)},
		"JSON in a text": {mediaType: "application/json", body: fmt.Sprintf(`{"size":1,"a":%q}`, member)},
		"a URL in JSON":  {mediaType: "application/json", body: fmt.Sprintf(`{"size":1,"page":%q}`, "https://shop.example/?"+pair)},
		"form":           {mediaType: "application/x-www-form-urlencoded", body: pair},
		"multipart":      {mediaType: form.FormDataContentType(), body: parts.String()},
		"query":          {query: "?" + pair},
		"header":         {query: plain[1:], header: "X-" + p.kind, value: p.value},
		"cookie":         {query: plain[1:], header: "Cookie", value: "theme=dark; " + p.kind + "=" + url.QueryEscape(p.value)},
		"referer":        {query: plain[1:], header: "Referer", value: "https://shop.example/?" + pair},
	} {
		method := http.MethodGet
		if r.mediaType != "" {
			method = http.MethodPost
		}
		request, err := http.NewRequest(method, target+r.query, strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		if r.mediaType != "" {
			request.Header.Set("Content-Type", r.mediaType)
		}
		if r.header != "" {
			request.Header.Set(r.header, r.value)
		}
		requests[place] = request
	}
	return requests
}

// TestInboundExample sends what a careless app sends to the example, and a login.
func TestInboundExample(t *testing.T) {
	tap := newWiretap(t)
	gateway, _ := startExample(t, "inbound", tap.address, newIssuer(t))
	const careless = `{"size":"large","imei":"860531030123452","gps":{"lat":31.194836,"lng":121.436525},"phone":"13817640235","password":"Tr0ub4dor&3"}`
	for _, tc := range []struct {
		path, body string
		status     int
		has        []string
		hasNot     []string
	}{
		{"/api/search", careless, 200, []string{`"size":"large"`, "31.2"}, []string{"860531030123452", "31.194836", "13817640235", "Tr0ub4dor", "X-Forwarded-For"}},
		{"/api/login", careless, 200, []string{"13817640235", "Tr0ub4dor&3"}, []string{"860531030123452", "31.19"}},
		{"/api/search", `{"size":"large","faceImage":"/9j/4AAQ"}`, 403, nil, []string{"large"}},
	} {
		before := len(tap.received())
		response, err := http.Post(gateway+tc.path, "application/json", strings.NewReader(tc.body))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		got := tap.received()[before:]
		if response.StatusCode != tc.status {
			t.Errorf("%s: got %d", tc.path, response.StatusCode)
		}
		for _, s := range tc.has {
			if !strings.Contains(got, s) {
				t.Errorf("%s: %q did not arrive: %s", tc.path, s, got)
			}
		}
		for _, s := range tc.hasNot {
			if strings.Contains(got, s) {
				t.Errorf("%s: %q arrived: %s", tc.path, s, got)
			}
		}
	}
}
