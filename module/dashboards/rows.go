package dashboards

// Every query keeps to the chosen gateways ($instance), and to the chosen roles and recipients where it is about them.
// $__rate_interval and $__range are Grafana's: what a point, and what the whole picture spans.

var (
	red   = step{"red", new(1.0)} // from 1 on
	green = base("green")

	yesNo  = map[string]mapped{"0": {"no", "red"}, "1": {"yes", "green"}}
	broken = map[string]mapped{"0": {"no", "green"}, "1": {"yes", "red"}}

	// The numbers of people a year from which China asks for more before data may leave: a standard contract or a
	// certification from 100,000, a security assessment from 1,000,000 (CAC, 22 March 2024, articles 7 and 8), and
	// from 10,000 on an assessment for sensitive data.
	peopleLines = []step{green, from(10_000, "yellow"), from(100_000, "orange"), from(1_000_000, "red")}
)

func whole() dashboard {
	return dashboard{
		UID:           "caddy-minimize",
		Title:         "Minimize",
		Description:   "Who got how much of what, where it went, what was refused, and whether everything is in force that should be.",
		Tags:          []string{"caddy", "minimize", "privacy"},
		SchemaVersion: 42,
		Editable:      true,
		GraphTooltip:  1,
		Refresh:       "30s",
		Time:          timeRange{"now-6h", "now"},
		Timezone:      "browser",
		Templating: templating{[]variable{
			{Name: "datasource", Label: "Data source", Type: "datasource", Query: "prometheus"},
			chosen("instance", "Gateway", "caddy_minimize_rules_broken"),
			chosen("role", "Role", `caddy_minimize_messages_total{instance=~"$instance"}`),
			chosen("recipient", "Recipient", `caddy_minimize_disclosures_total{instance=~"$instance"}`),
		}},
		Links: []link{{
			Title: "What to do about alerts", Type: "link", Icon: "doc", Tooltip: "The runbook", Tags: []string{}, TargetBlank: true,
			URL: "https://github.com/caddy-minimize/minimize/blob/main/module/dashboards/RUNBOOK.md",
		}},
		Panels: lay([]row{overview, callers, borders, consents, health}),
	}
}

// chosen is a variable with the values of a label; all of them at first.
func chosen(label, title, series string) variable {
	return variable{
		Name: label, Label: title, Type: "query", Query: "label_values(" + series + ", " + label + ")", Datasource: prometheus,
		Refresh: 2, Sort: 1, Multi: true, IncludeAll: true, AllValue: ".*", Current: &choice{"All", "$__all"},
	}
}

var overview = row{"Overview", []spec{
	{
		kind: "stat", title: "Protected", width: 4, steps: []step{base("red"), from(1, "green")}, mappings: yesNo,
		none:        "no canary",
		description: "Whether the canary, who asks every route each minute as nobody in particular, got only what the rules give to anybody.",
		queries:     []query{{`min(caddy_minimize_protected{instance=~"$instance"})`, ""}},
	}, {
		kind: "stat", title: "Routes without protection", width: 4, steps: []step{green, red},
		description: "Routes in report mode, and routes that reach a backend without minimize.",
		queries:     []query{{`sum(caddy_minimize_routes{instance=~"$instance",state=~"report|uncovered"})`, ""}},
	}, {
		kind: "stat", title: "Messages refused", width: 4, unit: "percentunit", steps: []step{green, from(0.2, "yellow"), from(0.5, "red")},
		description: "Of all messages in this time, those that were refused as a whole.",
		queries: []query{{`sum(increase(caddy_minimize_messages_total{instance=~"$instance",outcome="refused"}[$__range]))` +
			` / sum(increase(caddy_minimize_messages_total{instance=~"$instance"}[$__range]))`, ""}},
	}, {
		kind: "stat", title: "Values withheld", width: 4, unit: "percentunit",
		description: "Of all personal values in messages that were sent in this time, those that were masked, replaced, blanked or stripped.",
		queries: []query{{`sum(increase(caddy_minimize_values_total{instance=~"$instance",action!="keep"}[$__range]))` +
			` / sum(increase(caddy_minimize_values_total{instance=~"$instance"}[$__range]))`, ""}},
	}, {
		kind: "stat", title: "People abroad this year", width: 4, steps: peopleLines,
		description: "Data subjects whose data left its home since 1 January: at most so many, since one who was counted for two countries or by two gateways counts twice.",
		queries:     []query{{`sum(caddy_minimize_people_abroad{instance=~"$instance"})`, ""}},
	}, {
		kind: "stat", title: "Audit entries lost", width: 4, steps: []step{green, red}, none: "no audit entries",
		description: "Audit entries that could not be written in this time. Nothing, while there is no audit log.",
		queries: []query{{`sum(increase(caddy_minimize_audit_failures_total{instance=~"$instance"}[$__range]))` +
			` and sum(caddy_minimize_audit_entries_total{instance=~"$instance"} + caddy_minimize_audit_failures_total{instance=~"$instance"}) > 0`, ""}},
	}, {
		title: "Messages", width: 8, unit: "reqps", stacked: true,
		description: "What became of messages: passed as they were, minimized, refused and so on.",
		queries:     []query{{`sum by (outcome) (rate(caddy_minimize_messages_total{instance=~"$instance"}[$__rate_interval]))`, "{{outcome}}"}},
	}, {
		title: "Refused, by reason", width: 8, unit: "reqps", stacked: true, none: "nothing was refused",
		description: "The first reason of each refusal. The reasons are those of the problem documents that callers get.",
		queries:     []query{{`sum by (reason) (rate(caddy_minimize_refusals_total{instance=~"$instance"}[$__rate_interval])) > 0`, "{{reason}}"}},
	}, {
		title: "Values, by action", width: 8, unit: "cps", stacked: true,
		description: "What was done to personal values in messages that were sent.",
		queries:     []query{{`sum by (action) (rate(caddy_minimize_values_total{instance=~"$instance"}[$__rate_interval]))`, "{{action}}"}},
	},
}}

var callers = row{"Callers", []spec{
	{
		kind: "table", title: "Sent whole, by category and role", width: 12, matrix: [2]string{"category", "role"},
		description: "Values that were sent as they are in this time. Role none: recipients and organisations.",
		queries: []query{{`round(sum by (category, role) (increase(caddy_minimize_values_total{instance=~"$instance",role=~"$role",action="keep"}[$__range])))` +
			` > 0`, ""}},
	}, {
		kind: "table", title: "Masked or replaced, by category and role", width: 12, matrix: [2]string{"category", "role"},
		description: "Values of which a safe part, or a pseudonym, was sent in this time.",
		queries: []query{{`round(sum by (category, role) (increase(caddy_minimize_values_total{instance=~"$instance",role=~"$role",action=~"mask|pseudonymize"}[$__range])))` +
			` > 0`, ""}},
	}, {
		title: "Messages, by role", width: 8, unit: "reqps",
		queries:     []query{{`sum by (role) (rate(caddy_minimize_messages_total{instance=~"$instance",role=~"$role"}[$__rate_interval]))`, "{{role}}"}},
		description: "Who asks how often.",
	}, {
		title: "Refused, by role", width: 8, unit: "reqps", none: "nobody was refused",
		description: "Messages that were refused as a whole or cut off, or whose caller could not prove who it is.",
		queries: []query{{`sum by (role) (rate(caddy_minimize_messages_total{instance=~"$instance",role=~"$role",outcome=~"refused|aborted|unauthorized"}[$__rate_interval]))` +
			` > 0`, "{{role}}"}},
	}, {
		title: "Callers who saw many people today", width: 8,
		description: "Callers who were shown more than 50, 500 and 5,000 data subjects since midnight UTC. Who they are stands in the audit log, as a pseudonym.",
		queries:     []query{{`sum by (people) (caddy_minimize_wide_readers{instance=~"$instance"})`, "more than {{people}}"}},
	}, {
		title: "What report mode and candidate rules would do", width: 12, unit: "cps", none: "neither is in use",
		description: "Values that would be masked, replaced, blanked or stripped by routes in report mode, if they enforced, and by candidate rules, if they were in force.",
		queries: []query{{`sum by (because, action) (rate(caddy_minimize_would_values_total{instance=~"$instance",role=~"$role",action!="keep"}[$__rate_interval]))`,
			"{{because}}: {{action}}"}},
	}, {
		title: "Values that no rule knows", width: 12, unit: "cps",
		description: "Values that no name, place or detector recognized, and what was done to them. A rise may be a new field that nobody declared.",
		queries:     []query{{`sum by (action) (rate(caddy_minimize_undeclared_values_total{instance=~"$instance"}[$__rate_interval]))`, "{{action}}"}},
	},
}}

var borders = row{"Recipients and borders", []spec{
	{
		kind: "table", title: "Sent, by category and recipient", width: 12, matrix: [2]string{"category", "recipient"},
		description: "Values that left for recipients and callers in this time, whole, masked or replaced.",
		queries: []query{{`round(sum by (category, recipient) (increase(caddy_minimize_disclosures_total{instance=~"$instance",recipient=~"$recipient"}[$__range])))` +
			` > 0`, ""}},
	}, {
		kind: "table", title: "Sent, by category and country", width: 12, matrix: [2]string{"category", "country"},
		description: "Values that left for recipients and callers in this time, by where those are. Unknown: nobody said so.",
		queries: []query{{`round(sum by (category, country) (increase(caddy_minimize_disclosures_total{instance=~"$instance",recipient=~"$recipient"}[$__range])))` +
			` > 0`, ""}},
	}, {
		title: "Requests to recipients", width: 8, unit: "reqps",
		queries: []query{{`sum by (recipient, country, outcome) (rate(caddy_minimize_egress_total{instance=~"$instance",recipient=~"$recipient"}[$__rate_interval]))`,
			"{{recipient}} ({{country}}): {{outcome}}"}},
		description: "Calls to others, and what became of them.",
	}, {
		title: "Requests to recipients refused", width: 8, unit: "reqps", none: "nothing was refused",
		description: "Why requests to recipients did not leave. Reason recipient: who receives is in no register.",
		queries: []query{{`sum by (recipient, reason) (rate(caddy_minimize_egress_refusals_total{instance=~"$instance",recipient=~"$recipient"}[$__rate_interval]))` +
			` > 0`, "{{recipient}}: {{reason}}"}},
	}, {
		kind: "bargauge", title: "People abroad this year, by country", width: 8, steps: peopleLines, none: "nobody's data left",
		description: "Data subjects whose data left for this country since 1 January: at most so many, since one who was counted by two gateways counts twice.",
		queries:     []query{{`sum by (country) (caddy_minimize_people_abroad{instance=~"$instance"})`, "{{country}}"}},
	}, {
		title: "People abroad, in time", width: 12, steps: peopleLines, none: "nobody's data left",
		description: "The same in time, all countries together. The lines are at 10,000, 100,000 and 1,000,000.",
		queries:     []query{{`sum(caddy_minimize_people_abroad{instance=~"$instance"})`, "people"}},
	}, {
		title: "Callers whose address contradicts their country", width: 12, unit: "cpm",
		description: "Callers who claim one country while the database of countries has their address in another. Without such a database: none.",
		queries:     []query{{`60 * sum(rate(caddy_minimize_geoip_contradictions_total{instance=~"$instance"}[$__rate_interval]))`, "contradictions"}},
	},
}}

var consents = row{"Consents", []spec{
	{
		kind: "stat", title: "Consent store in reach", width: 8, steps: []step{base("red"), from(1, "green")}, mappings: yesNo, none: "no store",
		description: "While it is out of reach no consent counts.",
		queries:     []query{{`min(caddy_minimize_consent_fresh{instance=~"$instance"})`, ""}},
	}, {
		kind: "stat", title: "Found in memory", width: 8, unit: "percentunit", none: "no store",
		description: "Of the data subjects that bodies in this time were about, those whose consents were in memory.",
		queries: []query{{`sum(increase(caddy_minimize_consent_hits_total{instance=~"$instance"}[$__range]))` +
			` / (sum(increase(caddy_minimize_consent_hits_total{instance=~"$instance"}[$__range])) + sum(increase(caddy_minimize_consent_misses_total{instance=~"$instance"}[$__range])))`, ""}},
	}, {
		kind: "stat", title: "Data subjects in memory", width: 8, none: "no store",
		description: "Those whose consents, objections and profiles are at hand.",
		queries:     []query{{`sum(caddy_minimize_consent_cached_subjects{instance=~"$instance"})`, ""}},
	}, {
		title: "Changes", width: 12, unit: "cpm", none: "nobody changed anything",
		description: "Consents, profiles and cases that changed through these gateways, by event. Objections by Sec-GPC are among them.",
		queries:     []query{{`60 * sum by (event) (rate(caddy_minimize_consent_changes_total{instance=~"$instance"}[$__rate_interval]))`, "{{event}}"}},
	}, {
		title: "Questions to the store", width: 12, unit: "reqps", none: "no store",
		description: "Data subjects that were read from the store, in how many queries, and questions without an answer in time.",
		queries: []query{
			{`sum(rate(caddy_minimize_consent_misses_total{instance=~"$instance"}[$__rate_interval]))`, "data subjects"},
			{`sum(rate(caddy_minimize_consent_queries_total{instance=~"$instance"}[$__rate_interval]))`, "queries"},
			{`sum(rate(caddy_minimize_consent_failures_total{instance=~"$instance"}[$__rate_interval]))`, "without an answer"},
		},
	}, {
		title: "Age of what is in memory", width: 12, unit: "s", none: "no store",
		description: "How long ago the store last confirmed what is in memory. What is older than the option stale does not count.",
		queries:     []query{{`max by (instance) (caddy_minimize_consent_age_seconds{instance=~"$instance"})`, "{{instance}}"}},
	}, {
		title: "Objections by Sec-GPC", width: 12, unit: "cpm",
		description: "Objections that browsers made, and those that could not be stored at once.",
		queries: []query{
			{`60 * sum(rate(caddy_minimize_gpc_recorded_total{instance=~"$instance"}[$__rate_interval]))`, "recorded"},
			{`60 * sum(rate(caddy_minimize_gpc_failures_total{instance=~"$instance"}[$__rate_interval]))`, "not stored"},
		},
	},
}}

var health = row{"Health", []spec{
	{
		kind: "state-timeline", title: "Protected routes", width: 12, steps: []step{base("red"), from(1, "green")}, mappings: yesNo, none: "the canary did not run",
		description: "Each route that enforces, as the canary found it.",
		queries:     []query{{`min by (route) (caddy_minimize_protected{instance=~"$instance"})`, "{{route}}"}},
	}, {
		title: "Routes", width: 6,
		description: "Routes that enforce, with those to recipients apart, that only report, and that reach a backend without minimize.",
		queries:     []query{{`sum by (state) (caddy_minimize_routes{instance=~"$instance"})`, "{{state}}"}},
	}, {
		title: "Canary runs", width: 6, unit: "cpm",
		description: "One run each minute and with each reload, by the worst that a route let through.",
		queries:     []query{{`60 * sum by (result) (rate(caddy_minimize_canary_runs_total{instance=~"$instance"}[$__rate_interval]))`, "{{result}}"}},
	}, {
		kind: "stat", title: "Oldest rules", width: 8, unit: "s",
		description: "How long ago a gateway last took rules, by a change or by its start.",
		queries:     []query{{`time() - min(caddy_minimize_rules_loaded_timestamp_seconds{instance=~"$instance"})`, ""}},
	}, {
		kind: "stat", title: "Changes that do not load", width: 8, steps: []step{green, red}, mappings: broken,
		description: "Whether rules, keys or the database of countries changed into something that does not load, so that older ones are in force.",
		queries: []query{{`max((caddy_minimize_rules_broken{instance=~"$instance"} + caddy_minimize_token_key_files_broken{instance=~"$instance"}` +
			` + caddy_minimize_geoip_broken{instance=~"$instance"}) > bool 0)`, ""}},
	}, {
		kind: "stat", title: "Panics", width: 8, steps: []step{green, red},
		description: "Messages in this time whose judging broke off. They were not sent.",
		queries:     []query{{`sum(increase(caddy_minimize_panics_total{instance=~"$instance"}[$__range]))`, ""}},
	}, {
		kind: "table", title: "Rules in force", width: 24,
		description: "The hash of the rules of each gateway, by the choice of documents. It should be the same everywhere.",
		queries:     []query{{`count by (instance, documents, hash) (caddy_minimize_rules_info{instance=~"$instance"})`, ""}},
	}, {
		title: "Time to judge a body", width: 8, unit: "s",
		description: "Without waiting for the backend or the caller.",
		queries: []query{
			{`histogram_quantile(0.5, sum by (le) (rate(caddy_minimize_engine_seconds_bucket{instance=~"$instance"}[$__rate_interval])))`, "half of them"},
			{`histogram_quantile(0.95, sum by (le) (rate(caddy_minimize_engine_seconds_bucket{instance=~"$instance"}[$__rate_interval])))`, "95 %"},
			{`histogram_quantile(0.99, sum by (le) (rate(caddy_minimize_engine_seconds_bucket{instance=~"$instance"}[$__rate_interval])))`, "99 %"},
		},
	}, {
		title: "Bodies", width: 8, unit: "Bps",
		description: "Bytes that were judged, and bytes that were sent.",
		queries:     []query{{`sum by (direction) (rate(caddy_minimize_body_bytes_total{instance=~"$instance"}[$__rate_interval]))`, "{{direction}}"}},
	}, {
		title: "Memory that holds bodies", width: 4, unit: "bytes",
		description: "Bytes that wait for their judgement.",
		queries:     []query{{`sum(caddy_minimize_hold_memory_bytes{instance=~"$instance"})`, "held"}},
	}, {
		title: "Bodies at once", width: 4,
		description: "Bodies that are being judged.",
		queries:     []query{{`sum(caddy_minimize_streams{instance=~"$instance"})`, "bodies"}},
	}, {
		title: "Audit log", width: 12, unit: "cps",
		description: "Entries that were written, and those that could not be.",
		queries: []query{
			{`sum(rate(caddy_minimize_audit_entries_total{instance=~"$instance"}[$__rate_interval]))`, "written"},
			{`sum(rate(caddy_minimize_audit_failures_total{instance=~"$instance"}[$__rate_interval]))`, "lost"},
		},
	}, {
		title: "Answers that their OpenAPI document does not know", width: 12, unit: "cpm", none: "no OpenAPI document among the rules",
		description: "Of the answers that were compared, those with members that the document does not have.",
		queries: []query{
			{`60 * sum by (document, operation) (rate(caddy_minimize_drift_samples_total{instance=~"$instance"}[$__rate_interval]))`, "{{operation}}, compared"},
			{`60 * sum by (document, operation) (rate(caddy_minimize_drift_total{instance=~"$instance"}[$__rate_interval]))` +
				` or 0 * sum by (document, operation) (rate(caddy_minimize_drift_samples_total{instance=~"$instance"}[$__rate_interval]))`, "{{operation}}, unknown members"},
		},
	},
}}
