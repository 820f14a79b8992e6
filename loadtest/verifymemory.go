package loadtest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v3/process"
)

// A memoryFigures is the whole of /api/health/memory.
type memoryFigures struct {
	Health string `json:"health"`
	Memory *struct {
		RSS         float64   `json:"process_rss_mb"`
		SystemTotal float64   `json:"system_total_mb"`
		SystemUsed  float64   `json:"system_used_mb"`
		SystemShare float64   `json:"system_percent"`
		Limit       float64   `json:"limit_mb"`
		Used        float64   `json:"used_mb"`
		Percent     float64   `json:"percent"`
		Origin      string    `json:"limit_origin"`
		Timestamp   time.Time `json:"timestamp"`
		Warning     float64   `json:"warning_threshold"`
		Critical    float64   `json:"critical_threshold"`
	} `json:"memory"`
}

// memory reads it; a server that does not watch its memory is an error.
func (b *bench) memory(ctx context.Context) (*memoryFigures, error) {
	var m memoryFigures
	if err := b.health(ctx, "memory", &m); err != nil {
		return nil, err
	}
	if m.Memory == nil {
		return nil, fmt.Errorf("the memory is not watched: /api/health/memory says %q", m.Health)
	}
	return &m, nil
}

func memoryReader(ctx context.Context, b *bench) (finding, error) {
	m, err := b.memory(ctx)
	if err != nil {
		return finding{}, err
	}
	if b.spawned == nil {
		return judge(m.Memory.RSS > 1, "process_rss_mb is %.0f", m.Memory.RSS)
	}
	p, err := process.NewProcess(int32(b.spawned.PID))
	if err != nil {
		return finding{}, fmt.Errorf("%w: find the server's process: %w", errUndecided, err)
	}
	info, err := p.MemoryInfo()
	if err != nil {
		return finding{}, fmt.Errorf("%w: read the memory of the server's process: %w", errUndecided, err)
	}
	system := float64(info.RSS) / (1 << 20)
	return judge(math.Abs(m.Memory.RSS-system) <= max(10, 0.25*system), "process_rss_mb is %.0f, the system says %.0f", m.Memory.RSS, system)
}

func memoryEndpoint(ctx context.Context, b *bench) (finding, error) {
	f, err := b.memory(ctx)
	if err != nil {
		return finding{}, err
	}
	m := f.Memory
	ok := m.RSS > 0 && m.SystemTotal > 0 && m.SystemUsed > 0 && m.SystemUsed <= m.SystemTotal && m.Limit > 0 && m.Limit <= m.SystemTotal+1 &&
		math.Abs(m.Percent-100*m.Used/m.Limit) < 0.1 && math.Abs(m.SystemShare-100*m.SystemUsed/m.SystemTotal) < 0.1 &&
		m.Warning > 0 && m.Warning < m.Critical && m.Critical <= 100 && slices.Contains([]string{"ok", "warning", "critical"}, f.Health)
	return judge(ok, "health %q, %.1f %% of %.0f MB (%s) in use, warning at %v %%, critical at %v %%", f.Health, m.Percent, m.Limit, m.Origin, m.Warning, m.Critical)
}

func memoryLog(ctx context.Context, b *bench) (finding, error) {
	n := 0
	enough, err := until(ctx, 3*time.Second, func() (bool, error) {
		n = 0
		for _, line := range b.spawned.Lines() {
			if strings.Contains(line, `"msg":"memory checked"`) {
				n++
			}
		}
		return n >= 5, nil
	})
	if err != nil {
		return finding{}, err
	}
	return judge(enough, `%d lines "memory checked"`, n)
}

func memoryWarning(ctx context.Context, b *bench) (finding, error) {
	return b.thresholdLogged(ctx, "memory warning", "WARN", 70, 68, 72)
}

func memoryCritical(ctx context.Context, b *bench) (finding, error) {
	return b.thresholdLogged(ctx, "memory critical", "ERROR", 85, 83, 87)
}

// thresholdLogged demands that a line with that threshold is logged above it, and not below.
func (b *bench) thresholdLogged(ctx context.Context, msg, level string, threshold, below, above float64) (finding, error) {
	line := func() string {
		for _, end := range []string{",", "}"} {
			if l := b.logged(`"level":"`+level+`"`, `"msg":"`+msg+`"`, fmt.Sprintf(`"threshold_percent":%v`, threshold)+end); l != "" {
				return l
			}
		}
		return ""
	}
	if err := b.pressure(ctx, below, 5*time.Second); err != nil {
		return finding{}, err
	}
	if err := b.pause(ctx, 300*time.Millisecond); err != nil { // a few checks of the monitor
		return finding{}, err
	}
	if early := b.logged(`"msg":"` + msg + `"`); early != "" {
		return judge(false, "%q is logged at %v %% already", msg, below)
	}
	if err := b.pressure(ctx, above, 2*time.Second); err != nil {
		return finding{}, err
	}
	logged, err := until(ctx, 2*time.Second, func() (bool, error) { return line() != "", nil })
	if err != nil {
		return finding{}, err
	}
	if !logged {
		return judge(false, "%q with a threshold of %v %% is not logged at %v %%", msg, threshold, above)
	}
	return judge(true, "nothing at %v %%, %s %q with threshold_percent %v at %v %%", below, level, msg, threshold, above)
}
