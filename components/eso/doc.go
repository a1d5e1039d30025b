// Package eso creates the objects of the External Secrets Operator: stores, ExternalSecrets, PushSecrets and generated
// logins. Every component that needs a Secret with a value from elsewhere creates it here.
//
// Each function returns once the object is registered. The Name of what it returns resolves when the operator reports
// the object as Ready, so an input that takes the name waits for the Secret.
package eso
