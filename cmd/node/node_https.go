package main

import (
	"context"
	"time"

	"pipesync/api"
	"pipesync/cluster/certs"
)

// openHTTPCerts reads what the HTTP port speaks TLS with, and watches it from then on.
func (n *node) openHTTPCerts() (err error) {
	if !n.HTTP.hasTLS() {
		return nil
	}
	files := certs.HTTPFiles{Cert: n.HTTP.TLSCertFile, Key: n.HTTP.TLSKeyFile, ClientCA: n.HTTP.ClientCAFile}
	if n.httpCerts, err = certs.OpenHTTP(files, n.clocks.Wall, time.Now); err != nil {
		return err
	}
	n.inBackground("the watch of the HTTP port's certificate", func(ctx context.Context) {
		for pause(ctx, certs.WatchInterval) == nil {
			n.reloadHTTPCerts()
		}
	})
	return nil
}

// reloadHTTPCerts takes what has changed on the disk, if it is right.
func (n *node) reloadHTTPCerts() {
	switch changed, err := n.httpCerts.Reload(); {
	case err != nil:
		n.log.Error("keeping the HTTP port's certificate up to date", "error", err)
	case changed:
		n.log.Info("the HTTP port has a new certificate", "not_after", n.httpCerts.Status().NotAfter)
	}
}

// httpCertificates are nil, and no interface that holds nil, for plain text.
func (n *node) httpCertificates() api.Certificates {
	if n.httpCerts == nil {
		return nil
	}
	return n.httpCerts
}

// listenHTTP serves until the server is closed.
func (n *node) listenHTTP() error {
	if n.httpCerts == nil {
		return n.server.Serve(n.listener)
	}
	n.server.TLSConfig = n.httpCerts.ServerConfig()
	return n.server.ServeTLS(n.listener, "", "")
}

func (n *node) httpURL() string {
	if n.httpCerts == nil {
		return "http://" + n.listener.Addr().String()
	}
	return "https://" + n.listener.Addr().String()
}
