package pending_test

import (
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/internal/pending"
	"dbtier/internal/progress"
	"dbtier/internal/stackstate"
)

type props = map[string]any

const (
	instance = "aws:rds/instance:Instance"
	urn      = "urn:pulumi:prod::dbtier::" + instance + "::database-instance"
)

var thursday = time.Date(2026, 12, 3, 12, 0, 0, 0, time.UTC)

// asked are the inputs of an update that asks for more than RDS does at once; answered is RDS's answer.
func asked(more props) props {
	inputs := props{
		"applyImmediately": false, "maintenanceWindow": "Mon:04:00-Mon:05:00", "instanceClass": "db.m6g.xlarge",
		"engineVersion": "17", "allocatedStorage": 50.0, "multiAz": true,
	}
	for name, value := range more {
		inputs[name] = value
	}
	return inputs
}

func answered() props {
	return props{"instanceClass": "db.m6g.large", "engineVersion": "16.11", "allocatedStorage": 60.0, "multiAz": true}
}

func TestWhatRDSHasNotAppliedYetWaitsForTheWindow(t *testing.T) {
	changes := pending.Of(urn, asked(nil), answered(), time.Time{}, thursday)
	require.Len(t, changes, 2, "a grown disk has no change to wait for")
	assert.Equal(t, "aws:rds:Instance database-instance: engineVersion 16.11 → 17, pending until Mon 04:00 UTC",
		changes[0].String())
	assert.Equal(t, "instanceClass", changes[1].Property)
	assert.Equal(t, time.Date(2026, 12, 7, 4, 0, 0, 0, time.UTC), changes[1].Until)
	for name, c := range map[string]struct {
		inputs props
		since  time.Time
	}{
		"applied immediately":       {asked(props{"applyImmediately": true}), time.Time{}},
		"reached":                   {asked(props{"instanceClass": "db.m6g.large", "engineVersion": "16"}), time.Time{}},
		"the window has passed":     {asked(nil), thursday.AddDate(0, 0, -8)},
		"no window is known":        {asked(props{"maintenanceWindow": "soon"}), time.Time{}},
		"not a property that waits": {asked(props{"engineVersion": "16", "instanceClass": nil, "x": 1}), time.Time{}},
	} {
		assert.Empty(t, pending.Of(urn, c.inputs, answered(), c.since, thursday), name)
	}
}

func TestTheNextWindowIsFoundOnEveryDay(t *testing.T) {
	for day := range 7 {
		now := thursday.AddDate(0, 0, day)
		until := pending.Of(urn, asked(nil), answered(), now, now)[0].Until
		assert.Equal(t, time.Monday, until.Weekday())
		assert.True(t, until.After(now) && until.Before(now.AddDate(0, 0, 7)), now)
	}
	night := asked(props{"maintenanceWindow": "sun:23:30-mon:00:30"})
	assert.Equal(t, time.Date(2026, 12, 6, 23, 30, 0, 0, time.UTC),
		pending.Of(urn, night, answered(), time.Time{}, thursday)[0].Until)
}

// result is a run with one step on an instance.
func result(step progress.Step) *progress.Result {
	step.URN, step.Type = urn, instance
	return &progress.Result{Changes: map[apitype.OpType]int{step.Op: 1}, Steps: []progress.Step{step}}
}

func TestOnlyARepetitionIsNoChange(t *testing.T) {
	last := progress.State{Inputs: asked(nil), Outputs: answered()}
	class := []string{"instanceClass"}
	for name, c := range map[string]struct {
		step    progress.Step
		changed bool
		waiting int
	}{
		"a refresh finds the old value": {progress.Step{Changed: class, Found: answered(), Last: last}, false, 2},
		"a refresh finds another value": {progress.Step{
			Changed: class, Last: last, Found: props{"instanceClass": "db.t4g.micro", "engineVersion": "16.11"},
		}, true, 1},
		"an update asks for the same again": {progress.Step{Changed: class, Inputs: asked(nil), Last: last}, false, 2},
		"an update asks for something else": {progress.Step{
			Changed: class, Inputs: asked(props{"instanceClass": "db.m6g.4xlarge"}), Last: last,
		}, true, 1},
		"an update asks for more": {progress.Step{
			Changed: []string{"instanceClass", "tags"}, Inputs: asked(nil), Last: last,
		}, true, 2},
	} {
		c.step.Op = apitype.OpUpdate
		r := result(c.step)
		waiting := pending.Settle(r, nil, thursday)
		assert.Len(t, waiting, c.waiting, name)
		assert.Equal(t, c.changed, r.Changed(), name)
	}
	missed := result(progress.Step{Op: apitype.OpUpdate, Changed: class, Found: answered(), Last: last})
	assert.Empty(t, pending.Settle(missed, map[string]time.Time{urn: thursday.AddDate(0, 0, -8)}, thursday))
	assert.True(t, missed.Changed(), "RDS should have applied it")
}

func TestAnUpdateSaysWhatItLeavesForTheWindow(t *testing.T) {
	step := progress.Step{Op: apitype.OpUpdate, Changed: []string{"instanceClass"}, Inputs: asked(nil)}
	step.Last = progress.State{Inputs: answered(), Outputs: answered()}
	step.Now = progress.State{Inputs: asked(nil), Outputs: answered()}
	r := result(step)
	assert.Len(t, pending.Settle(r, nil, thursday), 2)
	assert.True(t, r.Changed(), "this update asked for it")
}

func TestTheStateAloneTellsWhatWaits(t *testing.T) {
	read, err := stackstate.Read([]byte(`{"deployment":{"resources":[{"urn":"` + urn + `","type":"` + instance + `",
		"modified":"2026-12-03T10:00:00Z","outputs":{"instanceClass":"db.m6g.large"},
		"inputs":{"instanceClass":"db.m6g.xlarge","applyImmediately":false,"maintenanceWindow":"Mon:04:00-Mon:05:00"}}]}}`))
	require.NoError(t, err)
	assert.Len(t, pending.OfState(read, thursday), 1)
	assert.Empty(t, pending.OfState(read, thursday.AddDate(0, 0, 6)), "the window has passed")
}
