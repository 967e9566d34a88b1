package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/boundq/queue/verification/internal/tracked"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// A mod is a module of the workspace.
type mod struct {
	Path, Dir string
}

// workspace returns the modules of the workspace by their paths.
func workspace(ctx context.Context) (map[string]mod, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-json=Path,Dir").Output()
	if err != nil {
		return nil, fmt.Errorf("go list -m: %w", err)
	}
	modules := map[string]mod{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var m mod
		if err := decoder.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		modules[m.Path] = m
	}
	for _, path := range released {
		if modules[path].Dir == "" {
			return nil, fmt.Errorf("%s is not in the workspace", path)
		}
	}
	return modules, nil
}

// nextVersion returns the version of the root that modules require. They must
// agree on it, also for one another, since all get the same.
func nextVersion(modules map[string]mod) (string, error) {
	var version, from string
	for _, path := range slices.Sorted(maps.Keys(modules)) {
		name := filepath.Join(modules[path].Dir, "go.mod")
		text, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		file, err := modfile.Parse(name, text, nil)
		if err != nil {
			return "", err
		}
		for _, r := range file.Require {
			if _, ours := modules[r.Mod.Path]; !ours {
				continue
			}
			switch {
			case version == "":
				version, from = r.Mod.Version, path
			case version != r.Mod.Version:
				return "", fmt.Errorf("%s requires %s of this repository, and %s requires %s", from, version, path, r.Mod.Version)
			}
		}
	}
	if version == "" || module.IsPseudoVersion(version) {
		return "", fmt.Errorf("the modules require no version of %s that could be released: %q", root, version)
	}
	return version, nil
}

// pack puts the module m into the proxy, as the go command would pack the
// repository: the files that git knows, or would add, without nested modules, and
// the licence of the repository.
func pack(ctx context.Context, proxy string, m mod, version, repository string) error {
	names, err := tracked.Files(ctx, m.Dir)
	if err != nil {
		return err
	}
	var files []zip.File
	for _, name := range names {
		files = append(files, file{name, filepath.Join(m.Dir, filepath.FromSlash(name))})
	}
	if !slices.Contains(names, "LICENSE") {
		files = append(files, file{"LICENSE", filepath.Join(repository, "LICENSE")})
	}
	escaped, err := module.EscapePath(m.Path)
	if err != nil {
		return err
	}
	dir := filepath.Join(proxy, filepath.FromSlash(escaped), "@v")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	goMod, err := os.ReadFile(filepath.Join(m.Dir, "go.mod"))
	if err != nil {
		return err
	}
	info, err := json.Marshal(map[string]any{"Version": version, "Time": time.Now().UTC()})
	if err != nil {
		return err
	}
	for name, data := range map[string][]byte{"list": []byte(version + "\n"), version + ".info": info, version + ".mod": goMod} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			return err
		}
	}
	archive, err := os.Create(filepath.Join(dir, version+".zip"))
	if err != nil {
		return err
	}
	err = zip.Create(archive, module.Version{Path: m.Path, Version: version}, files)
	return errors.Join(err, archive.Close())
}

// file is a [zip.File].
type file struct {
	path string // in the module, with slashes
	name string // on disk
}

func (f file) Path() string                 { return f.path }
func (f file) Lstat() (os.FileInfo, error)  { return os.Lstat(f.name) }
func (f file) Open() (io.ReadCloser, error) { return os.Open(f.name) }
