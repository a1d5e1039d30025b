package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const usage = `usage:
  load run --run ID         write to and read from the database in DATABASE_URL until SIGTERM, then account for the
                            writes; prints a line of JSON each second, and a last one
    --direct                use the database at DIRECT_HOST instead, past the pool (DIRECT_PORT, DIRECT_DATABASE,
                            DIRECT_USER, DIRECT_PASSWORD, DIRECT_SSLMODE, DIRECT_SSLROOTCERT)
    --writers N             writers of each kind of client (default 4)
    --readers N             readers of each kind of client (default 4)
    --rate N                requests per second of each client (default 5)
    --request-timeout D     limit of one attempt (default 10s)
    --max-lifetime D        how long a client keeps a connection at most (default 0, for good)
    --retry-for D           limit of one request of the retrying clients, with all attempts (default 60s)
  load stop                 send SIGTERM to the load in this container
  load now                  print the time
  load restored             compare the writes of the load in this pod with a database that was restored; prints a line
                            of JSON
    --host HOST             of the restored database; the rest is as in DIRECT_PORT and so on
    --from TIME             what was acknowledged until then must be there (RFC 3339)
    --until TIME            what was begun after it must not (default: --from)
`

// errUsage marks an invalid command line: the program prints the usage and exits with 2.
var errUsage = errors.New("wrong usage")

func main() {
	// As PID 1 of its container the program gets only the signals that it handles.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	err := command(ctx, os.Args[1:], os.Getenv, os.Stdout)
	var told problemError
	switch {
	case err == nil:
	case errors.Is(err, errUsage):
		fmt.Fprintf(os.Stderr, "load: %v\n%s", err, usage)
		os.Exit(2) //nolint:gocritic // stop() only unregisters a signal handler of a process that ends here
	case errors.As(err, &told): // is in the output
		os.Exit(1)
	default:
		fmt.Fprintf(os.Stderr, "load: %v\n", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	switch name {
	case "run":
		opts, err := parse(args)
		if err != nil {
			return err
		}
		db, err := opts.open(getenv)
		if err != nil {
			return err
		}
		return run(ctx, opts, db, out)
	case "now":
		_, err := fmt.Fprintln(out, time.Now().UTC().Format(time.RFC3339Nano))
		return err
	case "restored":
		asked, err := parseQuestion(args)
		if err != nil {
			return err
		}
		return ask(ctx, asked, out)
	case "stop":
		if len(args) > 0 {
			return fmt.Errorf("%w: stop takes no arguments, got %q", errUsage, args)
		}
		return stopRun()
	default:
		return fmt.Errorf("%w: want run, stop, now or restored, got %q", errUsage, name)
	}
}

// options are the flags of `load run`.
type options struct {
	run string
	// writers and readers are the numbers of clients of each kind. rate is in requests per second of each client.
	writers, readers, rate int
	// attempt limits one attempt, and request one request of a retrying client with all its attempts.
	attempt, request time.Duration
	// lifetime is how long a connection is kept at most, 0 for good.
	lifetime time.Duration
	// direct leads past the pool.
	direct bool
	// restored opens a restored database at a host. It is nil without a login to the database itself.
	restored func(host string) (database, error)
}

// open opens the database, and sets how a restored one is opened.
func (o *options) open(getenv func(string) string) (database, error) {
	login := directFrom(getenv)
	if login.complete() {
		o.restored = func(host string) (database, error) { return login.at(host).open(o.run) }
	}
	if o.direct {
		return login.open(o.run)
	}
	return open(getenv("DATABASE_URL"), o.run)
}

const (
	mostClients = 100
	mostPerSec  = 2000
	// A group with fewer requests would show times without an answer in which nothing was asked.
	leastPerSec = 4
)

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.run, "run", "", "")
	flags.IntVar(&o.writers, "writers", 4, "")
	flags.IntVar(&o.readers, "readers", 4, "")
	flags.IntVar(&o.rate, "rate", 5, "")
	flags.DurationVar(&o.attempt, "request-timeout", 10*time.Second, "")
	flags.DurationVar(&o.request, "retry-for", time.Minute, "")
	flags.DurationVar(&o.lifetime, "max-lifetime", 0, "")
	flags.BoolVar(&o.direct, "direct", false, "")
	if err := flags.Parse(args); err != nil {
		return o, fmt.Errorf("%w: run: %w", errUsage, err)
	}
	fault := func(format string, values ...any) (options, error) {
		return o, fmt.Errorf("%w: run: %s", errUsage, fmt.Sprintf(format, values...))
	}
	all := len(clientKinds) * (o.writers + o.readers) * o.rate
	switch {
	case flags.NArg() > 0:
		return fault("takes no arguments, got %q", flags.Args())
	case o.run == "":
		return fault("--run is missing: it names the rows of this run")
	case min(o.writers, o.readers) < 1 || max(o.writers, o.readers) > mostClients:
		return fault("--writers %d, --readers %d: want 1 to %d of each", o.writers, o.readers, mostClients)
	case o.rate < 1 || min(o.writers, o.readers)*o.rate < leastPerSec:
		return fault("--rate %d: want at least %d requests a second of all writers of a kind, and of all readers",
			o.rate, leastPerSec)
	case all > mostPerSec:
		return fault("--rate %d: these are %d requests a second: want at most %d", o.rate, all, mostPerSec)
	case o.lifetime < 0:
		return fault("--max-lifetime %s: want 0 or more", o.lifetime)
	case o.attempt <= 0 || o.request < o.attempt:
		return fault("--request-timeout %s, --retry-for %s: want a positive time and one that is not shorter",
			o.attempt, o.request)
	}
	return o, nil
}

func parseQuestion(args []string) (*question, error) {
	var q question
	flags := flag.NewFlagSet("restored", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&q.Host, "host", "", "")
	flags.TextVar(&q.From, "from", time.Time{}, "")
	flags.TextVar(&q.Until, "until", time.Time{}, "")
	if err := flags.Parse(args); err != nil {
		return nil, fmt.Errorf("%w: restored: %w", errUsage, err)
	}
	if q.Until.IsZero() {
		q.Until = q.From
	}
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("%w: restored: takes no arguments, got %q", errUsage, flags.Args())
	case q.Host == "" || q.From.IsZero():
		return nil, fmt.Errorf("%w: restored: --host and --from are required", errUsage)
	case q.Until.Before(q.From):
		return nil, fmt.Errorf("%w: restored: --until %s is before --from %s", errUsage,
			q.Until.Format(time.RFC3339Nano), q.From.Format(time.RFC3339Nano))
	}
	return &q, nil
}
