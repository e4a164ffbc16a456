package dashboards

// row is a heading of the dashboard with what stands below it.
type row struct {
	title  string
	panels []spec
}

// spec is what is special about a panel. Most of them are curves over time.
type spec struct {
	kind        string // "": timeseries
	title       string
	description string
	unit        string // "": a count
	none        string // what stands there where there is no data
	width       int    // of Grafana's 24 columns
	queries     []query
	steps       []step            // nil: green
	mappings    map[string]mapped // what a value means
	stacked     bool
	matrix      [2]string // the labels that become rows and columns of a table
}

// query is one question to Prometheus. In legends {{label}} stands for a label's value.
type query struct{ expr, legend string }

type mapped struct{ text, color string }

// The heights of panels, in Grafana's units of 30 pixels.
const (
	columns     = 24
	statHeight  = 4
	graphHeight = 8
	tableHeight = 10
)

var prometheus = &datasource{Type: "prometheus", UID: "${datasource}"}

// from begins a threshold's step.
func from(value float64, color string) step { return step{color, &value} }

func base(color string) step { return step{color, nil} }

func (s spec) height() int {
	switch s.kind {
	case "stat":
		return statHeight
	case "table":
		return tableHeight
	}
	return graphHeight
}

// lay puts the rows below each other, and each row's panels side by side as far as the width goes.
func lay(rows []row) (panels []panel) {
	y := 0
	open := false
	add := func(p panel) {
		p.ID = len(panels) + 1
		panels = append(panels, p)
	}
	for _, r := range rows {
		add(panel{Type: "row", Title: r.title, GridPos: gridPos{H: 1, W: columns, Y: y}, Collapsed: &open, Panels: new([]panel{})})
		y++
		x, high := 0, 0
		for _, s := range r.panels {
			if x+s.width > columns {
				x, y, high = 0, y+high, 0
			}
			add(s.draw(gridPos{H: s.height(), W: s.width, X: x, Y: y}))
			x, high = x+s.width, max(high, s.height())
		}
		y += high
	}
	return panels
}

func (s spec) draw(at gridPos) panel {
	if s.kind == "" {
		s.kind = "timeseries"
	}
	p := panel{
		Type: s.kind, Title: s.title, Description: s.description, GridPos: at, Datasource: prometheus,
		FieldConfig: &fieldConfig{Defaults: s.defaults(), Overrides: []any{}},
		Options:     s.options(),
	}
	for i, q := range s.queries {
		t := target{RefID: string(rune('A' + i)), Expr: q.expr, LegendFormat: q.legend}
		switch s.kind {
		case "timeseries", "state-timeline":
			t.Range = true
		case "table":
			t.Instant, t.Format = true, "table"
		default:
			t.Instant = true
		}
		p.Targets = append(p.Targets, t)
	}
	if s.kind == "table" {
		p.Transformations = s.transformations()
	}
	return p
}

func (s spec) defaults() fieldDefaults {
	d := fieldDefaults{
		Unit: s.unit, NoValue: s.none, Color: map[string]any{"mode": "palette-classic"},
		Thresholds: thresholds{"absolute", s.steps},
	}
	if d.Unit == "" {
		d.Unit = "short"
	}
	if d.NoValue == "" {
		d.NoValue = "none yet"
	}
	if s.steps == nil {
		d.Thresholds.Steps = []step{base("green")}
	}
	if s.mappings != nil {
		m := mapping{Type: "value", Options: map[string]mappedResult{}}
		for value, to := range s.mappings {
			m.Options[value] = mappedResult{Text: to.text, Color: to.color}
		}
		d.Mappings = []mapping{m}
	}
	switch s.kind {
	case "timeseries":
		d.Min = new(0.0)
		// A point that stands alone, as of what is seldom refused, is drawn as one: a line needs two.
		d.Custom = map[string]any{"fillOpacity": 10, "showPoints": "auto"}
		if s.stacked {
			d.Custom = map[string]any{"fillOpacity": 40, "showPoints": "auto", "stacking": map[string]any{"mode": "normal", "group": "A"}}
		}
		if s.steps != nil {
			d.Custom["thresholdsStyle"] = map[string]any{"mode": "dashed"}
		}
	case "table":
		d.Custom = map[string]any{"align": "auto", "filterable": true}
	default:
		d.Color = map[string]any{"mode": "thresholds"}
	}
	return d
}

func (s spec) options() map[string]any {
	switch s.kind {
	case "timeseries":
		return map[string]any{
			"legend":  legend(),
			"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
		}
	case "stat":
		return map[string]any{
			"colorMode": "background_solid", "graphMode": "none", "justifyMode": "center", "textMode": "auto",
			"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
		}
	case "bargauge":
		return map[string]any{
			"displayMode": "basic", "orientation": "horizontal", "showUnfilled": true,
			"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
		}
	case "state-timeline":
		return map[string]any{
			"mergeValues": true, "showValue": "never", "rowHeight": 0.8, "alignValue": "left",
			"legend": legend(), "tooltip": map[string]any{"mode": "single", "sort": "none"},
		}
	}
	return map[string]any{"showHeader": true, "cellHeight": "sm"}
}

func legend() map[string]any {
	return map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}}
}

// transformations make a table of a query's labels and values: one line for each series, or a matrix of two labels.
func (s spec) transformations() []transformation {
	if s.matrix == [2]string{} {
		return []transformation{{"organize", map[string]any{"excludeByName": map[string]bool{"Time": true, "Value": true}}}}
	}
	row, column := s.matrix[0], s.matrix[1]
	return []transformation{
		{"groupingToMatrix", map[string]any{"rowField": row, "columnField": column, "valueField": "Value", "emptyValue": "null"}},
		{"organize", map[string]any{"renameByName": map[string]string{row + `\` + column: row}}}, // what Grafana calls the first column
	}
}
