package minimize

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/caddy-minimize/minimize/rules"
)

func compressed(t *testing.T, name, text string) string {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch name {
	case "gzip", "x-gzip", "GZip":
		w = gzip.NewWriter(&b)
	case "deflate":
		w = zlib.NewWriter(&b)
	case "raw":
		w, _ = flate.NewWriter(&b, flate.BestCompression)
	case "br":
		w = brotli.NewWriter(&b)
	case "zstd":
		w, _ = zstd.NewWriter(&b)
	default:
		return text
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestR8Codings: what comes compressed unasked is read or refused, never passed (threat D2).
func TestR8Codings(t *testing.T) {
	clean := `{"orders":[{"buyer":"u1","phone":"138****8000","state":"paid"}]}`
	for _, test := range []struct {
		coding, body string
		bad          bool
	}{
		{coding: "gzip", body: compressed(t, "gzip", someOrder)},
		{coding: "x-gzip", body: compressed(t, "gzip", someOrder)},
		{coding: "GZip", body: compressed(t, "gzip", someOrder)},
		{coding: "deflate", body: compressed(t, "deflate", someOrder)},
		{coding: "deflate", body: compressed(t, "raw", someOrder)},
		{coding: "br", body: compressed(t, "br", someOrder)},
		{coding: "zstd", body: compressed(t, "zstd", someOrder)},
		{coding: "identity", body: someOrder},
		{coding: "gzip", body: compressed(t, "gzip", someOrder[:20]) + compressed(t, "gzip", someOrder[20:])},
		{coding: "gzip, gzip", body: compressed(t, "gzip", compressed(t, "gzip", someOrder)), bad: true},
		{coding: "gzip\nContent-Encoding: br", body: someOrder, bad: true},
		{coding: "compress", body: someOrder, bad: true},
		{coding: "aws-chunked", body: someOrder, bad: true},
		{coding: "", body: someOrder, bad: true},
		{coding: "gzip", body: someOrder, bad: true},
		{coding: "br", body: someOrder, bad: true},
		{coding: "zstd", body: someOrder, bad: true},
		{coding: "deflate", body: someOrder, bad: true},
		{coding: "identity", body: compressed(t, "gzip", someOrder), bad: true},
		{coding: "gzip", body: compressed(t, "gzip", someOrder)[:40], bad: true},
		{coding: "gzip", body: compressed(t, "gzip", someOrder) + someOrder, bad: true},
		{coding: "deflate", body: compressed(t, "deflate", someOrder) + someOrder, bad: true},
		{coding: "br", body: compressed(t, "br", someOrder) + someOrder, bad: true},
		{coding: "zstd", body: compressed(t, "zstd", someOrder) + someOrder, bad: true},
		{coding: "gzip", body: compressed(t, "gzip", `{"a":"`+strings.Repeat("a", 8<<20)+`"}`), bad: true},
		{coding: "br", body: compressed(t, "br", `{"a":"`+strings.Repeat("a", 8<<20)+`"}`), bad: true},
	} {
		// Without the transport's own decoding, so that our decoder reads gzip, too.
		g := start(t, newBackend(t, says(jsonHead+"\nContent-Encoding: "+test.coding, test.body)).addr, "", strings.Replace(shop,
			"reverse_proxy {upstream}", "reverse_proxy {upstream} {\ntransport http {\ncompression off\n}\n}", 1))
		a := g.get("/api/orders", "Accept-Encoding: br, zstd")
		if test.bad {
			a.refused(t, 502, "unreadable")
		} else if a.body != clean || a.header.Get("Content-Encoding") != "" {
			t.Errorf("%s: got %d %q, want %s", test.coding, a.status, a.body, clean)
		}
		if t.Failed() {
			t.Fatalf("with coding %q", test.coding)
		}
	}
}

// TestDecoderAtEveryCut: the cuts between writes change nothing, and what follows the compressed body is seen at all of them.
func TestDecoderAtEveryCut(t *testing.T) {
	for _, coding := range []string{"gzip", "deflate", "br", "zstd"} {
		for _, trailing := range []string{"", "x"} {
			body := compressed(t, coding, someOrder) + trailing
			for cut := range len(body) {
				got, err := decodeAll(coding, body[:cut], body[cut:])
				if trailing == "" && (err != nil || got != someOrder) {
					t.Fatalf("%s cut at %d: got %q, %v", coding, cut, got, err)
				}
				if refusal, ok := errors.AsType[*rules.Refusal](err); trailing != "" && (!ok || refusal.Reason != rules.Unreadable) {
					t.Fatalf("%s cut at %d with trailing data: got %q, %v", coding, cut, got, err)
				}
			}
		}
	}
}

func decodeAll(coding string, parts ...string) (string, error) {
	var out strings.Builder
	d, err := newDecoder([]string{coding}, func(p []byte) error { out.Write(p); return nil })
	if err != nil || d == nil {
		return "", err
	}
	defer d.stop()
	for _, p := range parts {
		if _, err := d.Write([]byte(p)); err != nil {
			return out.String(), err
		}
	}
	err = d.Close()
	return out.String(), err
}

// FuzzDecoder: no input brings the decoder down, or past its ratio.
func FuzzDecoder(f *testing.F) {
	f.Add("gzip", []byte("\x1f\x8b"), 1)
	f.Add("zstd", []byte("\x28\xb5\x2f\xfd"), 2)
	f.Fuzz(func(t *testing.T, coding string, data []byte, cut int) {
		if cut < 0 || cut > len(data) {
			return
		}
		got, _ := decodeAll(coding, string(data[:cut]), string(data[cut:]))
		if len(got) > ratioAfter+maxRatio*len(data)+32<<10 {
			t.Errorf("%d bytes became %d", len(data), len(got))
		}
	})
}

// TestCompressesOutside: encode stands outside, compresses what was judged, and shows a refusal whole.
func TestCompressesOutside(t *testing.T) {
	padded := strings.Replace(someOrder, `"paid"`, `"`+strings.Repeat("word ", 500)+`"`, 1)
	for body, want := range map[string]int{padded: 200, padded[1:]: 502} {
		b := newBackend(t, says(jsonHead, body))
		g := start(t, b.addr, "", "encode gzip\n"+shop)
		a := g.get("/api/orders", "Accept-Encoding: gzip")
		if a.err != nil || a.status != want {
			t.Fatalf("got %+v", a)
		}
		if a.header.Get("Content-Encoding") == "gzip" {
			r, err := gzip.NewReader(strings.NewReader(a.body))
			if err != nil {
				t.Fatal(err)
			}
			plain, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			a.body = string(plain)
		} else if want == 200 {
			t.Error("encode did not compress")
		}
		if want == 502 {
			a.refused(t, 502, "unreadable")
		}
		a.hides(t, somePhone, someIMEI)
	}
}
