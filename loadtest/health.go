package loadtest

import (
	"fmt"
	"os"
	"sync"
	"time"

	machinecpu "github.com/shirou/gopsutil/v3/cpu"
	"github.com/shirou/gopsutil/v3/process"
)

// Generator is how the generator itself fared in the measured time. When it was the bottleneck, the figures are its own
// and not the server's.
type Generator struct {
	SendLag     Latency  `json:"send_lag"` // from when a request was due to when it was sent
	MaxLagMS    float64  `json:"max_send_lag_ms"`
	CPUPercent  float64  `json:"cpu_percent"` // of all CPUs
	MaxCPU      float64  `json:"max_cpu_percent"`
	RSSMiB      float64  `json:"rss_mib"` // the most seen
	Connections int64    `json:"connections_opened"`
	Resent      int64    `json:"resent"`             // requests that went out again because an idle connection was closed under them
	Held        int64    `json:"held"`               // visitors who came while max_visitors were there
	Asked       int64    `json:"asked,omitempty"`    // visitors due in the measured time
	InTime      int64    `json:"in_time,omitempty"`  // of these, those whose first request left in the measured time
	Exhausted   int64    `json:"exhausted"`          // requests that this machine could not send
	Problems    []string `json:"problems,omitempty"` // why the figures are not to be trusted
	// MachinePercent is what all processes used of all CPUs. Busy is set when server and generator shared a machine that
	// had none left: the server may then have failed for want of it.
	MachinePercent float64 `json:"machine_cpu_percent"`
	Busy           string  `json:"busy,omitempty"`
}

// mostBusy is the percent of all CPUs in use from which a machine that is shared has none left.
const mostBusy = 85

// leastReached is the share of the asked rate that must have been sent for a run to count as one at that rate.
const leastReached = 0.95

// usage is what this process used up to a moment.
type usage struct {
	at         time.Duration
	cpu        time.Duration
	busy, idle float64 // of the whole machine, CPU seconds; 0 when not to be had
}

// A gauge watches this process during a run.
type gauge struct {
	warm, end time.Duration
	cpus      int
	read      func() (cpu time.Duration, rss uint64, err error)
	machine   func() (busy, idle float64)
	shared    bool // with the server

	mu          sync.Mutex // guards all below
	first, last usage      // in the measured time; first.at is -1 before
	rss         uint64
	err         error
}

func newGauge(warm, end time.Duration, cpus int) *gauge {
	return &gauge{warm: warm, end: end, cpus: cpus, read: readProcess, machine: readMachine, first: usage{at: -1}}
}

// readProcess reads this process's CPU time and resident memory.
func readProcess() (time.Duration, uint64, error) {
	p, err := process.NewProcess(int32(os.Getpid()))
	if err != nil {
		return 0, 0, fmt.Errorf("find own process: %w", err)
	}
	times, err := p.Times()
	if err != nil {
		return 0, 0, fmt.Errorf("read own CPU time: %w", err)
	}
	memory, err := p.MemoryInfo()
	if err != nil {
		return 0, 0, fmt.Errorf("read own memory: %w", err)
	}
	return time.Duration((times.User + times.System) * float64(time.Second)), memory.RSS, nil
}

// readMachine reads the CPU seconds of the whole machine; where they cannot be read, nothing is concluded from them.
func readMachine() (busy, idle float64) {
	all, err := machinecpu.Times(false)
	if err != nil || len(all) == 0 {
		return 0, 0
	}
	t := all[0]
	idle = t.Idle + t.Iowait
	return t.User + t.System + t.Nice + t.Irq + t.Softirq + t.Steal, idle
}

// sample is called often. It keeps the first and the last reading of the measured time.
func (g *gauge) sample(now time.Duration) {
	used, rss, err := g.read()
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.err = err
		return
	}
	g.rss = max(g.rss, rss)
	if now < g.warm || now > g.end {
		return
	}
	g.last = usage{at: now, cpu: used}
	if g.machine != nil {
		g.last.busy, g.last.idle = g.machine()
	}
	if g.first.at < 0 {
		g.first = g.last
	}
}

// percent is the share of all CPUs used between the first and the last sample.
func (g *gauge) percent() float64 {
	if g.last.at <= g.first.at {
		return 0
	}
	return 100 * (g.last.cpu - g.first.cpu).Seconds() / ((g.last.at - g.first.at).Seconds() * float64(g.cpus))
}

// machinePercent is the share of all CPUs that all processes used between the first and the last sample.
func (g *gauge) machinePercent() float64 {
	busy, idle := g.last.busy-g.first.busy, g.last.idle-g.first.idle
	if busy < 0 || idle < 0 || busy+idle <= 0 {
		return 0
	}
	return 100 * busy / (busy + idle)
}

// mostLag is the bound on the p99 of the send lag where the median answer took so long, in milliseconds. What is late by
// 2 % of an answer moves none of its percentiles by more, which is what we allow a histogram; an answer of five seconds
// is measured well by a generator that is 80 ms late, one of 100 ms is not. The lag itself is no part of the median, so a
// generator cannot excuse itself.
func (b GeneratorBounds) mostLag(medianMS float64) float64 {
	return max(milliseconds(b.MaxSendLag), b.MaxSendLagShare/100*medianMS)
}

// report fills in what the gauge saw, and judges the generator. medianMS is the p50 of the answers from when their
// requests were sent.
func (g *gauge) report(out *Generator, bounds GeneratorBounds, medianMS float64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	out.CPUPercent, out.RSSMiB = g.percent(), float64(g.rss)/(1<<20)
	out.MaxLagMS, out.MaxCPU = bounds.mostLag(medianMS), bounds.MaxCPU
	problem := func(format string, args ...any) { out.Problems = append(out.Problems, fmt.Sprintf(format, args...)) }
	if out.SendLag.P99MS > out.MaxLagMS {
		setting := "generator.max_send_lag"
		if out.MaxLagMS > milliseconds(bounds.MaxSendLag) {
			setting = formatNumber(bounds.MaxSendLagShare) + "% of the median answer, generator.max_send_lag_share"
		}
		problem("the generator sent late: p99 of its send lag is %s, above %s (%s)", formatMS(out.SendLag.P99MS), formatMS(out.MaxLagMS), setting)
	}
	if out.CPUPercent > out.MaxCPU {
		problem("the generator used %.0f%% of all CPUs, above %.0f%% (generator.max_cpu)", out.CPUPercent, out.MaxCPU)
	}
	if out.Exhausted > 0 {
		problem("the generator's machine ran out of ports or files for %d requests", out.Exhausted)
	}
	if out.MachinePercent = g.machinePercent(); g.shared && out.MachinePercent > mostBusy {
		out.Busy = fmt.Sprintf("server and generator share this machine, and its CPUs were busy to %.0f%%, above %d%%", out.MachinePercent, mostBusy)
	}
	if g.err != nil {
		problem("the generator could not watch itself: %v", g.err)
	}
}

// reached is the share of the asked arrivals that were sent in time; 1 in the closed model.
func (g *Generator) reached() float64 {
	if g.Asked == 0 {
		return 1
	}
	return float64(g.InTime) / float64(g.Asked)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
