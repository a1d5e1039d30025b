package report

import "time"

// Kinds of an event.
const (
	// Fault is the cause of what the clients see.
	Fault = "fault"
	// Healed is the moment from which the database works again as far as the driver can tell.
	Healed = "healed"
	// Note is anything else that a reader of the charts should know.
	Note = "note"
)

// Report is a whole drill. It is the JSON that `dbtier drill --json` prints.
type Report struct {
	// Drill is the drill's name: failover.
	Drill string `json:"drill"`
	Stack string `json:"stack"`
	// Cloud is local or aws.
	Cloud string `json:"cloud"`
	// Began is the zero of all seconds that people read.
	Began time.Time `json:"began"`
	Ended time.Time `json:"ended"`
	// Seed makes the drill `random` repeat its choices. Other drills have none.
	Seed *uint64 `json:"seed,omitempty"`
	// Events are in the order of time.
	Events []Event `json:"events"`
	// Versions are of the programs that took part, Settings those of the stack that decide the outcome.
	Versions []Fact `json:"versions"`
	Settings []Fact `json:"settings"`
	Load     Load   `json:"load"`
	// Restored is set by the drills that restore the database.
	Restored *Restored `json:"restored,omitempty"`
	// Verdict compares the outcome with what the caller demanded. It is empty if nothing was demanded.
	Verdict []Bound `json:"bounds"`
	// Problem says why the drill could not be carried out or measured. The rest of the report is then incomplete.
	Problem string `json:"problem,omitempty"`
}

// Event is something that happened during the drill.
type Event struct {
	At time.Time `json:"at"`
	// Text is one sentence without a full stop.
	Text string `json:"text"`
	// Kind is Fault, Healed or Note.
	Kind string `json:"kind"`
}

// Fact is a version or a setting.
type Fact struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Bound is one demand on the outcome.
type Bound struct {
	// Name is that of the flag: max-outage.
	Name string `json:"name"`
	// Want and Got are written for people, with their units.
	Want string `json:"want"`
	Got  string `json:"got"`
	OK   bool   `json:"ok"`
}

// Passed is true if the drill was measured and every bound is met. A drill without bounds passes whatever it measured.
func (r *Report) Passed() bool {
	return r.Problem == "" && len(r.failed()) == 0
}

// failed returns the names of the bounds that are not met.
func (r *Report) failed() []string {
	var names []string
	for _, b := range r.Verdict {
		if !b.OK {
			names = append(names, b.Name)
		}
	}
	return names
}

// since returns the seconds from the beginning of the drill.
func (r *Report) since(t time.Time) float64 {
	return t.Sub(r.Began).Seconds()
}
