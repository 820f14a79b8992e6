package reports

import "slices"

// Color names what a series stands for. A page has a light and a dark shade of each, and a hatching where the colour alone
// would be mistaken for another by colour-blind readers.
type Color string

// The colours. Those of the wait classes are the customary ones of Oracle's own pages, so that nobody must learn them.
const (
	ColorCPU           Color = "cpu"
	ColorUserIO        Color = "uio"
	ColorSystemIO      Color = "sio"
	ColorConcurrency   Color = "con"
	ColorApplication   Color = "app"
	ColorCommit        Color = "com"
	ColorConfiguration Color = "cfg"
	ColorCluster       Color = "clu"
	ColorNetwork       Color = "net"
	ColorScheduler     Color = "sch"
	ColorAdmin         Color = "adm"
	ColorQueueing      Color = "que"
	ColorOther         Color = "oth"
	ColorIdle          Color = "idl" // grey: what is there, but not the point
	ColorGood          Color = "ok"
	ColorBad           Color = "bad"
)

type waitClass struct {
	name  string
	color Color
	hatch int // 0 for none; see hatches in page.css
}

// waitClasses is in the order in which areas are stacked, the first at the bottom.
var waitClasses = []waitClass{
	{"CPU", ColorCPU, 0}, {"Scheduler", ColorScheduler, 4}, {"User I/O", ColorUserIO, 0}, {"System I/O", ColorSystemIO, 4},
	{"Concurrency", ColorConcurrency, 1}, {"Application", ColorApplication, 2}, {"Commit", ColorCommit, 3},
	{"Configuration", ColorConfiguration, 1}, {"Administrative", ColorAdmin, 2}, {"Network", ColorNetwork, 3},
	{"Queueing", ColorQueueing, 4}, {"Cluster", ColorCluster, 2}, {"Other", ColorOther, 1}, {"Idle", ColorIdle, 0},
}

// WaitClasses lists Oracle's wait classes and CPU in the order in which they are customarily stacked.
func WaitClasses() []string {
	names := make([]string, len(waitClasses))
	for i, c := range waitClasses {
		names[i] = c.name
	}
	return names
}

// WaitClassColor is the customary colour of a wait class by Oracle's name for it, or of "CPU". An unknown name has the
// colour of "Other".
func WaitClassColor(name string) Color {
	for _, c := range waitClasses {
		if c.name == name {
			return c.color
		}
	}
	return ColorOther
}

const (
	// colorCount is the number of colours for series that name none: those that colour-blind people tell apart, after
	// Okabe and Ito, made dark enough for white paper.
	colorCount = 8
	hatchCount = 4
	dashCount  = 5
)

// class is the style class of the i-th series of a chart: "k-cpu", or "k3" for the third of the unnamed ones.
func (c Color) class(i int) string {
	if c.known() {
		return "k-" + string(c)
	}
	return "k" + string(rune('1'+i%colorCount))
}

// hatch is the number of the pattern laid over an area, 0 for none.
func (c Color) hatch(i int) int {
	for _, w := range waitClasses {
		if w.color == c {
			return w.hatch
		}
	}
	if c.known() {
		return 0
	}
	return i % (hatchCount + 1)
}

// known keeps what is no colour of ours out of the page.
func (c Color) known() bool {
	return c == ColorGood || c == ColorBad || slices.ContainsFunc(waitClasses, func(w waitClass) bool { return w.color == c })
}
