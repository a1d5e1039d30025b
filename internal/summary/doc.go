// Package summary writes what a command did, or would do, as Markdown for a pull request or a job's page: first and
// loud what would lose data, then faults and policies, then the connection budget and the changes. It keeps to the size
// that such places take, says what it left out, and shows no secret.
package summary
