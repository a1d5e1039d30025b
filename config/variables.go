package config

import (
	"fmt"
	"maps"
	"slices"

	"dbtier/components/contract"
	"dbtier/components/fault"
	"dbtier/components/irsarole"
)

// checkVariables adds a fault for each environment variable of the service that two settings give: Kubernetes takes one
// of them without a word. Secrets whose keys are not named are not known here.
func (s *Stack) checkVariables(faults *fault.List) {
	from := map[string]string{contract.DatabaseURL: "the Secret of the database"}
	if s.IAM.Enabled {
		tier := []string{contract.DatabaseIAMURL, "AWS_REGION"}
		if s.IAM.Binding == irsarole.WebIdentity {
			tier = append(tier, "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")
		}
		if s.AWS.ClusterEndpoint != "" {
			tier = append(tier, "AWS_ENDPOINT_URL_STS")
		}
		for _, name := range tier {
			from[name] = "iam.enabled"
		}
	}
	give := func(name, path string, value any) {
		if name == contract.DatabaseURL {
			return // a fault of the section itself
		}
		if other, twice := from[name]; twice {
			faults.Add(path, value, "is a variable that %s gives, too; keep one of them", other)
			return
		}
		from[name] = path
	}
	for _, name := range slices.Sorted(maps.Keys(s.Consumer.Env)) {
		give(name, "consumer.env."+name, s.Consumer.Env[name])
	}
	for i := range s.Secrets.Further {
		f := &s.Secrets.Further[i]
		if !f.InEnvironment() {
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(f.Args().Keys)) {
			part := "keys"
			if _, url := f.URLs[key]; url {
				part = "urls"
			}
			give(key, fmt.Sprintf("secrets.further[%d].%s.%s", i, part, key), nil)
		}
	}
}
