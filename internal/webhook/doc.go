// Package webhook posts JSON to a URL that is a secret. No error of it has a part of the URL.
package webhook
