package api

import "github.com/prometheus/client_golang/prometheus"

func gaugeDesc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("pipesync_"+name, help, labels, nil)
}

var (
	readyDesc = gaugeDesc("ready", "1 while reads and syncs work on this node, as /readyz has it.")
	alarmDesc = gaugeDesc("alarm", "1 while this node raises the alarm.", "code")
	freeDesc  = gaugeDesc("disk_free_bytes", "Free bytes where this node's disks have least room.")
	needDesc  = gaugeDesc("disk_min_free_bytes", "Free bytes below which this node takes no writes as leader.")
	clockDesc = gaugeDesc("clock_offset_seconds", "How far this node's clock is ahead of the median of the members'.")

	certDesc = gaugeDesc("certificate_not_after_timestamp_seconds", "When this node's certificate for the port, peer or http, ends, since the Unix epoch; absent where it has none.", "port")

	scrubTimeDesc     = gaugeDesc("scrub_finished_timestamp_seconds", "When the last scrub of this node's state ended, since the Unix epoch; 0 where none has.")
	scrubRowsDesc     = gaugeDesc("scrub_rows", "Rows that the last scrub has read.")
	scrubBytesDesc    = gaugeDesc("scrub_bytes", "Bytes that the last scrub has read.")
	scrubProblemsDesc = gaugeDesc("scrub_problems", "Contradictions between rows that the last scrub has found.")
)

// stateCollector tells, when it is scraped, how this node is.
type stateCollector struct{ *server }

// Describe implements prometheus.Collector.
func (stateCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		readyDesc, alarmDesc, clockDesc, freeDesc, needDesc, certDesc, scrubTimeDesc, scrubRowsDesc, scrubBytesDesc, scrubProblemsDesc,
	} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c stateCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	st := c.Cluster.Status()
	ready := 0.0
	if c.isReady(st) {
		ready = 1
	}
	gauge(readyDesc, ready)
	raised := map[string]float64{}
	for _, a := range c.alarms(st) {
		raised[a.Code] = 1
	}
	for _, code := range alarmCodes {
		gauge(alarmDesc, raised[code], code)
	}
	gauge(freeDesc, float64(st.Disk.FreeBytes))
	gauge(needDesc, float64(st.Disk.MinFreeBytes))
	gauge(clockDesc, st.ClockOffset.Seconds())
	for _, cert := range c.certificates(st) {
		if !cert.NotAfter.IsZero() {
			gauge(certDesc, float64(cert.NotAfter.Unix()), cert.port)
		}
	}
	scrub, _, found := c.Audit.LastScrub()
	finished := 0.0
	if found {
		finished = float64(scrub.FinishedAt.UnixMilli()) / 1000
	}
	gauge(scrubTimeDesc, finished)
	gauge(scrubRowsDesc, float64(scrub.Rows))
	gauge(scrubBytesDesc, float64(scrub.Bytes))
	gauge(scrubProblemsDesc, float64(len(scrub.Problems)))
}
