package queue_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
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

func TestTESTINGNamesTestsThatExist(t *testing.T) {
	code := ""
	require.NoError(t, filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		code += string(text)
		return err
	}))
	text, err := os.ReadFile("TESTING.md")
	require.NoError(t, err)
	names := regexp.MustCompile("`((?:Test|Fuzz)[A-Z][A-Za-z]*)`").FindAllStringSubmatch(string(text), -1)
	require.NotEmpty(t, names)
	for _, name := range names {
		require.Contains(t, code, "func "+name[1]+"(")
	}
}
