// Package changed lets the go command compile the queue's code with changes that
// are not in its files, so that several may be tried at once, and nothing has to
// be put back.
package changed

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Module is the module whose code is changed.
const Module = "github.com/boundq/queue"

// Root returns the directory of the module.
func Root(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", Module).Output()
	if err != nil {
		return "", fmt.Errorf("where is %s: %w", Module, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Overlay writes changed code into the directory dir, and returns what to pass
// to the go command as -overlay. files are by the path that they stand in for,
// which need not exist.
func Overlay(dir string, files map[string]string) (string, error) {
	replace := make(map[string]string)
	for path, code := range files {
		replace[path] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(replace[path], []byte(code), 0o600); err != nil {
			return "", err
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, overlay, 0o600)
}
