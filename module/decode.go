package minimize

import (
	"errors"
	"io"
	"iter"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"

	"github.com/caddy-minimize/minimize/rules"
)

// The bound on decompression: past ratioAfter bytes of output, at most maxRatio times the input. JSON lists reach 20 or
// 30; what is beyond 100 is a bomb. Half the default hold, so that it still gets a clean refusal.
const (
	ratioAfter = 512 << 10
	maxRatio   = 100
)

var errEnded = errors.New("decoding ended")

// decoders are the codings that are read (RFC 9110 section 8.4.1, RFC 7932, RFC 8878), with x-gzip as the same section asks.
var decoders = map[string]func(*decoder) (io.Reader, error){
	"gzip":    openGzip,
	"x-gzip":  openGzip,
	"deflate": openDeflate,
	"br":      func(d *decoder) (io.Reader, error) { return brotli.NewReader(d), nil },
	"zstd":    openZstd,
}

func openGzip(d *decoder) (io.Reader, error) { return gzip.NewReader(d) }

// openDeflate reads zlib's format, which the name means, and the raw one, which some servers send (RFC 9110 section 8.4.1.2).
func openDeflate(d *decoder) (io.Reader, error) {
	var head [2]byte
	if _, err := io.ReadFull(d, head[:]); err != nil {
		return nil, err
	}
	d.in = append(head[:], d.in...)
	// RFC 1950 section 2.2: method 8, and a check that makes the two bytes a multiple of 31.
	if head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		return zlib.NewReader(d)
	}
	return flate.NewReader(d), nil
}

func openZstd(d *decoder) (io.Reader, error) {
	return zstd.NewReader(d, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderLowmem(true))
}

// decoder turns the pull of a decompressing reader into the push of a ResponseWriter. The reader runs in a coroutine, not
// in parallel, so nothing needs a lock, and a panic comes out where the push was.
type decoder struct {
	in    []byte // not read yet
	eof   bool
	raw   int64
	plain int64
	more  func() bool // suspends the coroutine until there is input; false: it is given up
	next  func() (struct{}, bool)
	stop  func()
	ended bool
	err   error
}

// newDecoder returns the decoder of a Content-Encoding, nil where there is none. out gets what it decodes.
func newDecoder(encodings []string, out func([]byte) error) (*decoder, error) {
	if !isEncoded(encodings) {
		return nil, nil
	}
	open := decoders[codingOf(encodings)]
	if len(encodings) > 1 || open == nil {
		return nil, &rules.Refusal{Reason: rules.Unreadable, Detail: "the content encoding cannot be read"}
	}
	d := new(decoder)
	d.next, d.stop = iter.Pull(func(yield func(struct{}) bool) {
		d.more = func() bool { return yield(struct{}{}) }
		d.err = d.run(open, out)
	})
	return d, nil
}

// codingOf is the only coding of a Content-Encoding.
func codingOf(encodings []string) string { return strings.ToLower(strings.TrimSpace(encodings[0])) }

// isEncoded reports whether a Content-Encoding says that there is something to decode.
func isEncoded(encodings []string) bool {
	return len(encodings) > 1 || len(encodings) == 1 && codingOf(encodings) != "identity"
}

func (d *decoder) run(open func(*decoder) (io.Reader, error), out func([]byte) error) error {
	r, err := open(d)
	if err != nil {
		return badCoding()
	}
	if c, ok := r.(*zstd.Decoder); ok {
		defer c.Close()
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		d.plain += int64(n)
		if d.plain > ratioAfter && d.plain > maxRatio*d.raw {
			return &rules.Refusal{Reason: rules.Unreadable, Detail: "the body is compressed beyond all reason"}
		}
		if n > 0 {
			if err := out(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return badCoding()
		}
	}
}

func badCoding() error {
	return &rules.Refusal{Reason: rules.Unreadable, Detail: "the body is not what its content encoding says"}
}

// Read gives the decompressing reader what was pushed.
func (d *decoder) Read(p []byte) (int, error) {
	for len(d.in) == 0 {
		if d.eof {
			return 0, io.EOF
		}
		if !d.more() {
			return 0, errEnded
		}
	}
	n := copy(p, d.in)
	d.in = d.in[n:]
	return n, nil
}

// ReadByte keeps readers from reading ahead, so that what follows the compressed body is seen.
func (d *decoder) ReadByte() (byte, error) {
	var b [1]byte
	_, err := d.Read(b[:])
	return b[0], err
}

// Write decodes the next bytes.
func (d *decoder) Write(p []byte) (int, error) {
	d.in = p
	d.raw += int64(len(p))
	d.resume()
	if d.err == nil && len(d.in) > 0 {
		d.err = badCoding() // bytes behind the end of the compressed body
	}
	return len(p), d.err
}

// Close says that the compressed body is complete.
func (d *decoder) Close() error {
	d.eof = true
	d.resume()
	return d.err
}

func (d *decoder) resume() {
	if !d.ended {
		_, suspended := d.next()
		d.ended = !suspended
	}
}
