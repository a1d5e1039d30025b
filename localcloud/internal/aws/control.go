package aws

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"dbtier/localcloud/internal/aws/wire"
)

// resourceRequest is a request of the provider to the control API.
type resourceRequest struct {
	Type   string         `json:"type"`
	Name   string         `json:"name"`
	ID     string         `json:"id"`
	Region string         `json:"region"`
	Olds   map[string]any `json:"olds"`
	Inputs map[string]any `json:"inputs"`
}

// resource is a resource as the control API returns it.
type resource struct {
	ID      string         `json:"id,omitempty"`
	Inputs  map[string]any `json:"inputs,omitempty"`
	Outputs map[string]any `json:"outputs"`
}

// resourceType has the four operations of the control API for one type. read returns nil if the resource does not
// exist. remove succeeds if it does not exist.
type resourceType struct {
	create func(ctx context.Context, c *Cloud, r resourceRequest) (*resource, error)
	read   func(c *Cloud, r resourceRequest) (*resource, error)
	update func(ctx context.Context, c *Cloud, r resourceRequest) (*resource, error)
	remove func(ctx context.Context, c *Cloud, r resourceRequest) error
}

var resourceTypes = map[string]resourceType{
	"aws:kms/key:Key":     {createKey, readKey, updateKey, removeKey},
	"aws:kms/alias:Alias": {createAlias, readAlias, updateAlias, removeAlias},
	"aws:rds/subnetGroup:SubnetGroup": {
		createSubnetGroup, readSubnetGroup, updateSubnetGroup, removeSubnetGroup,
	},
	"aws:rds/parameterGroup:ParameterGroup": {
		createParameterGroup, readParameterGroup, updateParameterGroup, removeParameterGroup,
	},
	"aws:rds/snapshot:Snapshot": {createSnapshot, readSnapshot, updateSnapshot, removeSnapshot},
	"aws:rds/instance:Instance": {createInstance, readInstance, updateInstance, removeInstance},
	"aws:ec2/securityGroup:SecurityGroup": {
		createSecurityGroup, readSecurityGroup, updateSecurityGroup, removeSecurityGroup,
	},
	"aws:cloudwatch/logGroup:LogGroup": {createLogGroup, readLogGroup, updateLogGroup, removeLogGroup},
	"aws:iam/role:Role":                {createRole, readRole, updateRole, removeRole},
	"aws:iam/rolePolicy:RolePolicy": {
		createRolePolicy, readRolePolicy, updateRolePolicy, removeRolePolicy,
	},
	"aws:iam/rolePolicyAttachment:RolePolicyAttachment": {
		createAttachment, readAttachment, updateAttachment, removeAttachment,
	},
}

// Control returns the handler of the provider's control API, below /aws/ of the control socket. Everyone who can reach
// the socket acts as the account's administrator.
//
// If the engine was killed after a create and before it recorded the resource, it creates the resource again. A
// resource that already exists is therefore adopted if the control API created it for the same Pulumi resource with the
// same inputs.
func (c *Cloud) Control() http.Handler {
	mux := http.NewServeMux()
	handle := func(method string, status int,
		do func(ctx context.Context, t resourceType, r resourceRequest) (*resource, error),
	) {
		mux.HandleFunc(method+" /aws/resources", func(w http.ResponseWriter, req *http.Request) {
			r, err := readRequest(w, req)
			if err == nil {
				err = c.outage(serviceOf(r.Type)) // the plugin for AWS calls the service's API
			}
			if err != nil {
				c.refuse(w, r, method, err)
				return
			}
			out, err := do(req.Context(), resourceTypes[r.Type], r)
			if err != nil {
				c.refuse(w, r, method, err)
				return
			}
			c.log.Info("resource", "method", method, "type", r.Type, "name", r.Name, "id", r.ID)
			w.Header().Set("Content-Type", "application/json")
			if out == nil {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(out)
		})
	}
	handle(http.MethodPost, http.StatusOK, func(ctx context.Context, t resourceType, r resourceRequest) (*resource,
		error,
	) {
		return t.create(ctx, c, r)
	})
	handle(http.MethodPut, http.StatusOK, func(ctx context.Context, t resourceType, r resourceRequest) (*resource,
		error,
	) {
		return t.update(ctx, c, r)
	})
	handle(http.MethodGet, http.StatusOK, func(_ context.Context, t resourceType, r resourceRequest) (*resource,
		error,
	) {
		out, err := t.read(c, r)
		if err == nil && out == nil {
			err = wire.Status(http.StatusNotFound, "NotFound", "%s %s does not exist", r.Type, r.ID)
		}
		return out, err
	})
	handle(http.MethodDelete, http.StatusNoContent,
		func(ctx context.Context, t resourceType, r resourceRequest) (*resource, error) {
			return nil, t.remove(ctx, c, r)
		})
	return mux
}

// serviceOf is the name of the service in the name of a resource type, such as aws:rds/instance:Instance.
func serviceOf(resourceType string) string {
	_, rest, _ := strings.Cut(resourceType, ":")
	service, _, _ := strings.Cut(rest, "/")
	return service
}

func readRequest(w http.ResponseWriter, req *http.Request) (resourceRequest, error) {
	var r resourceRequest
	q := req.URL.Query()
	r.Type, r.ID, r.Region = q.Get("type"), q.Get("id"), q.Get("region")
	if req.Method != http.MethodGet {
		err := json.NewDecoder(http.MaxBytesReader(w, req.Body, maxBody)).Decode(&r)
		if err != nil && (r.Type == "" || !errors.Is(err, io.EOF)) {
			return r, wire.Errorf("SerializationException", "the request is not a JSON object of the expected form")
		}
	}
	if _, ok := resourceTypes[r.Type]; !ok {
		return r, wire.NotModelled("the resource type %q; the modelled types are %s", clip(r.Type),
			names(resourceTypes))
	}
	switch {
	case r.Region == "":
		return r, wire.Errorf(codeValidation, "region: missing")
	case r.ID == "" && req.Method != http.MethodPost:
		return r, wire.Errorf(codeValidation, "id: missing")
	}
	return r, nil
}

func (c *Cloud) refuse(w http.ResponseWriter, r resourceRequest, method string, err error) {
	var out *wire.Error
	if !errors.As(err, &out) {
		out = wire.Status(http.StatusInternalServerError, "InternalFailure", "%v", err)
	}
	if out.Status != http.StatusNotFound {
		c.log.Warn("resource refused", "method", method, "type", r.Type, "name", r.Name, "id", r.ID, "code", out.Code,
			"message", out.Message)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(out.Status)
	_ = json.NewEncoder(w).Encode(map[string]string{"code": out.Code, "message": out.Message})
}

// administratorCall returns a call of the administrator, the user behind the control API.
func (c *Cloud) administratorCall(ctx context.Context, region string) *call {
	st := c.store.Read()
	who := administrator(st)
	return &call{c: c, ctx: ctx, st: st, who: who, region: region, keys: c.conditionContext(who, region, "", "")}
}

// changed updates the state and returns the resource that change returns. If change fails, nothing is changed.
func (c *Cloud) changed(change func(*state) (*resource, error)) (*resource, error) {
	var out *resource
	err := c.store.Update(func(st *state) (err error) {
		out, err = change(st)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func label(r resourceRequest) string {
	if r.Name == "" {
		return r.Type + " " + r.ID
	}
	return r.Type + " " + r.Name
}
