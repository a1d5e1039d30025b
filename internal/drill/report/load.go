package report

import "time"

// Kinds of clients, in the order of tables.
const (
	// Persistent clients keep one connection and open it again after an error.
	Persistent = "persistent"
	// Reconnecting clients open a connection for each request.
	Reconnecting = "reconnecting"
	// Retrying clients keep one connection and repeat a request until it succeeds or its time is over.
	Retrying = "retrying"
)

// Kinds of requests.
const (
	Write = "write"
	Read  = "read"
)

// Load is what the load generator has measured. All durations are in seconds.
type Load struct {
	// Run identifies the load's rows in the database.
	Run   string    `json:"run"`
	Began time.Time `json:"began"`
	// Ended is zero if the load did not get as far as its account. Groups, Ledger and Errors are then empty.
	Ended time.Time `json:"ended"`
	// Server is the version of PostgreSQL.
	Server string `json:"server"`
	// Groups are the totals of each pair of client and kind: persistent, reconnecting, retrying; write before read.
	Groups []Group   `json:"groups"`
	Ledger Ledger    `json:"ledger"`
	Errors []Failure `json:"errors"`
	// Seconds lack the first ones if the load's log was cut at its beginning.
	Seconds []Second `json:"seconds"`
}

// Accounted is true if the load compared what its clients were told with what the database has.
func (l *Load) Accounted() bool { return !l.Ended.IsZero() }

// Second is what was measured in one second.
type Second struct {
	// At is the beginning of the second. The load runs in only a part of the first one and the last one.
	At     time.Time `json:"at"`
	Groups []Sample  `json:"groups"`
}

// Sample is one group in one second.
type Sample struct {
	Client string `json:"client"`
	Kind   string `json:"kind"`
	// Answered and Failed count the requests that ended in this second.
	Answered int `json:"answered"`
	Failed   int `json:"failed"`
	// P50, P99 and Max are latencies of answered requests, 0 if there are none.
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

// Group is one kind of client with one kind of request, over the whole load.
type Group struct {
	Client string `json:"client"`
	Kind   string `json:"kind"`
	// Clients is how many there were. Rate is the number of requests that each of them begins in a second.
	Clients int     `json:"clients"`
	Rate    float64 `json:"rate"`
	// Answered and Failed are all requests: Failed counts those that ended with an error to their caller.
	Answered int `json:"answered"`
	Failed   int `json:"failed"`
	// Retries counts the repetitions of requests, which are not requests of their own.
	Retries int `json:"retries"`
	// P50, P99 and Max are latencies of answered requests, with the time of their repetitions.
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
	// Outages are the times longer than a second without an answer in this group.
	Outages []Outage `json:"outages"`
	// Longest is the longest time without an answer, also if it is below a second.
	Longest float64 `json:"longest"`
}

// Outage is a time without an answer.
type Outage struct {
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Seconds float64   `json:"seconds"`
}

// Ledger compares the writes as their clients know them with the rows in the database after the load. Acknowledged,
// Failed and Unknown together are all writes.
type Ledger struct {
	// Acknowledged writes were answered with success.
	Acknowledged int `json:"acknowledged"`
	// Failed writes were certainly not done.
	Failed int `json:"failed"`
	// Unknown writes lost their answer. UnknownStored of them are in the database, UnknownAbsent are not.
	Unknown       int `json:"unknown"`
	UnknownStored int `json:"unknownStored"`
	UnknownAbsent int `json:"unknownAbsent"`
	// Lost writes were acknowledged and have no effect, Duplicated ones have more than one.
	Lost       int `json:"lost"`
	Duplicated int `json:"duplicated"`
	// LostIDs and DuplicatedIDs are the first 20 of each.
	LostIDs       []int64 `json:"lostIds"`
	DuplicatedIDs []int64 `json:"duplicatedIds"`
}

// Failure is an error as a group of clients saw it.
type Failure struct {
	Text   string    `json:"text"`
	Count  int       `json:"count"`
	First  time.Time `json:"first"`
	Client string    `json:"client"`
	Kind   string    `json:"kind"`
}
