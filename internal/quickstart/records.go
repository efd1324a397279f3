package main

import (
	"context"
	"encoding/json"
	"fmt"

	"pipesync/client"
)

const (
	minDebianRecords = 10_000
	maxRecords       = 60_000 // keeps the demonstration below half a minute
)

// findRecords returns records that this machine has anyway, and where they are
// from. Ids are distinct within a namespace.
func findRecords(ctx context.Context) ([]client.Operation, string, error) {
	packages, source, err := debianPackages(ctx)
	if err != nil {
		return nil, "", err
	}
	if len(packages) >= minDebianRecords {
		return packages, source, nil
	}
	return goFiles(ctx)
}

// record makes an upsert of anything that is a JSON object.
func record(namespace, id, system string, data any) (client.Operation, error) {
	text, err := json.Marshal(data)
	if err != nil {
		return client.Operation{}, fmt.Errorf("encoding %s: %w", id, err)
	}
	return client.Operation{Action: client.Upsert, Namespace: namespace, ID: id, SourceSystem: system, Data: text}, nil
}
