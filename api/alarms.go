package api

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pipesync/cluster"
)

// Codes of alarms: what no retry cures, and somebody has to look at.
const (
	alarmClockSkew     = "CLOCK_SKEW"
	alarmDiskFull      = "DISK_FULL"
	alarmStateDiverged = "STATE_DIVERGED"
	alarmInconsistent  = "STATE_INCONSISTENT"
)

// alarm is what is wrong with this node, and what to do.
type alarm struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

var alarmCodes = []string{alarmClockSkew, alarmDiskFull, alarmStateDiverged, alarmInconsistent}

func (s *server) alarms(st cluster.Status) []alarm {
	alarms := []alarm{}
	if st.ClockSkewed {
		alarms = append(alarms, alarm{alarmClockSkew, fmt.Sprintf(
			"this node's clock is %s off the median of the members': set it right, and look after its time service", st.ClockOffset.Round(time.Millisecond))})
	}
	if why := diskFull(st); why != "" {
		alarms = append(alarms, alarm{alarmDiskFull, why})
	}
	if err := s.Audit.Alarm(); err != nil {
		alarms = append(alarms, alarm{alarmStateDiverged, err.Error()})
	}
	if scrub, _, found := s.Audit.LastScrub(); found && len(scrub.Problems) > 0 {
		alarms = append(alarms, alarm{alarmInconsistent, fmt.Sprintf(
			"rows of this node's state contradict one another (at entry %d): %s; if no other node says so, reseed this one, else report a bug", scrub.Index, scrub.Problems[0])})
	}
	return alarms
}

// diskFull says what is wrong with the node's disk, or nothing.
func diskFull(st cluster.Status) string {
	if !st.DiskFull {
		return ""
	}
	return fmt.Sprintf("%d bytes are free on this node's disk, and it takes no writes as leader below %d: make room, or give it a larger disk",
		st.DiskFreeBytes, st.DiskMinBytes)
}

var (
	alarmDesc = prometheus.NewDesc("pipesync_alarm", "1 while this node raises the alarm.", []string{"code"}, nil)
	freeDesc  = prometheus.NewDesc("pipesync_disk_free_bytes", "Free bytes where this node's disks have least room.", nil, nil)
	needDesc  = prometheus.NewDesc("pipesync_disk_min_free_bytes", "Free bytes below which this node takes no writes as leader.", nil, nil)
	clockDesc = prometheus.NewDesc("pipesync_clock_offset_seconds", "How far this node's clock is ahead of the median of the members'.", nil, nil)
)

// alarmCollector reads the alarms when it is scraped.
type alarmCollector struct{ *server }

// Describe implements prometheus.Collector.
func (alarmCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{alarmDesc, clockDesc, freeDesc, needDesc} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c alarmCollector) Collect(out chan<- prometheus.Metric) {
	st := c.Cluster.Status()
	raised := map[string]float64{}
	for _, a := range c.alarms(st) {
		raised[a.Code] = 1
	}
	for _, code := range alarmCodes {
		out <- prometheus.MustNewConstMetric(alarmDesc, prometheus.GaugeValue, raised[code], code)
	}
	out <- prometheus.MustNewConstMetric(freeDesc, prometheus.GaugeValue, float64(st.DiskFreeBytes))
	out <- prometheus.MustNewConstMetric(needDesc, prometheus.GaugeValue, float64(st.DiskMinBytes))
	out <- prometheus.MustNewConstMetric(clockDesc, prometheus.GaugeValue, st.ClockOffset.Seconds())
}
