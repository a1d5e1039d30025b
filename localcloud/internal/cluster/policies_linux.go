package cluster

import (
	"context"

	"dbtier/localcloud/internal/netpol"
)

// startPolicies starts enforcing NetworkPolicies. It must run before the first pod starts.
func (s *supervisor) startPolicies(ctx context.Context, api *apiClient) error {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	synced, ended := make(chan struct{}), make(chan struct{})
	var failure error
	go func() {
		defer close(ended)
		if failure = netpol.Run(running, api, databasePrefix, s.log, synced); failure != nil {
			s.end(failure)
		}
	}()
	s.onClose(func() {
		cancel()
		<-ended
	})
	select {
	case <-synced:
		return nil
	case <-ended:
		return failure
	case <-ctx.Done():
		return ctx.Err()
	}
}
