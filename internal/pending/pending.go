// Package pending knows which differences of a database instance only wait. RDS accepts most changes at once and
// applies them in the maintenance window. Until then its answers have the old values, which is neither drift nor a
// change that an update has still to make.
package pending

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"

	"dbtier/internal/progress"
	"dbtier/internal/stackstate"
)

// instance is the type of a database instance.
const instance = "aws:rds/instance:Instance"

// deferred are the properties whose change waits for the maintenance window unless it is applied immediately. Source:
// "Settings for DB instances" in the RDS user guide.
var deferred = []string{
	"allocatedStorage", "backupRetentionPeriod", "caCertIdentifier", "dbSubnetGroupName", "dedicatedLogVolume",
	"engineVersion", "iamDatabaseAuthenticationEnabled", "instanceClass", "iops", "monitoringInterval",
	"monitoringRoleArn", "multiAz", "networkType", "parameterGroupName", "port", "storageThroughput", "storageType",
}

// Change is a property that RDS changes in the maintenance window.
type Change struct {
	URN      string `json:"urn"`
	Property string `json:"property"`
	// Now is the value that the instance has, Then the one that it will have.
	Now  any `json:"now"`
	Then any `json:"then"`
	// Until is the start of the window in which RDS applies the change, in UTC.
	Until time.Time `json:"until"`
}

// String describes the change on one line.
func (c Change) String() string {
	return fmt.Sprintf("%s: %s %v → %v, pending until %s UTC", progress.Subject(c.URN), c.Property, c.Now, c.Then,
		c.Until.Format("Mon 15:04"))
}

// Of returns the changes that wait, of an instance with these inputs of its last update and RDS's answer to it. The
// update was at the time since; the zero time means just now. A change that has missed its window does not wait.
func Of(urn string, inputs, answer map[string]any, since, now time.Time) []Change {
	if since.IsZero() {
		since = now
	}
	window, _ := inputs["maintenanceWindow"].(string)
	until, ok := next(window, since)
	if inputs["applyImmediately"] == true || !ok || now.After(until.Add(longestWindow)) {
		return nil
	}
	var changes []Change
	for _, property := range deferred {
		want, asked := inputs[property]
		have, answered := answer[property]
		if asked && answered && want != nil && !reached(property, want, have) {
			changes = append(changes, Change{URN: urn, Property: property, Now: have, Then: want, Until: until})
		}
	}
	return changes
}

// longestWindow is the longest maintenance window that RDS accepts.
const longestWindow = 24 * time.Hour

// reached reports whether the instance has what the program wants. A minor version satisfies its major version, and a
// disk that RDS has grown satisfies the size at its creation.
func reached(property string, want, have any) bool {
	if size, ok := want.(float64); ok && property == "allocatedStorage" {
		larger, ok := have.(float64)
		return ok && larger >= size
	}
	if property == "engineVersion" {
		return strings.HasPrefix(fmt.Sprint(have)+".", fmt.Sprint(want)+".")
	}
	return fmt.Sprint(want) == fmt.Sprint(have)
}

// OfState returns the changes that wait, of every instance in the state.
func OfState(s *stackstate.State, now time.Time) []Change {
	var changes []Change
	for i := range s.Resources {
		if r := &s.Resources[i]; r.Type == instance && !r.Delete {
			changes = append(changes, Of(r.URN, r.Inputs(), r.Outputs(), r.Modified, now)...)
		}
	}
	return changes
}

// Waits reports whether a step is about an instance with a change that waits.
func Waits(steps []progress.Step, now time.Time) bool {
	return slices.ContainsFunc(steps, func(s progress.Step) bool {
		return s.Type == instance && len(Of(s.URN, s.Last.Inputs, s.Last.Outputs, time.Time{}, now)) > 0
	})
}

// Settle takes what only waits out of a result, and returns it. Of the update steps of instances these are the
// properties for which RDS still gives the answer that it gave to the last update, although that update asked for the
// value that the program wants now. An update step without any other property is not a change. The times of the last
// updates are in since, by URN.
func Settle(result *progress.Result, since map[string]time.Time, now time.Time) []Change {
	var all []Change
	for i := range result.Steps {
		step := &result.Steps[i]
		if step.Type != instance {
			continue
		}
		before := slices.DeleteFunc(Of(step.URN, step.Last.Inputs, step.Last.Outputs, since[step.URN], now),
			func(c Change) bool { return !repeats(step, c) })
		if step.Op == apitype.OpUpdate && len(step.Changed) > 0 {
			step.Changed = slices.DeleteFunc(slices.Clone(step.Changed), func(path string) bool {
				return slices.ContainsFunc(before, func(c Change) bool { return c.Property == path })
			})
			if len(step.Changed) == 0 && len(step.Options) == 0 {
				result.Same(step)
			}
		}
		if step.Now.Outputs != nil {
			before = Of(step.URN, step.Now.Inputs, step.Now.Outputs, time.Time{}, now)
		}
		all = append(all, before...)
	}
	return all
}

// repeats reports whether a step says only again that a change waits: a refresh finds the old value, or an update asks
// for the same new one.
func repeats(step *progress.Step, c Change) bool {
	if step.Found != nil {
		return fmt.Sprint(step.Found[c.Property]) == fmt.Sprint(c.Now)
	}
	return fmt.Sprint(step.Inputs[c.Property]) == fmt.Sprint(c.Then)
}

// next returns the next start of a weekly window, ddd:hh:mm-ddd:hh:mm in UTC.
func next(window string, after time.Time) (time.Time, bool) {
	start, _, _ := strings.Cut(window, "-")
	day, clock, _ := strings.Cut(start, ":")
	at, err := time.Parse("15:04", clock)
	if err != nil {
		return time.Time{}, false
	}
	after = after.UTC()
	begin := time.Date(after.Year(), after.Month(), after.Day(), at.Hour(), at.Minute(), 0, 0, time.UTC)
	for range 8 {
		if strings.EqualFold(begin.Format("Mon"), day) && begin.After(after) {
			return begin, true
		}
		begin = begin.AddDate(0, 0, 1)
	}
	return time.Time{}, false
}
