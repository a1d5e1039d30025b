package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"dbtier/localcloud/internal/aws"
	"dbtier/localcloud/internal/rds"
	"dbtier/localcloud/internal/safefile"
)

// awsName is the DNS name of the AWS stand-in inside the cluster.
const awsName = "aws.localcloud.internal"

// latency is how long operations on databases take at least.
func (o StartOptions) latency() aws.Latency {
	if o.Latency == LatencyAWS {
		return aws.TypicalLatency
	}
	return aws.Latency{}
}

// startAWS starts the databases and the AWS stand-in. The stand-in listens on the host's port and on the node's
// address.
func (s *supervisor) startAWS(ctx context.Context, host net.Listener) error {
	engine, err := rds.New(rds.Config{
		Dir:         s.project.RunDir("postgres"),
		PostgresDir: s.project.RunDir("pgsql"),
		PKIDir:      s.project.State("pki"),
		Prefix:      databasePrefix,
		Log:         s.log.With("part", "rds"),
		SetDNS:      s.hosts.Set,
		RemoveDNS:   s.hosts.Remove,
		Drop:        dropPackets,
	})
	if err != nil {
		return err
	}
	s.onClose(engine.Close)
	if err := safefile.Replace(s.project.State("rds-ca.pem"), engine.CABundle(), 0o644); err != nil {
		return err
	}
	cloud, err := aws.New(aws.Config{
		Latency:         s.options.latency(),
		Dir:             s.project.State("aws"),
		CredentialsFile: s.project.State("aws-credentials.json"),
		OIDCIssuer:      OIDCIssuer,
		OIDCKeys:        s.files.ca.SigningKeys,
		RDS:             engine,
		Log:             s.log.With("part", "aws"),
	})
	if err != nil {
		return err
	}
	s.onClose(func() {
		if err := cloud.Close(); err != nil {
			s.log.Error("closing the AWS stand-in", "error", err)
		}
	})
	var config net.ListenConfig
	node, err := config.Listen(ctx, "tcp", net.JoinHostPort(nodeAddress.String(), strconv.Itoa(awsInsidePort)))
	if err != nil {
		return fmt.Errorf("opening the port of the AWS stand-in: %w", err)
	}
	if err := cloud.Start(ctx); err != nil {
		return err
	}
	server := &http.Server{Handler: cloud.Wire(), ReadHeaderTimeout: 10 * time.Second}
	for _, listener := range []net.Listener{host, node} {
		go func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				s.end(fmt.Errorf("the AWS stand-in on %s: %w", listener.Addr(), err))
			}
		}()
	}
	s.onClose(func() { _ = server.Close() })
	control := cloud.Control()
	s.awsControl.Store(&control)
	s.awsCloud.Store(cloud)
	return s.hosts.Set(awsName, nodeAddress)
}
