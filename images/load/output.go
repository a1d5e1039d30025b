package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"time"
)

// The types of this file are the program's interface: raise LoadVersion in localcloud/internal/artifacts with them.

// line is a line of the output. One field is set.
type line struct {
	Second   *second   `json:"second,omitempty"`
	Done     *done     `json:"done,omitempty"`
	Restored *restored `json:"restored,omitempty"`
	Problem  string    `json:"problem,omitempty"`
}

// second is what all groups saw in the second that begins at At. The requests of the first and the last one can be
// those of a part of it.
type second struct {
	At     moment         `json:"at"`
	Groups []secondCounts `json:"groups"`
}

// secondCounts is what a group saw in a second. Latencies are those of the answers, and 0 without one.
type secondCounts struct {
	group
	counts
	latencies
}

// done is the account.
type done struct {
	Run   string `json:"run"`
	Began moment `json:"began"`
	Ended moment `json:"ended"`
	// Server is the version of PostgreSQL at the end.
	Server string   `json:"server"`
	Groups []result `json:"groups"`
	Ledger account  `json:"ledger"`
	// Errors are those that callers got, the most frequent first. All those beyond the first mostErrors share an entry.
	Errors []failure `json:"errors"`
}

// result is what a group saw from the beginning to the end.
type result struct {
	group
	Clients int `json:"clients"`
	// Rate is in requests per second of each client.
	Rate int `json:"rate"`
	counts
	// Retries counts the repetitions of the retrying clients.
	Retries int `json:"retries"`
	latencies
	// Outages are the times of more than a second without an answer, and Longest is the longest time without one.
	Outages []outage `json:"outages"`
	Longest seconds  `json:"longest"`
}

// group is all clients of a kind that make requests of a kind.
type group struct {
	Client string `json:"client"`
	Kind   string `json:"kind"`
}

type counts struct {
	Answered int `json:"answered"`
	// Failed counts requests that ended with an error to their caller.
	Failed int `json:"failed"`
}

type latencies struct {
	P50 seconds `json:"p50"`
	P99 seconds `json:"p99"`
	Max seconds `json:"max"`
}

type outage struct {
	From    moment  `json:"from"`
	To      moment  `json:"to"`
	Seconds seconds `json:"seconds"`
}

// account says what became of all writes.
type account struct {
	Acknowledged int `json:"acknowledged"`
	// Failed writes are certainly not stored. The answer of the Unknown ones was lost: the lookup found UnknownStored
	// of them, and not the UnknownAbsent.
	Failed        int `json:"failed"`
	Unknown       int `json:"unknown"`
	UnknownStored int `json:"unknownStored"`
	UnknownAbsent int `json:"unknownAbsent"`
	// Lost writes were acknowledged and have no effect. Duplicated ones have several.
	Lost       int `json:"lost"`
	Duplicated int `json:"duplicated"`
	// LostIDs and DuplicatedIDs are the first mostIDs of them.
	LostIDs       []int64 `json:"lostIds"`
	DuplicatedIDs []int64 `json:"duplicatedIds"`
}

type failure struct {
	Text  string `json:"text"`
	Count int    `json:"count"`
	First moment `json:"first"`
	group
}

// moment is a time in the output: RFC 3339 in UTC with milliseconds.
type moment time.Time

func (m moment) MarshalJSON() ([]byte, error) {
	return json.Marshal(time.Time(m).UTC().Format("2006-01-02T15:04:05.000Z07:00"))
}

func (m *moment) UnmarshalJSON(text []byte) error { return json.Unmarshal(text, (*time.Time)(m)) }

// seconds is a duration in the output.
type seconds time.Duration

func (s seconds) MarshalJSON() ([]byte, error) {
	return json.Marshal(math.Round(time.Duration(s).Seconds()*1e6) / 1e6)
}

// problemError is an error that is the last line of the output.
type problemError struct{ error }

func (p problemError) Unwrap() error { return p.error }

func write(out io.Writer, l line) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(l); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}
