package rdspostgres_test

import (
	"math/rand"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/quick"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dbtier/components/componenttest"
	"dbtier/components/rdspostgres"
)

// identifier is a valid instance identifier. Long ones are frequent, because they break names.
type identifier string

// Generate returns one of 1 to 63 characters.
func (identifier) Generate(random *rand.Rand, _ int) reflect.Value {
	const letters, more = "abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz0123456789-"
	length := 1 + random.Intn(63)
	if random.Intn(3) == 0 {
		length = 60 + random.Intn(4)
	}
	name := []byte{letters[random.Intn(len(letters))]}
	for len(name) < length {
		next := more[random.Intn(len(more))]
		if next == '-' && (name[len(name)-1] == '-' || len(name) == length-1) {
			continue
		}
		name = append(name, next)
	}
	return reflect.ValueOf(identifier(name))
}

// nameRules are AWS's rules for names, by type and input.
var nameRules = map[[2]string]*regexp.Regexp{
	{instanceType, "identifier"}:                regexp.MustCompile(`^[a-z](-?[a-z0-9]){0,62}$`),
	{instanceType, "finalSnapshotIdentifier"}:   regexp.MustCompile(`^[a-zA-Z](-?[a-zA-Z0-9]){0,254}$`),
	{"aws:rds/subnetGroup:SubnetGroup", "name"}: regexp.MustCompile(`^[a-z0-9 ._-]{1,255}$`),
	{parameterType, "name"}:                     regexp.MustCompile(`^[a-z](-?[a-z0-9.]){0,254}$`),
	{eventType, "name"}:                         regexp.MustCompile(`^[a-zA-Z](-?[a-zA-Z0-9]){0,254}$`),
	{alarmType, "name"}:                         regexp.MustCompile(`^[[:print:]]{1,255}$`),
	{alarmType, "alarmDescription"}:             regexp.MustCompile(`^.{1,1000}$`),
	{securityGroupType, "name"}: regexp.MustCompile(
		`^[a-zA-Z0-9 ._:/()#,@\[\]+=&;{}!$*-]{1,255}$`,
	),
	{securityGroupType, "description"}: regexp.MustCompile(
		`^[a-zA-Z0-9 ._:/()#,@\[\]+=&;{}!$*-]{1,255}$`,
	),
	{"aws:iam/role:Role", "name"}:                      regexp.MustCompile(`^[\w+=,.@-]{1,64}$`),
	{"aws:iam/role:Role", "description"}:               regexp.MustCompile(`^.{1,1000}$`),
	{"aws:kms/alias:Alias", "name"}:                    regexp.MustCompile(`^alias/[a-zA-Z0-9/_-]{1,250}$`),
	{"aws:cloudwatch/logGroup:LogGroup", "name"}:       regexp.MustCompile(`^[a-zA-Z0-9._/#-]{1,512}$`),
	{"aws:rds/subnetGroup:SubnetGroup", "description"}: regexp.MustCompile(`^.{1,255}$`),
}

func TestEveryNameKeepsAWSsLimitsForAnyIdentifier(t *testing.T) {
	t.Parallel()
	keeps := func(name identifier, region uint8) bool {
		args := with(func(a *rdspostgres.RdsPostgresArgs) {
			a.Identifier = string(name)
			a.Region = []string{"ap-northeast-2", "us-gov-west-1", "ap-southeast-1"}[region%3]
			a.LogExports = []string{"postgresql", "upgrade", "iam-db-auth-error"}
			a.Clients[0].Name = strings.Repeat("x", 100)
			a.ClientSecurityGroup, a.ConnectionLimit = true, 400
			a.Events.TopicArn = strings.Replace(topicArn, "ap-northeast-2", a.Region, 1)
		})
		if name == "default" || strings.HasPrefix(string(name), "sg-") {
			return args.Validate() != nil
		}
		recorded, err := componenttest.Try(create(args))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return false
		}
		seen, good := map[[2]string]bool{}, true
		for _, resource := range recorded.Each() {
			for rule, form := range nameRules {
				if value, is := resource.Inputs[rule[1]].(string); resource.Type == rule[0] && is {
					seen[rule] = true
					good = assert.Regexp(t, form, value, "%s of %s", rule[1], resource.Type) && good
				}
			}
			for _, rule := range []string{"ingress", "egress"} {
				entries, _ := resource.Inputs[rule].([]any)
				for _, entry := range entries {
					text, _ := componenttest.At(entry, "description").(string)
					good = assert.LessOrEqual(t, len(text), 255) && good
				}
			}
		}
		return assert.Len(t, seen, len(nameRules), "every kind of name was seen") && good
	}
	require.NoError(t, quick.Check(keeps, &quick.Config{MaxCount: 60}))
}

// An accepted version has a family. A fault names the field. Nothing panics.
func FuzzEngineVersion(f *testing.F) {
	for _, seed := range []string{
		"16", "16.11", "17.2", "16.3", "9.6", "", "16.", "16.99999999999999999999", "١٦",
		"16\n",
	} {
		f.Add(seed)
	}
	family := regexp.MustCompile(`^postgres1[3-8]$`)
	f.Fuzz(func(t *testing.T, version string) {
		settings := arguments(rdspostgres.Development()).Settings
		settings.EngineVersion, settings.AutoMinorVersionUpgrade = version, false
		if err := settings.Validate(); err != nil {
			assert.ErrorContains(t, err, "engineVersion")
			return
		}
		assert.Regexp(t, family, settings.Family())
	})
}

func FuzzRotationSchedules(f *testing.F) {
	for _, seed := range []string{
		"rate(10 days)", "rate(4 hours)", "cron(0 3 ? * SUN *)", "cron(0 */6 * * ? *)",
		"cron()", "rate(0 days)", "cron(0 ? ? ? ? ?)",
	} {
		f.Add(seed, "3h")
	}
	form := regexp.MustCompile(`^(rate\([1-9]\d{0,2} (days?|hours?)\)|cron\(\s*0\s[^()]*\*\s*\))$`)
	f.Fuzz(func(t *testing.T, schedule, duration string) {
		settings := arguments(rdspostgres.Development()).Settings
		settings.Rotation = rdspostgres.Rotation{ScheduleExpression: schedule, Duration: duration}
		err := settings.Validate()
		if err == nil && schedule != "" {
			assert.Regexp(t, form, schedule)
			assert.Regexp(t, `^(|[1-9]\d?h)$`, duration)
		}
		if err != nil {
			assert.ErrorContains(t, err, "rotation.")
		}
	})
}
