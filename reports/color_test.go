package reports

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestContrast holds WCAG 2: 4.5 for text, 3 for what a picture needs.
func TestContrast(t *testing.T) {
	light, dark, ok := strings.Cut(pageCSS, "@media screen and (prefers-color-scheme:dark)")
	if !ok {
		t.Fatal("no dark colours")
	}
	variable := regexp.MustCompile(`--([a-z0-9]+):(#[0-9a-f]{3,6})[;}]`)
	for mode, css := range map[string]string{"light": light, "dark": dark} {
		colors := map[string]float64{}
		for _, m := range variable.FindAllStringSubmatch(css, -1) {
			colors[m[1]] = luminance(t, m[2])
		}
		for name, l := range colors {
			want := 3.0
			switch name {
			case "bg", "box", "rule", "grid":
				continue
			case "fg", "soft", "pass", "fail", "inc", "mark", "bound":
				want = 4.5
			}
			for _, ground := range []string{"bg", "box"} {
				if got := (max(l, colors[ground]) + 0.05) / (min(l, colors[ground]) + 0.05); got < want {
					t.Errorf("%s: %s on %s has a contrast of %.2f, want %.1f", mode, name, ground, got, want)
				}
			}
		}
		for i := range colorCount {
			if _, ok := colors[strconv.Itoa(i+1)]; !ok {
				t.Errorf("%s: no colour %d", mode, i+1)
			}
		}
		for _, w := range waitClasses {
			if _, ok := colors[string(w.color)]; !ok {
				t.Errorf("%s: no colour for %s", mode, w.name)
			}
		}
	}
}

func luminance(t *testing.T, hex string) float64 {
	t.Helper()
	if len(hex) == 4 {
		hex = "#" + hex[1:2] + hex[1:2] + hex[2:3] + hex[2:3] + hex[3:] + hex[3:]
	}
	l := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v, err := strconv.ParseUint(hex[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(v) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		l += weight * c
	}
	return l
}
