package settings_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"dbtier/internal/settings"
)

func TestTheCauseIsTheSettingThatChangesLeast(t *testing.T) {
	t.Parallel()
	m := settings.Map{
		Rules: map[string][]string{"rule database": {"database.events.topicArn"}, "all pool": {"a", "b", "c", "d"}},
		Properties: map[string][]string{
			"database.multiAz": {"database multiAz"},
			"profile":          {"database multiAz", "database port"},
			"pool.logins[]":    {"login-reader"},
			"pool.image":       {"pool spec.containers[0].image"},
		},
	}
	for _, c := range []struct {
		rule, resource, path string
		want                 []string
	}{
		{"rule", "database", "", []string{"database.events.topicArn"}},
		{"other", "database", "multiAz", []string{"database.multiAz"}},
		{"other", "database", "port", []string{"profile"}},
		{"other", "database", "multi", nil},
		{"other", "database", "", nil},
		{"other", "login-reader", "metadata.name", []string{"pool.logins[]"}},
		{"other", "pool", "spec.containers[0]", []string{"pool.image"}},
		{"all", "pool", "spec", nil},
	} {
		assert.Equal(t, c.want, m.Cause(c.rule, c.resource, c.path), c)
	}
}

func TestTheRecordedMapNamesTheSettingOfAProperty(t *testing.T) {
	t.Parallel()
	m := settings.Recorded()
	assert.Equal(t, []string{"database.multiAz"}, m.Cause("rds-multi-az", "database-instance", "multiAz"))
	assert.Equal(t, []string{"database.events.topicArn"}, m.Cause("rds-events-subscribed", "database-instance", ""))
	assert.Equal(t, []string{"database.backupWindow"}, m.Cause("rds-windows", "database-instance", "backupWindow"))
}
