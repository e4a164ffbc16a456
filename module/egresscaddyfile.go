package minimize

import (
	"encoding/json"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("minimize_egress", parseEgress)
	httpcaddyfile.RegisterDirectiveOrder("minimize_egress", httpcaddyfile.Before, "reverse_proxy")
}

// parseEgress adapts the directive to a plain reverse_proxy whose transport and upstreams are ours. Syntax:
//
//	minimize_egress [<matcher>] <recipient> {
//	    purpose          <constant|placeholder> [of <constants|placeholders...>]
//	    caller {
//	        ...          as for minimize
//	    }
//	    subject          <placeholder>
//	    documents        <names...>
//	    mode             enforce|report
//	    hold             <size>|all
//	    max_body         <size>
//	    opaque           <media types...> <reason>
//	    response_headers <names...>
//	    ...              any option of reverse_proxy that does not say where to
//	}
func parseEgress(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	d := h.Dispenser
	d.Next() // consume the directive name
	t := new(Egress)
	if !d.AllArgs(&t.Recipient) {
		return nil, d.ArgErr()
	}
	ours, proxys := splitEgress(d)
	if err := t.unmarshal(ours); err != nil {
		return nil, err
	}
	proxy := new(reverseproxy.Handler)
	if err := proxy.UnmarshalCaddyfile(proxys); err != nil {
		return nil, err
	}
	if err := proxy.FinalizeUnmarshalCaddyfile(h); err != nil {
		return nil, err
	}
	if len(proxy.Upstreams) > 0 || proxy.DynamicUpstreamsRaw != nil {
		return nil, d.Err("the register says where a recipient is reached: write its `hosts` there instead of upstreams")
	}
	if err := t.embed(d, proxy.TransportRaw); err != nil {
		return nil, err
	}
	proxy.TransportRaw = caddyconfig.JSONModuleObject(t, "protocol", "minimize", nil)
	proxy.DynamicUpstreamsRaw = caddyconfig.JSONModuleObject(EgressHosts{Recipient: t.Recipient, Documents: t.Documents}, "source", "minimize", nil)
	return proxy, nil
}

// egressOptions are the options of the directive that are not reverse_proxy's.
var egressOptions = map[string]bool{
	"purpose": true, "caller": true, "subject": true, "documents": true, "mode": true, "hold": true, "max_body": true, "opaque": true, "response_headers": true,
}

// splitEgress deals the options out to us and to reverse_proxy, each as a block of its own.
func splitEgress(d *caddyfile.Dispenser) (ours, proxys *caddyfile.Dispenser) {
	head := d.Token()
	block := func(name string) []caddyfile.Token {
		first, brace := head, head
		first.Text, brace.Text = name, "{"
		return []caddyfile.Token{first, brace}
	}
	mine, others := block("minimize_egress"), block("reverse_proxy")
	for d.NextBlock(0) {
		if egressOptions[d.Val()] {
			mine = append(mine, d.NextSegment()...)
		} else {
			others = append(others, d.NextSegment()...)
		}
	}
	end := d.Token()
	end.Text, end.Line = "}", end.Line+1
	return caddyfile.NewDispenser(append(mine, end)), caddyfile.NewDispenser(append(others, end))
}

func (t *Egress) unmarshal(d *caddyfile.Dispenser) error {
	d.Next() // consume the directive name
	var purpose Caller
	err := eachOption(d, []string{"opaque"}, map[string]func() error{
		"purpose":          func() error { return purpose.parsePurpose(d) },
		"caller":           func() error { return callerBlock(d, &t.Caller) },
		"subject":          func() error { return oneArg(d, &t.Subject) },
		"documents":        func() error { return someArgs(d, &t.Documents) },
		"mode":             func() error { return oneArg(d, &t.Mode) },
		"hold":             func() error { return holdArg(d, &t.Hold, &t.HoldAll) },
		"max_body":         func() error { return sizeArg(d, &t.MaxBody) },
		"opaque":           func() error { return opaqueArgs(d, &t.Opaque) },
		"response_headers": func() error { return someArgs(d, &t.ResponseHeaders) },
	})
	if err != nil || purpose.Purpose == "" {
		return err
	}
	if t.Caller == nil {
		t.Caller = new(Caller)
	}
	if t.Caller.Purpose != "" {
		return d.Err("the purpose is given twice")
	}
	t.Caller.Purpose, t.Caller.Purposes = purpose.Purpose, purpose.Purposes
	return nil
}

// embed takes over the options of `transport http`.
func (t *Egress) embed(d *caddyfile.Dispenser, raw json.RawMessage) error {
	if raw == nil {
		return nil
	}
	var kind struct {
		Protocol string `json:"protocol"`
	}
	if err := json.Unmarshal(raw, &kind); err != nil {
		return err
	}
	if kind.Protocol != "http" {
		return d.Errf("a recipient is reached by `transport http`, not by %s", kind.Protocol)
	}
	t.HTTP = new(reverseproxy.HTTPTransport)
	return json.Unmarshal(raw, t.HTTP)
}
