// Package summary writes the result of a command as Markdown for a pull request or a job's page: data loss first, then
// faults and policies, then the connection budget and the changes. It keeps to the maximum size of a comment, says how
// much it left out, and shows no secret.
package summary
