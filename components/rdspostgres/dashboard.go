package rdspostgres

import (
	"encoding/json"
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// The parts of a dashboard's body that this package uses ("Dashboard Body Structure and Syntax" in CloudWatch's API
// reference).
type dashboardBody struct {
	Widgets []widget `json:"widgets"`
}

type widget struct {
	Type       string     `json:"type"`
	X          int        `json:"x"`
	Y          int        `json:"y"`
	Width      int        `json:"width"`
	Height     int        `json:"height"`
	Properties properties `json:"properties"`
}

type properties struct {
	Title  string `json:"title"`
	Region string `json:"region"`
	View   string `json:"view"`
	Stat   string `json:"stat"`
	Period int    `json:"period"`
	// Metrics are lists of a namespace, a metric, and the names and values of dimensions.
	Metrics     [][]string   `json:"metrics"`
	Annotations *annotations `json:"annotations,omitempty"`
}

type annotations struct {
	Horizontal []line `json:"horizontal"`
}

type line struct {
	Label string  `json:"label"`
	Value float64 `json:"value"`
}

// A row of CloudWatch's grid has 24 columns.
const widgetWidth, widgetHeight = 12, 6

// busy are the metrics that explain the alarms and have none of their own.
var busy = [][]string{
	{"ReadLatency", "WriteLatency"},
	{"ReadIOPS", "WriteIOPS"},
	{"ReadThroughput", "WriteThroughput"},
	{"DiskQueueDepth"},
}

// dashboard creates a dashboard with a widget for each alarm's metric and its threshold.
func (b *builder) dashboard(disk pulumi.IntOutput) error {
	if !b.args.Alarms.Dashboard {
		return nil
	}
	_, err := cloudwatch.NewDashboard(b.Ctx, b.Child("dashboard"), &cloudwatch.DashboardArgs{
		DashboardName: pulumi.String(b.args.Identifier),
		DashboardBody: disk.ApplyT(b.args.dashboardBody).(pulumi.StringOutput),
	}, b.Parent)
	if err != nil {
		return fmt.Errorf("the dashboard: %w", err)
	}
	return nil
}

func (a *RdsPostgresArgs) dashboardBody(disk int) (string, error) {
	var body dashboardBody
	add := func(title string, limit *annotations, names ...string) {
		w := widget{
			Type: "metric", Width: widgetWidth, Height: widgetHeight, X: len(body.Widgets) % 2 * widgetWidth,
			Y: len(body.Widgets) / 2 * widgetHeight,
			Properties: properties{
				Title: title, Region: a.Region, View: "timeSeries", Stat: "Average", Period: 300, Annotations: limit,
			},
		}
		for _, name := range names {
			w.Properties.Metrics = append(w.Properties.Metrics,
				[]string{"AWS/RDS", name, "DBInstanceIdentifier", a.Identifier})
		}
		body.Widgets = append(body.Widgets, w)
	}
	for _, alarm := range a.watched() {
		alarm = alarm.on(disk)
		add(alarm.metric, &annotations{[]line{{"alarm", alarm.threshold}}}, alarm.metric)
	}
	for _, names := range busy {
		add(names[0], nil, names...)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return "", fmt.Errorf("the dashboard: %w", err)
	}
	return string(text), nil
}
