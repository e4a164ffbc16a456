//go:build linux

package test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
	"unsafe"
)

// wire is a connection that knows when the kernel received what was read from it. On one machine that is when it left
// the other process, so that how late a busy reader wakes up does not count.
type wire struct {
	*net.TCPConn
	raw     syscall.RawConn
	arrived time.Time // what the last Read returned
	first   time.Time // what the first Read returned since it was zeroed
}

func dialWire(address string) (*wire, error) {
	conn, err := net.DialTimeout("tcp", address, 2*time.Second)
	if err != nil {
		return nil, err
	}
	w := &wire{TCPConn: conn.(*net.TCPConn)}
	if w.raw, err = w.SyscallConn(); err != nil {
		return nil, err
	}
	var failed error
	err = w.raw.Control(func(fd uintptr) {
		failed = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TIMESTAMPNS, 1)
	})
	return w, errors.Join(err, failed)
}

// Read reads as a connection does, and notes when the kernel received it.
func (w *wire) Read(p []byte) (n int, err error) {
	control := make([]byte, 64)
	var controls int
	waited := w.raw.Read(func(fd uintptr) bool {
		n, controls, _, _, err = syscall.Recvmsg(int(fd), p, control, syscall.MSG_DONTWAIT)
		return err != syscall.EAGAIN && err != syscall.EINTR
	})
	switch {
	case waited != nil:
		return 0, waited
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	w.arrived = stamp(control[:controls])
	if w.first.IsZero() {
		w.first = w.arrived
	}
	return n, nil
}

// closed reports whether the other side hung up while nothing was asked.
func (w *wire) closed() bool {
	n, err := 0, error(nil)
	peek := func(fd uintptr) {
		n, _, err = syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	}
	return w.raw.Control(peek) != nil || err != syscall.EAGAIN || n > 0
}

// stamp is the time in a control message of SO_TIMESTAMPNS.
func stamp(control []byte) time.Time {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil || len(messages) == 0 {
		return time.Now() // later than the truth: it may raise a false alarm, but hides nothing
	}
	return time.Unix((*syscall.Timespec)(unsafe.Pointer(&messages[0].Data[0])).Unix())
}

// exchange is one request and its answer, with the times by the kernel's clock.
type exchange struct {
	status  int
	header  http.Header
	body    []byte
	started time.Time // before the first byte of the request left
	first   time.Time // when the first byte of the answer arrived
	ended   time.Time
	sent    bool // the gateway may have got something of the request
}

// speaker sends one request after the other to a gateway, over one connection while that lasts.
type speaker struct {
	address string
	conn    *wire
	in      *bufio.Reader
	limit   time.Duration // longer than this nothing may take
}

// ask sends a request. seen, where it is not nil, gets the parts of the body with their times of arrival.
func (s *speaker) ask(method, path, token, body string, seen func(part []byte, arrived time.Time)) (x exchange, err error) {
	x.started = time.Now()
	defer func() {
		x.ended = time.Now()
		if err != nil {
			s.hangUp()
		}
	}()
	if s.conn != nil && s.conn.closed() {
		s.hangUp()
	}
	if s.conn == nil {
		if s.conn, err = dialWire(s.address); err != nil {
			return x, err
		}
		s.in = bufio.NewReader(s.conn)
	}
	request, err := http.NewRequest(method, "http://"+s.address+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return x, err
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	if err := s.conn.SetDeadline(x.started.Add(s.limit)); err != nil {
		return x, err
	}
	s.conn.first, x.sent = time.Time{}, true
	if err := request.Write(s.conn); err != nil {
		return x, err
	}
	response, err := http.ReadResponse(s.in, request)
	if err != nil {
		return x, err
	}
	defer response.Body.Close()
	x.status, x.header, x.first = response.StatusCode, response.Header, s.conn.first
	part := make([]byte, 32<<10)
	for {
		n, err := response.Body.Read(part)
		x.body = append(x.body, part[:n]...)
		if n > 0 && seen != nil {
			seen(part[:n], s.conn.arrived)
		}
		switch {
		case err == io.EOF && response.Close:
			s.hangUp()
			return x, nil
		case err == io.EOF:
			return x, nil
		case err != nil:
			return x, err
		}
	}
}

// hangUp makes the next request use a fresh connection.
func (s *speaker) hangUp() {
	if s.conn != nil {
		s.conn.Close()
		s.conn = nil
	}
}
