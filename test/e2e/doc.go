// Package e2e tests Pipesync as its users have it: real processes of the
// shipped binary on loopback, spoken to over HTTP, killed with signals. Every
// request and reply of these tests is held against api/openapi.yaml.
//
// The long tests run at a length that fits a CI run; scripts/soak runs them for
// much longer.
package e2e
