package api

import (
	"fmt"
	"strings"
	"time"

	"pipesync/cluster"
	"pipesync/cluster/certs"
)

// Codes of alarms: what no retry cures, and somebody has to look at.
const (
	alarmAuditFailing  = "AUDIT_FAILING"
	alarmCertExpiring  = "CERTIFICATE_EXPIRING"
	alarmCertInvalid   = "CERTIFICATE_INVALID"
	alarmClockSkew     = "CLOCK_SKEW"
	alarmDiskFull      = "DISK_FULL"
	alarmMemberDead    = "MEMBER_DEAD"
	alarmStateDiverged = "STATE_DIVERGED"
	alarmInconsistent  = "STATE_INCONSISTENT"
)

// alarm is what is wrong with this node, and what to do.
type alarm struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

var alarmCodes = []string{alarmAuditFailing, alarmCertExpiring, alarmCertInvalid, alarmClockSkew, alarmDiskFull, alarmMemberDead, alarmStateDiverged, alarmInconsistent}

func (s *server) alarms(st cluster.Status) []alarm {
	alarms := []alarm{}
	if err := s.AuditLog.Problem(); err != nil {
		alarms = append(alarms, alarm{alarmAuditFailing, err.Error() + ": make room, or give the node a file that it may write"})
	}
	for _, c := range s.certificates(st) {
		if why := c.alarm(); why.Code != "" {
			alarms = append(alarms, why)
		}
	}
	if st.ClockSkewed {
		alarms = append(alarms, alarm{alarmClockSkew, fmt.Sprintf(
			"this node's clock is %s off the median of the members': set it right, and look after its time service", st.ClockOffset.Round(time.Millisecond))})
	}
	if why := diskFull(st); why != "" {
		alarms = append(alarms, alarm{alarmDiskFull, why})
	}
	if who := deadMembers(st); who != "" {
		alarms = append(alarms, alarm{alarmMemberDead, who})
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

// portCertificate is the certificate of one of the node's ports.
type portCertificate struct {
	port string // "peer" or "http"
	certs.Status
}

// certificates are those that this node has.
func (s *server) certificates(st cluster.Status) []portCertificate {
	var all []portCertificate
	if st.Certificate != nil {
		all = append(all, portCertificate{"peer", *st.Certificate})
	}
	if s.Certificates != nil {
		all = append(all, portCertificate{"http", s.Certificates.Status()})
	}
	return all
}

// alarm is what is wrong with the certificate; its code is empty where nothing is.
func (c *portCertificate) alarm() alarm {
	switch {
	case c.Problem != nil:
		return alarm{alarmCertInvalid, c.Problem.Error() + ": put a certificate there that is right; the node takes it without a restart"}
	case c.Late:
		return alarm{alarmCertExpiring, fmt.Sprintf(
			"this node's certificate for the %s port ends at %s: put a new one in its place", c.port, c.NotAfter.UTC().Format(time.RFC3339))}
	}
	return alarm{}
}

// diskFull says what is wrong with the node's disk, or nothing.
func diskFull(st cluster.Status) string {
	if !st.Disk.Full {
		return ""
	}
	return fmt.Sprintf("%d bytes are free on this node's disk, and it takes no writes as leader below %d: make room, or give it a larger disk",
		st.Disk.FreeBytes, st.Disk.MinFreeBytes)
}

// deadMembers says who is dead, or nothing.
func deadMembers(st cluster.Status) string {
	if len(st.Dead) == 0 {
		return ""
	}
	var who []string
	for _, m := range st.Dead {
		who = append(who, fmt.Sprintf("%s for %s", m.ID, m.SilentFor.Round(time.Second)))
	}
	return fmt.Sprintf("members do not answer this node: %s; start them again, or take those that are lost for good out by pipesync leave",
		strings.Join(who, ", "))
}
