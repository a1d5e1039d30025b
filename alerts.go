package main

import "dbtier/components/alerts"

// addAlerts creates the PrometheusRule.
func (t *tier) addAlerts() error {
	if !t.stack.Alerts.PrometheusRule {
		return nil
	}
	monitored, err := t.stack.Monitored(t.authorities)
	if err != nil {
		return err
	}
	_, err = alerts.NewAlerts(t.ctx, "alerts", &alerts.AlertsArgs{
		Tier: *monitored, Owner: t.stack.Consumer.Name, DependsOn: t.prepared,
	}, t.providers)
	return err
}
