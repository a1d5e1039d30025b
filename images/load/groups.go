package main

// Kinds of requests.
const (
	kindWrite = "write"
	kindRead  = "read"
)

// Kinds of clients: with a lasting connection that is opened again after an error, with a new connection for each
// request, and with a lasting one and repetitions.
const (
	persistent   = "persistent"
	reconnecting = "reconnecting"
	retrying     = "retrying"
)

var clientKinds = []string{persistent, reconnecting, retrying}

// groups returns all groups in the order of the output.
func groups() []group {
	var all []group
	for _, client := range clientKinds {
		all = append(all, group{client, kindWrite}, group{client, kindRead})
	}
	return all
}
