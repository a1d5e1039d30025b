package kubeprovider

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
)

// patience is how long a call that fails for a temporary reason is retried. Webhooks need the longest time, because
// their pods are up before their certificates have reached every API server.
type patience struct {
	webhook time.Duration
	server  time.Duration
	missing time.Duration
}

var patient = patience{webhook: time.Minute, server: 30 * time.Second, missing: 30 * time.Second}

// retry calls do until it succeeds, fails permanently, or has failed for a temporary reason for too long. The pauses
// grow from 50 ms to 1 s.
func (p patience) retry(ctx context.Context, report func(string), do func() error) error {
	start := time.Now()
	pause := wait.Backoff{Duration: 50 * time.Millisecond, Factor: 1.6, Jitter: 0.1, Steps: 1000, Cap: time.Second}
	for {
		err := do()
		if err == nil {
			return nil
		}
		limit, reason := p.limit(err)
		if limit == 0 {
			return err
		}
		if waited := time.Since(start); waited > limit {
			return fmt.Errorf("%w (%s for %s)", err, reason, waited.Round(time.Second))
		}
		report(fmt.Sprintf("%s, trying again: %v", reason, err))
		timer := time.NewTimer(pause.Step())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// limit returns how long an error is retried, and why it is temporary. 0 means that the error is permanent.
func (p patience) limit(err error) (time.Duration, string) {
	var status apierrors.APIStatus
	switch {
	case webhookDown(err):
		return p.webhook, "an admission webhook does not answer"
	case meta.IsNoMatchError(err):
		return p.missing, "its kind is not known to the cluster yet"
	case apierrors.IsNotFound(err):
		// In a creation, this is the namespace, or the endpoint of a kind that was just defined.
		return p.missing, "what it needs does not exist yet"
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return p.missing, "its namespace is being deleted"
	case apierrors.IsConflict(err) && !fieldConflict(err):
		return p.server, "another client changed it at the same time"
	case apierrors.IsServiceUnavailable(err), apierrors.IsTooManyRequests(err), apierrors.IsServerTimeout(err),
		apierrors.IsTimeout(err):
		return p.server, "the API server is busy"
	case apierrors.IsInternalError(err):
		return p.server, "the API server had an error"
	case errors.As(err, &status) && status.Status().Code >= 500:
		return p.server, "the API server had an error"
	case isConnection(err):
		return p.server, "the API server does not answer"
	default:
		return 0, ""
	}
}

// webhookDown reports whether admission failed because the webhook could not be called, not because it refused.
func webhookDown(err error) bool {
	return err != nil && strings.Contains(err.Error(), "failed calling webhook")
}

// fieldConflict reports whether a server-side apply was refused because other managers own some of the fields.
func fieldConflict(err error) bool {
	return apierrors.HasStatusCause(err, metav1.CauseTypeFieldManagerConflict)
}

func isConnection(err error) bool {
	var network net.Error
	return utilnet.IsConnectionRefused(err) || utilnet.IsConnectionReset(err) || utilnet.IsProbableEOF(err) ||
		errors.Is(err, syscall.EPIPE) || (errors.As(err, &network) && network.Timeout())
}
