// Package minimize is the Caddy module: the app that holds the rules, and the handler that judges what a caller may read.
//
// It speaks HTTP and Caddy and decides nothing: what a value is and what happens to it stands in package rules. The way
// of a response through it:
//
//	handler.go   who asks (caller.go, template.go, token.go, keys.go), under which rules (app.go, load.go)
//	request.go   what the upstream may see of the request, so that its answer can be judged
//	writer.go    the answer, held until it is judged, or refused (refusal.go)
//	media.go     which bodies can be judged; decode.go what came compressed
//	header.go    which response headers may leave
//	report.go    report mode: everything passes and a copy is judged (shadow.go)
//	record.go    what metrics.go and audit.go tell about it, never a value (auditentry.go)
//
// What we send to a recipient goes the other way: egress.go judges the request as reverse_proxy finally sends it
// (egressparcel.go, egresshead.go, egressbody.go), egresshosts.go and egressdial.go say where it goes, egressanswer.go hands the recipient's
// answer to the same writer, egressreport.go is its report mode.
//
// What data subjects agreed to: consent.go shares the store among apps (storemetrics.go shows how it does), people.go has
// answers leave under its guard, case.go reads the case that a caller acts in, gpc.go takes Sec-GPC for an objection, and
// consentapi.go serves the API (consentchange.go, consentread.go, consentanswer.go).
//
// What a security team sees: console.go serves the pages of package console to the roles that may see them, and a file for
// each page gathers what it shows (console_now.go, …) from the rules, the counters and the last messages (recent.go).
//
// Beside it, logfilter.go and redact.go keep values out of Caddy's own logs, and coverage.go names the routes that bypass
// the handler (sites.go reads them).
package minimize
