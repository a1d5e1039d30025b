package report

import (
	"fmt"
	"time"
)

// Restored compares a restored database with the writes of the load. A write that was acknowledged until From must be
// there, and none that was begun after Until may be.
type Restored struct {
	// Instance is the DB instance that was restored beside the stack's own. It is removed at the end of the drill.
	Instance string    `json:"instance"`
	Server   string    `json:"server"`
	From     time.Time `json:"from"`
	Until    time.Time `json:"until"`
	// Rows is the number of the load's writes in it, and Newest when the newest of them was acknowledged; zero if there
	// is none.
	Rows   int       `json:"rows"`
	Newest time.Time `json:"newest"`
	// Missing writes should be there, Extra ones should not. Torn writes are not there although they were acknowledged
	// before another one began that is. Duplicated ones are there twice. IDs are the first 20 of all these.
	Missing    int     `json:"missing"`
	Extra      int     `json:"extra"`
	Torn       int     `json:"torn"`
	Duplicated int     `json:"duplicated"`
	IDs        []int64 `json:"ids"`
	// RTO are the seconds from the fault until the restored database answered. RPO are those from its newest write to
	// the fault.
	RTO float64 `json:"rto"`
	RPO float64 `json:"rpo"`
}

// Wrong is the number of writes that are not as they must be; one can count more than once.
func (r *Restored) Wrong() int {
	if r == nil {
		return 0
	}
	return r.Missing + r.Extra + r.Torn + r.Duplicated
}

// account writes the comparison as one line.
func (r *Restored) account() string {
	return fmt.Sprintf("restored: %s writes, %s missing, %s too many, %s torn, %s duplicated; RTO %s, RPO %s",
		number(r.Rows), number(r.Missing), number(r.Extra), number(r.Torn), number(r.Duplicated), seconds(r.RTO),
		seconds(r.RPO))
}
