package main

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// write writes files into a new directory, which it returns.
func write(t *testing.T, files map[string]string) string {
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o666))
	}
	return dir
}

func TestNextVersionIsWhatAllModulesRequire(t *testing.T) {
	for name, test := range map[string]struct {
		files   map[string]string
		version string
		err     string
	}{
		"one": {
			files: map[string]string{
				"a/go.mod": "module example.com/a\n\ngo 1.26\n",
				"b/go.mod": "module example.com/b\n\nrequire (\n\texample.com/a v0.2.0\n\texample.com/other v1.0.0\n)\n",
				"c/go.mod": "module example.com/c\n\nrequire (\n\texample.com/a v0.2.0\n\texample.com/b v0.2.0\n)\n",
			},
			version: "v0.2.0",
		},
		"two": {
			files: map[string]string{
				"a/go.mod": "module example.com/a\n",
				"b/go.mod": "module example.com/b\n\nrequire example.com/a v0.2.0\n",
				"c/go.mod": "module example.com/c\n\nrequire (\n\texample.com/a v0.2.0\n\texample.com/b v0.1.0\n)\n",
			},
			err: "example.com/b requires v0.2.0 of this repository, and example.com/c requires v0.1.0",
		},
		"none": {
			files: map[string]string{
				"a/go.mod": "module example.com/a\n",
				"b/go.mod": "module example.com/b\n\nrequire example.com/a v0.0.0-00010101000000-000000000000\n",
			},
			err: "no version",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := write(t, test.files)
			modules := map[string]mod{}
			for file := range test.files {
				name := filepath.Dir(file)
				modules["example.com/"+name] = mod{"example.com/" + name, filepath.Join(dir, name)}
			}
			version, err := nextVersion(modules)
			if test.err != "" {
				require.ErrorContains(t, err, test.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.version, version)
		})
	}
}

func TestCheckTagAcceptsTagsOfTheVersionAlone(t *testing.T) {
	for _, tag := range []string{"", "v0.1.0", "natsqueue/v0.1.0", "queuevet/v0.1.0"} {
		require.NoError(t, checkTag(tag, "v0.1.0"), tag)
	}
	for _, tag := range []string{"v0.1.1", "natsqueue/v0.2.0", "examples/v0.1.0", "0.1.0", "nats/queue/v0.1.0"} {
		require.Error(t, checkTag(tag, "v0.1.0"), tag)
	}
}

func TestCheckChangelogWantsASectionAndForATagItsDate(t *testing.T) {
	name := filepath.Join(write(t, map[string]string{"CHANGELOG.md": "# Changelog\n\n## [0.2.0] - unreleased\n\n## [0.1.0] - 2026-01-02\n"}), "CHANGELOG.md")
	require.NoError(t, checkChangelog(name, "v0.1.0", true))
	require.NoError(t, checkChangelog(name, "v0.2.0", false))
	require.ErrorContains(t, checkChangelog(name, "v0.2.0", true), "no date")
	require.ErrorContains(t, checkChangelog(name, "v0.3.0", false), `no section "## [0.3.0]"`)
}

func TestPackLeavesNestedModulesOutAndAddsTheLicence(t *testing.T) {
	dir := write(t, map[string]string{
		"LICENSE":           "free",
		".gitignore":        "/ignored.go\n",
		"a/go.mod":          "module example.com/a\n",
		"a/a.go":            "package a\n",
		"a/testdata/a.txt":  "a",
		"a/nested/go.mod":   "module example.com/a/nested\n",
		"a/nested/code.go":  "package nested\n",
		"a/deleted/file.go": "package deleted\n",
	})
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}} {
		git := exec.Command("git", args...)
		git.Dir = dir
		out, err := git.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "a/deleted")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a/new.go"), []byte("package a\n"), 0o666))

	proxy := t.TempDir()
	require.NoError(t, pack(t.Context(), proxy, mod{"example.com/A", filepath.Join(dir, "a")}, "v0.1.0", dir))
	at := filepath.Join(proxy, "example.com/!a/@v")
	archive, err := zip.OpenReader(filepath.Join(at, "v0.1.0.zip"))
	require.NoError(t, err)
	defer archive.Close()
	var names []string
	for _, f := range archive.File {
		names = append(names, f.Name)
	}
	prefix := "example.com/A@v0.1.0/"
	require.ElementsMatch(t, []string{prefix + "go.mod", prefix + "a.go", prefix + "new.go", prefix + "testdata/a.txt", prefix + "LICENSE"}, names)
	goMod, err := os.ReadFile(filepath.Join(at, "v0.1.0.mod"))
	require.NoError(t, err)
	require.Equal(t, "module example.com/a\n", string(goMod))
	list, err := os.ReadFile(filepath.Join(at, "list"))
	require.NoError(t, err)
	require.Equal(t, "v0.1.0\n", string(list))
}
