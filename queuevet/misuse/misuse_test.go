package misuse_test

import (
	"testing"

	"github.com/boundq/queue/queuevet/misuse"
	"golang.org/x/tools/go/analysis/analysistest"
)

func TestAnalyzerReportsWhatTheCommentsWantAndNothingElse(t *testing.T) {
	analysistest.Run(t, analysistest.TestData(), misuse.Analyzer,
		"marks", "blocks", "drains", "keeps", "errors", "ignores", "lookalikes")
}

func TestAnalyzerReportsBlankResultsIfItIsAskedTo(t *testing.T) {
	if err := misuse.Analyzer.Flags.Set("blank", "true"); err != nil {
		t.Fatal(err)
	}
	defer misuse.Analyzer.Flags.Set("blank", "false")
	analysistest.Run(t, analysistest.TestData(), misuse.Analyzer, "explicit")
}
