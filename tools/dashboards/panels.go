package main

import (
	"cmp"
	"strings"
)

// prometheus is the data source that deploy/grafana/provisioning makes.
var prometheus = datasource{Type: "prometheus", UID: "prometheus"}

// The width of Grafana's grid, and the size of a panel on it.
const (
	gridWidth   = 24
	graphHeight = 8
	statHeight  = 4
)

// A series is an expression with the name that its lines have in the legend. SEL in it stands for the labels that choose the
// servers, and RATE for the range of a rate.
type series struct{ expr, legend string }

// target makes the expression as Grafana sends it. $__rate_interval is four scrapes at least, so that no line has holes.
func (s series) target(ref string) target {
	expr := strings.NewReplacer("SEL", `job="tomehub",instance=~"$instance"`, "RATE", "$__rate_interval").Replace(s.expr)
	return target{RefID: ref, Datasource: prometheus, Expr: expr, LegendFormat: cmp.Or(s.legend, "{{instance}}")}
}

// A chart is a panel before it has its place. Its kind is timeseries unless said otherwise.
type chart struct {
	title, says, unit string
	series            []series
	stat              bool    // one number, not a line
	stack             bool    // the lines are parts of a whole
	warn, bad         float64 // bounds that are drawn; 0 is none
	most              float64 // upper end of the axis; 0 is what there is
	wide              bool    // takes the whole width
}

// panel makes the panel.
func (c chart) panel() panel {
	zero := 0.0
	p := panel{Type: "timeseries", Title: c.title, Description: c.says, Datasource: prometheus, FieldConfig: fieldConfig{
		Defaults: fieldDefaults{Unit: c.unit, Min: &zero, Thresholds: c.thresholds()}, Overrides: []struct{}{},
	}}
	if c.most > 0 {
		p.FieldConfig.Defaults.Max = &c.most
	}
	for i, s := range c.series {
		p.Targets = append(p.Targets, s.target(string(rune('A'+i))))
	}
	if c.stat {
		p.Type = "stat"
		p.Options = map[string]any{"colorMode": "value", "graphMode": "area", "reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}}
		return p
	}
	p.Options = map[string]any{
		"legend":  map[string]any{"displayMode": "list", "placement": "bottom", "showLegend": true, "calcs": []string{}},
		"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
	}
	custom := map[string]any{"drawStyle": "line", "lineWidth": 1, "fillOpacity": 10, "showPoints": "never", "spanNulls": false}
	if c.stack {
		custom["fillOpacity"], custom["stacking"] = 40, map[string]any{"mode": "normal", "group": "A"}
	}
	if c.bad > 0 {
		custom["thresholdsStyle"] = map[string]any{"mode": "line"}
	}
	p.FieldConfig.Defaults.Custom = custom
	return p
}

// thresholds colours what is beyond a bound.
func (c chart) thresholds() *thresholds {
	t := &thresholds{Mode: "absolute", Steps: []step{{Color: "green"}}}
	if c.warn > 0 {
		t.Steps = append(t.Steps, step{"orange", &c.warn})
	}
	if c.bad > 0 {
		t.Steps = append(t.Steps, step{"red", &c.bad})
	}
	return t
}

// place puts charts into rows, from left to right.
func place(charts []chart) []panel {
	var out []panel
	x, y, high := 0, 0, 0
	for i, c := range charts {
		w, h := gridWidth/2, graphHeight
		switch {
		case c.stat:
			w, h = gridWidth/6, statHeight
		case c.wide:
			w = gridWidth
		}
		if x+w > gridWidth || high > 0 && h != high {
			x, y = 0, y+high
		}
		p := c.panel()
		p.ID, p.GridPos = i+1, gridPos{H: h, W: w, X: x, Y: y}
		out, x, high = append(out, p), x+w, h
	}
	return out
}

// newDashboard makes a dashboard of charts. All of them choose servers alike, link to each other, and mark when an alert fired.
func newDashboard(uid, title, says, refresh string, charts []chart) dashboard {
	return dashboard{
		UID: "tomehub-" + uid, Title: "TomeHub: " + title, Description: says, Tags: []string{"tomehub"}, GraphTooltip: 1, Refresh: refresh,
		SchemaVersion: 39, Time: timeRange{"now-1h", "now"},
		Templating: templating{[]variable{{
			Name: "instance", Label: "Server", Type: "query", Datasource: prometheus, Query: `label_values(tomehub_build_info{job="tomehub"}, instance)`,
			Refresh: 2, Multi: true, IncludeAll: true, AllValue: ".+", Current: current{"All", "$__all"},
		}}},
		Annotations: annotations{[]annotation{{
			Name: "Alerts", Datasource: prometheus, Enable: true, IconColor: "red", Expr: `ALERTS{job="tomehub",alertstate="firing"}`, TitleForm: "{{alertname}} {{instance}}",
		}}},
		Links:  []link{{Title: "TomeHub", Type: "dashboards", Icon: "external link", Tags: []string{"tomehub"}, IncludeVars: true, KeepTime: true}},
		Panels: place(charts),
	}
}
