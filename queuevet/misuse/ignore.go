package misuse

import (
	"bytes"
	"go/token"
	"strings"

	"golang.org/x/tools/go/analysis"
)

const directive = "//queuevet:ignore"

type line struct {
	file string
	n    int
}

// ignoredLines returns the lines that comments silence, and reports the comments
// that give no reason: they silence nothing.
func ignoredLines(pass *analysis.Pass) map[line]bool {
	lines := map[line]bool{}
	for _, file := range pass.Files {
		for _, group := range file.Comments {
			for _, comment := range group.List {
				reason, ok := strings.CutPrefix(comment.Text, directive)
				if !ok || reason != "" && !strings.ContainsAny(reason[:1], " \t") {
					continue
				}
				if strings.TrimSpace(reason) == "" {
					pass.Reportf(comment.Pos(), "queuevet:ignore silences nothing without a reason; write it behind: %s REASON", directive)
					continue
				}
				at := pass.Fset.Position(comment.Pos())
				if standsAlone(pass, comment.Pos()) {
					at.Line++
				}
				lines[line{at.Filename, at.Line}] = true
			}
		}
	}
	return lines
}

// standsAlone reports whether there is only space before pos in its line.
func standsAlone(pass *analysis.Pass, pos token.Pos) bool {
	at := pass.Fset.PositionFor(pos, false)
	source, err := pass.ReadFile(at.Filename)
	if err != nil || at.Offset > len(source) {
		return false
	}
	before := source[:at.Offset]
	return len(bytes.TrimSpace(before[bytes.LastIndexByte(before, '\n')+1:])) == 0
}
