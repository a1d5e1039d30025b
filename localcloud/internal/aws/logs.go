package aws

import (
	"context"
	"net/http"
	"slices"

	"dbtier/localcloud/internal/aws/iam"
	"dbtier/localcloud/internal/aws/wire"
	"dbtier/validation"
)

type logGroupInputs struct {
	Name      *string           `json:"name"`
	Retention *int              `json:"retentionInDays"`
	KMSKey    *string           `json:"kmsKeyId"`
	Class     *string           `json:"logGroupClass"`
	Skip      *bool             `json:"skipDestroy"`
	Tags      map[string]string `json:"tags"`
	TagsAll   map[string]string `json:"tagsAll"`
}

func (in logGroupInputs) merge(c *Cloud, st *state, g *logGroup, f *faults) {
	g.Retention, g.Tags = or(in.Retention, 0), in.Tags
	if g.Retention != 0 && !validation.IsLogRetention(g.Retention) {
		f.add("InvalidParameterException", "retentionInDays", "%d: want 0 or one of %v", g.Retention,
			validation.LogRetentions)
	}
	if err := checkTags(in.Tags); err != nil {
		f.add("InvalidParameterException", "tags", "%v", err)
	}
	if class := or(in.Class, "STANDARD"); !slices.Contains([]string{"STANDARD", "INFREQUENT_ACCESS", "DELIVERY"},
		class) {
		f.add("InvalidParameterException", "logGroupClass", "%q: want STANDARD, INFREQUENT_ACCESS or DELIVERY",
			clip(class))
	} else {
		g.Class = class
	}
	if key := or(in.KMSKey, ""); key != g.KMSKeyARN {
		g.KMSKeyARN = key
		if key != "" && !c.logsMayUse(st, key, g) {
			f.add("InvalidParameterException", "kmsKeyId",
				"The specified KMS Key Id could not be found, is disabled, or its key policy does not let "+
					"logs.%s.amazonaws.com "+
					"encrypt with it for %s", g.Region, g.arn())
		}
	}
}

// logsMayUse checks that the key's policy lets CloudWatch Logs use the key. CloudWatch Logs acts as a service
// principal, so the policy must name it.
func (c *Cloud) logsMayUse(st *state, arn string, g *logGroup) bool {
	key := st.findKey(g.Region, arn)
	if key == nil || key.arn() != arn || key.keyState() != "Enabled" {
		return false
	}
	policy, err := iam.Parse(key.Policy, iam.Key)
	if err != nil {
		return false
	}
	ctx := c.conditionContext(nil, g.Region, "", "")
	ctx.Set("kms:EncryptionContext:aws:logs:arn", g.arn())
	ctx.Set("kms:EncryptionContextKeys", "aws:logs:arn")
	ctx.Set("aws:SourceAccount", AccountID)
	ctx.Set("aws:SourceArn", g.arn())
	ctx.Set("aws:PrincipalIsAWSService", "true")
	key.conditionKeys(ctx)
	service := iam.Principal{Kind: iam.Service, ARN: "logs." + g.Region + ".amazonaws.com", Account: AccountID}
	for _, action := range []string{"kms:Encrypt", "kms:Decrypt", "kms:GenerateDataKey"} {
		request := iam.Request{Action: action, Resource: key.arn(), Context: ctx}
		if !iam.Evaluate(service, request, &iam.ResourcePolicy{
			Policy: policy, Account: AccountID,
			Required: true,
		}).Allowed {
			return false
		}
	}
	return true
}

func createLogGroup(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[logGroupInputs](r.Inputs, namePrefixRefused, f)
	return c.changed(func(st *state) (*resource, error) {
		name := or(in.Name, "")
		id := regional(r.Region, name)
		if old := st.LogGroups[id]; old != nil {
			if old.Origin.adoptable(r.Name, r.Inputs) {
				return old.resource(), nil
			}
			f.add("ResourceAlreadyExistsException", "name", "The specified log group already exists: %s", name)
		}
		if !validation.LogGroup.Matches(name) {
			f.add("InvalidParameterException", "name", "%q: must be 1 to 512 characters of a-zA-Z0-9 . _ / # -",
				clip(name))
		}
		g := &logGroup{Region: r.Region, Name: name, Created: c.now(), Origin: &origin{r.Name, r.Inputs}}
		in.merge(c, st, g, f)
		if err := f.err(); err != nil {
			return nil, err
		}
		st.LogGroups[id] = g
		return g.resource(), nil
	})
}

func (g *logGroup) resource() *resource {
	inputs := inputsOf(g.Origin)
	outputs := echo(inputs, map[string]any{
		"arn": g.arn(), "name": g.Name, "retentionInDays": g.Retention, "logGroupClass": g.Class,
		"tags": anyMap(g.Tags), "tagsAll": anyMap(g.Tags),
	})
	if g.KMSKeyARN != "" {
		outputs["kmsKeyId"] = g.KMSKeyARN
	}
	return &resource{ID: g.Name, Inputs: echo(inputs, nil), Outputs: outputs}
}

func readLogGroup(c *Cloud, r resourceRequest) (*resource, error) {
	if g := c.store.Read().LogGroups[regional(r.Region, r.ID)]; g != nil {
		return g.resource(), nil
	}
	return nil, nil
}

func updateLogGroup(_ context.Context, c *Cloud, r resourceRequest) (*resource, error) {
	f := &faults{what: label(r)}
	in := decodeInputs[logGroupInputs](r.Inputs, namePrefixRefused, f)
	return c.changed(func(st *state) (*resource, error) {
		g := st.LogGroups[regional(r.Region, r.ID)]
		if g == nil {
			return nil, wire.Status(http.StatusNotFound, codeNotFound, "The specified log group does not exist.")
		}
		if or(in.Name, g.Name) != g.Name || or(in.Class, g.Class) != g.Class {
			f.add("InvalidParameterException", "name", "name and class of a log group cannot be changed")
		}
		in.merge(c, st, g, f)
		g.Origin = reinput(g.Origin, r.Inputs)
		return g.resource(), f.err()
	})
}

// removeLogGroup deletes the log group. With skipDestroy it keeps the group.
func removeLogGroup(_ context.Context, c *Cloud, r resourceRequest) error {
	if skip, _ := r.Olds["skipDestroy"].(bool); skip {
		return nil
	}
	return c.store.Update(func(st *state) error {
		delete(st.LogGroups, regional(r.Region, r.ID))
		return nil
	})
}
