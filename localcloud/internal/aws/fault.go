package aws

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"dbtier/localcloud/internal/aws/wire"
)

// zones are the letters of the availability zones of each region.
var zones = []string{"a", "b", "c"}

// faults that people cause end with the local cloud.
func (c *Cloud) serveFaults(mux *http.ServeMux) {
	handle := func(method string, do func(ctx context.Context, zone string) error) {
		mux.HandleFunc(method+" /aws/faults", func(w http.ResponseWriter, req *http.Request) {
			if err := do(req.Context(), req.URL.Query().Get("zone")); err != nil {
				c.refuse(w, resourceRequest{Type: "fault"}, method, err)
				return
			}
			w.WriteHeader(http.StatusNoContent)
		})
	}
	handle(http.MethodPost, c.failZone)
	handle(http.MethodDelete, func(ctx context.Context, _ string) error {
		return c.isolate(ctx, func(string) bool { return false })
	})
}

// failZone makes a zone of all regions stop answering, and all others answer.
func (c *Cloud) failZone(ctx context.Context, zone string) error {
	if !slices.Contains(zones, zone) {
		return wire.Errorf(codeInvalidValue, "zone: %q: want one of %s", clip(zone), strings.Join(zones, ", "))
	}
	return c.isolate(ctx, func(az string) bool { return strings.HasSuffix(az, zone) })
}

func (c *Cloud) isolate(ctx context.Context, dead func(az string) bool) error {
	return c.run(ctx, "isolate zones", func(ctx context.Context) error {
		var failed []error
		st := c.store.Read()
		for _, id := range sortedKeys(st.Instances) {
			unlock := c.locks.lock("db " + id)
			if i := c.store.Read().Instances[id]; i != nil && i.Status != statusCreating && i.Deleting == nil {
				failed = append(failed, c.cfg.RDS.Isolate(ctx, i.Identifier, dead(i.AZ),
					i.SecondaryAZ != "" && dead(i.SecondaryAZ)))
			}
			unlock()
		}
		return errors.Join(failed...)
	})
}
