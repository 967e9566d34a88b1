package queue_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheFirstSampleOfTheREADMEIsThePackageExample(t *testing.T) {
	read := func(name, from, to string) string {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		_, rest, found := strings.Cut(strings.ReplaceAll(string(text), "\r\n", "\n"), from)
		require.True(t, found)
		sample, _, found := strings.Cut(rest, to)
		require.True(t, found)
		return strings.TrimSpace(sample)
	}
	example := read("example_test.go", "func Example() {\n\t", "// Output:")
	require.Equal(t, strings.ReplaceAll(example, "\n\t", "\n"), read("README.md", "```go\n", "```"))
}
