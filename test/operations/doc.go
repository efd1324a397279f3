// Package operations walks docs/operations.md: what is in its boxes is typed on
// machines of network namespaces, in roots of their own, while pipelines sync to the
// cluster.
//
// A machine has the Debian package, installed by dpkg. Two of its commands are this
// package's: systemctl, which starts what the package's unit says as the unit's user
// and waits for it to be ready as systemd does, and scp, which copies to the root of
// another machine.
package operations
