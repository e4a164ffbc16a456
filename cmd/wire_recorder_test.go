package cmd

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	minimize "github.com/caddy-minimize/minimize/module"
)

// recorder is a server that keeps every byte it receives, below HTTP and inside TLS.
type recorder struct {
	plain, secure string // addresses
	certificate   []byte // that vouches for itself

	mu    sync.Mutex
	bytes bytes.Buffer
	reply string
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	made := httptest.NewTLSServer(nil) // for its certificate, which is 127.0.0.1's
	made.Close()
	r := &recorder{certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: made.Certificate().Raw})}
	secret := &tls.Config{Certificates: made.TLS.Certificates, NextProtos: []string{"http/1.1"}}
	r.plain = r.listen(t, func(l net.Listener) net.Listener { return l })
	r.secure = r.listen(t, func(l net.Listener) net.Listener { return tls.NewListener(l, secret) })
	return r
}

func (r *recorder) listen(t *testing.T, around func(net.Listener) net.Listener) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	accepting := around(l)
	go func() {
		for {
			conn, err := accepting.Accept()
			if err != nil {
				return
			}
			go r.serve(conn)
		}
	}()
	return l.Addr().String()
}

func (r *recorder) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(io.TeeReader(conn, r))
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		r.mu.Lock()
		reply := r.reply
		r.mu.Unlock()
		if _, err := io.WriteString(conn, reply); err != nil {
			return
		}
	}
}

// Write keeps what is received.
func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes.Write(p)
}

// received is every byte so far.
func (r *recorder) received() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes.String()
}

// answer says what requests are answered with.
func (r *recorder) answer(mediaType string, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reply = fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", mediaType, len(body), body)
}

// sentSample is the one request that was received, as a message.
func sentSample(t *testing.T, raw string) *minimize.Sample {
	t.Helper()
	in := bufio.NewReader(strings.NewReader(raw))
	req, err := http.ReadRequest(in)
	if err != nil {
		t.Fatalf("reading what arrived: %v: %q", err, raw)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		t.Fatalf("reading what arrived: %v: %q", err, raw)
	}
	if req.ContentLength != int64(len(body)) || in.Buffered() > 0 {
		t.Errorf("%d bytes arrived of a body of %d, and %d behind it", len(body), req.ContentLength, in.Buffered())
	}
	return &minimize.Sample{Path: req.URL.EscapedPath(), Query: req.URL.RawQuery, Header: req.Header, Body: body}
}
