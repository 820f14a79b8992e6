package extract

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const pandocSource = `---
title: Light and Colours
author:
- Isaac Newton
- Another Hand
lang: en-GB
---

# Of Light

[]{#page1 role="doc-pagebreak" aria-label="1"} By the Rays of Light I understand its *least Parts*.^[A note of ours.] For
it is manifest that Light consists of Parts, both Successive

[]{role="doc-pagebreak" aria-label="2"} and Contemporary.

## Refrangibility

Refrangibility of the Rays is their Disposition to be refracted. See Fig. 2. and Mr. Boyle's book.

# Of Colours

- red
- violet

| Colour | Order |
|--------|-------|
| indigo | sixth |
`

// TestPandocEPUB reads EPUBs made by another program than ours, of both versions.
func TestPandocEPUB(t *testing.T) {
	pandoc, err := exec.LookPath("pandoc")
	if err != nil {
		t.Skip("SKIPPED: needs pandoc on the PATH to make a real EPUB: apt-get install -y pandoc (Debian), brew install pandoc (macOS)")
	}
	for _, version := range []string{"epub2", "epub3"} {
		t.Run(version, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "book.epub")
			cmd := exec.Command(pandoc, "--from", "markdown", "--to", version, "--toc", "--output", out)
			cmd.Stdin = strings.NewReader(pandocSource)
			if msg, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("pandoc: %v\n%s", err, msg)
			}
			data, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			text, err := Read(data, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if text.Format != EPUB || text.Title != "Light and Colours" || text.Author != "Isaac Newton, Another Hand" || text.Language != "en-GB" {
				t.Errorf("Read = %s %q by %q in %q", text.Format, text.Title, text.Author, text.Language)
			}
			got := Passages(text, 120)
			for i := range got {
				got[i].Words = 0
			}
			page := 2
			if version == "epub2" {
				page = 0 // pandoc leaves page breaks out of EPUB 2
			}
			title := "Light and Colours\n\nIsaac Newton\n\nAnother Hand"
			want := []Passage{
				{Content: title},
				{Chapter: "Of Light", Page: page / 2, Content: "Of Light\n\nBy the Rays of Light I understand its least Parts. For it is manifest that Light consists of Parts, both Successive and Contemporary."},
				{Chapter: "Of Light / Refrangibility", Page: page, Content: "Refrangibility\n\nRefrangibility of the Rays is their Disposition to be refracted. See Fig. 2. and Mr. Boyle’s book.\n\nA note of ours."},
				{Chapter: "Of Colours", Page: page, Content: "Of Colours\n\nred\n\nviolet\n\nColour Order\n\nindigo sixth"},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("passages (-want +got):\n%s", diff)
			}
		})
	}
}
