// Package tracked lists the files that git would commit.
package tracked

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Files returns the files below dir that git tracks, or would add, and that are
// on disk: their paths from dir, with slashes.
func Files(ctx context.Context, dir string) ([]string, error) {
	list := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = dir
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files in %s: %w", dir, err)
	}
	var files []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name))); errors.Is(err, fs.ErrNotExist) {
			continue // deleted, but not committed
		} else if err != nil {
			return nil, err
		}
		files = append(files, name)
	}
	return files, nil
}
