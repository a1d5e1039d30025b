package aws

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"dbtier/localcloud/internal/aws/wire"
)

// The events of RDS, with the categories and messages of its user guide ("Amazon RDS event categories and event
// messages"). As in the answers of DescribeEvents, the number of an event is not part of it.
var (
	eventCreated    = eventKind{"creation", "DB instance created"}                  // 0005
	eventDeleted    = eventKind{"deletion", "DB instance deleted"}                  // 0003
	eventShutdown   = eventKind{"availability", "DB instance shutdown"}             // 0004
	eventRestarted  = eventKind{"availability", "DB instance restarted"}            // 0006
	eventFailover   = eventKind{"failover", "Multi-AZ instance failover started"}   // 0013
	eventFailedOver = eventKind{"failover", "Multi-AZ instance failover completed"} // 0049
	eventBackup     = eventKind{"backup", "Backing up DB instance"}                 // 0001
	eventBackedUp   = eventKind{"backup", "Finished DB Instance backup"}            // 0002
	// 0007
	eventStorageFull = eventKind{
		"low storage", "Allocated storage has been exhausted. Allocate additional storage to resolve.",
	}
	eventRestored    = eventKind{"restoration", "Restored from snapshot %s"}                                    // 0043
	eventRestoredTo  = eventKind{"restoration", "Restored from DB instance %s to %s"}                           // 0019
	eventCredentials = eventKind{"configuration change", "Reset master credentials"}                            // 0016
	eventClass       = eventKind{"configuration change", "Finished applying modification to DB instance class"} // 0014
	eventStorage     = eventKind{"configuration change", "Finished applying modification to allocated storage"} // 0017
	// 0025
	eventMultiAZ = eventKind{
		"configuration change", "Finished applying modification to convert to a Multi-AZ DB instance",
	}
	// 0029
	eventSingleAZ = eventKind{
		"configuration change", "Finished applying modification to convert to a standard (Single-AZ) DB instance",
	}

	eventSnapshot           = eventKind{"creation", "Creating manual snapshot"}    // 0040
	eventSnapshotTaken      = eventKind{"creation", "Manual snapshot created"}     // 0042
	eventAutomated          = eventKind{"creation", "Creating automated snapshot"} // 0090
	eventAutomatedTaken     = eventKind{"creation", "Automated snapshot created"}  // 0091
	eventSnapshotDeleted    = eventKind{"deletion", "Deleted user snapshot"}       // 0041
	eventCategoriesModelled = []string{
		"availability", "backup", "configuration change", "creation", "deletion", "failover", "low storage",
		"restoration",
	}
)

type eventKind struct{ category, message string }

const (
	sourceInstance = "db-instance"
	sourceSnapshot = "db-snapshot"

	// eventsKept is how long RDS keeps events, and eventsLimit how many the stand-in keeps: its state is one document.
	eventsKept  = 14 * 24 * time.Hour
	eventsLimit = 500
)

// dbEvent is an event of an instance or a snapshot.
type dbEvent struct {
	// ID counts the events of the account.
	ID                              int
	Region, Source, SourceType, ARN string
	Category, Message               string
	Date                            time.Time
}

// instanceEvent adds an event of an instance to the state. The arguments belong to the message.
func (st *state) instanceEvent(now time.Time, i *dbInstance, kind eventKind, args ...any) {
	st.addEvent(now, dbEvent{Region: i.Region, Source: i.Identifier, SourceType: sourceInstance, ARN: i.arn()}, kind,
		args...)
}

// modifiedEvents adds the events of what a modification has changed.
func (st *state) modifiedEvents(now time.Time, i *dbInstance, before *settings) {
	switch {
	case i.MultiAZ && !before.MultiAZ:
		st.instanceEvent(now, i, eventMultiAZ)
	case before.MultiAZ && !i.MultiAZ:
		st.instanceEvent(now, i, eventSingleAZ)
	}
	if i.Class != before.Class {
		st.instanceEvent(now, i, eventClass)
	}
	if i.AllocatedStorage != before.AllocatedStorage {
		st.instanceEvent(now, i, eventStorage)
	}
}

// snapshotEvent adds an event of a snapshot: that of an automated one, or that of any other.
func (st *state) snapshotEvent(now time.Time, s *dbSnapshot, byHand, byRDS eventKind) {
	kind := byHand
	if s.Type == automated {
		kind = byRDS
	}
	st.addEvent(now, dbEvent{Region: s.Region, Source: s.Identifier, SourceType: sourceSnapshot, ARN: s.arn()}, kind)
}

func (st *state) addEvent(now time.Time, e dbEvent, kind eventKind, args ...any) {
	e.Date, e.Category, e.Message = now.UTC(), kind.category, fmt.Sprintf(kind.message, args...)
	if len(st.Events) > 0 {
		e.ID = st.Events[len(st.Events)-1].ID + 1
	}
	events := slices.DeleteFunc(append(slices.Clone(st.Events), e),
		func(old dbEvent) bool { return now.Sub(old.Date) > eventsKept })
	st.Events = events[max(0, len(events)-eventsLimit):]
}

type xmlEvent struct {
	SourceIdentifier, SourceType, Message string
	EventCategories                       []string `xml:"EventCategories>EventCategory"`
	Date                                  string
	SourceArn                             string
}

// eventTimes are the times that a request asks for.
func (k *call) eventTimes(p *wire.Params) (from, until time.Time, err error) {
	now := k.c.now()
	minutes, start, end := p.Int("Duration", 60), p.String("StartTime"), p.String("EndTime")
	from, until = now.Add(-time.Duration(minutes)*time.Minute), now
	for _, given := range []struct {
		name, text string
		into       *time.Time
	}{{"StartTime", start, &from}, {"EndTime", end, &until}} {
		if given.text == "" {
			continue
		}
		if *given.into, err = time.Parse(time.RFC3339, given.text); err != nil {
			return from, until, wire.Errorf(codeInvalidValue, "%s: %q: want a time such as 2026-01-02T03:04:05Z",
				given.name, clip(given.text))
		}
	}
	switch {
	case start != "" && p.Has("Duration"):
		err = wire.Errorf(codeCombination, "Duration and StartTime cannot both be specified.")
	case end != "" && start == "":
		err = wire.Errorf(codeCombination, "StartTime is required with EndTime.")
	case until.Before(from):
		err = wire.Errorf(codeCombination, "EndTime must not be before StartTime.")
	case now.Sub(from) > eventsKept+time.Minute:
		err = wire.Errorf(codeInvalidValue, "Events are kept for 14 days: %s is before.",
			from.UTC().Format(time.RFC3339))
	}
	return from, until, err
}

// describeEvents lists events from the oldest to the newest. Without times these are the events of the last hour.
func (k *call) describeEvents(p *wire.Params) (any, error) {
	source, kind := strings.ToLower(p.String("SourceIdentifier")), p.String("SourceType")
	categories := p.Strings("EventCategories.EventCategory")
	// The action has no resource.
	if err := k.allow("rds:DescribeEvents", "*", nil); err != nil {
		return nil, err
	}
	from, until, err := k.eventTimes(p)
	switch {
	case err != nil:
		return nil, err
	case source != "" && kind == "":
		return nil, wire.Errorf(codeCombination, "SourceType is required with SourceIdentifier.")
	case kind != "" && kind != sourceInstance && kind != sourceSnapshot:
		return nil, wire.NotModelled("events of the source type %q", clip(kind))
	}
	for _, c := range categories {
		if !slices.Contains(eventCategoriesModelled, c) {
			return nil, wire.NotModelled("events of the category %q", clip(c))
		}
	}
	var all []dbEvent
	for _, e := range k.st.Events {
		if e.Region == k.region && (source == "" || e.Source == source) && (kind == "" || e.SourceType == kind) &&
			(len(categories) == 0 || slices.Contains(categories, e.Category)) &&
			!e.Date.Before(from) && !e.Date.After(until) {
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b dbEvent) int { return a.Date.Compare(b.Date) })
	page, next, err := rdsPage(p, all, func(e dbEvent) string { return strconv.Itoa(e.ID) })
	if err != nil {
		return nil, err
	}
	out := struct {
		Marker string     `xml:",omitempty"`
		Events []xmlEvent `xml:"Events>Event"`
	}{Marker: next}
	for _, e := range page {
		out.Events = append(out.Events, xmlEvent{
			e.Source, e.SourceType, e.Message, []string{e.Category}, e.Date.Format(time.RFC3339Nano), e.ARN,
		})
	}
	return out, nil
}
