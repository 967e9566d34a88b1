package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

// A report is a run of the comparison, from which the tables and charts are made.
type report struct {
	Machine machine           `json:"machine"`
	Command string            `json:"command"`
	Rounds  int               `json:"rounds"`
	Modules map[string]string `json:"modules"` // version by path
	Python  string            `json:"python,omitempty"`
	Cells   []result          `json:"cells"`
}

// A machine describes where the figures were measured.
type machine struct {
	CPU        string  `json:"cpu"`
	CPUs       int     `json:"cpus"`
	GOMAXPROCS int     `json:"gomaxprocs"`
	GiB        float64 `json:"gib"` // of memory; 0: not known
	System     string  `json:"system"`
	Go         string  `json:"go"`
}

func thisMachine() machine {
	m := machine{
		CPU:        procfs("cpuinfo", "model name"),
		CPUs:       runtime.NumCPU(),
		GOMAXPROCS: runtime.GOMAXPROCS(0),
		System:     runtime.GOOS + "/" + runtime.GOARCH,
		Go:         runtime.Version(),
	}
	if m.CPU == "" {
		m.CPU = "unknown"
	}
	kiB, _, _ := strings.Cut(procfs("meminfo", "MemTotal"), " ")
	if n, err := strconv.ParseFloat(kiB, 64); err == nil {
		m.GiB = brief(n / (1 << 20))
	}
	return m
}

// procfs returns the value of a key in a file of Linux's /proc; none elsewhere.
func procfs(file, key string) string {
	f, err := os.Open(filepath.Join("/proc", file))
	if err != nil {
		return ""
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		k, v, _ := strings.Cut(lines.Text(), ":")
		if strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// modules returns the versions of the modules that the peers come from.
func modules() map[string]string {
	versions := map[string]string{}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versions
	}
	for _, p := range peers {
		for _, m := range info.Deps {
			if m.Path == p.module && p.name != subject {
				versions[m.Path] = m.Version
			}
		}
	}
	return versions
}

// The files that -out writes. The root of this repository can be its directory.
const (
	pageFile   = "BENCHMARKS.md"
	readmeFile = "README.md"
	roundsFile = "benchmarks/rounds.json"
	chartsDir  = "benchmarks/charts"
)

// write writes the page, the charts and the rounds into dir, and the summary
// into the README there, if it has a place for it.
func (r report) write(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, chartsDir), 0o777); err != nil {
		return err
	}
	rounds, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, roundsFile), append(rounds, '\n'), 0o666); err != nil {
		return err
	}
	if err := r.writeCharts(filepath.Join(dir, chartsDir)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, pageFile), []byte(r.page()), 0o666); err != nil {
		return err
	}
	readme, err := os.ReadFile(filepath.Join(dir, readmeFile))
	if err != nil {
		return nil // none there
	}
	if with, ok := inject(string(readme), r.brief()); ok {
		return os.WriteFile(filepath.Join(dir, readmeFile), []byte(with), 0o666)
	}
	return nil
}

// readReport reads the rounds that a run wrote.
func readReport(file string) (r report, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}

// The summary of a README goes between these lines.
const (
	injectFrom = "<!-- benchmarks: written by go run ./benchmarks -out . -python python3 -->\n"
	injectTo   = "<!-- end of benchmarks -->\n"
)

// inject puts the summary into its place in a README, if there is one.
func inject(readme, summary string) (string, bool) {
	before, rest, ok := strings.Cut(readme, injectFrom)
	if !ok {
		return readme, false
	}
	_, after, ok := strings.Cut(rest, injectTo)
	return before + injectFrom + "\n" + summary + "\n" + injectTo + after, ok
}
