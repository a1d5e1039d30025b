package settings_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"dbtier/internal/settings"
)

func TestTheCauseIsTheSettingThatChangesLeast(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprintf("other%d", i))
	}
	m := settings.Map{
		Rules: map[string][]string{"rule database": {"database.events.topicArn"}, "all pool": {"a", "b", "c", "d"}},
		Properties: map[string][]string{
			"database.multiAz": {"database multiAz"},
			"profile":          append(many, "database multiAz", "database port"),
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
	image := func(list string) string { return "spec.template.spec." + list + "[0].image" }
	assert.Equal(t, []string{"pool.image"}, m.Cause("pool-version", "pool-deployment", image("containers")))
	assert.Equal(t, []string{"pool.reloaderImage", "pool.image"},
		m.Cause("k8s-image-pinned", "pool-deployment", image("initContainers")))
	assert.Equal(t, []string{"role.image", "pool.image"}, m.Cause("k8s-image-pinned", "role-job", image("containers")))
	assert.Equal(t, []string{"pool.image"}, m.Cause("k8s-image-pinned", "migration-reconnect", image("containers")))
	assert.Equal(t, []string{"consumer.env"}, m.Cause("k8s-no-credentials-in-config", "consumer-config", "data.API_TOKEN"))
}
