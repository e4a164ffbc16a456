package minimize

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"
	"time"

	"github.com/caddy-minimize/minimize/rules"
)

// TestInboundLateWithdrawal: who withdraws while a connection is sought is heard before the request is written, and other
// requests on that connection go on.
func TestInboundLateWithdrawal(t *testing.T) {
	for _, test := range []struct {
		name             string
		secure, multiple bool // TLS, HTTP/2
	}{{"http1", false, false}, {"https1", true, false}, {"h2", true, true}} {
		t.Run(test.name, func(t *testing.T) {
			arrived, answers := make(chan string, 2), make(chan struct{})
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				arrived <- r.URL.String()
				<-answers
			}))
			protocols := new(http.Protocols)
			protocols.SetHTTP1(!test.multiple)
			protocols.SetHTTP2(test.multiple)
			server.Config.Protocols, server.EnableHTTP2 = protocols, test.multiple
			if test.secure {
				server.StartTLS()
			} else {
				server.Start()
			}
			defer server.Close()
			transport := server.Client().Transport.(*http.Transport)
			transport.Protocols = protocols

			other := make(chan error)
			go func() {
				req, _ := http.NewRequest(http.MethodGet, server.URL+"/other", nil)
				res, err := transport.RoundTrip(req)
				if err == nil {
					_, err = io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
				other <- err
			}()
			<-arrived

			store := new(changing)
			store.sends.Store(1) // it was judged
			a := &arrival{passage: passage{people: &witnesses{People: store, people: []*rules.Person{new(rules.Person)}}}}
			req, _ := http.NewRequest(http.MethodGet, server.URL+"/?imei=7", nil)
			closed := false // a hook that was there before is called after ours
			ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
				closed = got.Conn.SetDeadline(time.Time{}) != nil
			}})
			a.out = req.WithContext(a.watched(ctx))
			if _, err := transport.RoundTrip(a.out); err == nil || a.late() != errChanged {
				t.Errorf("a withdrawal is not heard: %v %v", err, a.late())
			}
			if closed == test.multiple {
				t.Errorf("the connection is closed: %v", closed)
			}
			close(answers)
			if err := <-other; err != nil {
				t.Errorf("another request is cut off: %v", err)
			}
			server.Close()
			if len(arrived) > 0 {
				t.Errorf("the backend got %s", <-arrived)
			}
		})
	}
}
