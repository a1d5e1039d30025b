package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/fault"
)

func TestNoFaultIsNoError(t *testing.T) {
	t.Parallel()
	var faults fault.List
	assert.True(t, faults.Between("port", 5432, 1150, 65535, ""))
	assert.True(t, fault.OneOf(&faults, "mode", "session", "transaction", "session"))
	faults.Within("database", nil)
	assert.NoError(t, faults.Err())
}

func TestEveryFaultIsReportedWithPathValueAndReason(t *testing.T) {
	t.Parallel()
	var part fault.List
	part.Add("window", "03:00", "want hh:mm-hh:mm")
	part.Add("[1].id", 7, "taken")
	part.Add("name", nil, "is missing")
	var faults fault.List
	faults.Between("retention", 40, 0, 35, "days")
	fault.OneOf(&faults, "mode", "statement", "transaction", "session")
	faults.Within("database", part.Err())
	faults.Within("cluster", errors.New("out of reach"))

	err := faults.Err()
	var all *fault.Error
	require.ErrorAs(t, err, &all)
	assert.Len(t, all.Faults, 6)
	assert.EqualError(t, err, `retention: 40: want 0 to 35 days
mode: "statement": want one of transaction, session
database.window: "03:00": want hh:mm-hh:mm
database[1].id: 7: taken
database.name: is missing
cluster: out of reach`)
}

func ExampleList() {
	var faults fault.List
	faults.Check(false, "backupWindow", "03:00-04:30", "overlaps the maintenance window %s", "Mon:04:00-Mon:05:00")
	fmt.Println(faults.Err())
	// Output: backupWindow: "03:00-04:30": overlaps the maintenance window Mon:04:00-Mon:05:00
}
