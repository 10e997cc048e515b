package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// compile builds the units, each in a package that exists only in an overlay of the module's
// directory.
func compile(root string, units []unit) error {
	temp, err := os.MkdirTemp("", "readmecheck")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp) //nolint:errcheck // otherwise the system removes it

	type overlay struct{ Replace map[string]string }
	overlays := map[string]overlay{}
	patterns := map[string][]string{}
	for i, u := range units {
		dir, err := filepath.Abs(filepath.Join(root, u.dir))
		if err != nil {
			return err
		}
		name := fmt.Sprintf("block%02d", i)
		file := filepath.Join(temp, name+".go")
		if err := os.WriteFile(file, []byte(u.code), 0o600); err != nil {
			return err
		}
		if patterns[dir] == nil {
			overlays[dir] = overlay{map[string]string{}}
		}
		overlays[dir].Replace[filepath.Join(dir, "zz_readmecheck", name, "block.go")] = file
		patterns[dir] = append(patterns[dir], "./zz_readmecheck/"+name)
	}
	for dir, patterns := range patterns {
		if err := build(dir, filepath.Join(temp, "overlay.json"), overlays[dir], patterns); err != nil {
			return err
		}
	}
	return nil
}

// build builds packages in dir and discards the result.
func build(dir, overlayFile string, overlay any, packages []string) error {
	text, err := json.Marshal(overlay)
	if err != nil {
		return err
	}
	if err := os.WriteFile(overlayFile, text, 0o600); err != nil {
		return err
	}
	args := []string{"build", "-buildvcs=false", "-gcflags=-e", "-overlay", overlayFile, "-o", os.DevNull}
	cmd := exec.Command("go", append(args, packages...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
