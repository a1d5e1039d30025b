package fault_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/fault"
	"dbtier/validation"
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

func TestAFaultDoesNotShowACredential(t *testing.T) {
	t.Parallel()
	var faults fault.List
	faults.Add("database", "postgres://app:hunter22@db/shop", "want keys and values")
	faults.Add("database", "host=db password=hunter22 user=app", "want keys and values")
	faults.Add("database.host", "app:hunter22@db", "want a host")
	faults.Add("consumer.env", []any{"DB_PASSWORD=hunter22", map[string]any{"name": "DB_TOKEN", "value": "hunter22"}}, "want keys and values")
	faults.Add("consumer.env.DB_PASSWORD", []any{"hunter22"}, "want text")
	faults.Add("consumer.env.DB_PASSWORD", "hunter22", "is too short")
	faults.Add("consumer.env.DB_PASSWORD=hunter22", nil, "is not a setting; did you mean %s?", "DB_PASSWORD=hunter22")
	faults.Add("size", map[string]any{"b": 1, "a": "x"}, "want a number")
	faults.Add("pool.clientTlsSecret", "TLS_1", "want a name")
	assert.EqualError(t, faults.Err(), `database: "postgres://app:[secret]@db/shop": want keys and values
database: "host=db password=[secret] user=app": want keys and values
database.host: "app:[secret]@db": want a host
consumer.env: ["DB_PASSWORD=[secret]",{"name":"DB_TOKEN","value":"[secret]"}]: want keys and values
consumer.env.DB_PASSWORD: ["[secret]"]: want text
consumer.env.DB_PASSWORD: "[secret]": is too short
consumer.env.DB_PASSWORD=[secret]: is not a setting; did you mean DB_PASSWORD=[secret]
size: {"a":"x","b":1}: want a number
pool.clientTlsSecret: "TLS_1": want a name`)
}

func ExampleList() {
	var faults fault.List
	faults.Check(false, "backupWindow", "03:00-04:30", "overlaps the maintenance window %s", "Mon:04:00-Mon:05:00")
	fmt.Println(faults.Err())
	// Output: backupWindow: "03:00-04:30": overlaps the maintenance window Mon:04:00-Mon:05:00
}

func TestListsRangesAndDurations(t *testing.T) {
	t.Parallel()
	var faults fault.List
	assert.False(t, faults.Present("roleArn", nil))
	assert.True(t, faults.Present("region", "x"))
	faults.Names("users", []string{"a", "A b", "a"}, validation.Label)
	faults.CIDRs("cidrs", []string{"10.0.0.0/8", "10.0.0.1"})
	faults.Duration("interval", "1m", time.Second, time.Hour, "want 1s to 1h")
	faults.Duration("interval", "2h", time.Second, time.Hour, "want 1s to 1h")
	assert.EqualError(t, faults.Err(), `roleArn: is missing
users[1]: "A b": `+validation.Label.Rule+`
users[2]: "a": is named twice
cidrs[1]: "10.0.0.1": want an address range such as 10.0.64.0/20
interval: "2h": want 1s to 1h`)
}
